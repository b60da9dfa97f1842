import Bundles
import Files
import Synchronization
import SystemPackage
import Testing

/// What a sender may write who knows the recipient, and so can make a right MAC over anything.
@Suite("Hostile age headers")
struct AgeHeaderTests {
    private static let identity = AgeProbe.identity
    private let forge = AgeForge()

    private func refusal(_ stanzas: String) throws -> BundleError? { AgeProbe.refusal(try forge.file(stanzas)) }

    private func ours() throws -> String { try forge.stanza(to: AgeHeaderTests.identity.recipient) }

    /// Base64 of 32 bytes with a bit set that encodes nothing: the last letter of a canonical one is A, E, I, ..., 4 or 8.
    private static func withStrayBit(_ text: String) -> String {
        String(decoding: text.utf8.dropLast() + text.utf8.suffix(1).map { $0 + 1 }, as: UTF8.self)
    }

    @Test("stanzas of other types beside ours are skipped")
    func grease() throws {
        let body = String(repeating: "A", count: 64)
        for other in [
            "-> grease\n\n", "-> !\"#$%&'()*+,-./ ~\n\n", "-> -> ---\n\n", "-> a b c d\nAAAA\n", "-> x\n\(body)\n\n",
            "-> x\n\(body)\n\(body)\nAA\n", "-> x25519 AAAA\n\n", "-> ssh-ed25519 AAAA BBBB\n\n",
            "-> piv-p256 a b\nAAAA\n",
            "-> mlkem768x25519 AAAA\n\n",
        ] {
            #expect(try refusal(other + ours()) == nil && refusal(ours() + other) == nil, "\(other)")
            #expect(try refusal(other + ours() + other + ours()) == nil, "\(other)")
        }
    }

    @Test("what the grammar does not allow is refused, however right the MAC")
    func grammar() throws {
        let ours = try ours()
        let line = String(repeating: "A", count: 64)
        for bad in [
            "", "\n", "->\n\n", "-> \n\n", "->  a\n\n", "-> a \n\n", "-> a  b\n\n", "->a\n\n", " -> a\n\n",
            "-> a\tb\n\n",
            "-> \u{e9}\n\n", "-> a\u{7f}\n\n", "-> a\r\n\n", "-> a\n\r\n", "-> a\nAAAA\r\n", "=> a\n\n", "garbage\n",
            // Bodies: without an end, too long a line, a short line before the end, padding, stray bits, other alphabets.
            "-> a\n", "-> a\n\(line)\n", "-> a\n\(line)A\n\n", "-> a\n\(line)AA\n\n", "-> a\nAAAA\nAAAA\n",
            "-> a\nAA==\n",
            "-> a\nAB\n", "-> a\nAAB\n", "-> a\nA\n", "-> a\nAA A\n", "-> a\nAA-_\n", "-> a\nAAA\u{e9}\n", "-> a\n\n\n",
        ] {
            for text in bad.isEmpty ? [""] : [bad + ours, ours + bad] {
                let error = try #require(try refusal(text), "\(bad.debugDescription)")
                #expect([.malformedEncryption, .incomplete].contains(error.reason), "\(bad.debugDescription)")
            }
        }
    }

    @Test("the MAC's line has one form, and the MAC one value")
    func mac() throws {
        let good = try forge.file(ours())
        let text = good.prefix(168)
        #expect(text.last == 0x0a && AgeProbe.refusal(good) == nil)
        let (head, mac, tail) = (text.dropLast(45), Array(text.suffix(44).dropLast()), good.dropFirst(168))
        #expect(head.last == UInt8(ascii: "-"))
        func with(_ line: String) -> BundleError? { AgeProbe.refusal(head + Array(line.utf8) + tail) }
        let value = String(decoding: mac, as: UTF8.self)
        #expect(with(" \(value)\n") == nil)
        for line in [
            "\n", " \n", "\(value)\n", "  \(value)\n", " \(value) \n", " \(value)\r\n", " \(value)=\n", " \(value)A\n",
            " \(value.dropLast())\n", " \(value) a\n", "- \(value)\n", " \(AgeHeaderTests.withStrayBit(value))\n",
        ] {
            #expect(with(line)?.reason == .malformedEncryption, "\(line.debugDescription)")
        }
        var other = mac
        other[0] = other[0] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        #expect(with(" \(String(decoding: other, as: UTF8.self))\n")?.reason == .badHeaderMAC)
    }

    @Test("a malformed X25519 stanza is refused, also beside a good one")
    func malformedStanzas() throws {
        let good = try ours()
        let lines = good.split(separator: "\n")
        let (first, body) = (String(lines[0]), String(lines[1]))
        let share = String(first.dropFirst(10))
        let stray = AgeHeaderTests.withStrayBit(share)
        for bad in [
            "-> X25519\n\(body)\n", "\(first) extra\n\(body)\n", "-> X25519 \(share.dropLast())\n\(body)\n",
            "\(first)A\n\(body)\n", "\(first)=\n\(body)\n", "\(first)AA\n\(body)\n", "-> X25519 \(stray)\n\(body)\n",
            "\(first)\n\n", "\(first)\n\(body.dropLast(4))\n", "\(first)\n\(body)AAAA\n",
            "\(first)\n\(AgeForge.base64([UInt8](repeating: 7, count: 31)))\n",
            "\(first)\n\(AgeForge.base64([UInt8](repeating: 7, count: 33)))\n",
        ] {
            #expect(try refusal(bad)?.reason == .malformedEncryption, "\(bad)")
            #expect(try refusal(bad + good)?.reason == .malformedEncryption, "\(bad)")
            #expect(try refusal(good + bad)?.reason == .malformedEncryption, "\(bad)")
        }
        // Well-formed, and for nobody here.
        #expect(try refusal(forge.stanza(to: AgeIdentity.generate().recipient))?.reason == .notForThisIdentity)
        #expect(
            try refusal("\(first)\n\(AgeForge.base64([UInt8](repeating: 7, count: 32)))\n")?.reason
                == .notForThisIdentity)
    }

    @Test("a share of low order is refused, also beside a good one and where its file key would open")
    func lowOrder() throws {
        let good = try ours()
        for share in AgePoints.lowOrder {
            let bad = try forge.stanza(lowOrder: share, for: AgeHeaderTests.identity.recipient)
            for text in [bad, bad + good, good + bad] {
                let error = try #require(try refusal(text))
                #expect(error.reason == .malformedEncryption && error.detail.contains("low order"))
            }
        }
    }

    @Test("what this program does not read is refused by its name")
    func unsupported() throws {
        func check(_ bytes: [UInt8], _ reason: BundleError.Reason, _ words: String) {
            let error = AgeProbe.refusal(bytes)
            #expect(
                error?.reason == reason && error?.detail.contains(words) == true, "\(words): \(error?.detail ?? "")")
        }
        let armour =
            "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3Yx\n-----END AGE ENCRYPTED FILE-----\n"
        check(Array(armour.utf8), .unsupportedEncryption, "is armoured, which is not supported")
        check(Array(("\r\n \t\n" + armour).utf8), .unsupportedEncryption, "is armoured, which is not supported")
        let scrypt = "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\nAAAA\n"
        check(try forge.file(scrypt), .unsupportedEncryption, "is encrypted with a passphrase")
        for text in [scrypt + (try ours()), try ours() + scrypt, scrypt + scrypt] {
            check(try forge.file(text), .malformedEncryption, "passphrase beside other recipients")
        }
        check(try forge.file("-> ssh-ed25519 AAAA BBBB\n\n"), .unsupportedEncryption, "is encrypted to an SSH key")
        check(try forge.file("-> ssh-rsa AAAA\n\n"), .unsupportedEncryption, "is encrypted to an SSH key")
        check(try forge.file("-> mlkem768x25519 AAAA\n\n"), .unsupportedEncryption, "hybrid")
        check(try forge.file("-> plugin\n\n"), .notForThisIdentity, "has no X25519 recipient")
        check(Array("PK\u{3}\u{4}".utf8), .malformedEncryption, "not encrypted with age")
        check(Array("age-encryption.org/v2\n".utf8), .malformedEncryption, "does not begin with the line")
        check(Array("age-encryption.org/v1\r\n".utf8), .malformedEncryption, "does not begin with the line")
    }

    @Test("a header may have 128 KiB and 1,024 stanzas, and not one more")
    func limits() throws {
        let ours = try ours()
        let many = String(repeating: "-> a\n\n", count: AgeLimits.stanzas - 1)
        #expect(try refusal(many + ours) == nil)
        #expect(try refusal("-> a\n\n" + many + ours)?.reason == .tooLarge)

        let size = forge.header(ours).count
        func padded(_ total: Int) throws -> BundleError? {
            try refusal(ours + "-> " + String(repeating: "x", count: total - size - 5) + "\n\n")
        }
        #expect(try padded(AgeLimits.headerBytes) == nil)
        #expect(try padded(AgeLimits.headerBytes + 1)?.reason == .tooLarge)
        #expect(try padded(AgeLimits.headerBytes + 2)?.reason == .tooLarge)
    }

    @Test("a header without end is refused after its first 128 KiB", arguments: ["-> a\n\n", "x", "-> b ", "A", "\n"])
    func bomb(piece: String) throws {
        try withTemporaryFolder { folder in
            let endless = EndlessFile(start: Array("age-encryption.org/v1\n-> a\n".utf8), piece: Array(piece.utf8))
            let system = AgeFileSystem(sources: ["bomb": { endless }])
            do throws(BundleError) {
                try AgeReader.decrypt(
                    folder.appending("bomb"), with: [AgeHeaderTests.identity], to: folder.appending("opened"),
                    limit: .max, files: system)
                Issue.record("a header without end was accepted")
            } catch {
                #expect([.tooLarge, .malformedEncryption].contains(error.reason))
            }
            #expect(endless.furthest.load(ordering: .relaxed) <= AgeLimits.headerBytes + 1)
            let names = try files.list(folder)
            #expect(names.isEmpty)
        }
    }
}

/// A file that never ends, and remembers how far it was read.
private final class EndlessFile: ReadableFile, Sendable {
    private let start: [UInt8]
    private let piece: [UInt8]
    let furthest = Atomic<Int>(0)

    init(start: [UInt8], piece: [UInt8]) { (self.start, self.piece) = (start, piece) }

    func status() throws(FileError) -> FileStatus {
        FileStatus(kind: .regular, size: .max, permissions: 0o600, owner: 0, modified: 0, device: 0, inode: 0)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        for index in buffer.indices {
            let position = Int(offset) + index
            buffer[index] =
                position < start.count ? start[position] : piece[(position - start.count) % piece.count]
        }
        furthest.max(Int(offset) + buffer.count, ordering: .relaxed)
        return buffer.count
    }
}

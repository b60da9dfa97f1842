import Bundles
import Files
import SystemPackage
import Testing
import Wire

@Suite("Age identities and recipients")
struct AgeTests {
    /// The identity and the recipient of the test vectors that age's authors publish.
    static let secret = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

    private func reason(_ work: () throws -> Void) -> BundleError? {
        do { try work() } catch { return error as? BundleError }
        return nil
    }

    @Test("an identity is stored and read back")
    func roundTrip() throws {
        let identity = AgeIdentity.generate()
        let text = identity.identityFile(created: Timestamp(seconds: 0))
        #expect(
            text.hasPrefix("# created: 1970-01-01T00:00:00Z\n# public key: \(identity.recipient)\nAGE-SECRET-KEY-1"))
        #expect(try AgeIdentity(identityFile: text).recipient == identity.recipient)
        #expect(try AgeIdentity(identityFile: Array(text.utf8)).recipient == identity.recipient)
        #expect(try AgeIdentity(identityFile: text.replacing("\n", with: "\r\n")).recipient == identity.recipient)
        #expect(try AgeIdentity(identityFile: "\n\n" + text).recipient == identity.recipient)
        #expect(try AgeRecipient(identity.recipient.description) == identity.recipient)
        #expect(identity.recipient.description.hasPrefix("age1") && identity.recipient.description.count == 62)
        #expect(
            try AgeIdentity(AgeTests.secret).identityFile(created: Timestamp(seconds: 0)).hasSuffix(
                "\n\(AgeTests.secret)\n"))
        #expect(AgeIdentity.generate().recipient != identity.recipient)
    }

    @Test("an identity is written for its owner alone, and never over another")
    func writing() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("age.txt")
            let identity = AgeIdentity.generate()
            try identity.write(to: path, created: Timestamp(seconds: 0), files: files)
            #expect(try files.status(path)?.permissions == 0o600)
            let bytes = try files.readPrivateFile(path, limit: KeyFileLimits.keyBytes)
            #expect(try AgeIdentity(identityFile: bytes).recipient == identity.recipient)
            let error = reason {
                try AgeIdentity.generate().write(to: path, created: Timestamp(seconds: 0), files: files)
            }
            #expect(error?.cause?.code == .fileExists)
            #expect(try files.readPrivateFile(path, limit: KeyFileLimits.keyBytes) == bytes)
        }
    }

    @Test("an identity still decrypts after it was stored, and opens what was encrypted before")
    func useAfterStoring() throws {
        let identity = AgeIdentity.generate()
        let encrypted = try AgeWriter.encrypt([1, 2, 3], to: [identity.recipient])
        let text = identity.identityFile(created: Timestamp(seconds: 0))
        #expect(identity.identityFile(created: Timestamp(seconds: 0)) == text)
        for key in [identity, try AgeIdentity(identityFile: text)] {
            #expect(try AgeReader.decrypt(encrypted, with: [key], limit: 3) == [1, 2, 3])
        }
    }

    @Test("an identity is not printed, dumped or told in an error")
    func secrecy() throws {
        let identity = try AgeIdentity(AgeTests.secret)
        var dumped = ""
        dump(identity, to: &dumped)
        let optional: AgeIdentity? = identity
        for text in [
            "\(identity)", String(reflecting: identity), dumped, "\([identity])", String(describing: optional),
            String(reflecting: (1, identity)),
        ] {
            // The recipient, and no room for more.
            #expect(text.contains(identity.recipient.description) && text.count < 100, "\(text)")
            #expect(!text.uppercased().contains("SECRET"))
        }
        // A secret where a recipient belongs, and a damaged secret where a secret belongs.
        for text in [AgeTests.secret, AgeTests.secret.lowercased(), "x" + AgeTests.secret] {
            let error = try #require(reason { _ = try AgeRecipient(text) })
            #expect(!error.detail.uppercased().contains("EGTZ"))
        }
        let error = try #require(reason { _ = try AgeIdentity(AgeTests.secret + "Q") })
        #expect(!error.detail.contains("EGTZ"))
    }

    @Test("every change to one character of a recipient or an identity is refused")
    func oneCharacter() throws {
        let identity = AgeIdentity.generate()
        let recipient = identity.recipient.description
        for index in recipient.indices {
            for other in "qpa10BZ\u{e9}" where other != recipient[index] {
                let changed = recipient.replacingCharacter(at: index, with: other)
                #expect(throws: BundleError.self) { try AgeRecipient(changed) }
            }
        }
        for index in AgeTests.secret.indices {
            for other in "QPA10bz\u{212a}" where other != AgeTests.secret[index] {
                let changed = AgeTests.secret.replacingCharacter(at: index, with: other)
                #expect(throws: BundleError.self) { try AgeIdentity(changed) }
            }
        }
    }

    @Test("damaged recipients and identities are refused in one line")
    func damage() throws {
        let identity = AgeIdentity.generate()
        let recipient = identity.recipient.description
        for text in [
            "", "age1", recipient.uppercased(), recipient + "q", " " + recipient, "age" + recipient, recipient + "\n",
            "\(recipient)\n\(recipient)", String(repeating: "q", count: 62),
            String(repeating: "\u{1f600}", count: 1000),
        ] {
            let error = try #require(reason { _ = try AgeRecipient(text) })
            #expect(error.reason == .malformedKey && !error.detail.contains("\n") && error.detail.utf8.count < 140)
        }
        let file = identity.identityFile(created: Timestamp(seconds: 0))
        for text in [
            "", "# only\n", file + file, file.lowercased(),
            file.replacing("AGE-SECRET-KEY-1", with: "AGE-SECRET-KEY-2"), file + "x", " " + AgeTests.secret,
            AgeTests.secret + " ", AgeTests.secret.lowercased(), String(AgeTests.secret.dropLast()),
            // The Kelvin sign is a K to Unicode's case folding.
            AgeTests.secret.replacing("KEY", with: "\u{212a}EY"), AgeTests.secret + "\r\r\n",
            AgeTests.secret.replacing("AGE-SECRET-KEY-", with: "AGE-SECRET-KEY-PQ-"),
        ] {
            #expect(reason { _ = try AgeIdentity(identityFile: text) }?.reason == .malformedKey, "\(text.prefix(40))")
        }
    }

    @Test("a key that nobody can own is no recipient")
    func unusableRecipients() throws {
        for point in AgePoints.lowOrder + AgePoints.notCanonical {
            let text = AgePoints.recipient(point)
            #expect(text.count == 62)
            let error = try #require(reason { _ = try AgeRecipient(text) })
            #expect(error.detail.hasSuffix("no key that anyone could own"))
        }
        // The same text encoder makes good ones.
        let identity = AgeIdentity.generate()
        #expect(AgePoints.recipient(identity.recipient.raw) == identity.recipient.description)
    }
}

extension String {
    fileprivate func replacingCharacter(at index: Index, with character: Character) -> String {
        var changed = self
        changed.replaceSubrange(index...index, with: [character])
        return changed
    }
}

/// Points of Curve25519 that no honest party sends.
enum AgePoints {
    /// All encodings of the points whose order divides 8, of the curve and of its twist: 0, 1, -1, two of order 8, the ones
    /// written with the prime added, and each with the top bit that X25519 leaves out of account.
    static let lowOrder: [[UInt8]] = {
        let zero = [UInt8](repeating: 0, count: 32)
        var (one, eighth, other) = (zero, zero, zero)
        one[0] = 1
        eighth = bytes("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
        other = bytes("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")
        let high = (0xec...0xee).map { [UInt8($0)] + [UInt8](repeating: 0xff, count: 30) + [0x7f] }
        let points = [zero, one, eighth, other] + high
        return points + points.map { $0.dropLast() + [$0[31] | 0x80] }
    }()

    /// 2 and 9 with the prime added, 9 with the top bit.
    static let notCanonical: [[UInt8]] =
        [[0xef] + [UInt8](repeating: 0xff, count: 30) + [0x7f], [0xf6] + [UInt8](repeating: 0xff, count: 30) + [0x7f]]
        + [[9] + [UInt8](repeating: 0, count: 30) + [0x80]]

    private static func bytes(_ hex: String) -> [UInt8] { Hexadecimal.decode(hex) ?? [] }

    /// Bech32 of BIP 173 written once more, for keys that the program itself never makes.
    static func recipient(_ raw: [UInt8]) -> String {
        let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l")
        let bits = raw.flatMap { byte in (0..<8).map { byte >> (7 - $0) & 1 } } + [UInt8](repeating: 0, count: 4)
        let data = stride(from: 0, to: 260, by: 5).map { bits[$0..<$0 + 5].reduce(UInt32(0)) { $0 << 1 | UInt32($1) } }
        // "age": the letters' high bits, a zero, their low bits.
        var sum: UInt32 = 1
        for value in [3, 3, 3, 0, 1, 7, 5] + data + [0, 0, 0, 0, 0, 0] {
            let top = sum >> 25
            sum = (sum & 0x1ff_ffff) << 5 ^ value
            for (index, word) in [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].enumerated()
            where top >> UInt32(index) & 1 == 1 { sum ^= UInt32(word) }
        }
        let check = (0..<6).map { (sum ^ 1) >> (5 * UInt32(5 - $0)) & 31 }
        return "age1" + String((data + check).map { alphabet[Int($0)] })
    }
}

import Bundles
import Testing

/// What OpenSSH's own parser lets pass (FAULTS, trap 2), and what any parser might.
@Suite("Signature form")
struct SignatureFormTests {
    private let key = SigningKey.generate()
    private let message = Array("message".utf8)

    /// The fields of a signature, for changing one of them.
    private struct Fields {
        var magic = "SSHSIG"
        var version: UInt8 = 1
        var algorithm = "ssh-ed25519"
        var key: [UInt8]
        var namespace = "update@consilium"
        var reserved = ""
        var hash = "sha512"
        var signature: [UInt8]
        var afterSignature: [UInt8] = []
        var after: [UInt8] = []

        func string(_ bytes: some Collection<UInt8>) -> [UInt8] {
            [0, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
        }

        var blob: [UInt8] {
            let publicKey = string(algorithm.utf8) + string(key)
            let inner = string("ssh-ed25519".utf8) + string(signature) + afterSignature
            return magic.utf8 + [0, 0, 0, version] + string(publicKey) + string(namespace.utf8) + string(reserved.utf8)
                + string(hash.utf8) + string(inner) + after
        }
    }

    private func armoured(_ blob: [UInt8], columns: Int = 70) -> String {
        let body = Array(base64(blob))
        let lines = stride(from: 0, to: body.count, by: columns).map {
            String(body[$0..<min($0 + columns, body.count)])
        }
        return "-----BEGIN SSH SIGNATURE-----\n\(lines.joined(separator: "\n"))\n-----END SSH SIGNATURE-----\n"
    }

    private func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Array(bytes[start..<min(start + 3, bytes.count)])
            let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[$1]) : 0) }
            for index in 0...3 { text.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : "=") }
        }
        return text
    }

    private func fields() throws -> Fields {
        let blob = try rawBlob(key.sign(message, namespace: "update@consilium"))
        return Fields(key: key.publicKey.raw, signature: Array(blob.suffix(64)))
    }

    private func rawBlob(_ armoured: [UInt8]) throws -> [UInt8] {
        let text = String(decoding: armoured, as: UTF8.self).split(separator: "\n").dropFirst().dropLast().joined()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var bytes: [UInt8] = []
        var bits = 0
        for (index, character) in text.enumerated() where character != "=" {
            bits = bits << 6 | (alphabet.firstIndex(of: character) ?? 0)
            if index % 4 != 0 { bytes.append(UInt8(truncatingIfNeeded: bits >> (6 - 2 * (index % 4)))) }
        }
        return bytes
    }

    private func isTaken(_ text: String) -> Bool {
        guard let signature = try? SSHSignature(armoured: Array(text.utf8)) else { return false }
        return signature.isValid(for: message)
    }

    @Test("the test's own encoder makes a signature that is taken")
    func baseline() throws {
        #expect(isTaken(armoured(try fields().blob)))
    }

    @Test("every other field value is refused")
    func fieldValues() throws {
        let good = try fields()
        let changes: [(String, (inout Fields) -> Void)] = [
            ("magic", { $0.magic = "SSHSIH" }), ("version 0", { $0.version = 0 }), ("version 2", { $0.version = 2 }),
            ("key type", { $0.algorithm = "ssh-rsa" }), ("short key", { $0.key.removeLast() }),
            ("long key", { $0.key.append(0) }),
            ("no namespace", { $0.namespace = "" }), ("other namespace", { $0.namespace = "global@consilium" }),
            ("reserved", { $0.reserved = "x" }), ("sha256", { $0.hash = "sha256" }), ("no hash", { $0.hash = "" }),
            ("63 bytes", { $0.signature.removeLast() }), ("65 bytes", { $0.signature.append(0) }),
            ("no signature", { $0.signature = [] }),
            ("bytes after the signature", { $0.afterSignature = [0] }), ("bytes at the end", { $0.after = [0] }),
        ]
        for (name, change) in changes {
            var fields = good
            change(&fields)
            #expect(!isTaken(armoured(fields.blob)), "\(name)")
        }
    }

    @Test("every other armour is refused")
    func armours() throws {
        let blob = try fields().blob
        let good = armoured(blob)
        let bad = [
            good + "\n", String(good.dropLast()), " " + good, "\n" + good, good + "x", good + good,
            armoured(blob, columns: 64),
            armoured(blob, columns: 76), armoured(blob, columns: 1000), good.replacing("\n", with: "\r\n"),
            good.replacing("U1NIU0", with: "U1NI U0"),
            good.replacing("SSH SIGNATURE", with: "SSH  SIGNATURE"), good.replacing("-----END", with: "----END"),
            good.replacing("=\n", with: "\n"),
            good.replacing("BEGIN SSH SIGNATURE", with: "BEGIN OPENSSH PRIVATE KEY"), "",
            "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        ]
        for text in bad where text != good { #expect(!isTaken(text), "\(text.debugDescription)") }
        #expect(throws: BundleError.self) { try SSHSignature(armoured: [0xff] + Array(good.utf8)) }
    }

    @Test("cut anywhere or with any bit changed it is refused")
    func damage() throws {
        let good = Array(armoured(try fields().blob).utf8)
        for index in good.indices {
            #expect(throws: BundleError.self) { try SSHSignature(armoured: Array(good[..<index])) }
            for bit in 0..<8 {
                var changed = good
                changed[index] ^= 1 << UInt8(bit)
                let signature = try? SSHSignature(armoured: changed)
                #expect(signature.map { !$0.isValid(for: message) } ?? true, "byte \(index), bit \(bit)")
            }
        }
    }
}

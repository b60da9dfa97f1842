import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

@Suite("Keys and signatures")
struct KeyTests {
    private let message = Array("a message\n".utf8)

    private func reason(_ work: () throws -> Void) -> BundleError.Reason? {
        do { try work() } catch { return (error as? BundleError)?.reason }
        return nil
    }

    /// A key made by ssh-keygen.
    private func foreignKey(_ folder: FilePath, _ options: [String] = ["-t", "ed25519", "-N", ""]) throws -> FilePath {
        let made = try Tool.run("ssh-keygen", options + ["-q", "-C", "a comment", "-f", "key"], in: folder)
        #expect(made.status == 0, "\(made.output)")
        return folder.appending("key")
    }

    @Test("a key is stored and read back, and signs what its public key verifies")
    func roundTrip() throws {
        for comment in ["", "a", "a comment", "fifteen letters", "sixteen letters!"] {
            let key = SigningKey.generate()
            let again = try SigningKey(openSSHPrivateKey: key.openSSHPrivateKey(comment: comment))
            #expect(again.publicKey == key.publicKey)
            let signature = try SSHSignature(armoured: again.sign(message, namespace: "update@consilium"))
            #expect(signature.publicKey == key.publicKey && signature.namespace == "update@consilium")
            #expect(signature.isValid(for: message))
            #expect(!signature.isValid(for: message + [0]))
            #expect(try SSHSignature(armoured: signature.armoured) == signature)
            #expect(try PublicKey(openSSHLine: key.publicKey.openSSHLine) == key.publicKey)
        }
    }

    @Test("keys made by ssh-keygen work, ours work for ssh-keygen", .enabled(if: Tool.isThere("ssh-keygen")))
    func keysBothWays() throws {
        try withTemporaryFolder { folder in
            let path = try foreignKey(folder)
            let key = try SigningKey(openSSHPrivateKey: files.readPrivateFile(path, limit: KeyFileLimits.keyBytes))
            let line = String(decoding: try files.readFile(folder.appending("key.pub"), limit: 4096), as: UTF8.self)
            #expect(try PublicKey(openSSHLine: line) == key.publicKey)
            #expect(line.hasPrefix(key.publicKey.openSSHLine + " "))
            #expect(
                try Tool.run("ssh-keygen", ["-lf", "key.pub"], in: folder).output.contains(
                    " \(key.publicKey.fingerprint) "))

            let ours = SigningKey.generate()
            try files.writeFile(
                folder.appending("ours"), ours.openSSHPrivateKey(comment: "hospital-a"), permissions: 0o600)
            let shown = try Tool.run("ssh-keygen", ["-y", "-f", "ours"], in: folder)
            #expect(shown.output == ours.publicKey.openSSHLine + " hospital-a\n")
        }
    }

    @Test("signatures go both ways between us and ssh-keygen", .enabled(if: Tool.isThere("ssh-keygen")))
    func signaturesBothWays() throws {
        try withTemporaryFolder { folder in
            let path = try foreignKey(folder)
            try files.writeFile(folder.appending("message"), message)
            let signed = try Tool.run(
                "ssh-keygen", ["-q", "-Y", "sign", "-f", "key", "-n", "update@consilium", "message"], in: folder)
            #expect(signed.status == 0, "\(signed.output)")
            let bytes = try files.readFile(folder.appending("message.sig"), limit: 4096)
            let theirs = try SSHSignature(armoured: bytes)
            #expect(theirs.isValid(for: message) && theirs.namespace == "update@consilium" && theirs.armoured == bytes)

            let key = try SigningKey(openSSHPrivateKey: files.readPrivateFile(path, limit: 4096))
            #expect(theirs.publicKey == key.publicKey)
            try files.writeFile(folder.appending("ours.sig"), try key.sign(message, namespace: "update@consilium"))
            let signers = AllowedSigners(entries: [
                .init(principal: Sample.name("hospital-a"), kinds: [.update], key: key.publicKey)
            ])
            try files.writeFile(folder.appending("signers"), Array(signers.text.utf8))
            func verify(_ namespace: String, _ message: [UInt8]) throws -> Int32 {
                let arguments = [
                    "-Y", "verify", "-f", "signers", "-I", "hospital-a", "-n", namespace, "-s", "ours.sig",
                ]
                return try Tool.run("ssh-keygen", arguments, in: folder, input: message).status
            }
            #expect(try verify("update@consilium", message) == 0)
            #expect(try verify("global@consilium", message) != 0)
            #expect(try verify("update@consilium", message + [0]) != 0)
        }
    }

    @Test("a passphrase is named as the trouble", .enabled(if: Tool.isThere("ssh-keygen")))
    func passphrase() throws {
        try withTemporaryFolder { folder in
            let path = try foreignKey(folder, ["-t", "ed25519", "-N", "secret"])
            let bytes = try files.readFile(path, limit: 4096)
            #expect(reason { _ = try SigningKey(openSSHPrivateKey: bytes) } == .passphraseProtected)
        }
    }

    @Test(
        "other types of key are refused by name", .enabled(if: Tool.isThere("ssh-keygen")), arguments: ["rsa", "ecdsa"])
    func otherTypes(type: String) throws {
        try withTemporaryFolder { folder in
            let path = try foreignKey(folder, ["-t", type, "-N", ""])
            let bytes = try files.readFile(path, limit: 8192)
            #expect(reason { _ = try SigningKey(openSSHPrivateKey: bytes) } == .malformedKey)
            let line = String(decoding: try files.readFile(folder.appending("key.pub"), limit: 4096), as: UTF8.self)
            let error = #expect(throws: BundleError.self) { try PublicKey(openSSHLine: line) }
            #expect(error?.detail.contains("ssh-keygen -t ed25519") == true)
        }
    }

    @Test("a private key with any byte changed is refused or is the same key")
    func damagedKeys() throws {
        let key = SigningKey.generate()
        let bytes = key.openSSHPrivateKey(comment: "c")
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            if let other = try? SigningKey(openSSHPrivateKey: changed) { #expect(other.publicKey == key.publicKey) }
            #expect(
                reason { _ = try SigningKey(openSSHPrivateKey: Array(bytes[..<index])) } != nil
                    || index == bytes.count - 1)
        }
    }

    @Test(
        "a public key line is one well-formed line",
        arguments: [
            "", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjA",
            "ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE\nssh-ed25519 A",
            "command=\"x\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE",
        ])
    func badLines(line: String) {
        #expect(reason { _ = try PublicKey(openSSHLine: line) } == .malformedKey)
    }

    static let samples = "sshsig/regress/unittests/sshsig/testdata"

    /// OpenSSH's own samples: the message and the namespace stand beside them.
    @Test("of OpenSSH's samples exactly the Ed25519 one is taken", .enabled(if: SharedData.isThere(samples)))
    func openSSHSamples() throws {
        let folder = SharedData.folder.appending(KeyTests.samples)
        let message = try files.readFile(folder.appending("signed-data"), limit: 4096)
        var taken: [String] = []
        for entry in try files.list(folder) where entry.name.hasSuffix(".sig") {
            let bytes = try files.readFile(folder.appending(entry.component), limit: 16_384)
            guard let signature = try? SSHSignature(armoured: bytes) else { continue }
            taken.append(entry.name)
            #expect(signature.namespace == "unittest" && signature.isValid(for: message) && signature.armoured == bytes)
            #expect(!signature.isValid(for: message + [0]))
            let line = String(decoding: try files.readFile(folder.appending("ed25519.pub"), limit: 4096), as: UTF8.self)
            #expect(try signature.publicKey == PublicKey(openSSHLine: line))
        }
        #expect(taken == ["ed25519.sig"])
        let key = try SigningKey(openSSHPrivateKey: files.readFile(folder.appending("ed25519"), limit: 4096))
        #expect(key.publicKey.openSSHLine.hasSuffix("3BOMdjAE"))
        for name in ["rsa", "ecdsa", "ed25519_sk", "ecdsa_sk", "mldsa44-ed25519"] {
            let bytes = try files.readFile(folder.appending(name), limit: 16_384)
            #expect(throws: BundleError.self) { try SigningKey(openSSHPrivateKey: bytes) }
        }
    }
}

import Crypto

/// An Ed25519 key pair, stored as `ssh-keygen -t ed25519` stores it.
package struct SigningKey: Sendable {
    private static let magic = Array("openssh-key-v1\0".utf8)
    private static let armour = SSHArmour("OPENSSH PRIVATE KEY")
    /// Private sections are padded to the cipher's block; without a cipher it is 8 bytes.
    private static let block = 8

    private let key: Curve25519.Signing.PrivateKey
    package let publicKey: PublicKey

    /// A new key from the system's random generator.
    package static func generate() -> SigningKey { SigningKey(Curve25519.Signing.PrivateKey()) }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        self.key = key
        guard let publicKey = PublicKey(raw: Array(key.publicKey.rawRepresentation)) else {
            preconditionFailure("an Ed25519 public key has 32 bytes")
        }
        self.publicKey = publicKey
    }

    /// Reads the content of a private key file. Reading it through `readPrivateFile` refuses one that others may read.
    /// - Throws: `passphraseProtected` for an encrypted key, which nobody could unlock in the night.
    package init(openSSHPrivateKey bytes: [UInt8]) throws(BundleError) {
        func malformed(_ what: String) -> BundleError { BundleError(.malformedKey, "the private key \(what)") }
        guard let text = String(validating: bytes, as: UTF8.self), let blob = SigningKey.armour.decode(text) else {
            throw malformed("is not in OpenSSH's format; make one with ssh-keygen -t ed25519")
        }
        var reader = SSHReader(blob)
        guard reader.raw(SigningKey.magic.count) == SigningKey.magic, let cipher = reader.text(),
            let kdf = reader.text()
        else { throw malformed("is not in OpenSSH's format; make one with ssh-keygen -t ed25519") }
        guard cipher == "none", kdf == "none" else {
            let hint = "remove the passphrase with ssh-keygen -p, and keep the file its owner's alone"
            throw BundleError(.passphraseProtected, "the private key is protected by a passphrase; \(hint)")
        }
        guard reader.string() == [], reader.number() == 1, let publicBlob = reader.string(),
            let secret = reader.string(),
            reader.isAtEnd
        else { throw malformed("file must hold exactly one key") }
        let publicKey = try PublicKey(blob: publicBlob)
        let seed = try SigningKey.seed(inside: secret, of: publicKey)
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw malformed("is not an Ed25519 key")
        }
        self.init(key)
        guard self.publicKey == publicKey else { throw malformed("does not belong to the public key beside it") }
    }

    /// Reads the private section: two equal check numbers, type, public key, seed with public key, comment, 1 2 3 ... as padding.
    private static func seed(inside secret: [UInt8], of publicKey: PublicKey) throws(BundleError) -> [UInt8] {
        var reader = SSHReader(secret)
        guard secret.count.isMultiple(of: block), let check = reader.number(), reader.number() == check,
            reader.text() == PublicKey.algorithm, reader.string() == publicKey.raw, let pair = reader.string(),
            pair.count == 64, Array(pair[32...]) == publicKey.raw, reader.string() != nil
        else { throw BundleError(.malformedKey, "the private key is damaged") }
        let padding = reader.remaining
        guard padding.count < block, padding == padding.indices.map({ UInt8($0 + 1) }) else {
            throw BundleError(.malformedKey, "the private key is damaged at its end")
        }
        return Array(pair[..<32])
    }

    /// The content of a private key file without passphrase, as ssh-keygen would write it. Belongs in a file of mode 0600.
    package func openSSHPrivateKey(comment: String) -> [UInt8] {
        let check = UInt32.random(in: .min ... .max)
        var secret = SSHWriter()
        secret.number(check)
        secret.number(check)
        secret.string(PublicKey.algorithm)
        secret.string(publicKey.raw)
        secret.string(Array(key.rawRepresentation) + publicKey.raw)
        secret.string(comment)
        var padding: UInt8 = 0
        while !secret.bytes.count.isMultiple(of: SigningKey.block) {
            padding += 1
            secret.raw([padding])
        }
        var file = SSHWriter()
        file.raw(SigningKey.magic)
        file.string("none")
        file.string("none")
        file.string("")
        file.number(1)
        file.string(publicKey.blob)
        file.string(secret.bytes)
        return Array(SigningKey.armour.encode(file.bytes).utf8)
    }

    /// Signs as `ssh-keygen -Y sign -n NAMESPACE` does. Two signatures of one message need not be the same bytes: a message
    /// that is sent again is the stored file, never a new signature.
    /// - Returns: the armoured signature.
    package func sign(_ message: [UInt8], namespace: String) throws(BundleError) -> [UInt8] {
        let data = SSHSignature.signedData(message, namespace: namespace)
        guard let signature = try? key.signature(for: data) else {
            throw BundleError(.badSignature, "the cryptography library could not sign; try again")
        }
        return SSHSignature(publicKey: publicKey, namespace: namespace, signature: Array(signature)).armoured
    }
}

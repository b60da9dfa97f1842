import Crypto

/// An Ed25519 key pair: stored as `ssh-keygen -t ed25519` stores it, or held by an ssh-agent that signs for us.
package struct SigningKey: Sendable {
    private enum Secret {
        case held(Curve25519.Signing.PrivateKey)
        case agent(SSHAgent)
    }

    private static let magic = Array("openssh-key-v1\0".utf8)
    private static let armour = SSHArmour("OPENSSH PRIVATE KEY")
    /// Private sections are padded to the cipher's block; without a cipher it is 8 bytes.
    private static let block = 8

    private let secret: Secret
    package let publicKey: PublicKey

    /// A new key from the system's random generator.
    package static func generate() -> SigningKey { SigningKey(Curve25519.Signing.PrivateKey()) }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        secret = .held(key)
        guard let publicKey = PublicKey(raw: Array(key.publicKey.rawRepresentation)) else {
            preconditionFailure("an Ed25519 public key has 32 bytes")
        }
        self.publicKey = publicKey
    }

    /// A key whose private half an agent holds. Nothing is asked of it before something is to be signed.
    package init(publicKey: PublicKey, agent: SSHAgent) {
        secret = .agent(agent)
        self.publicKey = publicKey
    }

    package var isInAgent: Bool { if case .agent = secret { true } else { false } }

    /// - Throws: `agentUnavailable` where an agent has to sign and cannot now. A key of our own always can.
    package func requireUsable() throws(BundleError) {
        if case .agent(let agent) = secret { try agent.require(publicKey) }
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
            throw BundleError(
                .passphraseProtected, "the private key is protected by a passphrase; use an ssh-agent, or ssh-keygen -p"
            )
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
    /// Only of a key that is held here: an agent gives none away.
    package func openSSHPrivateKey(comment: String) -> [UInt8] {
        guard case .held(let key) = secret else { preconditionFailure("the private key is an agent's") }
        let check = UInt32.random(in: .min ... .max)
        var section = SSHWriter()
        section.number(check)
        section.number(check)
        section.string(PublicKey.algorithm)
        section.string(publicKey.raw)
        section.string(Array(key.rawRepresentation) + publicKey.raw)
        section.string(comment)
        var padding: UInt8 = 0
        while !section.bytes.count.isMultiple(of: SigningKey.block) {
            padding += 1
            section.raw([padding])
        }
        var file = SSHWriter()
        file.raw(SigningKey.magic)
        file.string("none")
        file.string("none")
        file.string("")
        file.number(1)
        file.string(publicKey.blob)
        file.string(section.bytes)
        return Array(SigningKey.armour.encode(file.bytes).utf8)
    }

    /// Signs as `ssh-keygen -Y sign -n NAMESPACE` does. Two signatures of one message need not be the same bytes: a message
    /// that is sent again is the stored file, never a new signature.
    /// - Returns: the armoured signature.
    package func sign(_ message: [UInt8], namespace: String) throws(BundleError) -> [UInt8] {
        let data = SSHSignature.signedData(message, namespace: namespace)
        let signature: [UInt8]
        switch secret {
        case .agent(let agent): signature = try agent.sign(data, with: publicKey)
        case .held(let key):
            guard let made = try? key.signature(for: data) else {
                throw BundleError(.badSignature, "the cryptography library could not sign; try again")
            }
            signature = Array(made)
        }
        return SSHSignature(publicKey: publicKey, namespace: namespace, signature: signature).armoured
    }
}

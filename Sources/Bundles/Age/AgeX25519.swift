import Crypto

/// The X25519 recipient type: how a stanza carries the file key to one recipient (age v1, "X25519 recipient stanza").
enum AgeX25519 {
    static let type = "X25519"
    private static let info = Array("age-encryption.org/v1/X25519".utf8)
    /// Bytes of a share: the public half of a key pair that is made for one stanza.
    private static let shareSize = 32
    /// Every wrap key encrypts one file key only, so that the nonce may be zero.
    private static let nonce = [UInt8](repeating: 0, count: 12)
    /// Bytes of an encrypted file key.
    private static let bodySize = AgeFileKey.size + AgeStream.tagSize

    static func wrap(_ fileKey: AgeFileKey, to recipient: AgeRecipient) throws(BundleError) -> AgeStanza {
        let ephemeral = Curve25519.KeyAgreement.PrivateKey()
        let share = Array(ephemeral.publicKey.rawRepresentation)
        let salt = share + recipient.raw
        guard let key = wrapKey(ephemeral, with: recipient.raw, salt: salt) else {
            throw BundleError(.malformedKey, "\(recipient) is no key that anyone could own")
        }
        guard let nonce = try? ChaChaPoly.Nonce(data: nonce),
            let box = unsafe fileKey.key.withUnsafeBytes({ unsafe try? ChaChaPoly.seal($0, using: key, nonce: nonce) })
        else { throw AgeStream.cannotEncrypt }
        return AgeStanza(
            arguments: [Array(type.utf8), Base64.encodeUnpadded(share)], body: Array(box.ciphertext) + Array(box.tag))
    }

    /// - Returns: nil if the stanza is not for this identity, or of another type.
    /// - Throws: if it is of this type and not well-formed, or has a share that leads to a secret known to everybody.
    static func unwrap(_ stanza: AgeStanza, with identity: AgeIdentity) throws(BundleError) -> AgeFileKey? {
        guard let share = try share(of: stanza) else { return nil }
        let salt = share + identity.recipient.raw
        guard let key = wrapKey(identity.key, with: share, salt: salt) else {
            throw AgeHeader.malformed("has an X25519 share of low order")
        }
        let ciphertext = stanza.body.prefix(AgeFileKey.size)
        let tag = stanza.body.suffix(AgeStream.tagSize)
        guard let nonce = try? ChaChaPoly.Nonce(data: nonce),
            let box = try? ChaChaPoly.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: tag),
            var bytes = try? ChaChaPoly.open(box, using: key)
        else { return nil }
        // A plaintext of our own, unlike the representation of a key.
        defer { Secrets.wipe(&bytes) }
        return AgeFileKey(SymmetricKey(data: bytes))
    }

    /// The share of a stanza of this type; nil for one of another type. The body's length is checked before anything is
    /// decrypted, which denies a sender to learn which of several keys a file opens with.
    private static func share(of stanza: AgeStanza) throws(BundleError) -> [UInt8]? {
        guard stanza.isOf(type) else { return nil }
        guard stanza.arguments.count == 2, let share = Base64.decodeUnpadded(stanza.arguments[1]),
            share.count == shareSize, stanza.body.count == bodySize
        else { throw AgeHeader.malformed("has a malformed X25519 stanza") }
        return share
    }

    /// Whether a shared secret can be agreed on with the point: it is not of low order. Private keys are multiples of
    /// eight, so that any of them sends all these points, and no others, to zero.
    static func isUsable(_ point: [UInt8]) -> Bool {
        sharedSecret(Curve25519.KeyAgreement.PrivateKey(), with: point) != nil
    }

    private static func wrapKey(
        _ key: Curve25519.KeyAgreement.PrivateKey, with point: [UInt8], salt: [UInt8]
    ) -> SymmetricKey? {
        sharedSecret(key, with: point)?
            .hkdfDerivedSymmetricKey(using: SHA256.self, salt: salt, sharedInfo: info, outputByteCount: 32)
    }

    /// - Returns: nil for the all-zero secret, which age forbids and swift-crypto does not check for.
    private static func sharedSecret(
        _ key: Curve25519.KeyAgreement.PrivateKey, with point: [UInt8]
    ) -> SharedSecret? {
        guard let point = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: point),
            let secret = try? key.sharedSecretFromKeyAgreement(with: point),
            unsafe !secret.withUnsafeBytes({ unsafe Secrets.isZero($0) })
        else { return nil }
        return secret
    }
}

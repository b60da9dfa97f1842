package import Wire

import enum Crypto.Curve25519

/// Whom to encrypt to: an age X25519 recipient, `age1...`.
package struct AgeRecipient: Hashable, Sendable, CustomStringConvertible {
    private static let prefix = "age"
    /// The 32 bytes of the X25519 public key.
    package let raw: [UInt8]

    fileprivate init(raw: [UInt8]) { self.raw = raw }

    package init(_ text: String) throws(BundleError) {
        guard text.utf8.count <= 128, text == text.lowercased(),
            let raw = Bech32.decode(prefix: AgeRecipient.prefix, text), raw.count == 32
        else { throw BundleError(.malformedKey, "'\(text.prefix(80))' is not an age recipient (age1...)") }
        self.raw = raw
    }

    package var description: String { Bech32.encode(prefix: AgeRecipient.prefix, raw) }
}

/// An age X25519 identity (age-encryption.org/v1), stored as `age-keygen` stores it. Made at the start and announced in
/// invite and enrol, so that encryption can begin later without another exchange of keys.
package struct AgeIdentity: Sendable {
    private static let prefix = "age-secret-key-"
    private let key: Curve25519.KeyAgreement.PrivateKey

    package static func generate() -> AgeIdentity { AgeIdentity(key: Curve25519.KeyAgreement.PrivateKey()) }

    private init(key: Curve25519.KeyAgreement.PrivateKey) { self.key = key }

    /// Reads an identity file: comments, blank lines, and exactly one `AGE-SECRET-KEY-1...` line.
    package init(identityFile text: String) throws(BundleError) {
        let lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("#") }
        guard lines.count == 1, let line = lines.first, line == line.uppercased()[...],
            let raw = Bech32.decode(prefix: AgeIdentity.prefix, String(line)), raw.count == 32,
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: raw)
        else {
            let hint = "make one with age-keygen"
            throw BundleError(.malformedKey, "the age identity must hold one AGE-SECRET-KEY-1 line; \(hint)")
        }
        self.init(key: key)
    }

    package var recipient: AgeRecipient { AgeRecipient(raw: Array(key.publicKey.rawRepresentation)) }

    /// The content of an identity file. Belongs in a file of mode 0600.
    package func identityFile(created: Timestamp) -> String {
        let secret = Bech32.encode(prefix: AgeIdentity.prefix, Array(key.rawRepresentation)).uppercased()
        return "# created: \(created.rfc3339)\n# public key: \(recipient)\n\(secret)\n"
    }
}

import Crypto
import Wire

/// Whom to encrypt to: an age X25519 recipient, `age1...` (age v1, "The X25519 recipient type").
///
/// 1. Bech32 in lower case, 32 bytes.
/// 2. The canonical encoding of its coordinate. A key owner derives keys from the canonical one, so that a file encrypted to
///    another could never be opened.
/// 3. No point of low order. Whoever announced one would let everybody read what is encrypted "to him".
package struct AgeRecipient: Hashable, Sendable, CustomStringConvertible {
    private static let prefix = "age"
    /// 2^255 - 19 in little endian, with its top bit clear.
    private static let fieldPrime: [UInt8] = [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f]
    private static let byteCount = 32
    private static let textLength = 62

    /// The 32 bytes of the X25519 public key.
    package let raw: [UInt8]

    init(_ key: Curve25519.KeyAgreement.PublicKey) { raw = Array(key.rawRepresentation) }

    package init(_ text: String) throws(BundleError) {
        guard text.utf8.count == AgeRecipient.textLength,
            let raw = Bech32.decode(prefix: AgeRecipient.prefix, Array(text.utf8), .lower),
            raw.count == AgeRecipient.byteCount
        else {
            throw BundleError(.malformedKey, "\(AgeRecipient.quoted(text)) is not an age recipient (age1...)")
        }
        guard AgeRecipient.isCanonical(raw), AgeX25519.isUsable(raw) else {
            throw BundleError(.malformedKey, "'\(text)' is no key that anyone could own")
        }
        self.raw = raw
    }

    package var description: String {
        String(decoding: Bech32.encode(prefix: AgeRecipient.prefix, raw, .lower), as: UTF8.self)
    }

    /// Whether the number is below the field's prime.
    private static func isCanonical(_ raw: [UInt8]) -> Bool {
        raw.reversed().lexicographicallyPrecedes(fieldPrime.reversed())
    }

    /// The text for a message, unless it is a secret that somebody confused with a recipient, or not plain text.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7e).contains($0) }
        guard isPlain, !text.uppercased().contains(AgeIdentity.marker) else { return "the text" }
        return "'\(text.beginning(bytes: 80))'"
    }
}

import Crypto

/// The 128-bit key of one file, from which its header's and its payload's keys follow (age v1, "File key").
struct AgeFileKey {
    /// Bytes.
    static let size = 16
    /// Bytes of a payload's nonce.
    static let nonceSize = 16

    let key: SymmetricKey

    /// A new key from the system's random generator.
    init() { key = SymmetricKey(size: .bits128) }

    init(_ key: SymmetricKey) {
        precondition(key.bitCount == AgeFileKey.size * 8, "a file key has 16 bytes")
        self.key = key
    }

    /// HMAC-SHA-256 over the header up to and including `---` ("Header MAC").
    func headerMAC(of header: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: header, using: headerKey))
    }

    /// In constant time.
    func isValid(_ mac: [UInt8], of header: [UInt8]) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(mac, authenticating: header, using: headerKey)
    }

    private var headerKey: SymmetricKey { derive(salt: [], info: "header") }

    /// ("Payload")
    func payloadKey(nonce: [UInt8]) -> SymmetricKey { derive(salt: nonce, info: "payload") }

    private func derive(salt: [UInt8], info: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: key, salt: salt, info: Array(info.utf8), outputByteCount: 32)
    }
}

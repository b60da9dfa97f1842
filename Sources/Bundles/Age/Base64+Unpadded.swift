/// Base64 as age writes it: RFC 4648 section 4 without padding, canonical only (age v1, "Conventions used in this document").
extension Base64 {
    private static let padding = UInt8(ascii: "=")

    static func encodeUnpadded(_ bytes: [UInt8]) -> [UInt8] { Array(encode(bytes).utf8.prefix { $0 != padding }) }

    /// - Returns: nil unless `text` is what ``encodeUnpadded(_:)`` makes of some bytes.
    static func decodeUnpadded(_ text: [UInt8]) -> [UInt8]? {
        guard !text.contains(padding) else { return nil }
        let missing = (4 - text.count % 4) % 4
        return decode(String(decoding: text + [UInt8](repeating: padding, count: missing), as: UTF8.self))
    }
}

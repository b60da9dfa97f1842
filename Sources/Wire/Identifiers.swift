/// A SHA-256 digest as a value: 32 bytes, written as 64 lower-case hexadecimal digits. Hashing itself is in `Bundles`.
package struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// - Returns: nil unless there are exactly 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// - Returns: nil unless `hex` is exactly 64 lower-case hexadecimal digits.
    package init?(hex: String) {
        guard hex.utf8.count == 64, let bytes = Hexadecimal.decode(hex) else { return nil }
        self.bytes = bytes
    }

    package var hex: String { Hexadecimal.encode(bytes) }
    /// The first twelve digits, for people.
    package var short: String { String(hex.prefix(12)) }
    package var description: String { hex }

    package static func < (left: Digest, right: Digest) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// A random 128-bit identifier, of a federation or a session: 32 lower-case hexadecimal digits.
package struct RandomID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let hex: String

    /// - Returns: nil unless `hex` is exactly 32 lower-case hexadecimal digits.
    package init?(hex: String) {
        guard hex.utf8.count == 32, Hexadecimal.decode(hex) != nil else { return nil }
        self.hex = hex
    }

    /// Identifiers are drawn at the edges (server `init`, session start) and passed in as values from there.
    package init(using generator: inout some RandomNumberGenerator) {
        let words: [UInt64] = [generator.next(), generator.next()]
        hex = Hexadecimal.encode(words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } })
    }

    /// 32 zeros: the session field of bundles outside sessions.
    package static let none = RandomID(verified: String(repeating: "0", count: 32))
    private init(verified: String) { hex = verified }

    package var isNone: Bool { self == .none }
    package var short: String { String(hex.prefix(8)) }
    package var description: String { hex }
    package static func < (left: RandomID, right: RandomID) -> Bool { left.hex < right.hex }
}

/// A party's configured name: `[a-z0-9-]{1,40}`, and no hyphen first, so that it can never be read as an option.
package struct PartyName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    package init?(_ text: String) {
        let allowed = text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        guard (1...40).contains(text.utf8.count), allowed, text.utf8.first != 0x2d else { return nil }
        self.text = text
    }

    package var description: String { text }
    /// Byte order, which is also the order of aggregation.
    package static func < (left: PartyName, right: PartyName) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

/// Seconds since 1970-01-01T00:00:00Z. The only clock of the project; taken once per run and passed down.
package struct Timestamp: Hashable, Comparable, Sendable {
    package let seconds: Int64
    package init(seconds: Int64) { self.seconds = seconds }
    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.seconds < right.seconds }
    /// Saturates, so that no foreign time can overflow.
    package func adding(seconds more: Int64) -> Timestamp {
        let (sum, overflow) = seconds.addingReportingOverflow(more)
        return Timestamp(seconds: !overflow ? sum : more > 0 ? .max : .min)
    }
    package func adding(days: Int64) -> Timestamp {
        let (more, overflow) = days.multipliedReportingOverflow(by: 86_400)
        return adding(seconds: !overflow ? more : days > 0 ? .max : .min)
    }
}

/// Lower-case hexadecimal, both ways.
package enum Hexadecimal {
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil for an odd count or anything but `0-9a-f`.
    package static func decode(_ text: String) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x61 + 10
            default: nil
            }
        }
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

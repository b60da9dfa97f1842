/// The encoding that SSH uses for everything (RFC 4251 section 5): big-endian 32-bit numbers, and strings with their length first.
struct SSHWriter {
    private(set) var bytes: [UInt8] = []

    mutating func raw(_ more: [UInt8]) { bytes += more }

    mutating func number(_ number: UInt32) {
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }

    mutating func string(_ string: [UInt8]) {
        number(UInt32(string.count))
        bytes += string
    }

    mutating func string(_ string: String) { self.string(Array(string.utf8)) }
}

/// Reads what ``SSHWriter`` writes. Every reader returns nil where the bytes run out.
struct SSHReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }
    var remaining: [UInt8] { Array(rest) }

    mutating func raw(_ count: Int) -> [UInt8]? {
        guard count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func number() -> UInt32? { raw(4)?.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }

    mutating func string() -> [UInt8]? { number().flatMap { raw(Int($0)) } }

    mutating func text() -> String? { string().flatMap { String(validating: $0, as: UTF8.self) } }
}

/// OpenSSH's armour: a line that says what begins, Base64 in lines of 70, a line that says what ends.
struct SSHArmour {
    private static let columns = 70
    let begin: String
    let end: String

    init(_ label: String) {
        begin = "-----BEGIN \(label)-----"
        end = "-----END \(label)-----"
    }

    func encode(_ bytes: [UInt8]) -> String {
        let body = Array(Base64.encode(bytes).utf8)
        var lines = [begin]
        for start in stride(from: 0, to: body.count, by: SSHArmour.columns) {
            lines.append(String(decoding: body[start..<min(start + SSHArmour.columns, body.count)], as: UTF8.self))
        }
        return lines.joined(separator: "\n") + "\n\(end)\n"
    }

    /// - Returns: nil unless both lines are there with Base64 between them. Line lengths and line ends are free.
    func decode(_ text: String) -> [UInt8]? {
        let lines = text.split(whereSeparator: \.isNewline)
        guard lines.count >= 2, lines.first == begin[...], lines.last == end[...] else { return nil }
        return Base64.decode(lines.dropFirst().dropLast().joined())
    }
}

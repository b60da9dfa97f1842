/// Durations as people write them: a whole number and one unit, `14d`, `12h`, `30m`, `45s`.
package enum HumanDuration {
    private static let units: [(letter: Character, seconds: Int64)] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]

    /// - Returns: seconds, from 0 to a hundred years; nil for any other text.
    package static func parse(_ text: String) -> Int64? {
        guard let last = text.last, let unit = units.first(where: { $0.letter == last }),
            let count = WholeNumber.parse(text.dropLast())
        else { return nil }
        let (seconds, overflow) = count.multipliedReportingOverflow(by: unit.seconds)
        return overflow || seconds > 36_525 * 86_400 ? nil : seconds
    }

    /// The largest unit that leaves a whole number; reads back as the same duration.
    package static func text(_ seconds: Int64) -> String {
        guard seconds > 0, let unit = units.first(where: { seconds.isMultiple(of: $0.seconds) }) else { return "0s" }
        return "\(seconds / unit.seconds)\(unit.letter)"
    }
}

/// Sizes as people write them: a whole number of bytes, or one with a unit, `8GB` (10^9) or `8GiB` (2^30).
package enum ByteSize {
    private static let units: [(name: String, bytes: Int64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("kB", 1000), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ]

    /// - Returns: bytes; nil for any other text and for what does not fit.
    package static func parse(_ text: String) -> Int64? {
        let unit = units.first { text.hasSuffix($0.name) }
        guard let count = WholeNumber.parse(text.dropLast(unit?.name.count ?? 0)) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit?.bytes ?? 1)
        return overflow ? nil : bytes
    }

    /// For people, rounded down to a tenth of a decimal unit: `1.4 GB`.
    package static func text(_ bytes: Int64) -> String {
        for (name, size) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)] as [(String, Int64)]
        where bytes >= size {
            return "\(bytes / size).\(bytes % size * 10 / size) \(name)"
        }
        return "\(bytes) B"
    }
}

private enum WholeNumber {
    /// Decimal digits only: no sign, no space, at most 18 of them.
    static func parse(_ text: Substring) -> Int64? {
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}

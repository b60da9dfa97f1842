/// Numbers as people read them; the same on every machine and in every locale.
package enum Numbers {
    /// `0.8731` as `87.3 %`.
    package static func percent(_ fraction: Double) -> String { fixed(fraction * 100, digits: 1) + " %" }

    /// Rounded half away from zero to a fixed count of decimal digits (at most 9).
    package static func fixed(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        var scale = 1.0
        for _ in 0..<min(max(digits, 0), 9) { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let whole = Int64(scaled / scale)
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + "\(whole)" }
        let fraction = "\(Int64(scaled) - whole * Int64(scale))"
        return sign + "\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// Seconds as `2 d 3 h`, `4 h 5 min`, `6 min 7 s` or `8 s`.
    package static func duration(_ seconds: Int64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60)
        if days > 0 { return hours > 0 ? "\(days) d \(hours) h" : "\(days) d" }
        if hours > 0 { return minutes > 0 ? "\(hours) h \(minutes) min" : "\(hours) h" }
        if minutes > 0 { return seconds % 60 > 0 ? "\(minutes) min \(seconds % 60) s" : "\(minutes) min" }
        return "\(seconds) s"
    }

    /// Bytes with binary units: `512 B`, `1.5 KiB`, `97.7 MiB`.
    package static func bytes(_ count: Int64) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1_024 { return unit == "B" ? "\(count) B" : fixed(value, digits: 1) + " \(unit)" }
            value /= 1_024
        }
        return fixed(value, digits: 1) + " TiB"
    }
}

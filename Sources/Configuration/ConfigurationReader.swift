import Wire

/// Reads the top level of a configuration file; adds what ``ObjectReader`` does not know: units, and the file's own errors.
struct ConfigurationReader {
    private var fields: ObjectReader
    private let file: String

    init(parsing bytes: [UInt8], file: String) throws(ConfigurationError) {
        self.file = file
        let value = try StrictYAML.parse(bytes, name: file)
        do { fields = try ObjectReader(value, context: file) } catch { throw Self.refusal(error, file) }
    }

    mutating func read<Value>(_ body: (inout ObjectReader) throws(JSONError) -> Value) throws(ConfigurationError)
        -> Value
    {
        do { return try body(&fields) } catch { throw Self.refusal(error, file) }
    }

    /// Seconds.
    mutating func duration(_ key: String, in range: ClosedRange<Int64>) throws(ConfigurationError) -> Int64? {
        try read { (fields) throws(JSONError) in
            guard let value = fields.optionalValue(key) else { return nil }
            guard let seconds = Self.text(value).flatMap(HumanDuration.parse), range.contains(seconds) else {
                throw fields.problem(
                    key,
                    "must be a duration such as 30m, 12h or 14d, from \(HumanDuration.text(range.lowerBound)) to "
                        + HumanDuration.text(range.upperBound))
            }
            return seconds
        }
    }

    /// Bytes.
    mutating func byteSize(_ key: String, atLeast least: Int64) throws(ConfigurationError) -> Int64? {
        try read { (fields) throws(JSONError) in
            guard let value = fields.optionalValue(key) else { return nil }
            guard let bytes = Self.text(value).flatMap(ByteSize.parse), bytes >= least else {
                throw fields.problem(key, "must be a size such as 8GB or 512MiB, at least \(ByteSize.text(least))")
            }
            return bytes
        }
    }

    /// A path as the user wrote it, relative to the home if it does not begin with a slash.
    mutating func path(_ key: String) throws(ConfigurationError) -> String? {
        try read { (fields) throws(JSONError) in
            guard let text = try fields.optionalString(key) else { return nil }
            guard !text.isEmpty, !text.utf8.contains(0) else { throw fields.problem(key, "must be a path") }
            return text
        }
    }

    mutating func finish() throws(ConfigurationError) {
        try read { (fields) throws(JSONError) in try fields.finish() }
    }

    /// A quantity as written: `8GB` is a string to YAML, `512` a number.
    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): String(number)
        default: nil
        }
    }

    private static func refusal(_ error: JSONError, _ file: String) -> ConfigurationError {
        // The reader's texts begin with the file's name, which the error's own description adds again.
        let text = error.description
        return ConfigurationError(
            file: file, text.hasPrefix(file + ": ") ? String(text.dropFirst(file.count + 2)) : text)
    }
}

/// Why a JSON document was refused. One line, lower case, no full stop: where, what is wrong, what would be right.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description.singleLine }
}

/// JSON as RFC 8259 defines it and not a character more, since a document that two programs read differently is a way in.
///
/// 1. UTF-8 without a byte order mark; ill-formed sequences are refused, and so are unpaired `\u` surrogates.
/// 2. A key occurs once in an object. Keys are compared as Swift compares strings, by canonical equivalence.
/// 3. No comma before a closing bracket, no control characters in strings, no leading zeros, one value per document.
/// 4. An integer literal fits `Int64`; a literal with fraction or exponent is a finite `Double`.
/// 5. Size and nesting are bounded by the caller.
package enum StrictJSON {
    /// - Parameters:
    ///   - maximumBytes: the largest document accepted, in bytes.
    ///   - maximumDepth: how many arrays and objects may enclose one another; `[]` has depth 1.
    package static func parse(
        _ bytes: [UInt8], maximumBytes: Int, maximumDepth: Int = 32
    ) throws(JSONError) -> JSONValue {
        guard bytes.count <= maximumBytes else {
            throw JSONError("has \(bytes.count) bytes, more than the limit of \(maximumBytes)")
        }
        var parser = JSONParser(bytes: bytes, maximumDepth: maximumDepth)
        return try parser.document()
    }

    /// Reads the one encoding that signed documents use: strings, integers, arrays and objects only, written exactly as
    /// ``serialize(_:pretty:)`` writes them. Every other spelling of the same value is refused.
    package static func parseCanonical(_ bytes: [UInt8], maximumBytes: Int) throws(JSONError) -> JSONValue {
        let value = try parse(bytes, maximumBytes: maximumBytes)
        try requireSigned(value)
        guard serialize(value) == bytes else {
            throw JSONError("is not in canonical form; write sorted keys, no white space and a final newline")
        }
        return value
    }

    /// Writes keys sorted by their UTF-8 bytes, no white space (or two spaces a level when `pretty`), and a final newline.
    ///
    /// Numbers take the shortest form that reads back as the same `Double`, always with a fraction or an exponent, so that a
    /// `.number` stays one. JSON has no NaN or infinity: these become `null`, which readers refuse with the field's path,
    /// where a trap would end a hospital's night over one diverged metric.
    package static func serialize(_ value: JSONValue, pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.write(value, level: 0)
        return writer.bytes + [0x0a]
    }

    private static func requireSigned(_ value: JSONValue) throws(JSONError) {
        switch value {
        case .string, .integer: return
        case .array(let elements): for element in elements { try requireSigned(element) }
        case .object(let fields): for field in fields.values { try requireSigned(field) }
        case .null: throw JSONError("contains null; signed documents hold strings, integers, arrays and objects only")
        case .bool, .number:
            throw JSONError(
                "contains a boolean or a fraction; signed documents hold strings, integers, arrays and objects only")
        }
    }
}

/// Builds the text of one document; see ``StrictJSON/serialize(_:pretty:)`` for its rules.
private struct JSONWriter {
    let pretty: Bool
    var bytes: [UInt8] = []

    init(pretty: Bool) { self.pretty = pretty }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: append("null")
        case .bool(let flag): append(flag ? "true" : "false")
        case .integer(let integer): append(String(integer))
        case .number(let number): append(number.isFinite ? number.description : "null")
        case .string(let text): write(text)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                separate(first: index == 0, level: level + 1)
                write(element, level: level + 1)
            }
            close("]", isEmpty: elements.isEmpty, level: level)
        case .object(let fields):
            bytes.append(UInt8(ascii: "{"))
            let sorted = fields.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            for (index, field) in sorted.enumerated() {
                separate(first: index == 0, level: level + 1)
                write(field.key)
                append(pretty ? ": " : ":")
                write(field.value, level: level + 1)
            }
            close("}", isEmpty: fields.isEmpty, level: level)
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func separate(first: Bool, level: Int) {
        if !first { bytes.append(UInt8(ascii: ",")) }
        breakLine(level: level)
    }

    private mutating func close(_ bracket: String, isEmpty: Bool, level: Int) {
        if !isEmpty { breakLine(level: level) }
        append(bracket)
    }

    private mutating func breakLine(level: Int) {
        guard pretty else { return }
        bytes.append(0x0a)
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
    }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x08: append("\\b")
            case 0x09: append("\\t")
            case 0x0a: append("\\n")
            case 0x0c: append("\\f")
            case 0x0d: append("\\r")
            case 0..<0x20: append("\\u00" + Hexadecimal.encode(CollectionOfOne(byte)))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

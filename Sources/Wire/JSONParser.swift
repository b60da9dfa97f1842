/// A recursive-descent reader of one JSON document; see ``StrictJSON`` for its rules.
///
/// Recursion is bounded by `maximumDepth`, memory by a small multiple of the input.
struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var position = 0

    init(bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { throw problem("begins with a byte order mark; remove it") }
        let value = try self.value(depth: 0)
        skipWhiteSpace()
        guard position == bytes.count else { throw problem("text follows the end of the value") }
        return value
    }

    // MARK: values

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipWhiteSpace()
        guard let first = current else { throw problem("the document ends where a value is expected") }
        switch first {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw problem("a value is expected")
        }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else { throw problem("a value is expected") }
        position += word.utf8.count
        return value
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        try enter(depth)
        var elements: [JSONValue] = []
        if skip(UInt8(ascii: "]")) { return .array([]) }
        while true {
            elements.append(try value(depth: depth))
            if skip(UInt8(ascii: "]")) { return .array(elements) }
            guard skip(UInt8(ascii: ",")) else { throw problem("',' or ']' is expected") }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        try enter(depth)
        var fields: [String: JSONValue] = [:]
        if skip(UInt8(ascii: "}")) { return .object([:]) }
        while true {
            skipWhiteSpace()
            guard current == UInt8(ascii: "\"") else { throw problem("a key in double quotes is expected") }
            let start = position
            let key = try string()
            guard fields[key] == nil else { throw problem("key '\(key.excerpt)' occurs twice", at: start) }
            guard skip(UInt8(ascii: ":")) else { throw problem("':' is expected") }
            fields[key] = try value(depth: depth)
            if skip(UInt8(ascii: "}")) { return .object(fields) }
            guard skip(UInt8(ascii: ",")) else { throw problem("',' or '}' is expected") }
        }
    }

    /// Steps over the opening bracket.
    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth <= maximumDepth else { throw problem("nests deeper than \(maximumDepth) levels") }
        position += 1
    }

    // MARK: numbers

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        var isInteger = true
        if current == UInt8(ascii: "-") { position += 1 }
        if current == UInt8(ascii: "0") {
            position += 1
            if let next = current, isDigit(next) { throw problem("a number has a leading zero", at: start) }
        } else {
            try digits(from: start)
        }
        if current == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits(from: start)
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits(from: start)
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger {
            guard let integer = Int64(text) else { throw problem("an integer exceeds 64 bits", at: start) }
            return .integer(integer)
        }
        guard let number = Double(text), number.isFinite else { throw problem("a number is too large", at: start) }
        return .number(number)
    }

    private mutating func digits(from start: Int) throws(JSONError) {
        guard let first = current, isDigit(first) else { throw problem("a number lacks digits", at: start) }
        while let next = current, isDigit(next) { position += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    // MARK: strings

    private mutating func string() throws(JSONError) -> String {
        let start = position
        position += 1
        var text: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw problem("a string is not valid UTF-8", at: start)
                }
                return string
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &text)
            case 0..<0x20: throw problem("a string holds a control character; write it as an escape")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw problem("a string does not end", at: start)
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let letter = current else { throw problem("a string does not end") }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try unicodeEscape())).utf8)
        default: throw problem("an escape is none of JSON's", at: position - 2)
        }
    }

    /// Reads what follows `\u`, and the second half of a surrogate pair with it.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let start = position - 2
        var code = try hexadecimalUnit()
        if (0xd800..<0xdc00).contains(code) {
            guard bytes[position...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) else {
                throw problem("a surrogate stands alone", at: start)
            }
            position += 2
            let low = try hexadecimalUnit()
            guard (0xdc00..<0xe000).contains(low) else { throw problem("a surrogate stands alone", at: start) }
            code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw problem("a surrogate stands alone", at: start) }
        return scalar
    }

    private mutating func hexadecimalUnit() throws(JSONError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = current.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
                throw problem("an escape needs four hexadecimal digits")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }

    // MARK: bytes

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipWhiteSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    /// Skips white space and, if it comes next, `byte`.
    private mutating func skip(_ byte: UInt8) -> Bool {
        skipWhiteSpace()
        guard current == byte else { return false }
        position += 1
        return true
    }

    private func problem(_ text: String, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? position
        let line = 1 + bytes[..<min(offset, bytes.count)].count { $0 == 0x0a }
        return JSONError("is not valid JSON: \(text) (line \(line), byte \(offset))")
    }
}

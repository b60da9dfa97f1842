import SeededNumbers
import Testing
import Wire

@Suite("Strict JSON")
struct StrictJSONTests {
    private func parse(_ text: String, depth: Int = 32) throws(JSONError) -> JSONValue {
        try StrictJSON.parse(Array(text.utf8), maximumBytes: 10_000, maximumDepth: depth)
    }

    static let values: [(String, JSONValue)] = [
        ("null", .null), ("true", true), (" false\n", false), ("0", 0), ("-0", 0), ("-12", -12),
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)), ("1.0", 1.0),
        ("1e2", 100.0),
        ("-1.5E-1", -0.15), ("1e-999", 0.0), ("\"\"", ""),
        ("\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "é😀\"\\/\u{8}\u{c}\n\r\t"),
        ("[]", []), ("{ }", [:]), ("[1,[2]]", [1, [2]]), ("{\"a\":{\"b\":[null]}}", ["a": ["b": [.null]]]),
    ]

    @Test("takes every form of value", arguments: values)
    func accepts(text: String, value: JSONValue) throws {
        #expect(try parse(text) == value)
    }

    /// Each is one that some parser takes (FAULTS: JSONDecoder takes commas, `1e2` as an integer, a byte order mark, ...).
    @Test(
        "refuses what RFC 8259 does not allow",
        arguments: [
            "", " ", "[1,]", "{\"a\":1,}", "[,]", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\u{feff}[]", "01",
            "-01", "+1", ".5", "1.", "1e", "1e+",
            "-", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "nul", "tru", "True", "9223372036854775808",
            "-9223372036854775809",
            "1e999", "-1e999", "\"", "\"a", "'a'", "\"\t\"", "\"\n\"", "\"\u{0}\"", "\"\\x\"", "\"\\u12\"",
            "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
            "\"\\ud800\\u0041\"", "\"\\ud800x\"", "[1 2]", "{\"a\" 1}", "{a:1}", "{1:1}", "[", "{", "{\"a\"", "{\"a\":",
            "[1", "]", "1 2", "[] []", "/**/1",
            "[1]//", "\u{a0}1", "1\u{0}",
        ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test(
        "refuses ill-formed UTF-8 and other encodings",
        arguments: [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xe2, 0x82, 0x22],
            [0xff, 0xfe, 0x31, 0x00],
            [0xef, 0xbb, 0xbf, 0x31],
        ] as [[UInt8]])
    func refuses(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try StrictJSON.parse(bytes, maximumBytes: 100) }
    }

    @Test("bounds depth and size before it costs anything")
    func bounds() throws {
        let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(try parse(nested(3), depth: 3) == [[[]]])
        #expect(throws: JSONError.self) { try parse(nested(4), depth: 3) }
        #expect(throws: JSONError.self) {
            try StrictJSON.parse([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000), maximumBytes: 1_000_000)
        }
        #expect(throws: JSONError.self) { try StrictJSON.parse(Array("[10]".utf8), maximumBytes: 3) }
    }

    @Test("an error names line and byte")
    func errorText() {
        let error = #expect(throws: JSONError.self) { try parse("{\n  \"a\": 1,\n}") }
        #expect(error?.description == "is not valid JSON: a key in double quotes is expected (line 3, byte 12)")
    }

    @Test("writes sorted keys and the shortest numbers that stay what they are")
    func writes() throws {
        let value: JSONValue = [
            "b": 1, "a": [1.0, 0.1, -0.0, 1e100, .number(.leastNonzeroMagnitude), .integer(.min)], "B": [:],
            "é": "\u{1}\n\"\\/é\u{7f}", "c": [],
            "d": [true, false, .null],
        ]
        let text = String(decoding: StrictJSON.serialize(value), as: UTF8.self)
        let numbers = "[1.0,0.1,-0.0,1e+100,5e-324,-9223372036854775808]"
        let last = "\"é\":\"\\u0001\\n\\\"\\\\/é\u{7f}\""
        #expect(text == "{\"B\":{},\"a\":\(numbers),\"b\":1,\"c\":[],\"d\":[true,false,null],\(last)}\n")
        #expect(try StrictJSON.parse(Array(text.utf8), maximumBytes: 1000) == value)
    }

    @Test("writes two spaces a level when pretty, and reads the same value back")
    func pretty() throws {
        let value: JSONValue = ["a": [1, ["b": "c"]], "d": []]
        let bytes = StrictJSON.serialize(value, pretty: true)
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\"\n    }\n  ],\n  \"d\": []\n}\n"
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
        #expect(try StrictJSON.parse(bytes, maximumBytes: 1000) == value)
    }

    @Test("a number that JSON cannot say becomes null")
    func notFinite() {
        #expect(StrictJSON.serialize([.number(.nan), .number(-.infinity)]) == Array("[null,null]\n".utf8))
    }

    @Test(
        "the canonical reader takes its own spelling only",
        arguments: [
            "{\"a\":1}", "{\"a\":1}\n\n", "{\"a\": 1}\n", "{\"b\":1,\"a\":1}\n", "{\"a\":1.0}\n", "{\"a\":1e2}\n",
            "{\"a\":true}\n", "{\"a\":null}\n",
            "{\"a\":-0}\n", "{\"a\":\"\\u0041\"}\n", "{\"a\":\"\\/\"}\n", "{\"a\":\"\\u000A\"}\n", "{\"a\":1}\r\n",
            "\u{feff}{\"a\":1}\n",
            "{\"a\":1,\"a\":1}\n",
        ])
    func canonical(text: String) {
        #expect(throws: JSONError.self) { try StrictJSON.parseCanonical(Array(text.utf8), maximumBytes: 1000) }
    }

    @Test("the canonical reader takes what the writer writes")
    func canonicalRoundTrip() throws {
        let value: JSONValue = ["z": "\u{1}é", "a": [1, -5, ["k": "v"]], "e": [], "o": [:]]
        #expect(try StrictJSON.parseCanonical(StrictJSON.serialize(value), maximumBytes: 1000) == value)
    }

    @Test("random values survive writing and reading, random bytes never crash the reader")
    func fuzz() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            let value = randomValue(depth: 4, using: &random)
            var bytes = StrictJSON.serialize(value, pretty: Bool.random(using: &random))
            #expect(try StrictJSON.parse(bytes, maximumBytes: 1 << 20) == value)
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = try? StrictJSON.parse(bytes, maximumBytes: 1 << 20)
        }
    }

    private func randomValue(depth: Int, using random: inout SplitMix64) -> JSONValue {
        switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .integer(Int64.random(in: .min ... .max, using: &random))
        case 3:
            let number = Double(bitPattern: UInt64.random(in: .min ... .max, using: &random))
            return number.isFinite ? .number(number) : .number(0.5)
        case 4: return .string(String((0..<4).map { _ in Character(randomScalar(using: &random)) }))
        case 5: return .array((0..<3).map { _ in randomValue(depth: depth - 1, using: &random) })
        default:
            let fields = (0..<3).map { ("key \($0)", randomValue(depth: depth - 1, using: &random)) }
            return .object(Dictionary(uniqueKeysWithValues: fields))
        }
    }

    private func randomScalar(using random: inout SplitMix64) -> Unicode.Scalar {
        while true {
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<0x11_0000, using: &random)) { return scalar }
        }
    }
}

import Testing
import Wire

@Suite("Object reader")
struct ObjectReaderTests {
    private func reader(_ value: JSONValue) throws -> ObjectReader { try ObjectReader(value, context: "plan.json") }

    @Test("reads every type of field and then has nothing left over")
    func readsAll() throws {
        let digest = String(repeating: "0a", count: 32)
        var reader = try reader([
            "text": "a", "count": 3, "rate": 0.5, "whole": 2, "flag": true, "list": [1], "names": ["x", "y"],
            "inner": ["k": 1],
            "items": [["n": 1], ["n": 2]], "sum": .string(digest), "id": .string(String(repeating: "1", count: 32)),
            "who": "hospital-a", "any": .null,
        ])
        #expect(try reader.string("text") == "a")
        #expect(try reader.integer("count", in: 1...3) == 3)
        #expect(try reader.number("rate", in: 0...1) == 0.5)
        #expect(try reader.number("whole", in: 0...2) == 2)
        #expect(try reader.bool("flag"))
        #expect(try reader.array("list") == [1])
        #expect(try reader.strings("names") == ["x", "y"])
        var inner = try reader.object("inner")
        #expect(try inner.integer("k") == 1)
        try inner.finish()
        var items = try reader.objects("items")
        #expect(try items[1].integer("n") == 2)
        #expect(try reader.digest("sum").hex == digest)
        #expect(try reader.randomID("id").hex.count == 32)
        #expect(try reader.partyName("who").text == "hospital-a")
        #expect(try reader.value("any") == .null)
        try reader.finish()
    }

    /// What is one character may have any number of scalars behind it.
    @Test("of a foreign key errors show so many bytes")
    func longKeys() throws {
        let long = "a" + String(repeating: "\u{301}", count: 60_000)
        func length(_ work: () throws -> Void) -> Int {
            do { try work() } catch { return "\(error)".utf8.count }
            return 0
        }
        let lengths = [
            length { try reader(.object([long: 1])).finish() },
            length {
                var outer = try reader(.object([long: .object([:])]))
                var inner = try outer.object(long)
                _ = try inner.string(long)
            },
            length { _ = try StrictJSON.parse(Array("{\"\(long)\":1,\"\(long)\":1}".utf8), maximumBytes: 1 << 20) },
        ]
        #expect(lengths.allSatisfy { (1..<300).contains($0) }, "\(lengths)")
        #expect(long.beginning(bytes: 4) == "a\u{301}" && "ab".beginning(bytes: 2) == "ab" && "".excerpt == "")
    }

    @Test("an absent or null field is nil to the optional readers, a wrong one still an error")
    func optionals() throws {
        var reader = try reader(["null": .null, "empty": "", "bad": 1])
        #expect(try reader.optionalString("null") == nil)
        #expect(try reader.optionalInteger("absent") == nil)
        #expect(try reader.optionalNumber("absent", in: 0...1) == nil)
        #expect(try reader.optionalBool("absent") == nil)
        #expect(try reader.optionalStrings("absent") == nil)
        #expect(try reader.optionalObject("absent") == nil)
        #expect(try reader.optionalDigest("empty") == nil)
        #expect(try reader.optionalDigest("absent") == nil)
        #expect(throws: JSONError("plan.json: bad: must be a string")) { try reader.optionalString("bad") }
        try reader.finish()
    }

    @Test("errors name document, path and rule")
    func errorTexts() throws {
        var outer = try reader(["strategy": ["mu": 11, "name": 3], "clients": [["name": "A"]], "big": 5, "flag": 1])
        var strategy = try outer.object("strategy")
        #expect(throws: JSONError("plan.json: strategy.mu: must be a number from 0.0 to 10.0")) {
            try strategy.number("mu", in: 0...10)
        }
        #expect(throws: JSONError("plan.json: strategy.name: must be a string")) { try strategy.string("name") }
        #expect(throws: JSONError("plan.json: strategy.kind: is missing")) { try strategy.string("kind") }
        #expect(throws: JSONError("plan.json: big: must be an integer from 1 to 4")) {
            try outer.integer("big", in: 1...4)
        }
        #expect(throws: JSONError("plan.json: flag: must be true or false")) { try outer.bool("flag") }
        var clients = try outer.objects("clients")
        let error = #expect(throws: JSONError.self) { try clients[0].partyName("name") }
        #expect(error?.description.hasPrefix("plan.json: clients[0].name: must be a name") == true)
        #expect(throws: JSONError("plan.json: must be an object")) { try ObjectReader([1], context: "plan.json") }
    }

    @Test("an unknown key is refused, with what was meant")
    func unknownKeys() throws {
        var reader = try reader(["rounds": 1, "local_epoch": 2])
        _ = try reader.integer("rounds")
        _ = try reader.optionalInteger("local_epochs")
        #expect(throws: JSONError("plan.json: local_epoch: is not a known key; did you mean 'local_epochs'?")) {
            try reader.finish()
        }
        #expect(throws: JSONError("plan.json: local_epochs: is missing; 'local_epoch' is there instead")) {
            try reader.integer("local_epochs")
        }
    }

    @Test("strings are bounded, integers do not read as strings, fractions not as integers")
    func bounds() throws {
        var reader = try reader(["a": "12345", "b": 1.0])
        #expect(throws: JSONError("plan.json: a: must have at most 4 bytes")) {
            try reader.string("a", maximumLength: 4)
        }
        #expect(throws: JSONError("plan.json: b: must be an integer")) { try reader.integer("b") }
    }
}

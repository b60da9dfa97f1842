/// Reads a JSON object field by field and remembers what was read, so that nothing unknown slips by.
///
/// 1. Every error names document and path: `plan.json: strategy.mu: must be a number from 0.0 to 10.0`.
/// 2. ``finish()`` refuses keys that nobody read, with "did you mean" where a known key is near.
/// 3. The optional readers return nil where the key is absent or null; a value of the wrong type is still an error.
package struct ObjectReader: Sendable {
    private let document: String
    private let path: String
    private let fields: [String: JSONValue]
    private var asked: Set<String> = []

    /// - Parameter context: what the errors begin with: the file's name.
    package init(_ value: JSONValue, context: String) throws(JSONError) {
        guard case .object(let fields) = value else { throw JSONError("\(context): must be an object") }
        self.init(fields, document: context, path: "")
    }

    private init(_ fields: [String: JSONValue], document: String, path: String) {
        self.fields = fields
        self.document = document
        self.path = path
    }

    package func has(_ key: String) -> Bool { fields[key] != nil }

    /// Every key of the object, sorted by bytes: for objects whose keys are data.
    package var keys: [String] { fields.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

    /// An error about a field, for checks that only the caller can make. `text` follows the path: "must be ...".
    package func problem(_ key: String, _ text: String) -> JSONError {
        JSONError("\(document): \(path)\(key.excerpt): \(text)")
    }

    /// - Throws: if a key was never asked for.
    package func finish() throws(JSONError) {
        guard let unknown = keys.first(where: { !asked.contains($0) }) else { return }
        let near = didYouMean(unknown, among: asked).map { "; did you mean '\($0)'?" } ?? ""
        throw problem(unknown, "is not a known key\(near)")
    }

    // MARK: required fields

    package mutating func value(_ key: String) throws(JSONError) -> JSONValue {
        asked.insert(key)
        guard let value = fields[key] else {
            let near =
                didYouMean(key, among: keys.filter { !asked.contains($0) }).map { "; '\($0)' is there instead" } ?? ""
            throw problem(key, "is missing\(near)")
        }
        return value
    }

    /// - Parameter maximumLength: in UTF-8 bytes.
    package mutating func string(_ key: String, maximumLength: Int = 4096) throws(JSONError) -> String {
        guard case .string(let text) = try value(key) else { throw problem(key, "must be a string") }
        guard text.utf8.count <= maximumLength else { throw problem(key, "must have at most \(maximumLength) bytes") }
        return text
    }

    package mutating func integer(
        _ key: String, in range: ClosedRange<Int64> = Int64.min...Int64.max
    ) throws(JSONError) -> Int64 {
        guard case .integer(let integer) = try value(key), range.contains(integer) else {
            let limits = range == Int64.min...Int64.max ? "" : " from \(range.lowerBound) to \(range.upperBound)"
            throw problem(key, "must be an integer\(limits)")
        }
        return integer
    }

    /// Accepts an integer literal too, rounded to the nearest `Double`.
    package mutating func number(_ key: String, in range: ClosedRange<Double>) throws(JSONError) -> Double {
        let number: Double?
        switch try value(key) {
        case .number(let value): number = value
        case .integer(let value): number = Double(value)
        default: number = nil
        }
        guard let number, range.contains(number) else {
            throw problem(key, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    package mutating func bool(_ key: String) throws(JSONError) -> Bool {
        guard case .bool(let flag) = try value(key) else { throw problem(key, "must be true or false") }
        return flag
    }

    package mutating func array(_ key: String) throws(JSONError) -> [JSONValue] {
        guard case .array(let elements) = try value(key) else { throw problem(key, "must be an array") }
        return elements
    }

    package mutating func strings(_ key: String) throws(JSONError) -> [String] {
        var strings: [String] = []
        for element in try array(key) {
            guard case .string(let text) = element else { throw problem(key, "must be an array of strings") }
            strings.append(text)
        }
        return strings
    }

    /// A reader of the nested object. It wants its own ``finish()``.
    package mutating func object(_ key: String) throws(JSONError) -> ObjectReader {
        guard case .object(let nested) = try value(key) else { throw problem(key, "must be an object") }
        return ObjectReader(nested, document: document, path: "\(path)\(key.excerpt).")
    }

    /// A reader for each element of an array of objects; paths read `clients[2].name`.
    package mutating func objects(_ key: String) throws(JSONError) -> [ObjectReader] {
        var readers: [ObjectReader] = []
        for (index, element) in try array(key).enumerated() {
            guard case .object(let nested) = element else { throw problem("\(key)[\(index)]", "must be an object") }
            readers.append(ObjectReader(nested, document: document, path: "\(path)\(key)[\(index)]."))
        }
        return readers
    }

    package mutating func digest(_ key: String) throws(JSONError) -> Digest {
        guard let digest = Digest(hex: try string(key)) else {
            throw problem(key, "must be a SHA-256 digest of 64 lower-case hexadecimal digits")
        }
        return digest
    }

    package mutating func randomID(_ key: String) throws(JSONError) -> RandomID {
        guard let identifier = RandomID(hex: try string(key)) else {
            throw problem(key, "must be an identifier of 32 lower-case hexadecimal digits")
        }
        return identifier
    }

    package mutating func partyName(_ key: String) throws(JSONError) -> PartyName {
        guard let name = PartyName(try string(key)) else {
            throw problem(key, "must be a name of 1 to 40 characters a-z, 0-9 and '-', not beginning with '-'")
        }
        return name
    }

    // MARK: optional fields

    /// Whether the key holds something other than null; marks it as known either way.
    private mutating func holds(_ key: String) -> Bool {
        asked.insert(key)
        return fields[key].map { $0 != .null } ?? false
    }

    package mutating func optionalValue(_ key: String) -> JSONValue? { holds(key) ? fields[key] : nil }

    package mutating func optionalString(_ key: String, maximumLength: Int = 4096) throws(JSONError) -> String? {
        holds(key) ? try string(key, maximumLength: maximumLength) : nil
    }

    package mutating func optionalInteger(
        _ key: String, in range: ClosedRange<Int64> = Int64.min...Int64.max
    ) throws(JSONError) -> Int64? {
        holds(key) ? try integer(key, in: range) : nil
    }

    package mutating func optionalNumber(_ key: String, in range: ClosedRange<Double>) throws(JSONError) -> Double? {
        holds(key) ? try number(key, in: range) : nil
    }

    package mutating func optionalBool(_ key: String) throws(JSONError) -> Bool? { holds(key) ? try bool(key) : nil }

    package mutating func optionalArray(_ key: String) throws(JSONError) -> [JSONValue]? {
        holds(key) ? try array(key) : nil
    }

    package mutating func optionalStrings(_ key: String) throws(JSONError) -> [String]? {
        holds(key) ? try strings(key) : nil
    }

    package mutating func optionalObject(_ key: String) throws(JSONError) -> ObjectReader? {
        holds(key) ? try object(key) : nil
    }

    package mutating func optionalObjects(_ key: String) throws(JSONError) -> [ObjectReader]? {
        holds(key) ? try objects(key) : nil
    }

    /// The empty string counts as absent too: bundles write it where a digest does not apply.
    package mutating func optionalDigest(_ key: String) throws(JSONError) -> Digest? {
        holds(key) && fields[key] != .string("") ? try digest(key) : nil
    }

    package mutating func optionalRandomID(_ key: String) throws(JSONError) -> RandomID? {
        holds(key) ? try randomID(key) : nil
    }

    package mutating func optionalPartyName(_ key: String) throws(JSONError) -> PartyName? {
        holds(key) ? try partyName(key) : nil
    }
}

package import Wire

/// A JSON payload of a bundle. Each kind of message is one value type in this folder, written with sorted keys and read
/// strictly: unknown keys, out-of-range numbers, over-long texts and control characters are refused.
package protocol Message: Equatable, Sendable {
    /// The payload's name in the bundle, which is also the context of its errors.
    static var fileName: String { get }
    /// More bytes than this are refused before they are looked at.
    static var maximumBytes: Int { get }
    var json: JSONValue { get }
    /// Reads every field; the caller checks that none is left over.
    init(reading object: inout ObjectReader) throws
}

extension Message {
    package static var maximumBytes: Int { FederationLimits.messageBytes }
    package var encoded: [UInt8] { StrictJSON.serialize(json) }

    /// - Throws: ``FederationError`` `.malformed` (or `.badPlan`) naming the file and the field.
    package init(decoding bytes: [UInt8]) throws(FederationError) {
        do {
            let value = try StrictJSON.parse(bytes, maximumBytes: Self.maximumBytes)
            try self.init(json: value, context: Self.fileName)
        } catch let error as FederationError {
            throw error
        } catch {
            let text = "\(error)"
            throw FederationError(.malformed, text.hasPrefix(Self.fileName) ? text : "\(Self.fileName): \(text)")
        }
    }

    package init(json: JSONValue, context: String) throws {
        var object = try ObjectReader(json, context: context)
        try self.init(reading: &object)
        try object.finish()
    }
}

/// Text that people wrote and people will read, on a terminal or in a mail: no control characters (they could move the
/// cursor), no line separators, no direction overrides (they could make "reject" read as something else).
package func isPrintable(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
        switch scalar.value {
        case 0..<0x20, 0x7f...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: false
        default: true
        }
    }
}

extension ObjectReader {
    /// A text for people; see ``isPrintable(_:)``.
    mutating func text(_ key: String, maximumLength: Int = FederationLimits.textBytes) throws(JSONError) -> String {
        let text = try string(key, maximumLength: maximumLength)
        guard isPrintable(text) else { throw problem(key, "must not hold control characters or direction overrides") }
        return text
    }

    mutating func optionalText(
        _ key: String, maximumLength: Int = FederationLimits.textBytes
    ) throws(JSONError) -> String? {
        optionalValue(key) == nil ? nil : try text(key, maximumLength: maximumLength)
    }

    /// One of the values of a string enumeration; a misspelt one is answered with "did you mean".
    mutating func choice<Choice>(_ key: String) throws(JSONError) -> Choice
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        let word = try string(key, maximumLength: 64)
        if let choice = Choice(rawValue: word) { return choice }
        throw problem(key, "is not known, \(suggestion(word, among: Choice.allCases.map(\.rawValue)))")
    }

    mutating func optionalChoice<Choice>(_ key: String) throws(JSONError) -> Choice?
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        optionalValue(key) == nil ? nil : try choice(key)
    }

    mutating func count(_ key: String, in range: ClosedRange<Int64> = 0...1 << 53) throws(JSONError) -> Int {
        Int(try integer(key, in: range))
    }

    /// Class names in the order of the network's outputs: unique, printable, usable as folder names.
    mutating func classes(_ key: String) throws(JSONError) -> [String] {
        let names = try strings(key)
        guard FederationLimits.classes.contains(names.count) else { throw problem(key, "must name 2 to 1000 classes") }
        guard names.allSatisfy(isClassName) else {
            throw problem(key, "must be names of 1 to 64 printable bytes without '/', and no '.' first")
        }
        guard Set(names).count == names.count else { throw problem(key, "names a class twice") }
        return names
    }

    mutating func digests(_ key: String) throws(JSONError) -> [Digest] {
        var digests: [Digest] = []
        for text in try strings(key) {
            guard let digest = Digest(hex: text) else { throw problem(key, "must be SHA-256 digests") }
            digests.append(digest)
        }
        return digests
    }

    mutating func timestamp(_ key: String) throws(JSONError) -> Timestamp {
        guard let time = Timestamp(rfc3339: try string(key, maximumLength: 32)) else {
            throw problem(key, "must be a UTC time such as 2026-03-01T04:05:06Z")
        }
        return time
    }

    /// The elements of an array of objects, each read whole.
    mutating func list<Element>(
        _ key: String, maximumCount: Int = FederationLimits.participants, _ read: (inout ObjectReader) throws -> Element
    ) throws -> [Element] {
        let readers = try objects(key)
        guard readers.count <= maximumCount else { throw problem(key, "must have at most \(maximumCount) entries") }
        return try readers.map { reader in
            var reader = reader
            let element = try read(&reader)
            try reader.finish()
            return element
        }
    }

    /// A nested object, read whole; nil where it is absent or null.
    mutating func optionalNested<Element>(_ key: String, _ read: (inout ObjectReader) throws -> Element) throws
        -> Element?
    {
        guard var nested = try optionalObject(key) else { return nil }
        let element = try read(&nested)
        try nested.finish()
        return element
    }
}

func isClassName(_ name: String) -> Bool {
    (1...FederationLimits.classNameBytes).contains(name.utf8.count) && isPrintable(name) && !name.contains("/")
        && !name.hasPrefix(".")
}

func suggestion(_ word: String, among known: [String]) -> String {
    if let near = didYouMean(word, among: known) { return "did you mean '\(near)'?" }
    return "use one of \(known.joined(separator: ", "))"
}

extension JSONValue {
    /// An object without the keys whose value is nil.
    init(fields: [String: JSONValue?]) { self = .object(fields.compactMapValues { $0 }) }
    init(_ value: Int) { self = .integer(Int64(value)) }
    init(_ value: Digest) { self = .string(value.hex) }
    init(_ value: PartyName) { self = .string(value.text) }
    init(_ value: Timestamp) { self = .string(value.rfc3339) }
    init(_ names: [String]) { self = .array(names.map { .string($0) }) }
    init(_ names: [PartyName]) { self = .array(names.map { .string($0.text) }) }
}

package import Wire
import Yams

/// The part of YAML that a configuration needs, read without surprises.
///
/// 1. One document of mappings, sequences and scalars; an empty document is the empty mapping.
/// 2. Anchors, aliases and tags are refused: with them a kilobyte can stand for gigabytes, or for another type.
/// 3. A key is a string and occurs once in its mapping.
/// 4. A quoted or block scalar is a string. A plain one is null, a boolean, an integer or a number only in JSON's spelling
///    (`null`, `true`, `-3`, `1.0e-4`; also `~` and nothing for null), else a string: `yes`, `0x10` and `1_000` are strings.
/// 5. Size and nesting are bounded.
package enum StrictYAML {
    /// The largest document accepted, in bytes.
    package static let maximumBytes = 64 << 10
    /// How many mappings and sequences may enclose one another.
    package static let maximumDepth = 16

    /// - Parameter name: the file's name, which errors begin with.
    package static func parse(_ bytes: [UInt8], name: String) throws(ConfigurationError) -> JSONValue {
        guard bytes.count <= maximumBytes else {
            throw ConfigurationError(file: name, "has more than \(maximumBytes) bytes; a configuration needs fewer")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(file: name, "is not UTF-8 text; save it again as UTF-8")
        }
        try YAMLScanner(text: bytes, file: name).refuseReferences()
        let parser: Parser
        let root: Node?
        do {
            parser = try Parser(yaml: text, encoding: .utf8)
            root = try parser.singleRoot()
        } catch {
            throw refusal(error, file: name)
        }
        guard let root else { return .object([:]) }
        // A file of comments only has one empty scalar as its document.
        if case .scalar(let scalar) = root, scalar.style == .plain, scalar.string.isEmpty { return .object([:]) }
        let value = try value(of: root, depth: 0, file: name)
        // Anchors live only as long as the parser, and are looked for in `value(of:depth:file:)`.
        withExtendedLifetime(parser) {}
        return value
    }

    private static func value(of node: Node, depth: Int, file: String) throws(ConfigurationError) -> JSONValue {
        guard node.anchor == nil else {
            throw ConfigurationError(file: file, line: node.mark?.line, "anchors, aliases and tags are not accepted")
        }
        switch node {
        case .scalar(let scalar):
            return value(of: scalar)
        case .sequence(let sequence):
            try check(depth, node, file)
            var elements: [JSONValue] = []
            for element in sequence { elements.append(try value(of: element, depth: depth + 1, file: file)) }
            return .array(elements)
        case .mapping(let mapping):
            try check(depth, node, file)
            var fields: [String: JSONValue] = [:]
            for (key, content) in mapping {
                guard case .scalar(let scalar) = key else {
                    throw ConfigurationError(file: file, line: key.mark?.line, "a key must be a plain word")
                }
                let content = try value(of: content, depth: depth + 1, file: file)
                guard fields.updateValue(content, forKey: scalar.string) == nil else {
                    throw ConfigurationError(
                        file: file, line: key.mark?.line, "the key \"\(scalar.string)\" occurs twice")
                }
            }
            return .object(fields)
        case .alias:
            throw ConfigurationError(file: file, line: node.mark?.line, "aliases are not accepted")
        }
    }

    private static func check(_ depth: Int, _ node: Node, _ file: String) throws(ConfigurationError) {
        guard depth < maximumDepth else {
            throw ConfigurationError(file: file, line: node.mark?.line, "is nested deeper than \(maximumDepth) levels")
        }
    }

    private static func value(of scalar: Node.Scalar) -> JSONValue {
        guard scalar.style == .plain else { return .string(scalar.string) }
        switch scalar.string {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        // JSON's own grammar decides what is a number; a word or a date is none.
        guard let first = scalar.string.utf8.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first),
            let number = try? StrictJSON.parse(Array(scalar.string.utf8), maximumBytes: 64)
        else { return .string(scalar.string) }
        return number
    }

    private static func refusal(_ error: any Error, file: String) -> ConfigurationError {
        guard let error = error as? YamlError else { return ConfigurationError(file: file, "\(error)") }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return ConfigurationError(file: file, line: mark.line, problem.replacing("\n", with: " "))
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "\"\($0)\"" }.joined(separator: ", ")
            return ConfigurationError(file: file, line: context.mark.line, "the key \(names) occurs twice")
        case .reader(let problem, _, _, _):
            return ConfigurationError(file: file, problem.replacing("\n", with: " "))
        default:
            return ConfigurationError(file: file, "is not a YAML document")
        }
    }
}

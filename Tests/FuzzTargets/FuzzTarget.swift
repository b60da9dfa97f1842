/// A parser of foreign bytes with what must hold for every input. `consilium-fuzz` lets libFuzzer look for inputs, and
/// `CorpusTests` tries the committed ones with every test run.
package struct FuzzTarget: Sendable {
    /// Small letters: the corpus's folder and the first argument of `consilium-fuzz`.
    package let name: String
    /// The longest input that is worth trying, in bytes.
    package let longest: Int
    /// Good inputs, made by this project's own writers: where a search begins.
    package let seeds: @Sendable () throws -> [[UInt8]]
    /// - Throws: ``Violation``; a parser's own refusal is no violation.
    package let check: @Sendable ([UInt8]) throws(Violation) -> Void

    package static let all: [FuzzTarget] = [
        .tar, .manifest, .sshSignature, .openSSHKey, .allowedSigners, .age, .safetensors, .jpeg, .png, .configuration,
        .json, .groups,
    ]

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// What a parser did that it must never do.
package struct Violation: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

func require(_ holds: Bool, _ what: @autoclosure () -> String) throws(Violation) {
    if !holds { throw Violation(what()) }
}

/// Runs a parser. Its own refusal must be one line for a person.
/// - Returns: nil where it refused.
func accepted<Value, Refusal: Error & CustomStringConvertible>(
    _ parser: () throws(Refusal) -> Value
) throws(Violation) -> Value? {
    do {
        return try parser()
    } catch {
        let text = error.description
        try require(!text.isEmpty && !text.contains("\n"), "the refusal is not one line: \(text)")
        return nil
    }
}

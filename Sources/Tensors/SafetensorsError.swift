import Wire

/// What a safetensors file is refused for.
package struct SafetensorsError: Error, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The header is not what the format prescribes.
        case badHeader = "bad header"
        /// Offsets overlap, leave holes, run out of the file, or do not fit shape and type.
        case badOffsets = "bad offsets"
        case unsupportedType = "unsupported type"
        /// Legal safetensors, but not the one encoding of this project's bundles.
        case notCanonical = "not canonical"
        case missingTensor = "missing tensor"
        /// The operating system refused: open, size or memory mapping.
        case inputOutput = "input/output"
    }

    package let code: Code
    package let detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail.singleLine
    }

    static func check(_ range: Range<Int>, isInside count: Int, of name: String) throws(SafetensorsError) {
        guard range.lowerBound >= 0, range.upperBound <= count else {
            throw SafetensorsError(.badOffsets, "tensor \(name) has \(count) values, not \(range)")
        }
    }

    package var description: String { "safetensors: \(detail)" }
}

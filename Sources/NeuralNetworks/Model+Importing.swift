package import Tensors

extension Model {
    /// Takes over a backbone that was trained for other classes: ImageNet's thousand, for example. The backbone must be the
    /// architecture's, to the tensor; the head is made anew.
    ///
    /// - Parameters:
    ///   - tensors: of a backbone, with any head (tensors named `fc.*`) or none.
    ///   - seed: of the new head's weights.
    /// - Throws: ``NetworkError`` that names the first tensor of the backbone that is missing, unexpected, misshapen, not
    ///   finite, or a negative variance.
    package init(
        _ specification: ModelSpecification, backbone tensors: TensorDictionary, seed: UInt64
    ) throws(NetworkError) {
        let head = try Model(initializing: specification, seed: seed).tensors.filter { _, entry in
            entry.part == Architecture.headPart
        }
        let backbone = tensors.filter { name, _ in !Self.isHead(name) }
        try self.init(specification, tensors: backbone.merging(head))
    }

    /// Whether the tensors hold the very head that the specification has: names and shapes.
    package static func hasHead(
        of specification: ModelSpecification, _ tensors: TensorDictionary
    ) throws(NetworkError) -> Bool {
        let expected = try specification.expectedTensors().filter { $0.part == Architecture.headPart }
        return Set(expected.map(\.name)) == Set(tensors.names.filter(isHead))
            && expected.allSatisfy { tensors[$0.name]?.tensor.shape == $0.shape }
    }

    /// Classes that the head in these tensors tells apart; nil where there is none.
    package static func headClasses(_ tensors: TensorDictionary) -> Int? {
        tensors.names.filter { isHead($0) && $0.hasSuffix(".weight") }.max().flatMap { tensors[$0]?.tensor.shape.first }
    }

    private static func isHead(_ name: String) -> Bool { name.hasPrefix("fc.") }
}

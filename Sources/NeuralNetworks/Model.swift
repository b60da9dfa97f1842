package import Tensors

/// A network with its weights, in file layout and under torchvision-like names.
package struct Model: Equatable, Sendable {
    package let specification: ModelSpecification
    package let tensors: TensorDictionary

    /// Random weights, the same for a seed on every platform (``RandomSource``; the libm-free square root is exact).
    ///
    /// Convolutions: normal with standard deviation sqrt(2 / fan-out), fan-out = KH KW O (He et al. 2015, section 2.2,
    /// backward form, as torchvision's ResNet). BatchNorm: weight 1, bias 0, mean 0, variance 1. Dense: uniform in
    /// +-1/sqrt(fan-in), weight and bias, as `torch.nn.Linear`.
    package init(initializing specification: ModelSpecification, seed: UInt64) throws(NetworkError) {
        self.specification = specification
        tensors = try Self.initialTensors(of: specification.graph(), seed: seed)
    }

    /// Adopts tensors that came from a file.
    ///
    /// - Throws: ``NetworkError`` that names the first tensor that is missing, unexpected, misshapen, not finite, or a
    ///   negative variance. Parts and roles are set to what the architecture says.
    package init(_ specification: ModelSpecification, tensors given: TensorDictionary) throws(NetworkError) {
        self.specification = specification
        tensors = try Self.check(given, against: specification.expectedTensors())
    }

    /// For tensors that the engine itself laid out.
    init(unchecked specification: ModelSpecification, tensors: TensorDictionary) {
        self.specification = specification
        self.tensors = tensors
    }

    /// Names of the tensors in the parts at or after `trainFrom` (`all`, `stem`, `layer1`, ..., `head`), BatchNorm's
    /// running statistics included: what an update carries.
    ///
    /// With frozen BatchNorm its weights, biases and statistics stay as they are, and are left out, but for the head's.
    package func trainable(
        from trainFrom: String, frozenBatchNorm: Bool = false
    ) throws(NetworkError) -> Set<String> {
        let parts = Set(try specification.parts(from: trainFrom))
        let graph = try specification.graph()
        var names: Set<String> = []
        for index in graph.nodes.indices where parts.contains(graph.nodes[index].part) {
            let node = graph.nodes[index]
            if frozenBatchNorm, node.operation == .batchNorm, node.part != Architecture.headPart { continue }
            names.formUnion(graph.tensors(of: index).map(\.name))
        }
        return names
    }

    /// The same model with some tensors replaced, checked like a whole one.
    package func replacing(_ changed: TensorDictionary) throws(NetworkError) -> Model {
        try Model(specification, tensors: tensors.merging(changed))
    }
}

extension Model {
    static func initialTensors(of graph: Graph, seed: UInt64) -> TensorDictionary {
        var tensors = TensorDictionary()
        let random = RandomSource(seed: seed)
        for node in graph.nodes.indices {
            var denseBound = 0.0
            for expected in graph.tensors(of: node) {
                let source = random.derived(expected.name)
                let values: [Float]
                switch (graph.nodes[node].operation, expected.role) {
                case (.convolution(let outputs, let window, _), .weight):
                    let deviation = (2 / Double(outputs * window.size * window.size)).squareRoot()
                    values = (0..<expected.count).map { Float(source.normal(UInt64($0)) * deviation) }
                case (.dense, .weight):
                    denseBound = 1 / Double(expected.shape[1]).squareRoot()
                    fallthrough
                case (.dense, .bias):
                    values = (0..<expected.count).map { Float((source.uniform(UInt64($0)) * 2 - 1) * denseBound) }
                default:
                    let isOne = expected.name.hasSuffix(".running_var") || expected.role == .weight
                    values = [Float](repeating: isOne ? 1 : 0, count: expected.count)
                }
                tensors[expected.name] = TensorDictionary.Entry(
                    tensor: Tensor(shape: expected.shape, values: values), part: expected.part, role: expected.role)
            }
        }
        return tensors
    }

    static func check(
        _ given: TensorDictionary, against expected: [ExpectedTensor]
    ) throws(NetworkError) -> TensorDictionary {
        var checked = TensorDictionary()
        for wanted in expected {
            guard let entry = given[wanted.name] else {
                throw NetworkError(.invalidTensors, "the model lacks tensor '\(wanted.name)'")
            }
            guard entry.tensor.shape == wanted.shape else {
                throw NetworkError(
                    .invalidTensors,
                    "tensor '\(wanted.name)' has shape \(entry.tensor.shape), the architecture needs \(wanted.shape)")
            }
            guard entry.tensor.values.allSatisfy(\.isFinite) else {
                throw NetworkError(.invalidTensors, "tensor '\(wanted.name)' holds values that are not finite")
            }
            if wanted.name.hasSuffix(".running_var"), entry.tensor.values.contains(where: { $0 < 0 }) {
                throw NetworkError(.invalidTensors, "tensor '\(wanted.name)' holds a negative variance")
            }
            checked[wanted.name] = TensorDictionary.Entry(
                tensor: entry.tensor, part: wanted.part, role: wanted.role)
        }
        if let extra = given.names.first(where: { checked[$0] == nil }) {
            throw NetworkError(.invalidTensors, "tensor '\(extra)' is none of the architecture's")
        }
        return checked
    }
}

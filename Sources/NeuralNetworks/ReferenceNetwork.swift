import Glibc
package import Tensors

/// The same graphs in Double, one plain loop a layer: the oracle of the engine. No plan, no fusion, no shared memory.
///
/// Gradients are checked against central differences of ``loss(pictures:labels:)``, and the engine against both.
package struct ReferenceNetwork {
    package let graph: Graph
    package let batch: Int
    package let mode: PlanMode
    package var classWeights: [Float]?
    package var logitOffsets: [Float]?
    package var random = RandomSource(seed: 0)
    /// By name, in file layout.
    package var parameters: [String: [Double]] = [:]

    package init(_ graph: Graph, tensors: TensorDictionary, batch: Int, mode: PlanMode) {
        self.graph = graph
        self.batch = batch
        self.mode = mode
        for name in tensors.names { parameters[name] = tensors[name]?.tensor.values.map(Double.init) }
    }

    /// Everything that a pass computes.
    package struct Pass {
        /// By node, `[N, H, W, C]`.
        package var values: [[Double]] = []
        package var loss = 0.0
        /// By name, in file layout; trained parameters only.
        package var gradients: [String: [Double]] = [:]
        package var inputGradient: [Double] = []
        /// Running statistics after the pass.
        package var statistics: [String: [Double]] = [:]
    }

    package func loss(pictures: [Double], labels: [Int]) -> Double {
        forward(pictures: pictures, labels: labels).loss
    }

    package func forward(pictures: [Double], labels: [Int]) -> Pass {
        var pass = Pass()
        pass.values = [pictures]
        for index in graph.nodes.indices.dropFirst() { forward(index, &pass) }
        pass.loss = crossEntropy(pass.values[graph.output], labels).loss
        return pass
    }

    package func forwardAndBackward(pictures: [Double], labels: [Int]) -> Pass {
        var pass = forward(pictures: pictures, labels: labels)
        var gradients = graph.nodes.map { [Double](repeating: 0, count: batch * $0.shape.count) }
        gradients[graph.output] = crossEntropy(pass.values[graph.output], labels).gradient
        for index in graph.nodes.indices.dropFirst().reversed() {
            let parts = backward(index, gradient: gradients[index], &pass)
            for (source, part) in zip(graph.nodes[index].inputs, parts) {
                for element in part.indices { gradients[source][element] += part[element] }
            }
        }
        pass.inputGradient = gradients[0]
        return pass
    }

    private func crossEntropy(_ logits: [Double], _ labels: [Int]) -> (loss: Double, gradient: [Double]) {
        let classes = graph.nodes[graph.output].shape.channels
        let weights = labels.map { Double(classWeights?[$0] ?? 1) }
        let total = weights.reduce(0, +)
        var loss = 0.0
        var gradient = [Double](repeating: 0, count: logits.count)
        guard total > 0 else { return (loss, gradient) }
        for (row, label) in labels.enumerated() {
            let values = (0..<classes).map { logits[row * classes + $0] + Double(logitOffsets?[$0] ?? 0) }
            let sum = values.reduce(0) { $0 + exp($1) }
            loss += weights[row] / total * (log(sum) - values[label])
            for column in 0..<classes {
                let probability = exp(values[column]) / sum
                gradient[row * classes + column] = weights[row] / total * (probability - (column == label ? 1 : 0))
            }
        }
        return (loss, gradient)
    }

    func parameter(_ index: Int, _ suffix: String) -> [Double] {
        parameters["\(graph.nodes[index].name).\(suffix)"] ?? []
    }

    /// The factor of each element in a dropout layer: 0 or 1 / (1 - rate).
    func dropoutFactors(_ index: Int) -> [Double] {
        let count = batch * graph.nodes[index].shape.count
        guard mode.isTraining, mode.dropout > 0 else { return [Double](repeating: 1, count: count) }
        let source = random.derived(UInt64(index))
        let rate = Double(mode.dropout)
        return (0..<count).map { Double(source.bits(UInt64($0)) >> 40) * 0x1p-24 < rate ? 0 : 1 / (1 - rate) }
    }
}

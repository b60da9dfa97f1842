package import Tensors

/// One batch through any graph, forward and back, with every value and gradient left to be read.
///
/// The engine of ``Trainer``, on memory of its own: what is seen here is what training does.
package final class GraphProbe {
    private let graph: Graph
    private let plan: Plan
    private let layout: ParameterLayout
    private let context: ComputeContext
    private let arena: AlignedArena
    private let dropout: Float

    /// - Parameter tensors: the graph's, in file layout.
    /// - Throws: ``NetworkError`` where they do not fit the graph.
    package init(
        _ graph: Graph, tensors: TensorDictionary, batch: Int, mode: PlanMode, context: ComputeContext
    ) throws(NetworkError) {
        var mode = mode
        mode.isProbe = true
        let layout = ParameterLayout(graph) { mode.trains(graph.nodes[$0]) }
        self.graph = graph
        self.layout = layout
        self.context = context
        dropout = mode.dropout
        plan = Plan(graph, batch: batch, mode: mode, layout: layout, context: context)
        arena = AlignedArena(count: layout.totalCount + layout.trainableCount + plan.peak)
        layout.load(try Model.check(tensors, against: graph.tensors), into: arena.base)
    }

    /// - Parameter pictures: `[N, H, W, C]`.
    /// - Returns: the weighted mean loss.
    @discardableResult
    package func run(
        pictures: [Float], labels: [Int], classWeights: [Float]? = nil, logitOffsets: [Float]? = nil,
        random: RandomSource = RandomSource(seed: 0)
    ) -> Double {
        precondition(pictures.count == plan.batch * graph.nodes[0].shape.count, "pictures must fill the batch")
        let executor = Executor(
            layout: layout, context: context, values: arena.base, gradients: arena.base + layout.totalCount,
            arena: arena.base + layout.totalCount + layout.trainableCount)
        return pictures.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            let inputs = BatchInputs(
                pictures: base, labels: labels, classWeights: classWeights, logitOffsets: logitOffsets,
                dropout: dropout, random: random)
            return executor.run(plan, inputs).mean
        }
    }

    /// A node's value `[N, H, W, C]` in the last run; nil where a fused step left none.
    package func value(of node: String) -> [Float]? {
        guard let index = graph.nodes.firstIndex(where: { $0.name == node }), index > 0 else { return nil }
        return plan.values[index].map { floats($0, plan.batch * graph.nodes[index].shape.count) }
    }

    /// `[N, classes]`
    package var probabilities: [Float] { floats(plan.probabilities, plan.batch * layout.classes) }

    /// The gradient by the pictures.
    package var inputGradient: [Float]? {
        plan.inputGradient.map { floats($0, plan.batch * graph.nodes[0].shape.count) }
    }

    /// Parameters and running statistics as the last run left them, in file layout.
    package var tensors: TensorDictionary { layout.tensors(from: arena.base) }

    /// The gradients by the tensors that train, in file layout and under their names.
    package var gradients: TensorDictionary {
        layout.tensors(from: arena.base + layout.totalCount, where: \.isTrainable)
    }

    private func floats(_ buffer: BufferID, _ count: Int) -> [Float] {
        let start = arena.base + layout.totalCount + layout.trainableCount + plan.offsets[buffer]
        return Array(UnsafeBufferPointer(start: start, count: count))
    }
}

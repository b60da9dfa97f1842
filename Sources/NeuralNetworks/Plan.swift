import Tensors

/// What a plan computes beside the forward pass.
package struct PlanMode: Equatable, Sendable {
    /// The parts whose parameters train; empty for inference.
    package var trainedParts: Set<String>
    package var freezesBatchNorm: Bool
    /// Rate of the dropout layers; 0 leaves them out.
    package var dropout: Float
    /// Keep every value, and compute the gradient by the pictures: to look into a network, not to train one.
    package var isProbe: Bool
    /// Drop what the backward pass can compute again, see `PlanRecomputation.swift`.
    var recomputes = false
    /// Stop at the last node's value: no softmax.
    var endsInFeatures = false

    package init(
        trainedParts: Set<String>, freezesBatchNorm: Bool = false, dropout: Float = 0, isProbe: Bool = false
    ) {
        self.trainedParts = trainedParts
        self.freezesBatchNorm = freezesBatchNorm
        self.dropout = dropout
        self.isProbe = isProbe
    }

    static let inference = PlanMode(trainedParts: [], freezesBatchNorm: true)

    static var features: PlanMode {
        var mode = PlanMode.inference
        mode.endsInFeatures = true
        return mode
    }

    var isTraining: Bool { !trainedParts.isEmpty }

    /// Whether the node has parameters that train. BatchNorm layers that do so use the batch's moments, too.
    func trains(_ node: Graph.Node) -> Bool {
        guard trainedParts.contains(node.part) else { return false }
        switch node.operation {
        case .convolution, .dense: return true
        // The head's BatchNorm is new with the head: it has no statistics that would be worth keeping.
        case .batchNorm: return !freezesBatchNorm || node.part == Architecture.headPart
        default: return false
        }
    }

    func trainsBatchNorm(in graph: Graph) -> Bool {
        graph.nodes.contains { $0.operation == .batchNorm && trains($0) }
    }
}

/// A graph compiled for one batch size: kernel calls in order, and where in the arena each buffer lies.
///
/// A pure value, made before the first step: what memory a training takes is known beforehand.
struct Plan: Sendable {
    let batch: Int
    let steps: [Step]
    /// BatchNorm layers that the convolutions before them have taken over; see ``ParameterLayout/fold(_:in:)``.
    let folds: [FoldedNormalization]
    /// Offset of each buffer, in floats. Buffer 0, the batch of pictures, lies outside of the arena.
    let offsets: [Int]
    /// Floats of arena.
    let peak: Int
    /// For tests: when each buffer lives.
    let intervals: [Interval]
    /// `[N, classes]`, the output of the last step that writes them, or the features; valid until the next run.
    let probabilities: BufferID
    /// Where each node's value lies after a probe, nil where fusion left none.
    let values: [BufferID?]
    /// Where a probe leaves the gradient by the pictures.
    let inputGradient: BufferID?

    static let inputBuffer: BufferID = 0

    init(_ graph: Graph, batch: Int, mode: PlanMode, layout: ParameterLayout, context: ComputeContext) {
        var builder = PlanBuilder(graph, batch: batch, mode: mode, layout: layout, context: context)
        builder.buildForward()
        let probabilities = mode.endsInFeatures ? builder.value(graph.output) : builder.buildLoss()
        if mode.isTraining {
            builder.dropRecomputable()
            builder.buildBackward()
        }
        var intervals = builder.intervals
        // The caller's: takes no room.
        intervals[Self.inputBuffer].count = 0
        // Read by the caller after the last step.
        var kept = [probabilities]
        if mode.isProbe { kept += (builder.values + [builder.gradients[0]]).compactMap(\.self) }
        for buffer in kept { intervals[buffer].last = builder.steps.count }
        let memory = MemoryPlan(intervals)
        self.batch = batch
        steps = builder.steps
        folds = builder.folds
        offsets = memory.offsets
        peak = memory.peak
        self.intervals = intervals
        self.probabilities = probabilities
        values = builder.values
        inputGradient = builder.gradients[0]
    }
}

/// A BatchNorm node and what follows it in the same step.
struct FusedNormalization {
    let node: Int
    /// The node whose value the step writes.
    var end: Int
    /// The nodes before `end`, whose values are never stored.
    var inner: [Int] = []
    var residual: Int?
    var appliesReLU = false
}

/// A BatchNorm layer of constant statistics, and the convolution before it whose weights take over its scale.
struct FoldedNormalization: Equatable, Sendable {
    let convolutionWeight: SlotID
    let weight: SlotID
    /// Becomes the convolution's bias.
    let bias: SlotID
    let runningMean: SlotID
    let runningVariance: SlotID
}

/// The state of a compilation: steps and buffers so far.
struct PlanBuilder {
    let graph: Graph
    let batch: Int
    let mode: PlanMode
    let layout: ParameterLayout
    let context: ComputeContext
    let consumers: [[Int]]
    /// Whether the loss's gradient by each node's value is wanted.
    let needsGradient: [Bool]

    /// Where convolutions leave the sums of their outputs' moments.
    var momentSums: [Int: BufferID] = [:]
    var steps: [Step] = []
    var folds: [FoldedNormalization] = []
    var intervals: [Interval] = []
    /// Each node's value; nil before it is computed, and for values that fusion skips.
    var values: [BufferID?]
    /// The gradient by each node's value, as far as it has been summed.
    var gradients: [BufferID?]
    /// The fused steps by the node that ends them, and the nodes whose values they skip.
    var normalizations: [Int: (fused: FusedNormalization, step: NormalizeStep)] = [:]
    var fusedAway: Set<Int> = []
    /// The maxima that each pooling node chose.
    var argmaxes: [Int: BufferID] = [:]

    init(_ graph: Graph, batch: Int, mode: PlanMode, layout: ParameterLayout, context: ComputeContext) {
        self.graph = graph
        self.batch = batch
        self.mode = mode
        self.layout = layout
        self.context = context
        consumers = graph.consumers
        var needs = [Bool](repeating: false, count: graph.nodes.count)
        needs[0] = mode.isProbe
        for (index, node) in graph.nodes.enumerated().dropFirst() {
            needs[index] = mode.trains(node) || node.inputs.contains { needs[$0] }
        }
        needsGradient = needs
        values = Array(repeating: nil, count: graph.nodes.count)
        gradients = values
        values[0] = buffer(batch * graph.nodes[0].shape.count)
    }

    /// A new buffer; its life is what ``emit(_:touching:)`` says.
    mutating func buffer(_ count: Int) -> BufferID {
        intervals.append(Interval(count: count, first: Int.max, last: -1))
        return intervals.count - 1
    }

    /// Appends a step. Every buffer that it reads or writes must be named.
    mutating func emit(_ step: Step, touching buffers: [BufferID]) {
        for buffer in buffers {
            intervals[buffer].first = min(intervals[buffer].first, steps.count)
            intervals[buffer].last = steps.count
        }
        steps.append(step)
    }

    func count(_ node: Int) -> Int { batch * graph.nodes[node].shape.count }

    /// - Precondition: the node's value has been computed, which the order of the graph ensures.
    func value(_ node: Int) -> BufferID {
        guard let buffer = values[node] else { preconditionFailure("the value of node \(node) was fused away") }
        return buffer
    }

    /// The nodes that one step computes: BatchNorm, then optionally a residual sum, then optionally ReLU, each the only
    /// reader of the one before.
    func fusion(at node: Int) -> FusedNormalization {
        var fused = FusedNormalization(node: node, end: node)
        if let next = onlyConsumer(of: node), graph.nodes[next].operation == .residualAdd,
            let other = graph.nodes[next].inputs.first(where: { $0 != node }), values[other] != nil
        {
            // The other summand is there already: of two BatchNorms that meet, the later one takes the sum.
            fused.residual = other
            fused.inner.append(node)
            fused.end = next
        }
        if let next = onlyConsumer(of: fused.end), graph.nodes[next].operation == .relu {
            fused.appliesReLU = true
            fused.inner.append(fused.end)
            fused.end = next
        }
        return fused
    }

    func onlyConsumer(of node: Int) -> Int? { consumers[node].count == 1 ? consumers[node][0] : nil }

    /// Whether a step that turns `node`'s value into its only reader's may overwrite it: neither the caller's pictures
    /// nor anything that the backward pass reads again.
    func mayOverwrite(_ node: Int, forStepNeedingInput needsInput: Bool) -> Bool {
        guard onlyConsumer(of: node) != nil, !mode.isProbe, !(needsInput && mode.isTraining) else { return false }
        switch graph.nodes[node].operation {
        case .relu: return !needsGradient[node]
        // Dropout's value may be its input's.
        case .input, .dropout: return false
        default: return true
        }
    }
}

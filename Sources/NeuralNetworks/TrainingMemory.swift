import Tensors

/// All that is decided before memory is taken.
struct TrainingSetup {
    let labels: [Int]
    let schedule: Schedule
    let layout: ParameterLayout
    /// Pictures that pass the network at once: a batch, or a part of one where the whole would take more memory than the
    /// context allows. Gradients of parts are summed; what that changes is rounding.
    let partSize: Int
    /// Whether the forward pass is done twice, for the same reason, where BatchNorm trains.
    let recomputes: Bool
    /// Parts are chosen as if there were so many workers, each with its own scratch memory: a machine with fewer makes the
    /// same parts, and so the same bytes.
    private static let assumedWorkers = 16
    /// One for each number of pictures that passes at once, the usual one first.
    let plans: [Plan]
    let sizes: TrainingSizes

    init(
        model: Model, options: TrainingOptions, data: any PictureSource, context: ComputeContext
    ) throws(NetworkError) {
        let classes = model.specification.classes.count
        try options.check(classes: classes)
        let graph = try model.specification.graph(after: data.boundary)
        let mode = PlanMode(
            trainedParts: Set(try model.specification.parts(from: options.trainFrom)),
            freezesBatchNorm: options.frozenBatchNorm, dropout: options.dropout)
        labels = (0..<data.count).map { data.label($0) }
        if let wrong = labels.firstIndex(where: { !(0..<classes).contains($0) }) {
            throw NetworkError(
                .invalidData, "picture \(wrong) has label \(labels[wrong]), but there are \(classes) classes")
        }
        schedule = try Schedule(
            count: data.count, batchSize: options.batchSize, trainsBatchNorm: mode.trainsBatchNorm(in: graph),
            seed: options.seed)
        let layout = ParameterLayout(graph) { mode.trains(graph.nodes[$0]) }
        self.layout = layout
        let schedule = schedule
        let compiled = { (part: Int, mode: PlanMode, context: ComputeContext) in
            let plans = schedule.partSizes(part).map {
                Plan(graph, batch: $0, mode: mode, layout: layout, context: context)
            }
            let sizes = TrainingSizes(
                layout: layout, options: options, batch: schedule.batchSizes[0],
                isDivided: part < schedule.batchSizes[0], pictureCount: graph.nodes[0].shape.count,
                activations: plans.map(\.peak).max() ?? 0)
            return (plans, sizes)
        }
        var part = schedule.batchSizes[0]
        if !mode.trainsBatchNorm(in: graph) {
            let many = ComputeContext(
                workers: max(Self.assumedWorkers, context.workers), instructionSet: context.instructionSet,
                convolutionMethod: context.convolutionMethod)
            while part > 1, compiled(part, mode, many).1.bytes > context.memoryLimit { part = (part + 1) / 2 }
        }
        var chosen = compiled(part, mode, context)
        var recomputes = false
        if mode.trainsBatchNorm(in: graph), chosen.1.bytes > context.memoryLimit {
            // Moments of a part would not be those of the batch.
            var frugal = mode
            frugal.recomputes = true
            let less = compiled(part, frugal, context)
            if less.1.bytes < chosen.1.bytes { (chosen, recomputes) = (less, true) }
        }
        partSize = part
        self.recomputes = recomputes
        (plans, sizes) = chosen
    }
}

/// Where the parts of a training's memory lie in its one arena, in floats.
struct TrainingSizes: Sendable {
    let layout: ParameterLayout
    let pictureCount: Int
    let gradients: Int
    /// The gradients of a part, before they are summed; nil where a batch passes at once.
    let partGradients: Int?
    let anchor: Int?
    let moments: [Int]
    let pictures: [Int]
    let activations: Int
    let total: Int

    init(
        layout: ParameterLayout, options: TrainingOptions, batch: Int, isDivided: Bool, pictureCount: Int,
        activations: Int
    ) {
        self.layout = layout
        self.pictureCount = pictureCount
        var end = layout.totalCount
        func take(_ count: Int) -> Int {
            defer { end += MemoryPlan.aligned(count) }
            return end
        }
        gradients = take(layout.trainableCount)
        partGradients = isDivided ? take(layout.trainableCount) : nil
        anchor = options.proximalMu > 0 ? take(layout.trainableCount) : nil
        moments = (0..<options.optimizer.momentCount).map { _ in take(layout.trainableCount) }
        pictures = (0..<2).map { _ in take(batch * pictureCount) }
        self.activations = take(activations)
        total = end
    }

    var bytes: Int { total * MemoryLayout<Float>.stride }
}

extension Optimizer {
    /// Arrays of state that it keeps.
    var momentCount: Int {
        switch self {
        case .sgd(let momentum): momentum > 0 ? 1 : 0
        case .adam: 2
        }
    }
}

/// One arena with everything that a training touches, zero at first.
struct TrainingMemory {
    let sizes: TrainingSizes
    private let arena: AlignedArena

    init(_ sizes: TrainingSizes) {
        self.sizes = sizes
        arena = AlignedArena(count: sizes.total)
    }

    var values: UnsafeMutablePointer<Float> { arena.base }
    var anchor: UnsafeMutablePointer<Float>? { sizes.anchor.map { arena.base + $0 } }
    var moments: [UnsafeMutablePointer<Float>] { sizes.moments.map { arena.base + $0 } }
    var pictures: [UnsafeMutablePointer<Float>] { sizes.pictures.map { arena.base + $0 } }
    var gradients: UnsafeMutablePointer<Float> { arena.base + sizes.gradients }

    private var partGradients: UnsafeMutablePointer<Float>? { sizes.partGradients.map { arena.base + $0 } }

    /// - Parameter isFirst: whether the pictures begin a batch; gradients of later parts go to a place of their own.
    func executor(isFirst: Bool = true, context: ComputeContext) -> Executor {
        Executor(
            layout: sizes.layout, context: context, values: values,
            gradients: isFirst ? gradients : partGradients ?? gradients, arena: arena.base + sizes.activations)
    }

    /// Adds a later part's gradients to the batch's.
    func addPartGradients(context: ComputeContext) {
        guard let partGradients else { return }
        Kernels.addInPlace(partGradients, count: sizes.layout.trainableCount, to: gradients, context: context)
    }

    /// One sweep over all parameters that train: weight decay, the FedProx term, the optimiser's step.
    ///
    /// The proximal term joins the finished gradient here, after accumulation; running statistics lie outside of the
    /// swept range. A clipped gradient has it already.
    ///
    /// - Parameters:
    ///   - factor: of the schedule, for this step.
    ///   - step: counted from 1, over the whole training.
    func update(_ options: TrainingOptions, factor: Double, step: Int, context: ComputeContext) {
        let count = sizes.layout.trainableCount
        var anchor = anchor
        if let limit = options.clipNorm {
            Kernels.clipNorm(
                gradient: gradients, weight: values, anchor: anchor, count: count, proximalMu: options.proximalMu,
                limit: limit, context: context)
            anchor = nil
        }
        let head = options.headLearningRate == nil ? count : sizes.layout.headOffset
        for (range, rate) in [
            (0..<head, options.learningRate), (head..<count, options.headLearningRate ?? options.learningRate),
        ] where !range.isEmpty {
            sweep(
                range, options, learningRate: Float(Double(rate) * factor), anchor: anchor, step: step, context: context
            )
        }
    }

    private func sweep(
        _ range: Range<Int>, _ options: TrainingOptions, learningRate: Float, anchor: UnsafeMutablePointer<Float>?,
        step: Int, context: ComputeContext
    ) {
        let first = range.lowerBound
        let anchor = anchor.map { $0 + first }
        switch options.optimizer {
        case .sgd(let momentum):
            Kernels.sgdMomentumUpdate(
                weight: values + first, gradient: gradients + first, velocity: moments.first.map { $0 + first },
                anchor: anchor, count: range.count, learningRate: learningRate, momentum: momentum,
                weightDecay: options.weightDecay, proximalMu: options.proximalMu, context: context)
        case .adam(let beta1, let beta2, let epsilon):
            Kernels.adamUpdate(
                weight: values + first, gradient: gradients + first, firstMoment: moments[0] + first,
                secondMoment: moments[1] + first, anchor: anchor, count: range.count, step: step,
                learningRate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon,
                weightDecay: options.weightDecay, proximalMu: options.proximalMu, context: context)
        }
    }
}

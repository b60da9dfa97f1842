package import Tensors

/// Trains one model on one data set.
///
/// Rules: 1. the same model, options and data give the same bytes, on any number of workers; 2. a checkpoint taken
/// after any step and resumed gives the same bytes as never having stopped; 3. only parameters in trained parts change,
/// and the running statistics of their BatchNorm layers; 4. FedProx's term pulls parameters towards the model that the
/// trainer was made with, and never touches running statistics; 5. after `init`, no step allocates tensor memory, and none
/// takes more than the context allows: where memory is short, layers are computed twice, or, where BatchNorm does not train, batches
/// are cut into parts.
///
/// An instance belongs to one thread at a time.
package final class Trainer {
    let base: Model
    let options: TrainingOptions
    let context: ComputeContext
    let data: any PictureSource
    let memory: TrainingMemory
    let schedule: Schedule
    let plans: [Plan]
    private let partSize: Int
    private let labels: [Int]

    /// Steps done in the epoch `statistics.epochsCompleted`, and its loss so far.
    var stepInEpoch = 0
    var epochLoss = LossSums()
    package internal(set) var statistics = TrainingStatistics()

    /// Everything that is checked and planned before the first step; memory is taken here.
    ///
    /// - Parameter model: where training starts, and the FedProx anchor w_global.
    /// - Throws: ``NetworkError`` for options or labels out of range, and where the plan needs more memory than the context
    ///   allows.
    package init(
        model: Model, options: TrainingOptions, data: any PictureSource, context: ComputeContext
    ) throws(NetworkError) {
        let setup = try TrainingSetup(model: model, options: options, data: data, context: context)
        try context.requireMemory(setup.sizes.bytes, for: "training")
        base = model
        self.options = options
        self.context = context
        self.data = data
        labels = setup.labels
        schedule = setup.schedule
        plans = setup.plans
        partSize = setup.partSize
        recomputes = setup.recomputes
        memory = TrainingMemory(setup.sizes)
        setup.layout.load(model.tensors, into: memory.values)
        // Every plan folds alike: which layers can be folded does not depend on the batch.
        if let plan = plans.first { setup.layout.fold(plan.folds, in: memory.values) }
        if let anchor = memory.anchor { anchor.update(from: memory.values, count: setup.layout.trainableCount) }
    }

    /// Pictures that pass the network at once; fewer than a batch where memory is short.
    package var picturesAtOnce: Int { partSize }
    /// Whether memory is short and layers are computed twice; changes no byte of the result.
    package let recomputes: Bool

    /// Bytes of tensor memory: parameters, gradients, optimiser state, two batches of pictures, and the largest plan's
    /// activations. Known before the first step, and not exceeded.
    package var plannedPeakBytes: Int { memory.sizes.bytes }

    /// What ``plannedPeakBytes`` would be, without taking the memory.
    package static func plannedPeakBytes(
        model: Model, options: TrainingOptions, pictures: Int, boundary: String? = nil, context: ComputeContext
    ) throws(NetworkError) -> Int {
        let data = CountedPictures(count: pictures, boundary: boundary)
        return try TrainingSetup(model: model, options: options, data: data, context: context).sizes.bytes
    }

    /// The model as it is now. Tensors that do not train are the base model's, to the bit.
    package var model: Model {
        let changed = memory.sizes.layout.tensors(from: memory.values, where: \.changes)
        return Model(unchecked: base.specification, tensors: base.tensors.merging(changed))
    }

    package var isFinished: Bool { statistics.epochsCompleted == options.epochs }

    /// Trains on until all epochs are done or `shouldStop` says so; it is asked before each step.
    ///
    /// - Returns: true when all epochs are done.
    /// - Throws: ``NetworkError`` when the loss or a weight is no longer finite, and what the data source throws. The
    ///   trainer's state is then as after the last whole step.
    package func run(
        shouldStop: () -> Bool, progress: (TrainingProgress) -> Void = { _ in }
    ) throws -> Bool {
        let loader = BatchLoader(
            data: data, pictureCount: memory.sizes.pictureCount, slots: memory.pictures, context: context)
        while !isFinished {
            let order = schedule.order(epoch: sessionEpoch)
            while stepInEpoch < schedule.stepsPerEpoch {
                if shouldStop() {
                    try requireFinite()
                    return false
                }
                let request = BatchRequest(indices: schedule.batch(stepInEpoch, of: order), epoch: sessionEpoch)
                let pictures = try loader.load(request, next: following(order))
                let loss = try perform(request, pictures: pictures)
                progress(
                    TrainingProgress(
                        epoch: statistics.epochsCompleted, epochs: options.epochs, step: stepInEpoch,
                        stepsPerEpoch: schedule.stepsPerEpoch, loss: loss.mean, examples: statistics.examples))
            }
            try requireFinite()
            statistics.lossPerEpoch.append(epochLoss.mean)
            statistics.epochsCompleted += 1
            stepInEpoch = 0
            epochLoss = LossSums()
        }
        return true
    }

    /// Counted over the whole session.
    private var sessionEpoch: Int { options.firstEpoch + statistics.epochsCompleted }

    /// The batch after the present one, if there is one.
    private func following(_ order: [Int]) -> BatchRequest? {
        if stepInEpoch + 1 < schedule.stepsPerEpoch {
            return BatchRequest(indices: schedule.batch(stepInEpoch + 1, of: order), epoch: sessionEpoch)
        }
        guard statistics.epochsCompleted + 1 < options.epochs else { return nil }
        let next = schedule.order(epoch: sessionEpoch + 1)
        return BatchRequest(indices: schedule.batch(0, of: next), epoch: sessionEpoch + 1)
    }

    /// Forward, backward, update.
    private func perform(
        _ request: BatchRequest, pictures: UnsafePointer<Float>
    ) throws(NetworkError) -> LossSums {
        let random = RandomSource(seed: options.seed).derived("dropout")
            .derived(UInt64(sessionEpoch)).derived(UInt64(stepInEpoch))
        let labels = labels(of: request)
        let weight = SoftmaxCrossEntropy.weight(of: labels, options.classWeights)
        var loss = LossSums()
        for first in stride(from: 0, to: labels.count, by: partSize) {
            let part = first..<min(labels.count, first + partSize)
            guard let plan = plans.first(where: { $0.batch == part.count }) else {
                preconditionFailure("no plan for \(part.count) pictures")
            }
            let executor = memory.executor(isFirst: first == 0, context: context)
            loss += executor.run(
                plan,
                BatchInputs(
                    pictures: pictures + first * memory.sizes.pictureCount, labels: Array(labels[part]),
                    classWeights: options.classWeights, logitOffsets: options.logitOffsets, dropout: options.dropout,
                    random: random, firstPicture: first, batchWeight: weight))
            if first > 0 { memory.addPartGradients(context: context) }
        }
        guard loss.loss.isFinite else {
            throw NetworkError(
                .diverged, "the loss is not finite at step \(statistics.steps + 1): lower the learning rate")
        }
        let factor = options.schedule.factor(
            epoch: sessionEpoch, step: stepInEpoch, stepsPerEpoch: schedule.stepsPerEpoch)
        memory.update(
            options, factor: factor, step: statistics.steps + 1, context: context)
        epochLoss += loss
        stepInEpoch += 1
        statistics.steps += 1
        statistics.examples += request.indices.count
        return loss
    }

    func labels(of request: BatchRequest) -> [Int] { request.indices.map { labels[$0] } }

    /// A weight can overflow in the very last update, after its loss was finite.
    func requireFinite() throws(NetworkError) {
        let count = memory.sizes.layout.totalCount
        guard UnsafeBufferPointer(start: memory.values, count: count).allSatisfy(\.isFinite) else {
            throw NetworkError(.diverged, "a weight is not finite any more: lower the learning rate")
        }
    }
}

/// A data set of which only the size is known.
private struct CountedPictures: PictureSource {
    let count: Int
    let boundary: String?
    func label(_ index: Int) -> Int { 0 }
    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {}
}

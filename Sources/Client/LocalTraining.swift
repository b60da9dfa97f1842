import Bundles
package import Federation
import Glibc
import Images
package import NeuralNetworks
package import Tensors
package import Wire

/// One round's training at one hospital: from a global model to an update's tensors and metrics. No files; the caller
/// keeps the checkpoint.
package struct LocalTraining {
    package let plan: Plan
    package let round: Int
    package let global: Model
    package let pictures: LocalPictures
    /// Of the memory, what the pictures leave.
    package let context: ComputeContext
    private let pictureBytes: Int
    /// What is trained and measured on: the pictures, or their features.
    private let training: any PictureSource
    private let validation: any PictureSource
    private let options: TrainingOptions

    /// What comes of a round, whole or partial.
    package struct Result {
        package let model: Model
        package let metrics: UpdateMetrics
    }

    package init(
        plan: Plan, round: Int, client: PartyName, global: Model, pictures: LocalPictures,
        features: LocalFeatures? = nil, context: ComputeContext
    ) {
        self.plan = plan
        self.round = round
        self.global = global
        self.pictures = pictures
        pictureBytes = LoadedDataset.bytes(
            count: pictures.training.count + pictures.validation.count, imageSize: plan.imageSize)
        self.context = context.with(memoryLimit: context.memoryLimit - pictureBytes)
        training = features?.training ?? pictures.training
        validation = features?.validation ?? pictures.validation
        let optimizer: Optimizer =
            switch plan.optimizer {
            case .adam: .adam
            case .sgd: .sgd(momentum: Float(plan.momentum))
            }
        options = TrainingOptions(
            epochs: plan.localEpochs, batchSize: plan.batchSize, optimizer: optimizer,
            learningRate: Float(plan.learningRate), headLearningRate: plan.headLearningRate.map { Float($0) },
            schedule: LearningRateSchedule(plan),
            weightDecay: Float(plan.weightDecay), proximalMu: Float(plan.strategy.mu),
            clipNorm: plan.clipNorm.map { Float($0) }, trainFrom: plan.trainFrom.rawValue,
            frozenBatchNorm: plan.batchNorm == .frozen, dropout: Float(plan.dropout),
            classWeights: plan.classWeights == .balanced ? Self.balancedWeights(pictures.training.classCounts) : nil,
            logitOffsets: Self.logitOffsets(pictures.training.classCounts, tau: plan.logitAdjustment),
            seed: Self.seed(plan: plan, client: client), firstEpoch: (round - 1) * plan.localEpochs)
    }

    /// A client's seed: the first eight bytes of SHA-256 over the plan's seed and the client's name, so that no two
    /// hospitals draw the same order, dropout and augmentation, and a rehearsal of the same federation draws them again.
    package static func seed(plan: Plan, client: PartyName) -> UInt64 {
        let digest = SHA256Hash.digest(of: Array("consilium training seed\n\(plan.seed)\n\(client.text)\n".utf8))
        return digest.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// N / (K n_c), as scikit-learn's "balanced"; a class without pictures weighs nothing.
    package static func balancedWeights(_ counts: [Int]) -> [Float] {
        let total = counts.reduce(0, +)
        return counts.map { $0 == 0 ? 0 : Float(total) / (Float(counts.count) * Float($0)) }
    }

    /// tau log pi_y with the hospital's own class frequencies pi, as FedLC (Zhang et al. 2022, arXiv 2209.00189) trains in
    /// federations: a hospital that rarely sees a tumour does not teach the others that it is rare. Each class counts one
    /// picture more than there are, so that one without pictures has a finite offset.
    package static func logitOffsets(_ counts: [Int], tau: Double) -> [Float]? {
        guard tau > 0 else { return nil }
        let total = Double(counts.reduce(0, +) + counts.count)
        return counts.map { Float(tau * log(Double($0 + 1) / total)) }
    }

    /// Memory that training will take, pictures included; known before any of it is taken.
    package func plannedBytes() throws -> Int {
        let tensors = try Trainer.plannedPeakBytes(
            model: global, options: options, pictures: pictures.training.count, boundary: training.boundary,
            context: context)
        return tensors + pictureBytes
    }

    /// A trainer at the start of the round, or where a checkpoint of this very round left off. A checkpoint of anything
    /// else (an earlier round, other pictures by now) is of no use and training begins anew.
    package func trainer(checkpoint: [UInt8]?) throws -> (trainer: Trainer, resumed: Bool) {
        if let checkpoint {
            do {
                return (
                    try Trainer(
                        resuming: checkpoint, model: global, options: options, data: training,
                        context: context), true
                )
            } catch  where error.reason == .invalidCheckpoint {}
        }
        return (try Trainer(model: global, options: options, data: training, context: context), false)
    }

    /// The trained model, its BatchNorm statistics taken anew under its final weights.
    package func finalModel(of trainer: Trainer) throws -> Model {
        try trainer.recomputeBatchNormStatistics()
        return trainer.model
    }

    /// The received model with the BatchNorm statistics of this hospital's training pictures.
    ///
    /// The average of the hospitals' statistics belongs to none of their networks, least of all to the average of their
    /// weights, and it costs the global model several points. Its weights are right, and what is missing needs no labels
    /// and no training: one pass forward. Li et al. 2016 ("Revisiting Batch Normalization for Practical Domain Adaptation",
    /// arXiv 1603.04779) call it AdaBN; Li et al. 2021 (FedBN, arXiv 2102.07623) keep each hospital's statistics for the
    /// same reason.
    ///
    /// - Returns: nil where the plan freezes BatchNorm, whose statistics then are not averages.
    package func fitted() throws -> Model? {
        guard plan.batchNorm == .training else { return nil }
        return try finalModel(of: trainer(checkpoint: nil).trainer)
    }

    /// The temperature that fits the hospital's validation pictures; nil where they are too few.
    package func calibration(of model: Model) throws -> Calibration? {
        let probabilities = try predictProbabilities(model: model, data: validation, context: context)
        return Calibration(fitting: probabilities, labels: (0..<validation.count).map { validation.label($0) })
    }

    /// Scores the global and the trained model on the hospital's validation pictures.
    package func result(of trainer: Trainer) throws -> Result {
        let statistics = trainer.statistics
        let model = try finalModel(of: trainer)
        let metrics = UpdateMetrics(
            round: round, steps: statistics.steps, examples: statistics.examples, pictures: pictures.training.count,
            epochsDone: statistics.epochsCompleted, epochsPlanned: plan.localEpochs,
            partial: statistics.epochsCompleted < plan.localEpochs, lossPerEpoch: statistics.lossPerEpoch,
            instructionSet: context.instructionSet.rawValue, global: try scores(of: global),
            trained: try scores(of: model))
        return Result(model: model, metrics: metrics)
    }

    /// Nil where too few validation pictures are there to say anything that may leave the hospital.
    private func scores(of model: Model) throws -> Scores? {
        guard pictures.validation.count >= FederationLimits.minimumSupport else { return nil }
        return Scores(try evaluate(model, on: validation, context: context))
    }
}

extension LearningRateSchedule {
    init(_ plan: Plan) {
        let shape: Shape =
            switch plan.schedule.shape {
            case .constant: .constant
            case .cosine(let floor): .cosine(floor: floor)
            case .step(let every, let factor): .step(every: every, factor: factor)
            }
        self.init(shape, warmup: plan.schedule.warmup, total: plan.rounds * plan.localEpochs)
    }
}

/// A model's figures on labelled pictures.
package func evaluate(
    _ model: Model, on pictures: some PictureSource, context: ComputeContext
) throws -> ClassificationMetrics {
    let probabilities = try predictProbabilities(model: model, data: pictures, context: context)
    return ClassificationMetrics(
        probabilities: probabilities, labels: (0..<pictures.count).map { pictures.label($0) },
        classes: model.specification.classes)
}

extension Scores {
    /// Counts and sums, which add up over hospitals.
    package init(_ metrics: ClassificationMetrics) {
        let predicted = metrics.confusion.indices.map { column in metrics.confusion.reduce(0) { $0 + $1[column] } }
        self.init(
            support: metrics.support, correct: metrics.correct, loss: metrics.loss,
            classes: metrics.perClass.enumerated().map { index, score in
                ClassScore(
                    name: score.name, support: score.support, correct: metrics.confusion[index][index],
                    predicted: predicted[index], auroc: score.auroc)
            })
    }
}

/// The optimisers, with the formulas of `torch.optim`; weight decay is coupled (added to the gradient) in both.
package enum Optimizer: Equatable, Sendable {
    /// `v = momentum v + g; w -= rate v`, v starting as the first gradient.
    case sgd(momentum: Float)
    /// Kingma and Ba 2015, algorithm 1, with bias correction.
    case adam(beta1: Float, beta2: Float, epsilon: Float)

    package static let adam = Optimizer.adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
}

/// How to train. Fixed for the life of a ``Trainer``, and part of a checkpoint's fingerprint.
package struct TrainingOptions: Equatable, Sendable {
    package var epochs: Int
    package var batchSize: Int
    package var optimizer: Optimizer
    package var learningRate: Float
    /// The head's own rate, under the same schedule; nil for ``learningRate``. A new head has far to go where pretrained
    /// layers have not (Howard and Ruder 2018, arXiv 1801.06146, section 3.2, "discriminative fine-tuning").
    package var headLearningRate: Float?
    package var schedule: LearningRateSchedule
    package var weightDecay: Float
    /// FedProx's mu (Li et al. 2020, arXiv 1812.06127, eq. 2): mu (w - w_global) is added to the gradient.
    package var proximalMu: Float
    /// The longest gradient, FedProx's term included, that goes into a step; nil for any length.
    package var clipNorm: Float?
    /// The first part that trains: `all`, `stem`, `layer1`, ..., `head`.
    package var trainFrom: String
    /// BatchNorm uses its running statistics and keeps them, its weight and its bias, as torchvision's
    /// `FrozenBatchNorm2d`. Parts before `trainFrom` are always so.
    package var frozenBatchNorm: Bool
    /// Rate, 0 to below 1, of the architecture's dropout layers.
    package var dropout: Float
    /// One weight a class; nil weighs all alike.
    package var classWeights: [Float]?
    /// Added to the logits in the training loss, and nowhere else; one a class, nil for none. With the logarithms of the
    /// class frequencies, tau log pi_y, this is logit adjustment (Menon et al. 2021, arXiv 2007.07314, eq. 10): what the
    /// frequencies explain, the network need not learn.
    package var logitOffsets: [Float]?
    package var seed: UInt64
    /// Number of the first epoch in the whole session: order, augmentation and dropout differ from round to round.
    package var firstEpoch: Int

    package init(
        epochs: Int = 1, batchSize: Int = 32, optimizer: Optimizer = .adam, learningRate: Float = 1e-3,
        headLearningRate: Float? = nil, schedule: LearningRateSchedule = .constant, weightDecay: Float = 0,
        proximalMu: Float = 0,
        clipNorm: Float? = nil, trainFrom: String = "all", frozenBatchNorm: Bool = false,
        dropout: Float = 0, classWeights: [Float]? = nil, logitOffsets: [Float]? = nil, seed: UInt64 = 0,
        firstEpoch: Int = 0
    ) {
        self.epochs = epochs
        self.batchSize = batchSize
        self.optimizer = optimizer
        self.learningRate = learningRate
        self.headLearningRate = headLearningRate
        self.schedule = schedule
        self.weightDecay = weightDecay
        self.proximalMu = proximalMu
        self.clipNorm = clipNorm
        self.trainFrom = trainFrom
        self.frozenBatchNorm = frozenBatchNorm
        self.dropout = dropout
        self.classWeights = classWeights
        self.logitOffsets = logitOffsets
        self.seed = seed
        self.firstEpoch = firstEpoch
    }

    /// - Throws: ``NetworkError`` naming the first option that is out of range.
    func check(classes: Int) throws(NetworkError) {
        func require(_ holds: Bool, _ text: String) throws(NetworkError) {
            if !holds { throw NetworkError(.invalidOptions, text) }
        }
        func inRange(_ value: Float, _ low: Float, _ high: Float) -> Bool { value >= low && value <= high }
        try require((1...100_000).contains(epochs), "epochs must be 1 to 100000, not \(epochs)")
        try require((1...4_096).contains(batchSize), "batch size must be 1 to 4096, not \(batchSize)")
        try require(learningRate > 0 && learningRate <= 100, "learning rate must be above 0, to 100")
        if let headLearningRate {
            try require(
                headLearningRate > 0 && headLearningRate <= 100, "the head's learning rate must be above 0, to 100")
        }
        try require(inRange(weightDecay, 0, 10), "weight decay must be 0 to 10")
        try require(inRange(proximalMu, 0, 100), "mu must be 0 to 100")
        if let clipNorm { try require(clipNorm > 0 && clipNorm <= 1e6, "clip norm must be above 0, to 1000000") }
        try schedule.check()
        try require(inRange(dropout, 0, 0.95), "dropout must be 0 to 0.95")
        try require(firstEpoch >= 0 && firstEpoch < 1 << 40, "first epoch must not be negative")
        switch optimizer {
        case .sgd(let momentum):
            try require(momentum >= 0 && momentum < 1, "momentum must be 0 to below 1")
        case .adam(let beta1, let beta2, let epsilon):
            try require(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1, "adam's betas must be 0 to below 1")
            try require(epsilon > 0 && epsilon < 1, "adam's epsilon must be above 0, below 1")
        }
        if let logitOffsets {
            try require(logitOffsets.count == classes, "logit offsets must be \(classes), one a class")
            try require(logitOffsets.allSatisfy { abs($0) <= 100 }, "logit offsets must be -100 to 100")
        }
        if let classWeights {
            try require(classWeights.count == classes, "class weights must be \(classes), one a class")
            let areUsable = classWeights.allSatisfy { $0 >= 0 && $0 <= 1e6 } && classWeights.contains { $0 > 0 }
            try require(areUsable, "class weights must be 0 to 1000000, not all 0")
        }
    }
}

/// What was done, over all runs of one training.
package struct TrainingStatistics: Equatable, Sendable {
    package var steps = 0
    /// Pictures that took part in a step, counted once an epoch each.
    package var examples = 0
    package var epochsCompleted = 0
    /// The weighted mean training loss of each completed epoch.
    package var lossPerEpoch: [Double] = []
}

/// Where a training stands, told after each step.
package struct TrainingProgress: Equatable, Sendable {
    /// Counted from 0, of this training.
    package let epoch: Int
    package let epochs: Int
    /// Steps done in this epoch.
    package let step: Int
    package let stepsPerEpoch: Int
    /// The batch's mean loss.
    package let loss: Double
    package let examples: Int

    /// 0 to 1.
    package var fraction: Double {
        (Double(epoch) + Double(step) / Double(stepsPerEpoch)) / Double(epochs)
    }
}

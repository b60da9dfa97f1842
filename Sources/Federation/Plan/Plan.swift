package import Tensors
package import Wire

/// `plan.json`: the declarative recipe of a session. The same keys as the server's configuration, all of them present,
/// fixed for the session; never code. Its SHA-256 is in every decision.
package struct Plan: Message {
    package static let fileName = "plan.json"

    package var architecture: String
    package var classes: [String]
    /// Edge of the square input, in pixels.
    package var imageSize: Int
    package var crop: InputCrop
    package var rounds: Int
    package var localEpochs: Int
    package var batchSize: Int
    package var optimizer: OptimizerKind
    package var learningRate: Double
    /// The head's own; nil for `learningRate`.
    package var headLearningRate: Double?
    package var schedule: LearningRateRule
    /// Of `sgd`; ignored by `adam`.
    package var momentum: Double
    package var weightDecay: Double
    /// The longest gradient of a step, FedProx's term included; nil for any length.
    package var clipNorm: Double?
    package var trainFrom: TrainFrom
    package var augmentation: Augmentation
    /// How many views of each picture pass the frozen layers, once, whose values are then kept for all epochs; 0: every
    /// epoch computes its own.
    package var featureViews: Int
    package var strategy: Strategy
    package var quorum: Quorum
    /// From a round's publication to its deadline, in seconds.
    package var deadline: Int64
    package var late: LatePolicy
    package var earlyStop: EarlyStop?
    package var batchNorm: BatchNormMode
    package var dropout: Double
    package var classWeights: ClassWeighting
    /// Tau of logit adjustment by each hospital's own class frequencies; 0 for none.
    package var logitAdjustment: Double
    package var seed: Int64

    /// Every key of a plan in alphabetical order, for `doctor` and for "did you mean".
    package static let keys = [
        "architecture", "augmentation", "batch_norm", "batch_size", "class_weights", "classes", "clip_norm", "crop",
        "deadline",
        "dropout", "early_stop", "feature_views", "head_learning_rate", "image_size", "late", "learning_rate",
        "local_epochs",
        "logit_adjustment", "momentum",
        "optimizer",
        "quorum", "rounds", "schedule", "seed", "strategy", "train_from", "weight_decay",
    ]

    /// What comes with the model, and no plan's author sets.
    package static let modelKeys: Set<String> = ["architecture", "classes"]

    package var json: JSONValue {
        [
            "architecture": .string(architecture), "classes": JSONValue(classes), "image_size": JSONValue(imageSize),
            "crop": .string(crop.rawValue), "rounds": JSONValue(rounds), "local_epochs": JSONValue(localEpochs),
            "batch_size": JSONValue(batchSize),
            "optimizer": .string(optimizer.rawValue), "learning_rate": .number(learningRate),
            "head_learning_rate": headLearningRate.map { .number($0) } ?? .null,
            "schedule": schedule.json, "momentum": .number(momentum), "weight_decay": .number(weightDecay),
            "clip_norm": clipNorm.map { .number($0) } ?? .null,
            "train_from": .string(trainFrom.rawValue), "augmentation": augmentation.json,
            "feature_views": JSONValue(featureViews), "strategy": strategy.json,
            "quorum": quorum.json, "deadline": .string(DurationText.text(deadline)), "late": .string(late.rawValue),
            "early_stop": earlyStop?.json ?? .null, "batch_norm": .string(batchNorm.rawValue),
            "dropout": .number(dropout), "class_weights": .string(classWeights.rawValue),
            "logit_adjustment": .number(logitAdjustment), "seed": .integer(seed),
        ]
    }

    package init(reading object: inout ObjectReader) throws {
        architecture = try object.text("architecture", maximumLength: 64)
        classes = try object.classes("classes")
        imageSize = try object.count("image_size", in: FederationLimits.imageSize)
        crop = try object.choice("crop")
        rounds = try object.count("rounds", in: FederationLimits.rounds)
        localEpochs = try object.count("local_epochs", in: FederationLimits.localEpochs)
        batchSize = try object.count("batch_size", in: FederationLimits.batchSize)
        optimizer = try object.choice("optimizer")
        learningRate = try object.number("learning_rate", in: FederationLimits.learningRate)
        headLearningRate = try object.optionalNumber("head_learning_rate", in: FederationLimits.learningRate)
        schedule = try LearningRateRule(try object.value("schedule"))
        momentum = try object.number("momentum", in: FederationLimits.momentum)
        weightDecay = try object.number("weight_decay", in: FederationLimits.weightDecay)
        clipNorm = try object.optionalNumber("clip_norm", in: FederationLimits.clipNorm)
        trainFrom = try object.choice("train_from")
        augmentation = try Augmentation(try object.value("augmentation"))
        featureViews = Int(try object.integer("feature_views", in: FederationLimits.featureViews))
        strategy = try Strategy(try object.value("strategy"))
        quorum = try Quorum(try object.value("quorum"))
        deadline = try DurationText.seconds(try object.value("deadline"), key: "deadline")
        guard FederationLimits.deadline.contains(deadline) else {
            throw object.problem("deadline", "must be from 10m to 730d")
        }
        if try object.string("late", maximumLength: 16) == "merge" {
            throw object.problem("late", "merge is not available yet; use drop")
        }
        late = try object.choice("late")
        earlyStop = try object.optionalNested("early_stop", EarlyStop.init(reading:))
        batchNorm = try object.choice("batch_norm")
        dropout = try object.number("dropout", in: FederationLimits.dropout)
        classWeights = try object.choice("class_weights")
        logitAdjustment = try object.number("logit_adjustment", in: FederationLimits.logitAdjustment)
        guard classWeights == .none || logitAdjustment == 0 else {
            throw object.problem("logit_adjustment", "makes up for rare classes, as class_weights do; use one of them")
        }
        seed = try object.integer("seed", in: FederationLimits.seed)
    }
}

extension Plan {
    /// The plan of a session with a single participant: a quorum of others would wait for ever.
    package var trainingAlone: Plan {
        var plan = self
        plan.quorum = .all
        return plan
    }
}

/// Durations as people write them: a whole number and `d`, `h`, `m` or `s`.
package enum DurationText {
    private static let units: [(letter: Character, seconds: Int64)] = [
        ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1),
    ]

    /// The shortest exact form, in the largest unit that divides.
    package static func text(_ seconds: Int64) -> String {
        let unit = units.first { seconds % $0.seconds == 0 } ?? ("s", 1)
        return "\(seconds / unit.seconds)\(unit.letter)"
    }

    /// - Parameter value: anything; a number without a unit, say, gets the same answer as a unit without a number.
    package static func seconds(_ value: JSONValue, key: String) throws(FederationError) -> Int64 {
        guard case .string(let text) = value else { return try seconds("", key: key) }
        return try seconds(text, key: key)
    }

    package static func seconds(_ text: String, key: String) throws(FederationError) -> Int64 {
        let digits = text.dropLast()
        guard let unit = units.first(where: { $0.letter == text.last }), (1...9).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int64(digits)
        else {
            throw FederationError(.badPlan, "\(key): must be a duration such as 14d, 12h or 30m")
        }
        return count * unit.seconds
    }
}

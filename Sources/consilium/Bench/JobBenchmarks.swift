import ArgumentParser
import Client
import Federation
import Files
import Images
import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// Where the pictures of a whole job lie.
struct JobOptions: ParsableArguments {
    @Option(help: "Also time a whole job: class folders of pictures to train on. Needs --test and --model.") var job:
        String?
    @Option(help: "Class folders of pictures that the job's model is scored on, untimed.") var test: String?
    @Option(help: "The job's first model, a file of 'model import --output'; it trains its head.") var model: String?
    @Option(help: "Epochs of the job.") var epochs = 5
    @Option(help: "Augmented views of each picture that the job sees: one job for each number.") var views = "1,5"

    func validate() throws {
        guard job != nil else {
            if test != nil || model != nil { throw ValidationError("--test and --model belong to --job") }
            return
        }
        if test == nil || model == nil { throw ValidationError("--job needs --test and --model") }
        if !FederationLimits.localEpochs.contains(Int64(epochs)) { throw ValidationError("--epochs is out of range") }
        _ = try viewCounts()
    }

    func viewCounts() throws -> [Int] {
        try views.split(separator: ",").map { text in
            guard let count = Int64(text), count > 0, FederationLimits.featureViews.contains(count) else {
                throw ValidationError("--views: '\(text)' is not a number of views, 1 to 64")
            }
            return Int(count)
        }
    }
}

/// A hospital's whole night: JPEG files in, a trained head out. Decoding, resizing, augmenting, the frozen layers and
/// every epoch are timed; writing the features to disk is, too.
///
/// A peer does the same in its usual way, each epoch decoding and augmenting anew and running the frozen layers. With as
/// many views as epochs ours runs them as often as the peer; with fewer it does not compute twice what it kept.
struct JobBenchmarks {
    let train: FilePath
    let test: FilePath
    let modelFile: FilePath
    let epochs: Int
    let views: [Int]
    let batch: Int
    let context: ComputeContext

    private static let learningRate = 1e-4
    private static let dropout = 0.5
    private static let augmentation: (rotation: Int, zoom: Double, shift: Double) = (10, 0.1, 0.05)

    /// - Throws: where the options name no usable model; nil where no job is asked for.
    init?(_ options: JobOptions, batch: Int, context: ComputeContext) throws {
        guard let job = options.job, let test = options.test, let model = options.model else { return nil }
        train = Environment.path(job)
        self.test = Environment.path(test)
        modelFile = Environment.path(model)
        epochs = options.epochs
        views = try options.viewCounts()
        self.batch = batch
        self.context = context
    }

    func benchmarks() throws -> [Benchmark] {
        let files = LocalFileSystem()
        let start = try ModelFile(reading: try InputFile.file(modelFile.string)).model()
        let pictures = try Dataset.scan(train, classes: start.specification.classes, files: files).items.count
        return try views.map { views in
            let plan = try plan(views: views, start.specification)
            let job = Job(benchmarks: self, start: start, plan: plan)
            return Benchmark(
                group: .job, name: "\(epochs) epochs of the head, \(views) \(views == 1 ? "view" : "views") a picture",
                work: Double(pictures * epochs), unit: .pictures, isWarmedUp: false, request: request(start, plan),
                prepare: { { try job.run() } }, score: { try job.score() })
        }
    }

    private func plan(views: Int, _ specification: ModelSpecification) throws -> Plan {
        let (rotation, zoom, shift) = Self.augmentation
        return try PlanDefaults.plan(
            layers: [
                [
                    "rounds": 1, "local_epochs": .integer(Int64(epochs)), "batch_size": .integer(Int64(batch)),
                    "learning_rate": .number(Self.learningRate), "train_from": "head", "dropout": .number(Self.dropout),
                    "augmentation": [
                        "rotation": .integer(Int64(rotation)), "zoom": .number(zoom), "shift": .number(shift),
                        "horizontal_flip": true,
                    ],
                    "feature_views": .integer(Int64(views)), "strategy": "fedavg",
                ]
            ], architecture: specification.architecture.rawValue, classes: specification.classes,
            imageSize: specification.imageSize, crop: specification.crop, context: "the job")
    }

    private func request(_ start: Model, _ plan: Plan) -> JSONValue {
        let specification = start.specification
        return [
            "kind": "job", "train": .string(train.string), "test": .string(test.string),
            "model": .string(modelFile.string), "architecture": .string(specification.architecture.rawValue),
            "classes": .array(specification.classes.map { .string($0) }),
            "size": .integer(Int64(specification.imageSize)),
            "mean": .array(specification.normalization.mean.map { .number(Double($0)) }),
            "std": .array(specification.normalization.std.map { .number(Double($0)) }),
            "batch": .integer(Int64(batch)), "epochs": .integer(Int64(epochs)),
            "learning_rate": .number(plan.learningRate),
            "dropout": .number(plan.dropout), "augmentation": plan.augmentation.json,
        ]
    }
}

/// One job, and the model that it made.
private final class Job {
    private let benchmarks: JobBenchmarks
    private let start: Model
    private let plan: Plan
    private var trained: Model?

    init(benchmarks: JobBenchmarks, start: Model, plan: Plan) {
        self.benchmarks = benchmarks
        self.start = start
        self.plan = plan
    }

    /// As a hospital's tick trains, without its home: nothing is kept for validation, nothing sent.
    func run() throws {
        guard let client = PartyName("hospital") else { return }
        let folder = try TemporaryFolder.make(hint: "set TMPDIR to a folder of yours with some gigabytes of room")
        defer { try? LocalFileSystem().removeTree(folder) }
        let pictures = try load(benchmarks.train)
        let cache = FeatureCache(
            folder: folder, files: LocalFileSystem(), limit: .max, context: benchmarks.context)
        let features = try cache.features(
            "job", plan: plan, model: start, pictures: pictures, shouldStop: { false })
        let training = LocalTraining(
            plan: plan, round: 1, client: client, global: start, pictures: pictures, features: features,
            context: benchmarks.context)
        let trainer = try training.trainer(checkpoint: nil).trainer
        _ = try trainer.run(shouldStop: { false })
        trained = try training.finalModel(of: trainer)
    }

    func score() throws -> Double {
        guard let trained else { return .nan }
        return try evaluate(trained, on: try load(benchmarks.test).training, context: benchmarks.context).accuracy
    }

    private func load(_ folder: FilePath) throws -> LocalPictures {
        try LocalPictures.load(
            folder, specification: start.specification, augmentation: plan.augmentation, validation: 0,
            seed: UInt64(plan.seed), files: LocalFileSystem(), context: benchmarks.context)
    }
}

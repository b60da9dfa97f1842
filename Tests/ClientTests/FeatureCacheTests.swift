import Client
import Federation
import Files
import Glibc
import Images
import NeuralNetworks
import SystemPackage
import Tensors
import Testing
import Wire

/// Rules: 1. features are computed once, and again when anything that they depend on changed; 2. the file is the owner's
/// alone; 3. a limit is kept, and nothing half done stays; 4. no plan gets features that it did not ask for.
@Suite struct FeatureCacheTests {
    private let folder: FilePath
    private let files = LocalFileSystem()

    init() throws {
        var template = Array("/tmp/consilium-features-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        folder = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        for name in ["cache", "mri/a", "mri/b"] { try files.makeDirectories(folder.pushing(FilePath(name))) }
        for index in 0..<12 { try draw(index) }
    }

    private func draw(_ index: Int, seed: UInt64 = 1) throws {
        let phantom = PhantomGenerator.draw(PhantomClass.allCases[index % 2], seed: seed, index: index, size: 40)
        let image = DecodedImage(width: 40, height: 40, channels: 1, pixels: phantom.pixels)
        let name = "mri/\(index % 2 == 0 ? "a" : "b")/\(index).png"
        try files.writeFile(folder.pushing(FilePath(name)), try ImageEncoder.png(image))
    }

    private func plan(_ changes: [String: JSONValue] = [:]) throws -> Plan {
        let usual: JSONValue = ["train_from": "layer3", "batch_norm": "frozen", "feature_views": 2]
        return try PlanDefaults.plan(
            layers: [usual, .object(changes)], architecture: "smallcnn", classes: ["a", "b"], imageSize: 32,
            context: "test")
    }

    private func model(seed: UInt64 = 1) throws -> Model {
        try Model(
            initializing: ModelSpecification(architecture: .smallcnn, classes: ["a", "b"], imageSize: 32), seed: seed)
    }

    private func pictures(_ model: Model, _ plan: Plan) throws -> LocalPictures {
        try LocalPictures.load(
            folder.appending("mri"), specification: model.specification, augmentation: plan.augmentation,
            validation: 0.2, seed: 1, files: files, context: ComputeContext())
    }

    /// - Returns: the features, the picture up to which they were computed, and the first batch's end.
    private func features(
        _ plan: Plan, _ model: Model, limit: Int64 = .max, segmentBytes: Int = 64 << 20,
        shouldStop: () -> Bool = { false }
    ) throws -> (features: LocalFeatures?, computed: Int, firstBatch: Int?) {
        let cache = FeatureCache(
            folder: folder.appending("cache"), files: files, limit: limit, context: ComputeContext(),
            segmentBytes: segmentBytes)
        var computed = 0
        var firstBatch: Int?
        let features = try cache.features(
            "session", plan: plan, model: model, pictures: try pictures(model, plan), shouldStop: shouldStop,
            progress: { done, _ in
                computed = max(computed, done)
                firstBatch = firstBatch ?? done
            })
        return (features, computed, firstBatch)
    }

    private var names: [String] { get throws { try files.list(folder.appending("cache")).map(\.name).sorted() } }

    @Test func featuresAreComputedOnceAndKeptForTheOwner() throws {
        defer { try? files.removeTree(folder) }
        let (plan, model) = (try plan(), try model())
        let first = try features(plan, model)
        #expect(first.computed > 0)
        #expect(first.features?.training.boundary == "layer3.pool")
        #expect(try names == ["session-training-0.features", "session-validation-0.features"])
        for name in try names {
            #expect(try files.status(folder.appending("cache").appending(name))?.permissions == 0o600)
        }
        #expect(try features(plan, model).computed == 0)
    }

    @Test func whateverTheyDependOnMakesThemAnew() throws {
        defer { try? files.removeTree(folder) }
        let (usual, model) = (try plan(), try model())
        #expect(try features(usual, model).computed > 0)
        let others: [(Plan, Model)] = [
            (usual, try self.model(seed: 2)), (try plan(["feature_views": 3]), model),
            (try plan(["augmentation": false]), model), (try plan(["train_from": "layer4"]), model),
        ]
        for (plan, other) in others {
            #expect(try features(plan, other).computed > 0)
            #expect(try features(usual, model).computed > 0)
        }
        #expect(try features(usual, model).computed == 0)
        try draw(0, seed: 2)
        #expect(try features(usual, model).computed > 0, "a picture was replaced")
        // The frozen layers alone count: the head may learn what it likes.
        var trained = TensorDictionary()
        if var bias = model.tensors["fc.bias"] {
            bias.tensor = Tensor(shape: [2], values: [1, 2])
            trained["fc.bias"] = bias
        }
        #expect(try features(usual, try model.replacing(trained)).computed == 0)
    }

    @Test func aLimitIsKept() throws {
        defer { try? files.removeTree(folder) }
        let (plan, model) = (try plan(), try model())
        #expect(throws: ClientError.self) { try features(plan, model, limit: 1_000) }
        #expect(try names.isEmpty)
    }

    @Test func aStoppedRunLeavesNothingHalfDone() throws {
        defer { try? files.removeTree(folder) }
        for index in 12..<120 { try draw(index) }
        let (plan, model) = (try plan(), try model())
        let stopped = try features(plan, model, shouldStop: { true })
        #expect(stopped.features == nil && stopped.computed > 0)
        #expect(try names.isEmpty)
        #expect(try features(plan, model).features != nil)
    }

    @Test func aStoppedRunGoesOnBehindItsWholeSegmentsAndFindsTheSameValues() throws {
        defer { try? files.removeTree(folder) }
        let (plan, model) = (try plan(), try model())
        let count = try #require(try features(plan, model).features).training.valueCount
        let whole = try values(#require(features(plan, model).features).training)
        try files.removeTree(folder.appending("cache"))

        // Three pictures of two views a segment.
        let segment = 3 * 2 * count * 2
        var asked = 0
        let stopped = try features(
            plan, model, segmentBytes: segment,
            shouldStop: {
                asked += 1
                return asked > 1
            })
        #expect(stopped.features == nil)
        #expect(try names == ["session-training-0.features", "session-training-1.features"])
        let rest = try features(plan, model, segmentBytes: segment)
        #expect(rest.firstBatch == 9, "two segments of three were there")
        let features = try #require(rest.features)
        #expect(features.training.count == 10 && whole.count == 10 * count)
        #expect(values(features.training) == whole)
        #expect(try self.features(plan, model, segmentBytes: segment).computed == 0)

        // A picture of the last segment alone is new; then there are fewer pictures.
        try draw(11, seed: 5)
        #expect(try self.features(plan, model, segmentBytes: segment).computed > 0)
        let before = try names
        for index in 6..<12 {
            try files.remove(folder.pushing(FilePath("mri/\(index % 2 == 0 ? "a" : "b")/\(index).png")))
        }
        #expect(try self.features(plan, model, segmentBytes: segment).features != nil)
        #expect(try names.count < before.count)
    }

    private func values(_ set: FeatureSet) -> [Float] {
        (0..<set.count).flatMap { index in
            var values = [Float](repeating: .nan, count: set.valueCount)
            values.withUnsafeMutableBufferPointer { set.fill(index, epoch: 1, into: $0) }
            return values
        }
    }

    private struct TooMuch: Error {}

    @Test func memoryIsAskedForBeforeItIsTakenAndAFolderThatIsGoneIsMadeAgain() throws {
        defer { try? files.removeTree(folder) }
        let (plan, model) = (try plan(), try model())
        let pictures = try pictures(model, plan)
        try files.removeTree(folder.appending("cache"))
        var asked = 0
        let cache = FeatureCache(
            folder: folder.appending("cache"), files: files, limit: .max, context: ComputeContext(),
            requireMemory: {
                asked = $0
                throw TooMuch()
            })
        #expect(throws: TooMuch.self) {
            try cache.features("session", plan: plan, model: model, pictures: pictures, shouldStop: { false })
        }
        #expect(asked > 100_000)
        #expect(try !files.exists(folder.appending("cache")))
        #expect(try features(plan, model).features != nil)
    }

    @Test func onlyAPlanThatAsksGetsFeatures() throws {
        defer { try? files.removeTree(folder) }
        let model = try model()
        for changes in [["feature_views": 0], ["train_from": "all"]] as [[String: JSONValue]] {
            #expect(try features(try plan(changes), model).features == nil)
        }
        #expect(try names.isEmpty)
    }
}

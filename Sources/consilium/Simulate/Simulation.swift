import Client
import Federation
import Files
import Images
import Mailbox
import NeuralNetworks
import Reports
import Server
import SystemPackage
import Tensors
import Wire

/// A whole federation in one folder, on one machine: the real homes, bundles and ticks, carried by copying files from outbox
/// to inbox; nothing is shortened in memory. The clock is the simulation's own, a minute a tick.
struct Simulation {
    struct Options {
        var clients: Int
        var architecture: Architecture
        var imageSize: Int
        var test: Double
        var skew: Double
        var seed: UInt64
        /// Keys of a plan, over the server's defaults.
        var plan: JSONValue
        var groups: FilePath?
        /// The first model; random weights where nil.
        var initial: Model?
        /// Score the average over each test picture and its mirror image.
        var mirror = false
    }

    /// Test figures after each round's worth of epochs, the untrained model in front.
    struct Curve {
        let name: String
        let test: [ClassificationMetrics]
    }

    /// How one tick went.
    struct TickFigures {
        let party: String
        let seconds: Double
    }

    let data: FilePath
    let root: FilePath
    let options: Options
    let context: ComputeContext
    /// Told what happens, a line each.
    let say: (String) -> Void
    let watch: TrainingWatch
    private let files = LocalFileSystem()

    var pictures: FilePath { root.appending("pictures") }
    var test: FilePath { pictures.appending("test") }
    private var serverHome: FilePath { root.appending("server") }
    private func clientHome(_ index: Int) -> FilePath { root.appending("client-\(index)") }

    init(
        data: FilePath, root: FilePath, options: Options, context: ComputeContext, watch: TrainingWatch,
        say: @escaping (String) -> Void
    ) {
        self.data = data
        self.root = root
        self.options = options
        self.context = context
        self.watch = watch
        self.say = say
    }

    /// What came of it.
    struct Outcome {
        let session: Session
        let split: FolderSplit
        /// Every round's model on the test pictures, and the first one's in front.
        let test: [ClassificationMetrics]
        /// The same models as each hospital would install them, with its own BatchNorm statistics; empty where the plan
        /// freezes BatchNorm.
        let installed: [Curve]
        let ticks: [TickFigures]
        let classes: [String]
        let plan: Plan
        /// The model that the federation began with.
        let initial: Model
    }

    func run(start: Timestamp) throws -> Outcome {
        let split = try FolderSplit.run(
            data, to: pictures,
            options: Splitter.Options(
                clients: options.clients, test: options.test, skew: options.skew, seed: options.seed),
            table: try options.groups.map { try GroupTable(reading: $0, files: files) }, files: files, context: context)
        try requireClasses(split)
        let specification = try ModelSpecification(
            architecture: options.architecture, classes: split.classes, imageSize: options.imageSize)
        try files.makeDirectories(root.appending("cache"))
        let initial = try options.initial ?? Model(initializing: specification, seed: options.seed)
        guard initial.specification.classes == split.classes else {
            throw CommandFailure(
                .badData,
                "the model's classes are \(initial.specification.classes.joined(separator: ", ")), the pictures' "
                    + split.classes.joined(separator: ", "))
        }
        var clock = start
        try enrol(initial, &clock)
        var ticks: [TickFigures] = []
        let session = try train(&clock, &ticks)
        guard let plan = session.plan else {
            throw CommandFailure(.internalError, "the simulated session never started")
        }
        // What the hospitals saw of their pictures, the plan says; the test pictures are seen in the same way.
        let seen = try ModelSpecification(
            architecture: options.architecture, classes: split.classes, imageSize: plan.imageSize, crop: plan.crop)
        let models = try rounds(session, seen)
        return Outcome(
            session: session, split: split, test: try scores(models, plan), installed: try installed(models, plan),
            ticks: ticks, classes: split.classes, plan: plan,
            initial: try Model(seen, tensors: initial.tensors))
    }

    /// Said now, of what the caller gave, and not by a hospital of a folder that only this simulation knows.
    private func requireClasses(_ split: FolderSplit) throws {
        let poor = split.parts.filter { $0.name != "test" && $0.counts.count { $0 > 0 } < 2 }
        guard let first = poor.first else { return }
        let who = first.name + (poor.count > 1 ? " and \(poor.count - 1) more" : "")
        throw CommandFailure(
            .usage,
            "\(who) of \(options.clients) hospitals would get pictures of fewer than two classes, which cannot be trained on",
            hint: "use fewer --clients" + (options.skew > 0 ? ", less --skew" : "") + ", or more pictures")
    }

    // MARK: steps

    private func enrol(_ initial: Model, _ clock: inout Timestamp) throws {
        var generator = SystemRandomNumberGenerator()
        guard let name = PartyName("simulated-server") else { return }
        let server = try ServerHome.create(
            at: serverHome, name: name, federation: RandomID(using: &generator), now: clock, files: files
        ).home
        if options.clients == 1 {
            // A named session usually waits for a second hospital.
            try files.appendFile(server.configurationPath, Array("minimum_clients: 1\n".utf8))
        }
        let metadata = ModelMetadata(
            architecture: options.architecture.rawValue, classes: initial.specification.classes,
            imageSize: options.imageSize, crop: initial.specification.crop)
        _ = try VersionStore(home: server).install(
            encoded: try Safetensors.encode(initial.tensors, metadata: metadata.fields), metadata: metadata,
            origin: .initialized, note: "simulation", now: clock)
        let invite = try serverRun(clock).invite().path
        for index in 1...options.clients {
            let checked = try ClientHome.check(invite, now: clock, files: files)
            guard let name = PartyName("client-\(index)") else { continue }
            _ = try ClientHome.create(
                at: clientHome(index), name: name, invite: checked, data: pictures.appending("client-\(index)"),
                contact: "", now: clock, files: files)
        }
        try carryToServer()
        clock = clock.adding(seconds: 60)
        _ = try ServerRun.tick(try Home.open(serverHome, files: files), now: clock)
        let desk = Desk.enrolments(server)
        for item in try desk.scan(isAccepted: { _ in true }).items(.pending) { try desk.move(item, to: .approved) }
        for index in 1...options.clients {
            clock = clock.adding(seconds: 60)
            let run = try clientRun(index, clock)
            _ = try run.request(wishes: .none, message: "", actor: "simulation")
            try run.settle()
        }
        try carryToServer()
        clock = clock.adding(seconds: 60)
        _ = try ServerRun.tick(server, now: clock)
        let folder = server.requests.appending("approved").appending("simulation")
        try files.makeDirectories(folder)
        try files.writeFile(folder.appending("plan.yaml"), StrictJSON.serialize(options.plan, pretty: true))
        let requests = Desk.requests(server)
        for item in try requests.scan(isAccepted: { _ in true }).items(.pending) {
            try requests.move(item, to: .approved, group: "simulation")
        }
    }

    private func train(_ clock: inout Timestamp, _ ticks: inout [TickFigures]) throws -> Session {
        let server = try Home.open(serverHome, files: files)
        while true {
            clock = clock.adding(seconds: 60)
            let now = clock
            try timed("server", &ticks) { _ = try ServerRun.tick(server, now: now) }
            guard let session = try SessionStore(home: server).load().last else {
                throw CommandFailure(.internalError, "the simulated session never started")
            }
            if session.isOver { return session }
            if watch.shouldStop() {
                throw CommandFailure(.temporary, "stopped by a signal", hint: "--keep keeps the folder")
            }
            try tell(session)
            for index in 1...options.clients {
                try carry(from: serverHome, to: clientHome(index))
                clock = clock.adding(seconds: 60)
                let now = clock
                let home = try Home.open(clientHome(index), files: files)
                try timed("client-\(index)", &ticks) {
                    let report = try ClientRun.tick(
                        home, now: now, watch: watch, instructionSet: context.instructionSet)
                    for line in report?.attention ?? [] { say("client-\(index): \(line)") }
                    // The next tick would find the same, and the next two weeks' ticks after it.
                    if let reason = report?.untrained.first {
                        throw CommandFailure(.of(reason), "client-\(index) cannot train: \(reason)")
                    }
                }
            }
            try carryToServer()
        }
    }

    private func tell(_ session: Session) throws {
        guard session.state == .running, let round = session.round, let plan = session.plan else {
            let reason = session.pauseReason ?? session.state.rawValue
            throw CommandFailure(.internalError, "the simulated session does not run: \(reason)")
        }
        let last =
            session.history.last?.metrics.trained.map { ", validation accuracy \(Numbers.percent($0.accuracy))" } ?? ""
        say("round \(round.number) of \(plan.rounds)\(last)")
    }

    // MARK: scores

    /// The global model of every round, the first one in front.
    private func rounds(_ session: Session, _ specification: ModelSpecification) throws -> [Model] {
        let store = SessionStore(home: try Home.open(serverHome, files: files))
        return try (0...session.history.count).map { round in
            let bytes = try files.readFile(store.modelPath(session.id, round: round), limit: 4 << 30)
            var tensors = try Safetensors.decode(bytes).tensors
            if session.start?.base != nil {
                let base = try files.readFile(store.basePath(session.id), limit: 4 << 30)
                tensors = try Safetensors.decode(base).tensors.merging(tensors)
            }
            return try Model(specification, tensors: tensors)
        }
    }

    private func scores(_ models: [Model], _ plan: Plan) throws -> [ClassificationMetrics] {
        guard let first = models.first else { return [] }
        let test = try testSources(first, plan)
        guard test[0].count > 0 else { return [] }
        return try models.map { try score($0, on: test) }
    }

    func score(_ model: Model, on test: [any PictureSource]) throws -> ClassificationMetrics {
        // One by one: a signal may have left the one as features and the other as pictures.
        let views = try test.map { try predictProbabilities(model: model, data: $0, context: context) }
        return ClassificationMetrics(
            probabilities: views.count == 2 ? averages(views[0], views[1]) : views[0],
            labels: (0..<test[0].count).map { test[0].label($0) }, classes: model.specification.classes)
    }

    /// The test pictures, or their features where the plan says so (every model of a session has the same frozen layers);
    /// and their mirror images on demand.
    func testSources(_ model: Model, _ plan: Plan) throws -> [any PictureSource] {
        let pictures = try testPictures(model.specification)
        let views = [("test", pictures)] + (options.mirror ? [("test_mirrored", pictures.mirrored())] : [])
        return try views.map { name, view in
            let features = try featureCache.features(
                name, of: view, plan: plan, model: model, shouldStop: watch.shouldStop)
            return features ?? view
        }
    }

    /// For what is measured beside the hospitals' own ticks.
    var featureCache: FeatureCache {
        FeatureCache(folder: root.appending("cache"), files: files, limit: .max, context: context)
    }

    /// Every hospital's own form of each round's model, as `client accept` would install it.
    private func installed(_ models: [Model], _ plan: Plan) throws -> [Curve] {
        guard plan.batchNorm == .training, let initial = models.first else { return [] }
        let specification = initial.specification
        return try (1...options.clients).map { index in
            let name = "client-\(index)"
            guard let party = PartyName(name) else { return Curve(name: name, test: []) }
            let pictures = try LocalPictures.load(
                pictures.appending(name), specification: specification, augmentation: .none, validation: 0.2, seed: 0,
                files: files, context: context)
            // The frozen layers see each picture once, not once for each model.
            var seenOnce = plan
            seenOnce.featureViews = min(1, plan.featureViews)
            let features = try featureCache.features(
                "installed_\(index)", plan: seenOnce, model: initial, pictures: pictures,
                shouldStop: watch.shouldStop)
            let fitted = try models.map { model in
                try LocalTraining(
                    plan: plan, round: plan.rounds, client: party, global: model, pictures: pictures,
                    features: features, context: context
                ).fitted() ?? model
            }
            return Curve(name: "installed at \(name)", test: try scores(fitted, plan))
        }
    }

    func testPictures(_ specification: ModelSpecification) throws -> LoadedDataset {
        let scan = try Dataset.scan(test, classes: specification.classes, minimumClasses: 1, files: files)
        return LoadedDataset(
            scan, preprocessing: try Preprocessing(for: specification), files: files, context: context)
    }

    // MARK: the courier

    private func carryToServer() throws {
        for index in 1...options.clients { try carry(from: clientHome(index), to: serverHome) }
    }

    private func carry(from: FilePath, to: FilePath) throws {
        for entry in try files.list(from.appending("outbox")) where entry.kind == .regular {
            let target = to.appending("inbox").appending(entry.component)
            try files.copyFile(from: from.appending("outbox").appending(entry.component), to: target)
        }
    }

    private func serverRun(_ now: Timestamp) throws -> ServerRun {
        guard let run = try ServerRun.open(try Home.open(serverHome, files: files), now: now) else {
            throw CommandFailure.busy
        }
        return run
    }

    private func clientRun(_ index: Int, _ now: Timestamp) throws -> ClientRun {
        guard let run = try ClientRun.open(try Home.open(clientHome(index), files: files), now: now) else {
            throw CommandFailure.busy
        }
        return run
    }

    private func timed(_ party: String, _ ticks: inout [TickFigures], _ body: () throws -> Void) rethrows {
        let began = MonotonicClock.seconds()
        try body()
        ticks.append(TickFigures(party: party, seconds: MonotonicClock.seconds() - began))
    }
}

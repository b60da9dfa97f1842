import Bundles
import Client
import Federation
import Files
import Glibc
import Images
import Mailbox
import NeuralNetworks
import Server
import SystemPackage
import Tensors
import Wire

/// A federation of a server and two hospitals from enrolment to an accepted model and changed keys, cut into steps. Each step is one run of
/// one home; what people and couriers do happens between them. All homes share one exchange.
struct Story {
    /// Which home a step's run belongs to.
    enum Party: String, CaseIterable { case server, alpha, beta }

    struct Step: Sendable {
        let name: String
        let party: Party
        /// What people do before it, on a sound disk.
        var before: @Sendable (Story) throws -> Void = { _ in }
        /// The run. What it does again after a failure is what a person or cron would do.
        let run: @Sendable (Story, any FileSystem, Timestamp) throws -> [String]
    }

    let root: FilePath
    private let files = LocalFileSystem()

    var exchange: FilePath { root.appending("exchange") }
    func path(_ party: Party) -> FilePath { root.appending(party.rawValue) }
    func home(_ party: Party) throws -> Home { try Home.open(path(party), files: files) }

    static let start = Timestamp(seconds: 1_800_000_000)
    static let classes = ["glioma", "meningioma", "notumor", "pituitary"]

    /// A path for a folder of a test's own, in memory where the system has such a place.
    static func scratch() -> FilePath {
        let base: FilePath = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        return base.appending("consilium-crash-\(UInt64.random(in: .min ... .max))")
    }

    static func name(_ text: String) throws -> PartyName {
        guard let name = PartyName(text) else { throw Trouble("\(text) is not a name") }
        return name
    }

    struct Trouble: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private static let picturesPrefix = "pictures-"

    /// Whether a path leads to a hospital's own pictures.
    static func isPicture(_ path: FilePath) -> Bool {
        path.components.contains { $0.string.hasPrefix(picturesPrefix) }
    }

    // MARK: beginning

    /// Homes that do not know each other yet.
    static func begin(at root: FilePath) throws -> Story {
        let story = Story(root: root)
        let files = story.files
        try files.makeDirectories(story.exchange)
        let specification = try ModelSpecification(
            architecture: .smallcnn, classes: classes, imageSize: 32)
        let model = try Model(initializing: specification, seed: 1)
        guard let federation = RandomID(hex: String(repeating: "f", count: 32)) else { throw Trouble("no identifier") }
        let server = try ServerHome.create(
            at: story.path(.server), name: name("ministry"), federation: federation, now: start, files: files
        ).home
        try story.configure(.server, "learning_rate: 0.001\nbatch_size: 4\nlocal_epochs: 1\nimage_size: 32\n")
        let metadata = ModelMetadata(architecture: Architecture.smallcnn.rawValue, classes: classes, imageSize: 32)
        _ = try VersionStore(home: server).install(
            encoded: try Safetensors.encode(model.tensors, metadata: metadata.fields), metadata: metadata,
            origin: .initialized, note: "", now: start)
        let run = try patiently(.server) { try ServerRun.open(server, now: start) }
        let invite = try ClientHome.check(try run.invite().path, now: start, files: files)
        for (index, party) in [Party.alpha, .beta].enumerated() {
            let pictures = root.appending(picturesPrefix + party.rawValue)
            _ = try Synthesis.write(
                to: pictures, options: Synthesis.Options(perClass: 3, size: 32, seed: UInt64(index + 1)))
            _ = try ClientHome.create(
                at: story.path(party), name: name(party.rawValue), invite: invite, data: pictures, contact: "",
                now: start, files: files)
            try story.configure(party, "threads: 1\n")
        }
        return story
    }

    private func configure(_ party: Party, _ lines: String) throws {
        let path = path(party).appending("consilium.yaml")
        let old = try files.readFile(path, limit: 1 << 20)
        try files.writeFile(path, old + Array("exchange: \(exchange)\n\(lines)".utf8))
    }

    // MARK: steps

    static let steps = training + changes

    private static let training: [Step] = [
        tick(.alpha, "sends its enrolment"), tick(.beta, "sends its enrolment"),
        tick(.server, "lays enrolments on the desk"),
        tick(.server, "answers the enrolments") { try $0.approveAll(Desk.enrolments, group: nil) },
        tick(.alpha, "learns that it is enrolled"), tick(.beta, "learns that it is enrolled"),
        Step(name: "alpha asks to train", party: .alpha, run: { try $0.request(.alpha, times: 1, $1, $2) }),
        Step(name: "beta asks to train", party: .beta, run: { try $0.request(.beta, times: 1, $1, $2) }),
        tick(.alpha, "delivers its request"), tick(.beta, "delivers its request"),
        tick(.server, "lays requests on the desk"),
        tick(.server, "starts the session") { try $0.approveAll(Desk.requests, group: "spring") },
        tick(.alpha, "trains"), tick(.beta, "trains"),
        tick(.server, "averages and finishes"),
        tick(.alpha, "is offered the version"), tick(.beta, "is offered the version"),
        Step(name: "alpha accepts", party: .alpha, run: { try $0.accept(.alpha, $1, $2) }),
        tick(.alpha, "says so"), tick(.server, "hears it"), tick(.beta, "has nothing to do"),
    ]

    static func tick(
        _ party: Party, _ name: String, before: @escaping @Sendable (Story) throws -> Void = { _ in }
    ) -> Step {
        Step(name: "\(party.rawValue) \(name)", party: party, before: before) { story, files, now in
            try story.tick(party, files, now)
        }
    }

    /// - Returns: what a person is told.
    func tick(_ party: Party, _ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        let home = try Home.open(path(party), files: files)
        return try Self.patiently(party) {
            party == .server
                ? try ServerRun.tick(home, now: now)?.attention : try ClientRun.tick(home, now: now)?.attention
        }
    }

    /// Tries for half a minute: a tool that another test starts holds copies of all open locks for a moment, between fork and exec, longer on a busy machine.
    static func patiently<Value>(_ party: Party, _ open: () throws -> Value?) throws -> Value {
        for _ in 0..<30_000 {
            if let value = try open() { return value }
            usleep(1000)
        }
        throw Trouble("\(party.rawValue) is busy")
    }

    func approveAll(_ desk: (Home) -> Desk, group: String?) throws {
        let desk = desk(try home(.server))
        for item in try desk.scan(isAccepted: { _ in true }).items(.pending) {
            try desk.move(item, to: .approved, group: group)
        }
    }

    /// What a person does at a hospital, who looks first at how things stand.
    func act(
        _ party: Party, _ files: any FileSystem, _ now: Timestamp, _ work: (ClientRun) throws -> Void
    ) throws -> [String] {
        let home = try Home.open(path(party), files: files)
        let run = try Self.patiently(party) { try ClientRun.open(home, now: now) }
        try run.settle()
        try work(run)
        try run.settle()
        return run.report.attention
    }

    /// Who asked and does not know whether it was heard looks at the status first, and asks again only if nothing is there.
    /// - Parameter times: how many requests there are in the end.
    func request(_ party: Party, times: Int, _ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        try act(party, files, now) { run in
            guard run.state.requests.count < times else { return }
            _ = try run.request(wishes: try PlanWishes(["rounds": 1]), message: "", actor: "test")
        }
    }

    private func accept(_ party: Party, _ files: any FileSystem, _ now: Timestamp) throws -> [String] {
        try act(party, files, now) { run in
            guard run.state.offer(version: 1)?.status == .pending else { return }
            try run.accept(version: 1, actor: "test")
        }
    }
}

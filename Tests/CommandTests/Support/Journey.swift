import Foundation
import Testing
import Wire

/// The ticks of the smallest federation, one server and one hospital, each with what leads to it and what shows afterwards
/// that all still works. Prepared once; each disturbed run begins with a copy.
struct Journey {
    struct Tick: Sendable, CustomTestStringConvertible {
        let name: String
        let home: String
        let command: [String]
        /// By hand, before the command.
        let prepare: @Sendable (World) throws -> Void
        /// What the command says, with a status of its own, where the run that was killed had come to its end already.
        var refusal: String?
        /// What a person does after a command was cut off; nil: runs it again.
        var resume: (@Sendable (World) throws -> Outcome)?
        /// Afterwards: the next bundle, or the next command.
        let follow: @Sendable (World) throws -> Void

        init(
            name: String, home: String, command: [String], refusal: String? = nil,
            resume: (@Sendable (World) throws -> Outcome)? = nil, prepare: @escaping @Sendable (World) throws -> Void,
            follow: @escaping @Sendable (World) throws -> Void
        ) {
            self.name = name
            self.home = home
            self.command = command
            self.refusal = refusal
            self.resume = resume
            self.prepare = prepare
            self.follow = follow
        }

        var testDescription: String { name }
    }

    private static let serve = ["server", "run", "--home", "S"]
    private static let visit = ["client", "run", "--home", "a"]

    static let ticks: [Tick] = [
        Tick(
            name: "server init", home: "S", command: ["server", "init", "--home", "S", "--name", "ministry"],
            refusal: "is a home already"
        ) { _ in
        } follow: {
            try $0.makeModel()
        },
        Tick(
            name: "model init", home: "S",
            command: [
                "model", "init", "--home", "S", "--arch", "smallcnn", "--classes", Material.classes, "--size", "32",
            ]
        ) {
            try $0.configure("S", "minimum_clients: 1\nbatch_size: 8\nlocal_epochs: 1")
        } follow: {
            try $0.succeed("server", "invite", "--home", "S")
        },
        Tick(name: "invite", home: "S", command: ["server", "invite", "--home", "S"]) { _ in
        } follow: {
            try $0.shell("cp S/outbox/invite-*.tar invite.tar")
            try $0.makeHospital()
        },
        Tick(name: "client init", home: "a", command: hospital, refusal: "is a home already") {
            try $0.shell("cp S/outbox/invite-*.tar invite.tar")
        } follow: { world in
            try world.carry("a", to: "S")
            try world.succeed("server", "run", "--home", "S")
            try #require(world.names("S/enrolments/pending", "ENR").count == 1)
        },
        Tick(name: "enrol", home: "S", command: serve) {
            // Faults are numbered within a thread.
            try $0.configure("a", "threads: 1")
            try $0.carry("a", to: "S")
        } follow: {
            try $0.approveEnrolment()
        },
        Tick(name: "approve enrolment", home: "S", command: serve) {
            try $0.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        } follow: { world in
            try world.carry("S", to: "a")
            try world.succeed("client", "run", "--home", "a")
        },
        Tick(name: "enrolled", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: {
            try $0.ask()
        },
        Tick(
            name: "request", home: "a", command: ["client", "request", "--home", "a", "--rounds", "1"],
            // A second request may well be meant: so a person looks first, after a tick has brought up what was begun.
            resume: { world in
                let tick = try world.run(visit)
                guard tick.status == 0, world.names("a/outbox", "request").isEmpty else { return tick }
                return try world.run("client", "request", "--home", "a", "--rounds", "1")
            }
        ) { _ in
        } follow: { world in
            try world.carry("a", to: "S")
            try world.succeed("server", "run", "--home", "S")
            try #require(world.names("S/requests/pending", "REQ").count == 1)
        },
        Tick(name: "request taken", home: "S", command: serve) {
            try $0.carry("a", to: "S")
        } follow: {
            try $0.moveRequest()
            try $0.succeed("server", "run", "--home", "S")
            try #require(!$0.names("S/outbox", "global").isEmpty)
        },
        Tick(name: "approve", home: "S", command: serve) {
            try $0.moveRequest()
        } follow: {
            try $0.train()
        },
        Tick(name: "train", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: { world in
            try world.carry("a", to: "S")
            try world.succeed("server", "run", "--home", "S")
            try #require(world.exists("S/versions/0001/model.safetensors"))
        },
        Tick(name: "aggregate", home: "S", command: serve) {
            try $0.carry("a", to: "S")
        } follow: { world in
            try world.carry("S", to: "a")
            try world.succeed("client", "run", "--home", "a")
            try #require(world.names("a/updates/pending").contains { $0.hasSuffix(".tar") })
        },
        Tick(name: "final", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: {
            try $0.succeed("client", "accept", "1", "--home", "a")
        },
        Tick(
            name: "accept", home: "a", command: ["client", "accept", "1", "--home", "a"],
            // Once it is accepted, the next tick does what is left: the list of what waits.
            resume: { world in
                let again = try world.run("client", "accept", "1", "--home", "a")
                return again.errors.contains("is accepted already") ? try world.run(visit) : again
            }
        ) { _ in
        } follow: { world in
            let picture = try #require(
                try FileManager.default.subpathsOfDirectory(atPath: pictures()).first { $0.hasSuffix(".png") })
            try world.succeed("predict", "--home", "a", try pictures() + "/" + picture)
            try world.carry("a", to: "S")
            try world.succeed("server", "run", "--home", "S")
        },
    ]

    static func pictures() throws -> String { try Material.pictures.get() + "/client-1" }

    fileprivate static let hospital = [
        "client", "init", "--home", "a", "--name", "hospital-a", "--invite", "invite.tar", "--data", "pictures",
    ]

    /// What a hospital's `history/rounds.jsonl` says to its reader; nil where there is none yet. A line is written before what
    /// says that it is written, so that a run which was killed in between writes it again, and the reader takes one.
    static func history(_ world: World) throws -> String? {
        guard world.exists("a/history/rounds.jsonl") else { return nil }
        return try world.succeed("client", "history", "--home", "a", "--json").output
    }

    static func isHistory(_ name: String) -> Bool { name == "a/history/rounds.jsonl" }

    /// The folders before and after each undisturbed tick, in two runs of it.
    struct Stage: Sendable {
        let before: String
        let begin: Snapshot
        let history: String?
        /// What the command said.
        let said: String
        /// A folder as after the tick.
        let undisturbed: String
        let after: Snapshot
        let again: Snapshot
    }

    static let stages = Result { () throws -> [String: Stage] in
        let world = try World.empty()
        try world.shell("ln -s '\(try pictures())' pictures")
        return try play(ticks, in: world)
    }

    /// Lets each tick run undisturbed, one after the other.
    static func play(_ ticks: [Tick], in world: World) throws -> [String: Stage] {
        var stages: [String: Stage] = [:]
        for tick in ticks {
            try tick.prepare(world)
            let before = try Scratch.folder()
            try world.shell("cp -a . '\(before)'")
            let twin = try World.copy(of: before)
            try twin.moveExchangeCaches()
            var said = ""
            for world in [twin, world] {
                let outcome = try world.run(tick.command)
                guard outcome.status == 0 else { throw TestTrouble("\(tick.name): \(outcome)") }
                said = world.words(of: outcome)
            }
            stages[tick.name] = Stage(
                before: before, begin: try Snapshot(before), history: try history(world), said: said,
                undisturbed: twin.root,
                after: try Snapshot(world.root), again: try Snapshot(twin.root))
        }
        return stages
    }
}

extension World {
    /// What a command said, without what differs from run to run: digests, random numbers and this folder's path.
    func words(of outcome: Outcome) -> String {
        (outcome.output + outcome.errors).replacing(root, with: "").replacing(
            /[0-9a-f]{8,64}|SHA256:[A-Za-z0-9+\/=]+/, with: "#")
    }

    fileprivate func makeModel() throws {
        try succeed(
            "model", "init", "--home", "S", "--arch", "smallcnn", "--classes", Material.classes, "--size", "32")
    }

    fileprivate func makeHospital() throws {
        let outcome = try run(Journey.hospital)
        try #require(outcome.status == 0, "\(outcome)")
    }

    fileprivate func approveEnrolment() throws {
        try shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try succeed("server", "run", "--home", "S")
        try #require(names("S/outbox").contains { $0.hasPrefix("decision-") })
    }

    fileprivate func ask() throws { try succeed("client", "request", "--home", "a", "--rounds", "1") }

    fileprivate func moveRequest() throws { try shell("mv S/requests/pending/*.tar S/requests/approved/") }

    fileprivate func train() throws {
        try carry("S", to: "a")
        try succeed("client", "run", "--home", "a")
        try #require(!names("a/outbox", "update").isEmpty)
    }
}

extension Journey.Stage {
    /// What two undisturbed runs made alike.
    var stable: [String: Digest] {
        after.entries.filter { again.entries[$0.key]?.digest == $0.value.digest }.mapValues(\.digest)
    }
}

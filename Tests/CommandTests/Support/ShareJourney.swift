import Foundation
import SupportForTests
import Testing
import Wire

/// The same federation with an exchange between its homes, in the ticks that collect from it and deliver to it.
enum ShareJourney {
    private static let serve = ["server", "run", "--home", "S"]
    private static let visit = ["client", "run", "--home", "a"]

    static let ticks: [Journey.Tick] = [
        Journey.Tick(name: "deliver enrolment", home: "a", command: visit) {
            try $0.makePair()
        } follow: { world in
            try world.serve()
            try #require(world.names("S/enrolments/pending", "ENR").count == 1)
        },
        Journey.Tick(name: "collect enrolment", home: "S", command: serve) { _ in
        } follow: {
            try $0.approveEnrolments()
            try #require(!$0.names("exchange/hospital-a/outbox", "decision").isEmpty)
        },
        Journey.Tick(name: "deliver decision", home: "S", command: serve) {
            try $0.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        } follow: {
            try $0.succeed("client", "run", "--home", "a")
            try $0.succeed("client", "request", "--home", "a", "--rounds", "1")
        },
        Journey.Tick(name: "collect decision", home: "a", command: visit) { _ in
        } follow: {
            try $0.succeed("client", "request", "--home", "a", "--rounds", "1")
        },
        Journey.Tick(name: "deliver request", home: "a", command: visit) {
            try $0.succeed("client", "request", "--home", "a", "--rounds", "1")
        } follow: { world in
            try world.serve()
            try #require(world.names("S/requests/pending", "REQ").count == 1)
        },
        Journey.Tick(name: "collect request", home: "S", command: serve) { _ in
        } follow: { world in
            try world.approveRequest()
            try world.serve()
            try #require(!world.names("exchange/hospital-a/outbox", "global").isEmpty)
        },
        Journey.Tick(name: "deliver global", home: "S", command: serve) {
            try $0.approveRequest()
        } follow: { world in
            try world.succeed("client", "run", "--home", "a")
            try #require(!world.names("exchange/hospital-a/inbox", "update").isEmpty)
        },
        Journey.Tick(name: "collect global", home: "a", command: visit) { _ in
        } follow: { world in
            try world.serve()
            try #require(world.exists("S/versions/0001/model.safetensors"))
        },
        Journey.Tick(name: "collect update", home: "S", command: serve) { _ in
        } follow: { world in
            try world.succeed("client", "run", "--home", "a")
            try #require(world.names("a/updates/pending").contains { $0.hasSuffix(".tar") })
        },
        Journey.Tick(name: "collect version", home: "a", command: visit) { _ in
        } follow: { world in
            try world.succeed("client", "accept", "1", "--home", "a")
            try world.succeed("client", "run", "--home", "a")
            try world.serve()
        },
    ]

    static let stages = Result { try Journey.play(ticks, in: try World.empty()) }
}

extension World {
    /// Two homes that know each other by an invite only, and an empty exchange between them. Its path is relative to the
    /// homes, so that a copy of all has an exchange of its own.
    fileprivate func makePair() throws {
        try succeed("server", "init", "--home", "S", "--name", "ministry")
        try configure("S", "minimum_clients: 1\nbatch_size: 8\nlocal_epochs: 1\nexchange: ../exchange")
        try succeed(
            "model", "init", "--home", "S", "--arch", "smallcnn", "--classes", Material.classes, "--size", "32",
            "--seed", "1")
        try succeed("server", "invite", "--home", "S")
        try shell("cp S/outbox/*.tar invite.tar && mkdir exchange && ln -s '\(try Journey.pictures())' pictures")
        try succeed(
            "client", "init", "--home", "a", "--name", "hospital-a", "--invite", "invite.tar", "--data", "pictures")
        try configure("a", "threads: 1\nexchange: ../exchange")
    }

    /// Homes remember by absolute paths what they laid in an exchange. Those of a copy are of the copy.
    func moveExchangeCaches() throws {
        try shell(
            """
            for cache in */mailbox/exchange*.json; do
                [ ! -f "$cache" ] || sed -i -E 's#"[^"]*/exchange([/"])#"'"$PWD"'/exchange\\1#g' "$cache"
            done
            """)
    }

    fileprivate func approveRequest() throws { try shell("mv S/requests/pending/*.tar S/requests/approved/") }
}

/// A world whose exchange lies where it does by itself, or on a share that is mounted over SSH.
struct SharedWorld {
    let world: World
    /// The folders by which calls may name the exchange.
    let folders: [String]
    /// The exchange without the mount.
    private let export: String

    /// - Parameter share: nil: the exchange stays in the world's folder.
    init(copyOf folder: String, on share: LoopbackShare?) throws {
        world = try World.copy(of: folder, isPassing: true)
        try world.moveExchangeCaches()
        let exchange = world.path("exchange")
        guard let share else {
            (export, folders) = (exchange, [exchange])
            return
        }
        let name = UUID().uuidString
        export = share.export + "/" + name
        folders = [exchange, share.mount + "/" + name]
        try world.shell("mv exchange '\(export)' && ln -s '\(share.mount)/\(name)' exchange")
    }

    func remove() { for path in [world.root, export] { try? FileManager.default.removeItem(atPath: path) } }

    /// All files, those in the exchange as they are on the other side of a mount.
    var files: Snapshot { get throws { try Snapshot(world.root).with("exchange", try Snapshot(export)) } }

    /// What lies in the exchange under its final name is what somebody sent or what lay there before, and what is gone from
    /// there has arrived.
    func exchangeIsSound(_ tick: Journey.Tick, _ stage: Journey.Stage, _ fault: String) throws {
        let step = "\(tick.name), \(fault)"
        let now = try files.entries
        let ledger = try world.exists("S/mailbox/ledger.json") ? world.text("S/mailbox/ledger.json") : ""
        func isFinal(_ name: String) -> Bool {
            name.hasPrefix("exchange/") && !name.hasSuffix(".part") && !name.contains("/.")
        }
        for (name, entry) in now where isFinal(name) {
            let file = (name as NSString).lastPathComponent
            let whole =
                ["S/outbox/", "a/outbox/"].compactMap { now[$0 + file]?.digest } + [stage.begin.entries[name]?.digest]
            #expect(whole.contains(entry.digest), "\(step): \(name) is half there")
        }
        // A hospital takes back what it laid there once that is acknowledged.
        guard tick.home == "S" else { return }
        for (name, entry) in stage.begin.entries where isFinal(name) && now[name] == nil {
            guard name.hasPrefix("exchange/hospital-a/inbox/") else { continue }
            let file = (name as NSString).lastPathComponent
            // The name ends in the beginning of the bundle's identifier.
            let id = file.prefix { $0 != "." }.suffix(8)
            let isSafe = now["S/inbox/" + file]?.digest == entry.digest || ledger.contains("\"\(id)")
            #expect(isSafe, "\(step): \(name) is gone from the exchange and has not arrived")
        }
    }
}

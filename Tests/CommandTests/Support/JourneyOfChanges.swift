import Foundation
import Testing

/// The ticks in which people change their minds and their keys, beside a session that has begun: a hospital changes its key and
/// leaves, another one is dropped, the key of the third is revoked, and the server changes its own.
enum JourneyOfChanges {
    private static let serve = ["server", "run", "--home", "S"]
    private static let visit = ["client", "run", "--home", "a"]

    /// A command of a person, who runs it again after it was cut off. Where it was done already, the next tick does what is
    /// left.
    private static func command(
        _ name: String, _ words: [String], refusal: String,
        prepare: @escaping @Sendable (World) throws -> Void = { _ in
        }, follow: @escaping @Sendable (World) throws -> Void
    ) -> Journey.Tick {
        let home = words[words.firstIndex(of: "--home").map { $0 + 1 } ?? 0]
        return Journey.Tick(
            name: name, home: home, command: words,
            resume: { world in
                let again = try world.run(words)
                return again.errors.contains(refusal) ? try world.run(home == "S" ? serve : visit) : again
            }, prepare: prepare, follow: follow)
    }

    static let ticks: [Journey.Tick] = [
        command("rotate", ["key", "rotate", "--home", "a"], refusal: "a rotation is under way") {
            try $0.beginSession()
        } follow: { world in
            try world.answer("a")
            try world.serve()
            try #require(world.names("S/enrolments/pending", "ENR").count == 1)
        },
        Journey.Tick(name: "new key", home: "S", command: serve) {
            try $0.answer("a")
        } follow: {
            try $0.approveEnrolments()
        },
        Journey.Tick(name: "approve key", home: "S", command: serve) {
            try $0.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        } follow: { world in
            let old = try world.fingerprint("a")
            try world.visit("a")
            try #require(try world.fingerprint("a") != old)
        },
        Journey.Tick(name: "key in use", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: { world in
            try world.answer("a")
            try world.serve()
            #expect(try world.session("spring")["answered"].texts == ["hospital-a"])
        },
        command("withdraw", ["client", "withdraw", "--home", "a"], refusal: "there is no such open request") { _ in
        } follow: { world in
            try world.answer("a")
            try world.serve()
            #expect(try world.standing(of: "a") == "withdrawn")
        },
        Journey.Tick(name: "withdrawn", home: "S", command: serve) {
            try $0.answer("a")
        } follow: {
            try $0.visit("a")
        },
        Journey.Tick(name: "out of it", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: {
            try $0.succeed("client", "request", "--home", "a", "--rounds", "1")
        },
        Journey.Tick(name: "revoke", home: "S", command: ["server", "revoke", "hospital-c", "--home", "S"]) { _ in
        } follow: { world in
            #expect(try world.standing(of: "c") == "excluded")
            try world.serve()
        },
        command(
            "drop", ["server", "drop", "spring", "hospital-a", "--home", "S"],
            refusal: "hospital-a has left session spring already"
        ) { world in
            try world.request(["a"], rounds: 2)
            try world.approveAll("spring")
            try world.visit("a")
        } follow: { world in
            #expect(try world.standing(of: "a") == "dropped")
            try world.visit("a")
        },
        Journey.Tick(name: "dropped", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: {
            try $0.succeed("client", "request", "--home", "a", "--rounds", "1")
        },
        command("abort", ["server", "abort", "spring", "--home", "S"], refusal: "session spring is aborted already") {
            _ in
        } follow: { world in
            #expect(try world.session("spring")["state"].text == "aborted")
            try world.visit("a")
        },
        command("rotate the server's", ["key", "rotate", "--home", "S"], refusal: "a rotation is under way") { _ in
        } follow: {
            try $0.visit("a")
        },
        Journey.Tick(name: "believe it", home: "a", command: visit) {
            try $0.carry("S", to: "a")
        } follow: { world in
            let believed = try world.trusted("ministry", at: "a")
            #expect(believed.count == 2)
        },
        Journey.Tick(name: "sign with it", home: "S", command: serve) { world in
            try world.answer("a")
            try world.visit("b")
            try world.answer("b")
        } follow: { world in
            let believed = try world.trusted("ministry", at: "a")
            #expect(try world.fingerprint("S") == believed.last)
        },
    ]

    static let stages = Result { try Journey.play(ticks, in: try World.enrolled()) }
}

extension World {
    /// All three have trained the first of two rounds, and nothing of it has arrived.
    fileprivate func beginSession() throws {
        for home in Self.everybody { try configure(home, "threads: 1") }
        try configure("S", "minimum_clients: 1")
        try startSession("spring", rounds: 2)
        for home in Self.everybody { try visit(home) }
    }

    fileprivate func standing(of home: String) throws -> String? {
        try session("spring")["participants"].items.first { $0["name"].text == "hospital-\(home)" }?["standing"].text
    }
}

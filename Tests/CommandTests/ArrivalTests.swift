import Bundles
import Glibc
import Testing
import Wire

/// Sticks overtake each other: whatever the order, the same model.
@Suite struct ArrivalTests {
    /// The weights of version 1 after two rounds with everything in order.
    private static let inOrder = Result { () throws -> [UInt8] in
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        for _ in 1...2 { try world.journey() }
        return try world.model(1)
    }

    /// Requests come before the enrolments that make them believable, globals before the decisions that explain them, every
    /// file twice, renamed, together with everything older.
    @Test func anyOrderOfArrivalGivesTheSameModel() throws {
        let world = try World.initialised()
        try world.shell("mkdir stick")
        for home in World.everybody {
            try world.shell("mkdir kept-\(home) && cp \(home)/outbox/*.tar.age kept-\(home)/")
            try world.succeed("client", "request", "--home", home, "--rounds", "2")
            // The request alone, of somebody whom the server does not know.
            for name in world.names("\(home)/outbox", "request") {
                try world.carry("\(home)/outbox/\(name)", as: "S/inbox/\(home) (1).tar")
            }
            try world.serve()
        }
        #expect(world.names("S/requests/pending", "REQ").isEmpty)
        try world.shell("for h in c a b; do cp kept-$h/*.tar.age S/inbox/$h.tar; cp $h/outbox/*.tar.age S/inbox/; done")
        try world.serve()
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try world.serve()
        try world.serve()
        #expect(world.names("S/requests/pending", "REQ").count == 3)
        try world.shell("mkdir S/requests/approved/spring; mv S/requests/pending/*.tar S/requests/approved/spring/")
        try world.serve()

        for round in 1...2 {
            try world.shell("cp S/outbox/*.tar* stick/")
            for home in ["c", "a", "b"] {
                // The global first and alone; its decision a day later, with everything that ever came, twice.
                for name in world.names("stick", "global") {
                    try world.carry("stick/\(name)", as: "\(home)/inbox/x (\(round)).tar")
                }
                try world.succeed("client", "run", "--home", home)
                try world.shell(
                    "for f in stick/*.tar*; do cp $f \(home)/inbox/; cp $f \"$PWD/\(home)/inbox/$(basename $f .tar) (1).tar\"; done"
                )
                try world.succeed("client", "run", "--home", home)
                try world.succeed("client", "run", "--home", home)
                try world.shell("cp \(home)/outbox/*.tar* stick/")
            }
            try world.shell(
                "cp stick/*.tar* S/inbox/; for f in stick/update*.tar*; do cp $f \"S/inbox/$(basename $f .tar) (1).tar\"; done"
            )
            try world.serve()
        }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.model(1) == Self.inOrder.get())
    }

    /// Requests are approved in the other order, updates arrive one by one and backwards, under other names.
    @Test func theOrderOfUpdatesDoesNotReachTheBytes() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["c", "b", "a"], rounds: 2)
        for _ in 1...2 {
            for home in ["b", "c", "a"] { try world.visit(home) }
            for (name, home) in [("3", "a"), ("2", "c"), ("1", "b")] {
                try world.carry(try world.update(home), as: "S/inbox/\(name).tar")
                try world.serve()
            }
        }
        #expect(try world.model(1) == Self.inOrder.get())
        #expect(
            try world.json("server", "verify", "spring", "--home", "S")["rounds"].items.map { $0["proven"] } == [
                true, true,
            ])
    }

    /// An update that overtakes its own request's approval, and one for a round that nobody has opened here, wait.
    @Test func aGlobalBeforeItsDecisionWaitsForIt() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for name in world.names("S/outbox", "global") { try world.carry("S/outbox/\(name)", as: "a/inbox/\(name)") }
        let early = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(!early.output.contains("waits for you"), "\(early)")
        #expect(world.names("a/plans/pending", "PLAN").isEmpty)
        try world.visit("a")
        try world.answer("a")
        try world.journey(["b", "c"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// Killed at any moment and run again, a tick goes on where it was.
    @Test func ticksThatAreKilledAndRunAgainGiveTheSameModel() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        var wait: UInt32 = 3_000
        func tick(_ role: String, _ home: String) throws {
            for _ in 1...2 {
                let running = try world.start(role, "run", "--home", home)
                usleep(wait)
                wait = wait < 60_000 ? wait * 4 / 3 : 3_000
                running.send(SIGKILL)
                _ = try running.wait()
            }
            try world.succeed(role, "run", "--home", home)
        }
        for _ in 1...2 {
            for home in World.everybody {
                try world.carry("S", to: home)
                try tick("client", home)
                try world.answer(home)
            }
            try tick("server", "S")
        }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.model(1) == Self.inOrder.get())
        #expect(
            try world.history("spring").allSatisfy {
                $0["participants"].items.allSatisfy { $0["fate"].text == "counted" }
            })
        for home in ["S", "a", "b", "c"] {
            #expect(try world.run("doctor", "--home", home).output.contains("ok   audit"), "\(home)")
            #expect(world.names("\(home)/inbox").isEmpty, "\(home)")
        }
    }

    /// The archive is the proof: a changed byte in it is found.
    @Test func verifyProvesEveryRoundAndFindsATamperedArchive() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.journey()
        let proof = try world.json("server", "verify", "spring", "--home", "S")["rounds"]
        #expect(proof[0]["proven"] == true)
        #expect(proof[0]["recorded"] == proof[0]["recomputed"])

        let update = try #require(try world.history("spring").first?["participants"][1]["update"].text)
        let archived = "S/archive/\(update).tar"
        try world.shell("cp \(archived) kept.tar")
        try world.damage(archived, at: 200_000)
        let found = try world.run("server", "verify", "spring", "--home", "S")
        #expect(found.status == 65, "\(found)")
        #expect(found.errors.split(separator: "\n").count == 1, "\(found)")
        try world.shell("rm \(archived)")
        let missing = try world.run("server", "verify", "spring", "--home", "S")
        #expect(missing.status == 65)
        #expect(missing.output.contains("an update is not in the archive"))
        try world.shell("cp kept.tar \(archived)")
        try world.succeed("server", "verify", "spring", "--home", "S")
    }
}

import Bundles
import Testing
import Wire

/// Every tick may run twice, and an idle one leaves no trace.
@Suite struct RepetitionTests {
    /// Each step of a whole session is followed by a second tick at the same moment, which must say and write nothing.
    @Test func everyTickRunTwiceDoesNothingTwice() throws {
        let world = try World.initialised()
        for home in World.everybody { try world.carry(home, to: "S") }
        try tick(world, "server", "S")
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try tick(world, "server", "S")
        for home in World.everybody {
            try world.succeed("client", "request", "--home", home, "--rounds", "2")
            try world.carry(home, to: "S")
        }
        try tick(world, "server", "S")
        try world.shell("mkdir S/requests/approved/spring; mv S/requests/pending/*.tar S/requests/approved/spring/")
        try tick(world, "server", "S")
        for _ in 1...2 {
            for home in World.everybody {
                try world.carry("S", to: home)
                try tick(world, "client", home)
                try world.carry(home, to: "S")
            }
            try tick(world, "server", "S")
        }
        #expect(try world.session("spring")["version"].integer == 1)
        for home in World.everybody {
            try world.carry("S", to: home)
            try tick(world, "client", home)
        }
        try world.shell("mv a/updates/pending/*.tar a/updates/accepted/")
        try tick(world, "client", "a")
    }

    /// Later runs with nothing to do are silent and write only the clock's floor.
    @Test func anIdleTickIsSilentAndChangesNoFile() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.visit(home) }
        world.advance(seconds: 600)
        for (role, home) in [("server", "S"), ("client", "a")] {
            let before = try Snapshot(world.path(home))
            let idle = try world.run(role, "run", "--home", home)
            #expect(idle.isSilentSuccess, "\(role): \(idle)")
            #expect(before.changes(to: try Snapshot(world.path(home))).filter { $0 != "mailbox/clock.json" } == [])
            let again = try Snapshot(world.path(home))
            #expect(try world.run(role, "run", "--home", home).isSilentSuccess)
            #expect(again.changes(to: try Snapshot(world.path(home))) == [])
        }
    }

    /// The path that is printed is one where a file lies, and the file is the one that others have.
    @Test func anInviteThatWasMovedAwayLiesThereAgain() throws {
        let world = try World.initialised()
        let first = try world.succeed("server", "invite", "--home", "S").output
        let path = try #require(first.split(separator: "\n").first).split(separator: "/").suffix(3).joined(
            separator: "/")
        try world.shell("mv \(path) taken.tar")
        #expect(try world.succeed("server", "invite", "--home", "S").output == first)
        #expect(try world.bytes(path) == world.bytes("taken.tar"))
    }

    /// The admin is told once what waits, however often cron runs.
    @Test func whatWaitsIsSaidOnce() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.carry("a", to: "S")
        #expect(try world.succeed("server", "run", "--home", "S").output.contains("REQ-1  from hospital-a"))
        for _ in 1...3 {
            world.advance(seconds: 900)
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
        #expect(try world.text("S/requests/PENDING.txt").contains("REQ-1  from hospital-a"))
    }

    /// A bundle that was taken in is carried again and again by people; it changes nothing.
    @Test func bundlesCarriedAgainChangeNothing() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir stick && cp S/outbox/*.tar* stick/")
        try world.journey()
        let model = try world.model(1)
        try world.shell("cp a/outbox/*.tar* b/outbox/*.tar* c/outbox/*.tar* S/archive/*.tar stick/")
        let before = try Snapshot(world.path("S"))
        try world.shell("cp stick/*.tar* S/inbox/")
        let rerun = try world.succeed("server", "run", "--home", "S")
        #expect(rerun.output.isEmpty, "\(rerun)")
        #expect(world.names("S/inbox").isEmpty)
        let changed = before.contentChanges(to: try Snapshot(world.path("S")))
        #expect(
            changed.filter { !$0.hasPrefix("mailbox/") && !$0.hasPrefix("quarantine/") && !$0.hasPrefix("audit/") }
                == [])
        #expect(try world.model(1) == model)
        #expect(try world.history("spring").count == 1)
    }

    private func tick(
        _ world: World, _ role: String, _ home: String, at location: SourceLocation = #_sourceLocation
    ) throws {
        try world.succeed(role, "run", "--home", home, at: location)
        let before = try Snapshot(world.path(home))
        let second = try world.run(role, "run", "--home", home)
        #expect(second.isSilentSuccess, "\(second)", sourceLocation: location)
        #expect(before.changes(to: try Snapshot(world.path(home))) == [], sourceLocation: location)
    }

    /// What was refused is offered until its sender knows that it arrived. It is told to people once, and acknowledged again
    /// where the first acknowledgement was lost.
    @Test func aRefusalWhoseAcknowledgementWasLostIsToldOnce() throws {
        let world = try World.enrolled()
        let mostWaiting = 20
        for _ in 0...mostWaiting { try world.succeed("client", "request", "--home", "a", "--rounds", "1") }
        try world.answer("a")
        let told = try world.serve()
        #expect(
            told.output.contains("request of hospital-a refused: \(mostWaiting) requests of hospital-a wait already"))
        // Until then nothing is carried back.
        try world.shell("rm S/outbox/receipt-*")
        for _ in 1...2 {
            world.advance(days: 1)
            try world.answer("a")
            let again = try world.run("server", "run", "--home", "S")
            #expect(again.isSilentSuccess, "\(again)")
        }
        try world.visit("a")
        #expect(world.names("a/outbox", "request").isEmpty)
    }

    @Test func aHospitalTellsOnceOfWhatItRefuses() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.succeed("server", "reject", "REQ-1", "--home", "S")
        try world.serve()
        let decision = "S/outbox/" + (try #require(world.names("S/outbox", "decision-ministry-to-hospital-a").last))
        let clear = try world.opened(decision)
        try world.forge(clear, key: try world.key(of: "S"), to: "odd.tar") { manifest, payload in
            manifest.seq += 100
            payload = [(payload[0].name, Array("{}".utf8))]
        }
        for day in 0...2 {
            try world.carry("odd.tar", as: "a/inbox/odd.tar")
            let visit = try world.run("client", "run", "--home", "a")
            #expect(visit.output.contains("decision of ministry refused") == (day == 0), "\(visit)")
            #expect(world.names("a/inbox").isEmpty)
            world.advance(days: 1)
        }
    }
}

import Testing
import Wire

/// A clock that is wrong for one tick and mended: what it kept out lies valid in the exchange still.
@Suite struct ClockTroubleTests {
    /// Homes with an exchange, and a session that the next tick of the server begins.
    private func world(layout: String = "per client") throws -> World {
        let world = try World.enrolled()
        try world.shell("mkdir exchange")
        if layout == "flat" { try world.shell("mkdir exchange/inbox exchange/outbox") }
        for home in ["S"] + World.everybody { try world.configure(home, "exchange: \(world.path("exchange"))") }
        try world.succeed("server", "run", "--home", "S")
        for home in World.everybody {
            try world.succeed("client", "request", "--home", home, "--rounds", "1")
        }
        try world.succeed("server", "run", "--home", "S")
        try world.shell("mkdir S/requests/approved/spring && mv S/requests/pending/*.tar S/requests/approved/spring/")
        return world
    }

    /// The same, begun by a server whose clock was ahead for one run; its hospitals have put away what that made.
    private func worldOfAServer(ahead days: Int64, layout: String) throws -> World {
        let world = try world(layout: layout)
        world.advance(days: days)
        try world.succeed("server", "run", "--home", "S")
        world.advance(days: -days, seconds: 60)
        try world.shell("rm S/mailbox/clock.json")
        for home in World.everybody {
            let told = try world.succeed("client", "run", "--home", home)
            #expect(
                told.output.contains("still to come") && told.output.contains("move it back into inbox/"), "\(told)")
            #expect(told.output.contains("an exchange brings it again"), "\(told)")
        }
        return world
    }

    private func requireSilence(_ world: World, _ home: String) throws {
        #expect(try world.run("client", "run", "--home", home).isSilentSuccess)
    }

    private func finish(_ world: World) throws {
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        world.advance(seconds: 60)
        try world.succeed("server", "run", "--home", "S")
        #expect(try world.session("spring")["state"].text == "finished")
    }

    @Test(arguments: ["per client", "flat"])
    func whatAServersClockMadeTooEarlyIsFetchedAgainInItsTime(layout: String) throws {
        let world = try worldOfAServer(ahead: 3, layout: layout)
        world.advance(days: 1)
        for home in World.everybody { try requireSilence(world, home) }
        #expect(world.names("a/outbox", "update").isEmpty)
        world.advance(days: 1)
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        #expect(world.names("a/outbox", "update").count == 1)
        try finish(world)
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        world.advance(days: 3)
        for home in World.everybody { try requireSilence(world, home) }
    }

    @Test(arguments: ["per client", "flat"])
    func whatAServersClockMadeTooEarlyIsMadeAnew(layout: String) throws {
        let world = try worldOfAServer(ahead: 80, layout: layout)
        try world.shell("mkdir early && cp a/quarantine/*.age early/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("made while the clock here was ahead"), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        #expect(world.names("a/outbox", "update").count == 1)
        try finish(world)
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        // Nor do the first ones come to anything in their time.
        world.advance(days: 81)
        try world.shell("cp early/* a/inbox/")
        try requireSilence(world, "a")
        #expect(try world.status("a")["sessions"][0]["ended"].text?.hasPrefix("finished") == true)
    }

    @Test func whatAHospitalsClockTookForExpiredIsFetchedAgainOnceTheClockIsRight() throws {
        let world = try world()
        try world.succeed("server", "run", "--home", "S")
        world.advance(days: 365)
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("it expired on") && told.output.contains("move it back into inbox/"), "\(told)")
        #expect(try world.reasons("a").contains("move it back into inbox/"))
        let doctor = try world.run("doctor", "--home", "a")
        #expect(doctor.output.contains("goes back into inbox/ once the clock is right"), "\(doctor)")
        // As long as the clock is wrong, it is not fetched every night.
        world.advance(days: 1)
        try requireSilence(world, "a")
        #expect(world.names("a/inbox").isEmpty)
        world.advance(days: -366, seconds: 60)
        try world.shell("rm a/mailbox/clock.json")
        try world.succeed("client", "run", "--home", "a")
        #expect(world.names("a/outbox", "update").count == 1)
        try finish(world)
    }

    /// Its hospitals need not wait for that time once the server has noticed.
    @Test func whatAServersClockDatedTooLateIsMadeAnew() throws {
        let world = try World.enrolled()
        try world.request(World.everybody, rounds: 1)
        world.advance(days: 20)
        try world.approveAll("spring")
        world.advance(days: -20, seconds: 60)
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm S/mailbox/clock.json")
        let told = try world.serve()
        #expect(told.output.contains("made while the clock here was ahead"), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        for home in World.everybody {
            try world.visit(home)
            #expect(world.names("\(home)/outbox", "update").count == 1)
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// The round would be over before anybody takes it.
    @Test func anUpdateThatAClockDatedTooLateIsSignedAnew() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        world.advance(days: 3)
        try world.visit("a")
        world.advance(days: -3, seconds: 60)
        try world.answer("a")
        #expect(try world.serve().output.contains("still to come"))
        try world.shell("rm a/mailbox/clock.json")
        let told = try world.visit("a")
        #expect(told.output.contains("was made while the clock here was ahead") && told.output.contains("signed anew"))
        #expect(world.names("a/outbox", "update").count == 1)
        try requireSilence(world, "a")
        for home in ["b", "c"] { try world.visit(home) }
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        // Nor does the first one come to anything in its time.
        world.advance(days: 4)
        try world.shell("mv S/quarantine/*.age S/inbox/")
        #expect(try world.serve().status == 0)
        #expect(try world.history("spring").count == 1)
    }

    /// The one that was dated too late stays the newest by its date, and is not the answer.
    @Test func aServerThatLosesWhatWasSignedAnewGetsItAgain() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        world.advance(days: 3)
        try world.visit("a")
        world.advance(days: -3, seconds: 60)
        try world.shell("rm a/mailbox/clock.json")
        try world.visit("a")
        try world.shell("cp -a S backup")
        try world.answer("a")
        try world.serve()
        try world.visit("a")
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        #expect(try world.visit("a").output.contains("trained once more"))
        #expect(world.names("a/outbox", "update").count == 1)
        try world.answer("a")
        try world.serve()
        #expect(try world.session("spring")["answered"].items.count == 1)
    }

    /// By a clock that is wrong for a night it had expired before anybody fetched it.
    @Test(arguments: ["update", "global"]) func whatWasTakenForExpiredIsSentStill(kind: String) throws {
        let world = try world()
        try world.succeed("server", "run", "--home", "S")
        let home = kind == "update" ? "a" : "S"
        if kind == "update" { try world.succeed("client", "run", "--home", "a") }
        world.advance(days: 365)
        _ = try world.run(home == "a" ? "client" : "server", "run", "--home", home)
        world.advance(days: -365, seconds: 60)
        try world.shell("rm \(home)/mailbox/clock.json")
        _ = try world.run(home == "a" ? "client" : "server", "run", "--home", home)
        #expect(world.names("\(home)/outbox", kind).count > 0, "\(world.names("\(home)/outbox"))")
        try finish(world)
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// Else the server offers the same for as long as the clock was ahead, and knows of nothing that arrived.
    @Test func whatAReceiptDatedTooLateAcknowledgesIsAcknowledgedAgain() throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", "S")
        try world.serve()
        world.advance(days: 100)
        try world.visit("a")
        world.advance(days: -100, seconds: 60)
        try world.shell("rm a/mailbox/clock.json")
        try world.answer("a")
        #expect(try world.serve().output.contains("still to come"))
        #expect(world.names("S/outbox", "trust-ministry-to-hospital-a").count == 1)
        world.advance(days: 1)
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        #expect(world.names("S/outbox", "trust-ministry-to-hospital-a").isEmpty)
    }

    /// By courier the only copy lies in quarantine, and comes from there.
    @Test func whatLiesInQuarantineOnlyIsMovedBack() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.carry("S", to: "a")
        world.advance(days: 365)
        try world.succeed("client", "run", "--home", "a")
        world.advance(days: -365)
        try world.shell("rm a/mailbox/clock.json && mv a/quarantine/*.age a/inbox/")
        try world.succeed("client", "run", "--home", "a")
        #expect(world.names("a/outbox", "update").count == 1)
    }

    /// What is truly over stays where it is, and is told once.
    @Test func whatHasExpiredIsNotFetchedAgain() throws {
        let world = try world()
        try world.succeed("server", "run", "--home", "S")
        world.advance(days: 181)
        #expect(try world.succeed("client", "run", "--home", "a").output.contains("it expired on"))
        for _ in 1...3 {
            world.advance(days: 1)
            try requireSilence(world, "a")
            #expect(world.names("a/inbox").isEmpty && world.names("a/outbox", "update").isEmpty)
        }
    }
}

import Testing
import Wire

/// Rounds that time closes or stops.
@Suite struct DeadlineTests {
    @Test func aDeadlineWithoutQuorumPausesAndIsToldOnce() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in ["a", "b"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        world.advance(days: 13)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        world.advance(days: 2)
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.status == 69)
        #expect(
            told.output
                == "session spring: paused: round 1: the deadline has passed with 2 of 3 updates needed, missing hospital-c\n"
        )
        #expect(told.errors.isEmpty)
        #expect(try world.session("spring")["state"].text == "paused")
        for _ in 1...2 {
            world.advance(seconds: 900)
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
        try world.succeed("server", "extend", "spring", "7", "--home", "S")
        #expect(try world.session("spring")["state"].text == "running")
        try world.visit("c")
        try world.answer("c")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").first?.fate(of: "hospital-c") == "counted")
    }

    @Test func droppingTheMissingEndsAPause() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in ["a", "b"] {
            try world.visit(home)
            try world.answer(home)
        }
        world.advance(days: 15)
        #expect(try world.run("server", "run", "--home", "S").status == 69)
        try world.succeed("server", "drop", "spring", "hospital-c", "--home", "S")
        try world.serve()
        #expect(try world.session("spring")["version"].integer == 1)
    }

    /// The deadline paused it; that too few are left is another matter, and only the admin can mend it.
    @Test func anotherReasonForAPauseIsToldOnceMore() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.visit("a")
        try world.answer("a")
        world.advance(days: 15)
        #expect(try world.run("server", "run", "--home", "S").status == 69)
        let dropped = try world.succeed("server", "drop", "spring", "hospital-b", "--home", "S")
        let pause = "session spring: paused: round 1: 1 participant is left, 2 are needed\n"
        #expect(dropped.output.contains(pause), "\(dropped)")
        let session = try world.session("spring")
        #expect(session["pause_reason"].text == "round 1: 1 participant is left, 2 are needed")
        let table = try world.succeed("server", "sessions", "--home", "S").output
        #expect(table.contains("1 participant is left, 2 are needed"), "\(table)")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.status == 69 && told.output == pause, "\(told)")
        for _ in 1...2 {
            world.advance(seconds: 900)
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
    }

    /// Whoever reads cron's mail is not whoever gave the command.
    @Test func aPauseThatACommandBroughtIsToldByTheTickAsWell() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2)
        let pause = "session spring: paused: round 1: 1 participant is left, 2 are needed\n"
        let dropped = try world.succeed("server", "drop", "spring", "hospital-b", "--home", "S")
        #expect(dropped.output.contains(pause), "\(dropped)")
        let told = try world.run("server", "run", "--home", "S")
        #expect(told.status == 69 && told.output == pause, "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    @Test func anAnswerThatComesDuringAPauseEndsIt() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.visit("a")
        try world.answer("a")
        world.advance(days: 15)
        #expect(try world.run("server", "run", "--home", "S").status == 69)
        for home in ["b", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// The quorum closes the round at its deadline, never before; the missing is named everywhere.
    @Test func aQuorumClosesTheRoundAtTheDeadlineAndNamesTheMissing() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession(rounds: 2)
        for home in World.everybody { try world.visit(home) }
        for home in ["a", "b"] { try world.answer(home) }
        try world.serve()
        #expect(try world.history("spring").isEmpty)
        #expect(try world.session("spring")["missing"].texts == ["hospital-c"])
        world.advance(days: 14)
        let closed = try world.serve()
        #expect(closed.output.contains("round 1 closes with hospital-a, hospital-b, without hospital-c"), "\(closed)")
        let round = try #require(try world.history("spring").first)
        #expect(round.fate(of: "hospital-c") == "missing")
        #expect(try world.succeed("server", "history", "--home", "S").output.contains("hospital-c missing"))
        let model = round["model"].text

        // Everybody reads it in round.json, and the hospital itself is told.
        let global = try #require(world.names("S/outbox", "global").first)
        let report = try world.shell("tar xOf \(try world.opened("S/outbox/\(global)")) round.json").output
        let account = try StrictJSON.parse(Array(report.utf8), maximumBytes: 1 << 20)
        #expect(account.fate(of: "hospital-c") == "missing")
        #expect(account.fate(of: "hospital-a") == "counted")

        // The late update is recorded, and changes nothing.
        try world.answer("c")
        let late = try world.serve()
        #expect(late.output.contains("update of hospital-c for round 1 came late and is not used"), "\(late)")
        #expect(try world.history("spring").first?["model"].text == model)
        let told = try world.visit("c")
        #expect(told.output.contains("the update of round 1 was not counted"), "\(told)")
        for home in World.everybody { try world.answer(home) }
        try world.journey(["a", "b"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-c") == "counted")
        #expect(try world.succeed("server", "verify", "spring", "--home", "S").status == 0)
    }

    @Test func aRequestThatNobodyDecidesExpires() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        world.advance(days: 91)
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("REQ-1 has expired: nobody decided in time"), "\(told)")
        #expect(try world.run("server", "approve", "REQ-1", "--home", "S").status == 77)
        try world.visit("a")
        #expect(try world.status("a")["requests"][0]["status"].text == "rejected")
    }

    @Test func aServerThatIsSilentPastTheDeadlineIsReportedOnce() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.visit("a")
        world.advance(days: 16)
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("nothing from ministry since round 1; ask there"), "\(told)")
        #expect(try world.succeed("client", "status", "--home", "a").output.contains("silent past the deadline"))
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    /// A clock that was set back by more than a day is not believed.
    @Test func aClockThatWentBackStopsTheTick() throws {
        let world = try World.enrolled()
        world.advance(days: -3)
        for (role, home) in [("server", "S"), ("client", "a")] {
            let stopped = try world.run(role, "run", "--home", home)
            #expect(stopped.status == 78)
            #expect(stopped.errors.contains("the clock says 2026-02-26T08:00:00Z"), "\(stopped)")
        }
    }
}

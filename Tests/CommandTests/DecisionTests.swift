import Testing
import Wire

/// What the admin and the hospitals decide, and how the other side learns of it.
@Suite struct DecisionTests {
    @Test(arguments: [true, false])
    func aRejectionReachesTheHospitalWithItsReason(byCommand: Bool) throws {
        let world = try World.enrolled()
        try world.request(["a"])
        if byCommand {
            try world.succeed("server", "reject", "REQ-1", "--reason", "no ethics approval yet", "--home", "S")
            try world.serve()
        } else {
            try world.shell("mv S/requests/pending/REQ-1-hospital-a.tar S/requests/rejected/")
            try world.write("no ethics approval yet\n", to: "S/requests/rejected/REQ-1-hospital-a.tar.reason.txt")
            try world.serve()
        }
        let told = try world.visit("a")
        #expect(told.output.contains("request rejected: no ethics approval yet"))
        let request = try world.status("a")["requests"][0]
        #expect(request["status"].text == "rejected")
        #expect(request["reason"].text == "no ethics approval yet")
        #expect(try world.succeed("client", "status", "--home", "a").output.contains("no ethics approval yet"))
        #expect(try world.run("server", "approve", "REQ-1", "--home", "S").status == 77)
    }

    /// The session goes on without a hospital whose enrolment is taken back, also where its update has come.
    @Test func aSessionGoesOnWithoutAHospitalThatIsEnrolledNoMore() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        try world.visit("b")
        try world.answer("b")
        try world.serve()
        try world.shell("mv S/enrolments/approved/*hospital-b.tar S/enrolments/rejected/")
        let told = try world.serve()
        #expect(told.output.contains("hospital-b is enrolled no more"), "\(told)")
        for _ in 1...2 {
            let tick = try world.journey(["a", "c"])
            #expect(!tick.output.contains("nothing is sent"), "\(tick)")
        }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-b") != "counted")
    }

    /// The lowest request leads; whoever asked otherwise is asked.
    @Test func aPlanThatDiffersWaitsUntilItIsApproved() throws {
        let world = try World.enrolled()
        try world.request(["a"], rounds: 1)
        try world.request(["b"], rounds: 2)
        try world.approveAll("spring")
        let visit = try world.visit("b")
        #expect(visit.output.contains("PLAN-1  from ministry"), "\(visit)")
        #expect(world.names("b/outbox", "update").isEmpty)
        let plan = try world.json("client", "plans", "--home", "b")["plans"][0]
        #expect(plan["consent"].text == "asked")
        #expect(plan["differences"].texts.contains { $0.contains("rounds") })
        #expect(try world.run("client", "run", "--home", "b").isSilentSuccess)

        // By a slip of the hand to the desk of finished models, which has a folder of that name too.
        try world.shell("mv b/plans/pending/*.tar b/updates/accepted/")
        let slip = try world.succeed("client", "run", "--home", "b")
        #expect(slip.output.contains("accepted/PLAN-1-ministry.tar belongs on another desk"), "\(slip)")
        #expect(try world.run("client", "run", "--home", "b").isSilentSuccess)

        try world.shell("mv b/updates/accepted/*.tar b/plans/approved/")
        try world.succeed("client", "run", "--home", "b")
        #expect(world.names("b/outbox", "update").count == 1)
        try world.answer("b")
        try world.journey(["a"])
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
    }

    @Test func refusingAPlanWithdrawsFromItsSession() throws {
        let world = try World.enrolled()
        try world.request(["a", "c"], rounds: 1)
        try world.request(["b"], rounds: 2)
        try world.approveAll("spring")
        try world.visit("b")
        // As the list has it, or the number alone; a person is told what came of it.
        #expect(try world.run("client", "plans", "--refuse", "PLAN1", "--home", "b").status == 64)
        let refused = try world.succeed("client", "plans", "--refuse", "PLAN-1", "--home", "b")
        #expect(refused.output.hasPrefix("PLAN-1 is refused: "), "\(refused)")
        try world.answer("b")
        let told = try world.serve()
        #expect(told.output.contains("hospital-b has withdrawn"), "\(told)")
        try world.journey(["a", "c"])
        let round = try #require(try world.history("spring").first)
        #expect(round.fate(of: "hospital-a") == "counted")
        #expect(round.fate(of: "hospital-b") == nil)
        try world.visit("b")
        #expect(try world.status("b")["requests"][0]["status"].text == "withdrawn")
        #expect(world.names("b/outbox", "update").isEmpty)
    }

    @Test func consentAlwaysTrainsAnyPlan() throws {
        let world = try World.enrolled()
        try world.configure("b", "consent: always")
        try world.request(["a"], rounds: 1)
        try world.request(["b"], rounds: 2)
        try world.approveAll("spring")
        try world.visit("b")
        #expect(world.names("b/outbox", "update").count == 1)
    }

    /// By the command, or by moving the request from approved to rejected.
    @Test(arguments: [true, false])
    func aDroppedHospitalIsToldAndStops(byCommand: Bool) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        for home in World.everybody { try world.visit(home) }
        if byCommand {
            try world.succeed("server", "drop", "spring", "hospital-c", "--reason", "machine broken", "--home", "S")
        } else {
            try world.shell("mv S/requests/approved/spring/REQ-3-hospital-c.tar S/requests/rejected/")
            try world.write("machine broken", to: "S/requests/rejected/REQ-3-hospital-c.tar.reason.txt")
            try world.serve()
        }
        try world.carry("S", to: "c")
        let told = try world.succeed("client", "run", "--home", "c")
        #expect(told.output.split(separator: "\n").filter { $0.contains("is over") }.count == 1, "\(told)")
        #expect(told.output.contains("the server dropped this hospital: machine broken"))
        #expect(try world.run("client", "run", "--home", "c").isSilentSuccess)
        for home in ["a", "b"] { try world.answer(home) }
        try world.serve()
        try world.journey(["a", "b"])
        let history = try world.history("spring")
        #expect(history.count == 2)
        #expect(history.allSatisfy { $0.fate(of: "hospital-c") == nil })
        #expect(try world.session("spring")["state"].text == "finished")
    }

    @Test func aWithdrawnHospitalIsNoLongerWaitedFor() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.carry("S", to: home) }
        try world.succeed("client", "run", "--home", "a")
        try world.succeed("client", "run", "--home", "b")
        try world.succeed("client", "run", "--home", "c")
        try world.succeed("client", "withdraw", "--reason", "scanner was recalibrated", "--home", "c")
        #expect(world.names("c/outbox", "withdraw").count == 1)
        for home in World.everybody { try world.answer(home) }
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("hospital-c has withdrawn"))
        try world.visit("c")
        #expect(try world.status("c")["requests"][0]["status"].text == "withdrawn")
        #expect(try world.status("c")["sessions"][0]["ended"].text == "withdrawn")
        let none = try world.run("client", "withdraw", "--home", "c")
        #expect(none.status == 66)
        #expect(none.errors.hasPrefix("consilium: there is no such open request\n"))
    }

    @Test func anUndecidedRequestIsTakenBack() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.succeed("client", "withdraw", "--home", "a")
        try world.answer("a")
        #expect(try world.serve().output.contains("REQ-1 of hospital-a is withdrawn"))
        #expect(try world.json("server", "requests", "--pending", "--home", "S")["requests"].items.isEmpty)
        // The folder holds what waits; the bundle is still in the archive.
        try world.serve()
        #expect(world.names("S/requests/pending").isEmpty)
        try world.visit("a")
        #expect(try world.status("a")["requests"][0]["status"].text == "withdrawn")
    }

    /// Its old update belongs to the request that is over, and is not averaged.
    @Test func aDroppedHospitalComesBackWithANewRequest() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/requests/approved/spring/REQ-1-hospital-a.tar S/requests/rejected/")
        #expect(try world.run("server", "run", "--home", "S").status == 69, "it is paused")
        #expect(try world.visit("a").output.contains("is over: the server dropped this hospital"))
        try world.request(["a"], rounds: 2)
        try world.approveAll("spring")
        let told = try world.visit("a")
        #expect(told.output.contains("training"), "\(told)")
        #expect(try world.status("a")["sessions"][0]["ended"] == .null)
        try world.answer("a")
        for _ in 1...2 { try world.journey(["a", "b"]) }
        let session = try world.session("spring")
        #expect(session["state"].text == "finished", "\(session)")
        let rounds = try world.history("spring")
        #expect(rounds.map { $0.fate(of: "hospital-a") } == ["counted", "counted"])
    }

    @Test func whoIsDroppedBeforeItsFirstGlobalDoesNotTrain() throws {
        let world = try World.enrolled()
        try world.startSession("spring")
        try world.shell("mv S/requests/approved/spring/REQ-1-hospital-a.tar S/requests/rejected/")
        _ = try world.run("server", "run", "--home", "S")
        let told = try world.visit("a")
        #expect(told.output.contains("the server dropped this hospital"), "\(told)")
        #expect(world.names("a/outbox", "update").isEmpty)
        #expect(try world.status("a")["requests"][0]["status"].text == "rejected")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    /// README: no update is left out silently.
    @Test func theUpdateOfADroppedHospitalIsOnRecord() throws {
        let world = try World.enrolled()
        try world.startSession("spring")
        try world.visit("a")
        try world.answer("a")
        try world.shell("mv S/requests/approved/spring/REQ-1-hospital-a.tar S/requests/rejected/")
        // Dropped first: desk moves come before the inbox.
        let told = try world.run("server", "run", "--home", "S", "--verbose")
        #expect(told.output.contains("update of hospital-a ignored: the client is dropped"), "\(told)")
        #expect(try world.text("S/audit/audit.jsonl").contains("update of hospital-a ignored"))
        #expect(try world.succeed("server", "requests", "--home", "S").output.contains("approved, dropped"))
        let id = try #require(try world.session("spring")["id"].text)
        #expect(try world.succeed("server", "sessions", "--home", "S").output.contains(" \(id.prefix(8)) "))
    }

    @Test func anAbortedSessionStopsEverybody() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 3)
        try world.visit("a")
        try world.succeed("server", "abort", "spring", "--reason", "wrong labels", "--home", "S")
        for home in World.everybody {
            try world.carry("S", to: home)
            let told = try world.succeed("client", "run", "--home", home)
            let lines = told.output.split(separator: "\n").filter {
                $0.contains("is over: aborted by the server: wrong labels")
            }
            // Who asked is told, whether or not it has seen the session.
            #expect(lines.count == 1, "\(home): \(told)")
            let request = try world.status(home)["requests"][0]["status"].text
            #expect(request == (home == "a" ? "approved" : "rejected"), "\(home)")
            #expect(world.names("\(home)/outbox", "update").count == (home == "a" ? 1 : 0))
            #expect(try world.run("client", "run", "--home", home).isSilentSuccess)
        }
        #expect(try world.session("spring")["state"].text == "aborted")
        let twice = try world.run("server", "extend", "spring", "3", "--home", "S")
        #expect(twice.status == 77)
    }

    /// A command that changes nothing says so, and is not on record as done.
    @Test func whatIsDoneAlreadyIsNotDoneAgain() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 1)
        func refused(_ arguments: [String], _ says: String) throws {
            try #require(try world.run(["server"] + arguments + ["--home", "S"]).status == 0)
            let before = try world.text("S/audit/audit.jsonl")
            let second = try world.run(["server"] + arguments + ["--home", "S"])
            #expect(second.status == 77 && second.errors.contains(says), "\(second)")
            #expect(try world.text("S/audit/audit.jsonl") == before)
        }
        try refused(["drop", "spring", "hospital-c"], "hospital-c has left session spring already: it was dropped")
        try refused(["abort", "spring"], "session spring is aborted already")
    }

    /// Nothing answers a withdrawal from a session that is over.
    @Test func aRequestWhoseSessionHasFinishedIsNotWithdrawn() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.journey()
        try world.visit("a")
        let id = try #require(try world.status("a")["requests"][0]["id"].text)
        let none = try world.run("client", "withdraw", "--home", "a")
        #expect(none.status == 66, "\(none)")
        #expect(none.errors.contains("hint: none is open"), "\(none)")
        let named = try world.run("client", "withdraw", String(id.prefix(8)), "--home", "a")
        #expect(named.status == 77, "\(named)")
        #expect(named.errors.contains("its session has finished"), "\(named)")
        #expect(try world.status("a")["requests"][0]["status"].text == "approved")

        // The next one is open, and the default.
        try world.succeed("client", "request", "--home", "a")
        try world.succeed("client", "withdraw", "--home", "a")
        #expect(try world.status("a")["requests"].items.map { $0["status"].text } == ["approved", "withdrawing"])
    }
}

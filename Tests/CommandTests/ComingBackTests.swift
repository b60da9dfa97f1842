import Testing
import Wire

/// Hospitals that leave a session, or are dropped from it, and come back; and leave-takings that are cut off.
@Suite struct ComingBackTests {
    /// The stick with the drop was lost, and comes after the one with the new approval.
    @Test(arguments: [true, false])
    func theApprovalOvertakesTheDrop(hasAnswered: Bool) throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        let configuration = try world.text("a/consilium.yaml")
        // It has the global in both cases, and cannot train it in one.
        if !hasAnswered {
            try world.write(configuration.replacing(/data: .*/, with: "data: nowhere"), to: "a/consilium.yaml")
        }
        try world.carry("S", to: "a")
        _ = try world.run("client", "run", "--home", "a")
        try world.write(configuration, to: "a/consilium.yaml")
        try #require(world.names("a/outbox", "update").isEmpty == !hasAnswered)
        try world.answer("a")
        try world.serve()
        let before = world.names("S/outbox")
        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        // The session has too few hospitals now.
        _ = try world.run("server", "run", "--home", "S")
        let drop = try #require(world.names("S/outbox", "decision").first { !before.contains($0) })
        try world.shell("mkdir dropped && mv S/outbox/\(drop) dropped/")
        try world.request(["a"], rounds: 2)
        try world.approveAll("spring")
        let told = try world.visit("a")
        #expect(told.output.contains("training"), "\(told)")
        try world.shell("cp dropped/* a/inbox/")
        #expect(try !world.succeed("client", "run", "--home", "a").output.contains("is over"))
        try world.answer("a")
        for _ in 1...2 { try world.journey(["a", "b"]) }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted"])
        let requests = try world.status("a")["requests"].items
        #expect(requests.map { $0["status"].text } == ["rejected", "approved"])
    }

    /// A plan that the new request does not ask for waits, though the old one's was trained.
    @Test func whoComesBackWithOtherWishesIsAskedAgain() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.visit("a")
        try world.succeed("client", "withdraw", "--home", "a")
        try world.answer("a")
        _ = try world.run("server", "run", "--home", "S")
        try world.request(["a"], rounds: 3)
        try world.approveAll("spring")
        let told = try world.visit("a")
        #expect(told.output.contains("waits for you") && !told.output.contains("training"), "\(told)")
        let plan = try world.json("client", "plans", "--home", "a")["plans"][0]
        #expect(plan["consent"].text == "asked")
        #expect(plan["differences"].texts == ["rounds: asked for 3, the plan says 2"])
    }

    /// What was decided about a plan for the old request is no answer for the new one.
    @Test func aPlanThatIsAskedAnewIsNotAnsweredByTheOldFile() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.request(["b"], rounds: 2)
        try world.request(["a"], rounds: 3)
        try world.approveAll("spring")
        try world.visit("a")
        try world.shell("mv a/plans/pending/*.tar a/plans/approved/")
        #expect(try world.succeed("client", "run", "--home", "a", "--verbose").output.contains("training"))
        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        _ = try world.run("server", "run", "--home", "S")
        try world.request(["a"], rounds: 4)
        try world.approveAll("spring")
        let told = try world.visit("a")
        #expect(told.output.contains("waits for you") && !told.output.contains("training"), "\(told)")
        #expect(world.names("a/plans/pending").count { $0.hasSuffix(".tar") } == 1)
        #expect(world.names("a/plans/approved").isEmpty)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    /// What cannot be sent today is not on record as done: the decision lies on the desk, and the next run sends it.
    @Test func aRefusalThatCannotBeSentIsSentLater() throws {
        let world = try World.enrolled()
        try world.request(["a", "c"], rounds: 1)
        try world.request(["b"], rounds: 2)
        try world.approveAll("spring")
        try world.visit("b")
        let recipients = try world.text("b/trust/recipients")
        try world.write("# consilium: whom to encrypt to, 'NAME age1...' a line\n", to: "b/trust/recipients")
        #expect(try world.run("client", "plans", "--refuse", "1", "--home", "b").status != 0)
        #expect(world.names("b/outbox", "withdraw").isEmpty)
        try world.write(recipients, to: "b/trust/recipients")
        try world.succeed("client", "run", "--home", "b")
        #expect(world.names("b/outbox", "withdraw").count == 1)
        #expect(try world.status("b")["sessions"][0]["ended"].text == "withdrawn")
    }

    /// Killed anywhere, a withdrawal is sent and on record, or neither; and the server's answer is understood.
    @Test(
        .enabled(if: Strace.isUsable, "strace is missing or may not trace here"),
        arguments: [
            ["client", "withdraw", "--home", "a"], ["client", "plans", "--refuse", "1", "--home", "a"],
        ])
    func aWithdrawalIsSentAndOnRecordOrNeither(command: [String]) throws {
        let world = try World.enrolled()
        try world.configure("a", "threads: 1")
        try world.request(["b", "c"], rounds: 2)
        try world.request(["a"], rounds: command.contains("plans") ? 3 : 2)
        try world.approveAll("spring")
        try world.carry("S", to: "a")
        // Without the training.
        try world.shell("sed -i 's/^data:.*/data: nowhere/' a/consilium.yaml")
        _ = try world.run("client", "run", "--home", "a")
        var (cut, undone) = (0, 0)
        for number in 1... {
            let twin = try World.copy(of: world.root, isPassing: true)
            let point = Strace.Point(call: "rename", number: number, fault: .kill)
            guard try Strace.run(command, injecting: point, in: twin).isHit else { break }
            cut += 1
            _ = try twin.run("client", "run", "--home", "a")
            let isSent = !twin.names("a/outbox", "withdraw").isEmpty
            let status = try twin.status("a")
            #expect((status["requests"][0]["status"].text == "withdrawing") == isSent, "rename \(number)")
            #expect((status["sessions"][0]["ended"].text == "withdrawn") == isSent, "rename \(number)")
            undone += isSent ? 0 : 1
            guard isSent else { continue }
            try twin.carry("a", to: "S")
            try twin.serve()
            try twin.carry("S", to: "a")
            _ = try twin.run("client", "run", "--home", "a")
            #expect(try twin.status("a")["requests"][0]["status"].text == "withdrawn", "rename \(number)")
        }
        #expect(cut > 3 && undone < cut, "\(cut) points, \(undone) without effect")
    }

    /// The finished model is offered again where the bundle that brought it is lost.
    @Test func aLostFinishedModelComesAgain() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 1)
        try world.journey(["a", "b"])
        try world.visit("a")
        try world.shell("rm a/archive/*.tar a/updates/pending/*.tar")
        #expect(try world.run("client", "accept", "1", "--home", "a").status == 66)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.visit("a")
        #expect(world.names("a/updates/pending", "UPD").count == 1)
        try world.succeed("client", "accept", "1", "--home", "a")
        #expect(world.exists("a/models/hospital-a_FinalGlobal_v1.safetensors"))
    }

    /// Whether it is decided by hand or by command, and what a run does with a file that cannot be moved.
    @Test func aModelThatWasIssuedAgainIsDecidedByTheFileThatLiesThere() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 1)
        try world.journey(["a", "b"])
        try world.visit("a")
        let file = try #require(world.names("a/updates/pending", "UPD").first)
        try world.shell("rm a/archive/*.tar")
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.visit("a")
        #expect(world.names("a/updates/pending", "UPD") == [file])
        try world.shell("mv a/updates/pending/\(file) a/updates/accepted/")
        #expect(try world.succeed("client", "run", "--home", "a").output.contains("version 1 is installed"))
        // It lies in the way of itself.
        try world.shell("cp a/updates/accepted/\(file) a/updates/pending/ && echo x > a/updates/accepted/\(file)")
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("cannot be moved to accepted/"), "\(told)")
        #expect(try !world.succeed("client", "run", "--home", "a").output.contains("cannot be moved"))
    }
}

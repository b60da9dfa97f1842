import Testing
import Wire

/// A hospital that leaves a session or loses its home, and goes on: what is under way of the time before is neither taken
/// for something newer nor left without an answer.
@Suite struct ReturnTests {
    /// In round 1 of two; hospital-a was dropped, and came back with REQ-3 for REQ-1.
    ///
    /// - Parameter isTold: it has heard of the drop.
    private func returned(isTold: Bool = true, _ before: (World) throws -> Void = { _ in }) throws -> World {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.visit("a")
        try before(world)
        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        #expect(try world.run("server", "run", "--home", "S").status == 69, "it is paused")
        if isTold { try world.visit("a") }
        try world.request(["a"], rounds: 2)
        try world.approveAll("spring")
        return world
    }

    /// An acknowledgement of the frozen tensors that came before a loss says nothing about what is there after it.
    @Test func whatWasAcknowledgedBeforeALossIsSentAgainUntilItIsAcknowledgedAnew() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2, ["--train-from", "head"])
        try world.journey(["a"])
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        // Nothing of this answers the second issue.
        try world.succeed("client", "request", "--home", "a", "--rounds", "2")
        try world.answer("a")
        try world.serve()
        try world.journey(["b"])
        let second = world.names("S/outbox", "global").filter { $0.contains("-r2-") }
        #expect(second.contains { $0.hasPrefix("global-ministry-to-hospital-a-") }, "\(second)")
        try world.shell("rm -rf a/sessions/*/base.safetensors")
        try world.visit("a")
        #expect(world.names("a/outbox", "update").contains { $0.contains("-r2-") })
    }

    /// It is honest, and on record; no alarm is raised and nothing is put away.
    @Test func anUpdateForTheRequestBeforeIsIgnored() throws {
        let world = try returned { try $0.shell("mkdir late && mv a/outbox/update-* late/") }
        try world.shell("cp late/* S/inbox/")
        let told = try world.serve()
        let says = "update of hospital-a ignored: it answers a request that is over"
        #expect(told.output.contains(says) && !told.output.contains("refused"), "\(told)")
        #expect(try world.text("S/audit/audit.jsonl").contains(says))
        #expect(world.names("S/quarantine").isEmpty && world.names("S/inbox").isEmpty)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    @Test func withdrawingTheRequestBeforeIsAnsweredAndEndsNothing() throws {
        let world = try returned(isTold: false)
        let old = try #require(try world.status("a")["requests"][0]["id"].text)
        try world.succeed("client", "withdraw", String(old.prefix(12)), "--home", "a")
        try world.answer("a")
        try world.serve()
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.visit("a")
        try world.answer("a")
        let statuses = try world.status("a")["requests"].items.map { $0["status"].text }
        #expect(statuses == ["withdrawn", "approved"])
        let list = try world.succeed("server", "requests", "--home", "S").output
        #expect(!list.contains("approved, withdrawn"), "\(list)")
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    @Test func theRequestBeforeIsShownAsReplaced() throws {
        let world = try returned()
        let list = try world.succeed("server", "requests", "--home", "S").output.split(separator: "\n")
        #expect(list.contains { $0.hasPrefix("REQ-1 ") && $0.contains("approved, replaced") }, "\(list)")
        #expect(list.contains { $0.hasPrefix("REQ-3 ") && !$0.contains("approved,") }, "\(list)")
        let command = try world.run("server", "reject", "REQ-1", "--home", "S")
        #expect(command.status == 77 && command.errors.contains("replaced by a newer request"), "\(command)")
    }
}

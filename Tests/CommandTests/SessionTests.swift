import Testing
import Wire

/// Several sessions, hospitals that come later, and hospitals that lost what they had.
@Suite struct SessionTests {
    @Test func sessionsRunSideBySideAndEachLeavesItsVersion() throws {
        let world = try World.enrolled()
        try world.request(["a"], rounds: 1)
        try world.shell("mv S/requests/pending/REQ-1-hospital-a.tar S/requests/approved/")
        let alone = try world.succeed("server", "run", "--home", "S")
        #expect(alone.output.contains("hospital-a trains alone"), "\(alone)")
        world.advance(seconds: 60)
        try world.request(["b", "c"], rounds: 2)
        try world.approveAll("spring")
        let names = try world.json("server", "sessions", "--home", "S")["sessions"].items.map { $0["name"].text }
        #expect(names == ["REQ-1@hospital-a", "spring"])

        try world.journey()
        #expect(try world.session("REQ-1@hospital-a")["version"].integer == 1)
        #expect(try world.session("spring")["state"].text == "running")
        try world.journey(["b", "c"])
        #expect(try world.session("spring")["version"].integer == 2)
        let records = try world.json("server", "versions", "--home", "S")["versions"].items
        #expect(records.map { $0["base"].integer } == [nil, 0, 0])
        let text = try world.succeed("server", "versions", "--home", "S").output
        #expect(text.split(separator: "\n").last?.contains("spring, version 0 (branch)") == true, "\(text)")
        // Each is offered to its own participants only.
        for home in World.everybody { try world.visit(home) }
        #expect(try world.status("a")["offers"].items.map { $0["version"].integer } == [1])
        #expect(try world.status("b")["offers"].items.map { $0["version"].integer } == [2])

        // The next session begins from the newest.
        try world.request(["a", "b"], rounds: 1)
        try world.approveAll("summer")
        try world.journey(["a", "b"])
        let last = try #require(try world.json("server", "versions", "--home", "S")["versions"].items.last)
        #expect(last["number"].integer == 3)
        #expect(last["base"].integer == 2)
    }

    @Test func aNamedSessionWaitsForEnoughHospitals() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.shell("mkdir S/requests/approved/spring; mv S/requests/pending/*.tar S/requests/approved/spring/")
        let waits = try world.succeed("server", "run", "--home", "S")
        #expect(waits.output.contains("session spring waits: it has 1 of the 2 clients that it needs"))
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        #expect(try world.session("spring")["state"].text == "waiting")
        try world.request(["b"])
        try world.approveAll("spring")
        #expect(try world.session("spring")["state"].text == "running")
    }

    @Test func aFinishedSessionTakesNobodyIn() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.journey(["a", "b"])
        try world.request(["c"])
        try world.shell("mv S/requests/pending/*.tar S/requests/approved/spring/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(
            told.output.contains("session spring is finished; move the file to a folder with a new name"), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.shell("mv S/requests/approved/spring/REQ-3-hospital-c.tar S/requests/approved/")
        try world.succeed("server", "run", "--home", "S")
        #expect(try world.session("REQ-3@hospital-c")["state"].text == "running")
    }

    @Test func theAdminsOwnPlanWins() throws {
        let world = try World.enrolled()
        try world.request(["a", "b"], rounds: 1)
        try world.shell("mkdir S/requests/approved/spring")
        try world.write("rounds: 1\nbatch_size: 4\nstrategy: fedavg\n", to: "S/requests/approved/spring/plan.yaml")
        try world.approveAll("spring")
        try world.visit("a")
        let plan = try world.json("client", "plans", "--home", "a")["plans"][0]["content"]
        #expect(plan["batch_size"].integer == 4)
        #expect(plan["strategy"]["name"].text == "fedavg")
    }

    @Test(arguments: [
        ("batchsize: 4", "did you mean 'batch_size'?"),
        ("image_size: 999", "image size 999 does not suit smallcnn: use 32 to 512"),
        ("architecture: resnet18", "'architecture' is the model's"),
    ])
    func aMistakeInThePlanIsToldAndTheSessionWaits(line: String, says: String) throws {
        let world = try World.enrolled()
        try world.request(["a", "b"], rounds: 1)
        try world.shell("mkdir S/requests/approved/spring")
        try world.write(line + "\n", to: "S/requests/approved/spring/plan.yaml")
        try world.shell("mv S/requests/pending/*.tar S/requests/approved/spring/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("session spring cannot start: "), "\(told)")
        #expect(told.output.contains(says), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.write("batch_size: 4\n", to: "S/requests/approved/spring/plan.yaml")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "running")
    }

    @Test func aHospitalThatComesLaterJoinsAtTheNextRound() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.request(["c"], rounds: 2)
        try world.shell("mv S/requests/pending/*.tar S/requests/approved/spring/")
        try world.serve()
        try world.visit("c")
        #expect(world.names("c/outbox", "update").isEmpty)
        try world.journey(["a", "b"])
        try world.journey()
        let history = try world.history("spring")
        #expect(history.map { $0.fate(of: "hospital-c") } == [nil, "counted"])
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// Only the classifier and the last block train; the frozen rest travels once to each hospital.
    @Test func theFrozenPartTravelsOnlyToThoseWhoLackIt() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 3, ["--train-from", "layer4"])
        let first = try #require(world.names("S/outbox", "global").first)
        #expect(try files(world, "S/outbox/\(first)").contains("base.safetensors"))
        try world.journey(["a", "b"])
        try world.request(["c"], rounds: 3, ["--train-from", "layer4"])
        try world.shell("mv S/requests/pending/*.tar S/requests/approved/spring/")
        try world.serve()
        #expect(try globals(world).allSatisfy { !$0.value.contains("base.safetensors") })
        let update = try files(world, try world.update("a"))
        #expect(update == ["manifest.json", "manifest.json.sig", "update.safetensors", "metrics.json"])
        try world.journey(["a", "b"])
        let third = try globals(world)
        #expect(third.count == 2, "\(third.keys)")
        #expect(third.filter { $0.value.contains("base.safetensors") }.keys.allSatisfy { $0.contains("hospital-c") })
        #expect(third.filter { $0.value.contains("base.safetensors") }.count == 1)
        try world.journey()
        #expect(try world.history("spring").map { $0.fate(of: "hospital-c") } == [nil, nil, "counted"])

        // The frozen tensors are in the version unchanged, the others are not.
        try world.visit("c")
        try world.succeed("client", "accept", "1", "--home", "c")
        #expect(try world.bytes("S/versions/0000/model.safetensors").count == world.model(1).count)
    }

    @Test func aHospitalThatLostTheFrozenPartGetsItAgain() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2, ["--train-from", "head"])
        try world.journey(["a", "b"])
        let session = try #require(try world.session("spring")["id"].text)
        try world.shell("rm a/sessions/\(session)/base.safetensors")
        try world.carry("S", to: "a")
        let lost = try world.run("client", "run", "--home", "a")
        #expect(lost.status == 66 && lost.output.split(separator: "\n").count == 1, "\(lost)")
        #expect(lost.output.contains("ask the server's admin for 'server reissue'"), "\(lost)")
        #expect(world.names("a/outbox", "update").allSatisfy { !$0.contains("r2") }, "\(lost)")
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.journey(["a", "b"])
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
        #expect(try world.session("spring")["state"].text == "finished")
        // There is no third round of which a global could be issued.
        let again = try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        #expect(again.output.contains("the finished model is issued again to hospital-a"), "\(again)")
        let over = try world.run("server", "reissue", "nosuch", "hospital-a", "--home", "S")
        #expect(over.status == 66)
        #expect(over.errors.contains("hint: there are spring"))
    }

    /// Without `sessions/` a hospital knows neither that it is enrolled nor what was decided: both come again.
    @Test func aHospitalThatLostItsSessionsGoesOn() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.journey(["a", "b"])
        try world.shell("rm -rf a/sessions/*")
        try world.carry("S", to: "a")
        let lost = try world.succeed("client", "run", "--home", "a")
        #expect(lost.output.contains("ask for 'server reissue'"), "\(lost)")
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.journey(["a", "b"])
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
        #expect(try world.status("a")["enrolled"] != .null)
    }

    private func files(_ world: World, _ bundle: String) throws -> [String] {
        try world.shell("tar tf '\(try world.opened(bundle))'").output.split(separator: "\n").map(String.init)
    }

    private func globals(_ world: World) throws -> [String: [String]] {
        Dictionary(
            uniqueKeysWithValues: try world.names("S/outbox", "global").map { ($0, try files(world, "S/outbox/\($0)")) }
        )
    }
}

import Testing
import Wire

/// A version that was accepted and is in doubt now: docs/KEYS.md orders it to `updates/rejected/`.
@Suite struct OutOfUseTests {
    private let model = "a/models/hospital-a_FinalGlobal_v1.safetensors"

    /// Versions 1 and 2 were accepted at hospital-a.
    private func accepted(versions: Int = 1) throws -> World {
        let world = try World.enrolled()
        for version in 1...versions {
            try world.startSession("session\(version)", rounds: 1)
            try world.journey()
            try world.visit("a")
            try world.succeed("client", "accept", "\(version)", "--home", "a")
        }
        return world
    }

    @Test(arguments: [true, false])
    func anAcceptedVersionIsTakenOutOfUse(byCommand: Bool) throws {
        let world = try accepted(versions: 2)
        let told: Outcome
        if byCommand {
            told = try world.succeed("client", "reject", "2", "--home", "a")
        } else {
            try world.shell("mv a/updates/accepted/UPD-2-* a/updates/rejected/")
            told = try world.succeed("client", "run", "--home", "a")
        }
        #expect(told.output.contains("version 2 is rejected and out of use"), "\(told)")
        #expect(told.output.contains("'predict' uses version 1 from now on"), "\(told)")
        #expect(world.names("a/updates/rejected").contains { $0.hasPrefix("UPD-2-") })
        #expect(world.names("a/models/rejected") == ["hospital-a_FinalGlobal_v2.safetensors"])
        #expect(world.exists(model))
        let info = try world.json("model", "info", "--home", "a")
        #expect("\(info)".contains("FinalGlobal_v1"), "\(info)")
        let offers = try world.json("client", "updates", "--home", "a")["updates"].items
        #expect(offers.map { $0["status"].text } == ["accepted", "rejected"])
        #expect(try world.text("a/audit/audit.jsonl").contains("version 2 from ministry; it was installed"))
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        // Nothing is lost.
        try world.succeed("client", "accept", "2", "--home", "a")
        #expect(world.exists("a/models/hospital-a_FinalGlobal_v2.safetensors"))
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    @Test func withoutAnotherVersionThereIsNothingToPredictWith() throws {
        let world = try accepted()
        let told = try world.succeed("client", "reject", "1", "--home", "a")
        #expect(told.output.contains("no accepted version is left"), "\(told)")
        #expect(try world.run("predict", "x.png", "--home", "a").status == 66)
        let again = try world.run("client", "reject", "1", "--home", "a")
        #expect(again.status == 77 && again.errors.contains("version 1 is rejected already"), "\(again)")
    }

    /// Its file lies in rejected/ from before: that is no newer word of a person's.
    @Test(.enabled(if: Strace.isUsable, "strace cannot be used"))
    func aStoppedAcceptanceOfARejectedVersionIsNotTurnedRound() throws {
        let template = try accepted()
        try template.succeed("client", "reject", "1", "--home", "a")
        let command = ["client", "accept", "1", "--home", "a"]
        let counts = try Strace.count(["rename"], of: command, home: "a", in: World.copy(of: template.root))
        let points = counts.flatMap { call, numbers in
            numbers.map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        #expect(points.count > 3)
        for point in points {
            let world = try World.copy(of: template.root)
            _ = try Strace.run(command, injecting: point, in: world)
            let offer = try world.json("client", "updates", "--home", "a")["updates"][0]["status"].text
            try world.succeed("client", "run", "--home", "a")
            #expect(
                try world.json("client", "updates", "--home", "a")["updates"][0]["status"].text == offer, "\(point)")
            #expect(world.exists(model) == (offer == "accepted"), "\(point)")
        }
    }

    /// What was decided stays decided, and a person is told.
    @Test func aDecidedVersionThatIsMovedBackIsSaid() throws {
        let world = try accepted()
        try world.shell("mv a/updates/accepted/UPD-1-* a/updates/pending/")
        let told = try world.run("client", "run", "--home", "a")
        #expect(told.status == 0 && told.output.contains("version 1 is accepted: its file was moved"), "\(told)")
        #expect(world.names("a/updates/accepted").count == 1 && world.exists(model))
        try world.succeed("client", "reject", "1", "--home", "a")
        try world.shell("mv a/updates/rejected/UPD-1-* a/updates/pending/")
        let rejected = try world.run("client", "run", "--home", "a")
        #expect(rejected.output.contains("version 1 is rejected: its file was moved"), "\(rejected)")
        #expect(world.names("a/updates/pending", "UPD").isEmpty)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }
}

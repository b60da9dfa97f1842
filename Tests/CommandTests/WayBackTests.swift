import Bundles
import Testing
import Wire

/// A server that is restored from a backup of an earlier round: what its hospitals did since is of a future that is lost.
@Suite struct WayBackTests {
    /// Round 1 is closed and everybody has round 2, which `answered` have answered; the server knows of round 1 alone, and that
    /// something came of which it does not know.
    private func restored(answered: [String] = ["a", "b"]) throws -> World {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        for home in answered { try world.answer(home) }
        try world.serve()
        try world.shell("mkdir lost && cp S/outbox/global-* lost/ && rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["round"].integer == 1)
        return world
    }

    private func reissue(_ world: World) throws {
        for home in World.everybody {
            try world.succeed("server", "reissue", "spring", "hospital-\(home)", "--home", "S")
        }
        try world.serve()
    }

    @Test func theSessionGoesOnFromTheRoundOfTheBackup() throws {
        let world = try restored()
        try reissue(world)
        for home in World.everybody {
            try world.carry("S", to: home)
            let told = try world.succeed("client", "run", "--home", home)
            #expect(told.output.contains("the server went back from round 2 to round 1"), "\(told)")
            #expect(told.output.split(separator: "\n").count == 1, "one line: \(told)")
            #expect(try world.status(home)["sessions"][0]["round"].integer == 1)
            try world.answer(home)
        }
        try world.serve()
        let first = try #require(try world.history("spring").first)
        #expect(World.everybody.allSatisfy { first.fate(of: "hospital-\($0)") == "counted" }, "\(first)")
        // An update of the lost round 2 counts for nothing in this one.
        #expect(try world.session("spring")["round"].integer == 2)
        #expect(try world.session("spring")["answered"].items.isEmpty)
        world.advance(seconds: 3600)
        try world.journey()
        let rounds = try world.history("spring")
        #expect(rounds.count == 2 && rounds.last?.fate(of: "hospital-a") == "counted", "\(rounds)")
    }

    /// Nor what the server had sent of the lost future, when a slow stick brings it.
    @Test func whatTheServerSentBeforeStaysOld() throws {
        let world = try restored()
        try reissue(world)
        for home in World.everybody { try world.visit(home) }
        try world.shell("cp lost/* a/inbox/")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(try world.status("a")["sessions"][0]["round"].integer == 1)
    }

    /// An earlier round's global that was issued again before the newer round was opened is an old one.
    @Test func anOldReissueTakesNobodyBack() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        world.advance(seconds: 60)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.shell("mkdir slow && mv S/outbox/global-*-to-hospital-a-* slow/")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        try world.visit("a")
        #expect(try world.status("a")["sessions"][0]["round"].integer == 2)
        try world.shell("cp slow/* a/inbox/")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(try world.status("a")["sessions"][0]["round"].integer == 2)
        #expect(try world.status("a")["sessions"][0]["answered_round"].integer == 2)
    }

    /// What is finished stays so. But somebody has to end it at the server, which waits for it.
    @Test func aSessionThatIsFinishedHereIsNotTrainedAgain() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 1)
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try reissue(world)
        try world.carry("S", to: "a")
        let told = try world.run("client", "run", "--home", "a")
        #expect(told.status == 0 && told.output.contains("'server abort'"), "\(told)")
        #expect(world.names("a/outbox", "update").isEmpty)
        try reissue(world)
        try world.carry("S", to: "a")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess, "it is said once")
        #expect(try world.status("a")["sessions"][0]["reopened_round"].integer == 1)
        #expect(try world.run("client", "status", "--home", "a").output.contains("has round 1 of it open again"))
        let doctor = try world.run("doctor", "--home", "a")
        #expect(doctor.status != 0 && doctor.output.contains("'server abort'"), "\(doctor)")
        try world.succeed("server", "abort", "spring", "--home", "S")
        try world.serve()
        try world.carry("S", to: "a")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(try world.status("a")["sessions"][0]["reopened_round"] == .null)
        #expect(try world.run("doctor", "--home", "a").status == 0)
    }

    /// Nor is its version replaced by another one of the same number without a word.
    @Test func aSessionThatIsFinishedHereAndFinishedAnewIsTold() throws {
        let world = try World.enrolled()
        try world.configure("S", "minimum_clients: 1")
        try world.startSession("spring", rounds: 1)
        world.advance(seconds: 3600)
        try world.journey(["c"])
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey(["a", "b"])
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        for home in ["a", "b"] { try world.succeed("server", "drop", "spring", "hospital-\(home)", "--home", "S") }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        try world.carry("S", to: "c")
        let told = try world.succeed("client", "run", "--home", "c")
        #expect(told.output.contains("has finished it with another model"), "\(told)")
        try world.carry("S", to: "c")
        #expect(try world.run("client", "run", "--home", "c").isSilentSuccess, "it is said once")
    }

    /// The same for a bundle that had not come before the server went back.
    @Test func whatTheServerSentBeforeIsOldThoughItComesForTheFirstTime() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.shell("mkdir slow && mv S/outbox/global-*-to-hospital-a-* slow/ && rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try reissue(world)
        try world.visit("a")
        #expect(try world.status("a")["sessions"][0]["round"].integer == 1)
        try world.shell("cp slow/* a/inbox/")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(try world.status("a")["sessions"][0]["round"].integer == 1)
    }

    /// Of whom the backup has an update nothing is asked again, and so the round that was lost meets another one of its number.
    @Test func aRoundThatWasLostGivesWayToTheOneThatTookItsPlace() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        world.advance(seconds: 3600)
        try world.journey(["c"])
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey(["a", "b"])
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        #expect(try world.status("c")["sessions"][0]["round"].integer == 2)
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 3600)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["round"].integer == 1)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        // Without it the model is another one than it was.
        try world.succeed("server", "drop", "spring", "hospital-b", "--home", "S")
        try world.serve()
        world.advance(seconds: 3600)
        try world.journey(["a"])
        #expect(try world.session("spring")["round"].integer == 2)
        world.advance(seconds: 3600)
        try world.carry("S", to: "c")
        let told = try world.succeed("client", "run", "--home", "c")
        #expect(told.output.contains("the server has another round 2 than before"), "\(told)")
        try world.answer("c")
        try world.journey(["a"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-c") == "counted")
    }

    /// The second time the same rounds come again, and what was sent for them the first time is lost too.
    @Test func aServerThatIsRestoredTwiceGoesOnToo() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 3)
        for _ in 1...2 {
            try world.shell("cp -a S backup")
            for _ in 1...2 {
                world.advance(seconds: 3600)
                try world.journey()
            }
            world.advance(seconds: 3600)
            for home in World.everybody { try world.visit(home) }
            try world.shell("rm -rf S && mv backup S")
            world.advance(seconds: 3600)
            for home in World.everybody { try world.answer(home) }
            try world.serve()
            #expect(try world.session("spring")["round"].integer == 1)
            try reissue(world)
        }
        for _ in 1...3 {
            world.advance(seconds: 3600)
            try world.journey()
        }
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// A thief of the server's key can do the same: it is told, and the true round comes back with the next key.
    @Test func whoHasTheServersKeyTakesAHospitalBackAndIsTold() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 3)
        let first = try #require(world.names("S/outbox", "global").first)
        try world.shell("mkdir early && cp S/outbox/\(first) early/")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        try world.visit("a")
        world.advance(seconds: 3600)
        try world.shell("cp early/\(first) S/early.tar.age")
        try world.forge("S/early.tar.age", key: try world.key(of: "S"), to: "a/inbox/forged.tar.age") { manifest, _ in
            manifest = Manifest(
                kind: manifest.kind, federation: manifest.federation, session: manifest.session, round: 1,
                seq: 900_000, sender: manifest.sender, recipients: [try #require(PartyName("hospital-a"))],
                created: world.now, expires: manifest.expires, acks: [])
        }
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("went back from round 2 to round 1"), "\(told)")
        #expect(told.output.contains("if it was not, call there"), "\(told)")
        try world.drill()
        try world.serve()
        for home in World.everybody { try world.visit(home) }
        #expect(try world.status("a")["sessions"][0]["round"].integer == 2)
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["round"].integer == 3)
        world.advance(seconds: 3600)
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted", "counted"])
    }

    /// The run after it ends at the round that the server went back to, with one update of it.
    @Test(.enabled(if: Strace.isUsable, "strace cannot be used"))
    func aKillOnTheWayBackIsSurvived() throws {
        let template = try restored()
        try reissue(template)
        try template.carry("S", to: "a")
        let command = ["client", "run", "--home", "a"]
        let counts = try Strace.count(["rename", "unlink"], of: command, home: "a", in: World.copy(of: template.root))
        let points = counts.flatMap { call, numbers in
            numbers.map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        #expect(points.count > 6)
        for point in points {
            let world = try World.copy(of: template.root, isPassing: true)
            world.now = template.now
            _ = try Strace.run(command, injecting: point, in: world)
            try world.succeed("client", "run", "--home", "a")
            #expect(try world.status("a")["sessions"][0]["round"].integer == 1, "\(point)")
            #expect(try world.status("a")["sessions"][0]["answered_round"].integer == 1, "\(point)")
            #expect(world.names("a/outbox", "update").count == 1, "\(point)")
        }
    }
}

import Bundles
import Tensors
import Testing
import Wire

/// DESIGN's session, from nothing to a prediction.
@Suite struct WholeSessionTests {
    /// As DESIGN writes it, by copying and moving files.
    @Test func aSessionWorksByMovingFiles() throws {
        let world = try World.empty()
        try world.makeHomes()
        for home in World.everybody { try world.shell("cp \(home)/outbox/* S/inbox/") }
        let enrolments = try world.succeed("server", "run", "--home", "S")
        #expect(enrolments.output.contains("ENR-1  from hospital-a"))
        #expect(world.names("S/enrolments/pending").count == 3)
        try world.shell("mv S/enrolments/pending/* S/enrolments/approved/")
        for home in World.everybody {
            try world.succeed("client", "request", "--home", home, "--rounds", "2")
            try world.shell("cp \(home)/outbox/* S/inbox/")
        }
        let requests = try world.succeed("server", "run", "--home", "S")
        #expect(requests.output.contains("wishes: rounds 2"))
        let desk = ["REQ-1-hospital-a.tar", "REQ-2-hospital-b.tar", "REQ-3-hospital-c.tar"]
        #expect(Set(world.names("S/requests/pending").map { String($0.dropFirst(6)) }).count == 3)
        #expect(world.names("S/requests/pending").allSatisfy { desk.map(\.count).contains($0.count) })
        #expect(try world.text("S/requests/PENDING.txt").contains("mkdir -p "))
        try world.shell("mkdir -p S/requests/approved/spring; mv S/requests/pending/* S/requests/approved/spring/")
        try world.succeed("server", "run", "--home", "S")
        for _ in 1...2 {
            for home in World.everybody {
                try world.shell("cp S/outbox/* \(home)/inbox/")
                try world.succeed("client", "run", "--home", home)
                try world.shell("cp \(home)/outbox/* S/inbox/")
            }
            try world.succeed("server", "run", "--home", "S")
        }
        try expectVersionOne(world)

        // One hospital's admin moves the file, the others use the command.
        for home in World.everybody { try world.visit(home) }
        try world.shell("mv a/updates/pending/*.tar a/updates/accepted/")
        let installed = try world.succeed("client", "run", "--home", "a")
        #expect(installed.output.hasPrefix("version 1 is installed: "))
        #expect(world.exists("a/models/hospital-a_FinalGlobal_v1.safetensors"))
        try world.succeed("client", "accept", "--home", "b", "1")
        try expectFitted(world, "a", from: world.model(1))
        try expectFitted(world, "b", from: world.model(1))
        try world.succeed("client", "accept", "--home", "c", "1", "--as-sent")
        let asSent = try Safetensors.decode(world.bytes("c/models/hospital-c_FinalGlobal_v1.safetensors"))
        let isAsSent = asSent.tensors == (try Safetensors.decode(world.model(1)).tensors)
        #expect(isAsSent)
        #expect(asSent.metadata["fitted"] == "as sent")
        try expectPredictions(world, home: "a")
    }

    /// The same session by the commands alone; no file is moved by hand but between the homes.
    @Test func aSessionWorksByCommands() throws {
        let world = try World.enrolled()
        try world.request(rounds: 1)
        for label in ["REQ-1", "req-2", "3"] {
            try world.succeed("server", "approve", label, "--session", "spring", "--home", "S")
        }
        #expect(world.names("S/requests/approved/spring").count == 3)
        // It is the file move and no more: nothing starts before the tick.
        #expect(try world.json("server", "sessions", "--home", "S")["sessions"].items.isEmpty)
        try world.serve()
        let again = try world.run("server", "approve", "REQ-1", "--session", "spring", "--home", "S")
        #expect(again.status == 77)
        #expect(again.errors == "consilium: REQ-1 is approved already\n")
        try world.journey()
        try expectVersionOne(world, rounds: 1)
        for home in World.everybody { try world.visit(home) }
        let offers = try world.json("client", "updates", "--home", "c")["updates"]
        #expect(offers[0]["version"].integer == 1)
        #expect(offers[0]["status"].text == "pending")
        #expect(offers[0]["fitted"] == .bool(true))
        #expect(offers[0]["as_sent"]["support"].integer == offers[0]["installed"]["support"].integer)
        try world.succeed("client", "reject", "--home", "b", "1")
        try world.succeed("client", "accept", "--home", "c", "1")
        #expect(world.names("b/models").isEmpty)
        #expect(world.names("b/updates/rejected").count == 1)
        let twice = try world.run("client", "accept", "--home", "c", "1")
        #expect(twice.status == 77)
        try expectPredictions(world, home: "c")
        let refused = try world.run("predict", "\(try Material.pictures.get())/test/glioma", "--home", "b")
        #expect(refused.status == 66, "\(refused)")
    }

    /// What the admin can look at afterwards, as JSON that a strict parser takes and as text.
    @Test func everyLookAtAFinishedSessionIsStrictJSON() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.journey()

        let versions = try world.json("server", "versions", "--home", "S")["versions"].items
        #expect(versions.map { $0["number"].integer } == [0, 1])
        #expect(versions.last?["model"].text == SHA256Hash.digest(of: try world.model(1)).hex)
        let version = try world.json("server", "version", "1", "--home", "S")["version"]
        #expect(version["number"].integer == 1)
        #expect(try world.succeed("server", "version", "1", "--home", "S").output.contains("hospital-b | 1 |"))
        let card = try world.text("S/versions/0001/card.md")
        #expect(card.hasPrefix("# Model version 1") && !card.contains(#/\.\d{5}/#), "\(card)")

        let stats = try world.json("server", "stats", "--home", "S")
        let wanted = [
            "clients": 3, "requests_approved": 3, "requests_pending": 0, "sessions_finished": 1, "rounds": 1,
            "updates": 3, "versions": 2,
        ]
        for (key, value) in wanted { #expect(stats[key].integer == value, "\(key)") }
        #expect(stats["by_client"].items.count == 3)

        let requests = try world.json("server", "requests", "--home", "S")["requests"].items
        #expect(requests.map { $0["request"].text } == ["REQ-1", "REQ-2", "REQ-3"])
        #expect(requests.allSatisfy { $0["status"].text == "approved" })
        let round = try #require(try world.history("spring").first)
        #expect(World.everybody.allSatisfy { round.fate(of: "hospital-\($0)") == "counted" })
        #expect(round["accuracy"] != .null)
        #expect(round["metrics"]["withheld"].items.isEmpty)
        #expect(try world.json("client", "history", "--home", "a")["rounds"].items.count == 1)

        let audit = try world.json("server", "audit", "--home", "S")
        let events = audit["newest"].items.compactMap { $0["event"].text }
        for event in ["enrolment-approved", "request-approved", "session"] { #expect(events.contains(event)) }
        for home in ["S", "a"] {
            let doctor = try world.run("doctor", "--home", home, "--json")
            let document = try StrictJSON.parse(Array(doctor.output.utf8), maximumBytes: 1 << 20)
            #expect(document["schema_version"].integer == 1)
            #expect(doctor.status == 0, "\(doctor)")
        }
        #expect(try world.succeed("server", "history", "--home", "S").output.contains("session spring, finished"))
    }

    /// A version goes to a hospital that took no part, and old versions go when they are many.
    @Test func aVersionIsExportedAndOldOnesArePruned() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 1)
        try world.journey(["a", "b"])
        let exported = try world.succeed("server", "export", "1", "--to", "hospital-c", "--home", "S")
        #expect(exported.output == "version 1 for hospital-c lies in the outbox\n", "\(exported)")
        try world.visit("c")
        try world.succeed("client", "accept", "1", "--home", "c")
        try expectPredictions(world, home: "c")
        let unknown = try world.run("server", "export", "1", "--to", "hospital-x", "--home", "S")
        #expect(unknown.status == 66)
        #expect(unknown.errors.contains("hint: enrolled are hospital-a, hospital-b, hospital-c"))
        let initial = try world.run("server", "export", "0", "--to", "hospital-c", "--home", "S")
        #expect(initial.status == 77)

        #expect(try world.json("server", "prune", "--keep", "1", "--home", "S")["removed"] == [0])
        #expect(world.names("S/versions") == ["0001"])
        #expect(try world.json("server", "prune", "--keep", "1", "--home", "S")["removed"] == [])
        #expect(try world.run("server", "prune", "--keep", "0", "--home", "S").status == 64)
        #expect(try world.run("server", "version", "0", "--home", "S").status == 66)
    }

    private func expectVersionOne(_ world: World, rounds: Int = 2) throws {
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.session("spring")["version"].integer == 1)
        #expect(try world.history("spring").count == rounds)
        #expect(try world.bytes("S/versions/0000/model.safetensors") != world.model(1))
    }

    private func expectPredictions(_ world: World, home: String) throws {
        let test = "\(try Material.pictures.get())/test"
        let picture = try #require(World(root: test).names("glioma").first)
        let prediction = try world.json("predict", "\(test)/glioma/\(picture)", "--home", home)
        #expect(prediction["schema_version"].integer == 1)
        let figures = try world.json("evaluate", test, "--home", home)
        #expect(figures["accuracy"] != .null)
        #expect(figures["balanced_accuracy"] != .null)
    }

    /// What a hospital installs is the version, with BatchNorm statistics of its own pictures.
    private func expectFitted(_ world: World, _ home: String, from sent: [UInt8]) throws {
        let installed = try Safetensors.decode(
            world.bytes("\(home)/models/hospital-\(home)_FinalGlobal_v1.safetensors"))
        let global = try Safetensors.decode(sent).tensors
        #expect(installed.tensors.names == global.names)
        for name in global.names {
            let isSame = installed.tensors[name] == global[name]
            #expect(isSame == !name.contains(".running_"), "\(name)")
        }
        #expect(installed.metadata["fitted"]?.hasSuffix(" own pictures") == true)
    }

    /// A fit that had to do without a picture says so.
    @Test func aPictureThatBreaksBeforeTheModelIsInstalledIsTold() throws {
        let world = try World.enrolled()
        try world.shell("cp -a '\(try Material.pictures.get())/client-1' pictures")
        try world.write(
            try world.text("a/consilium.yaml").replacing(/(?m)^data: .*$/, with: "data: ../pictures"),
            to: "a/consilium.yaml")
        try world.startSession(rounds: 1)
        try world.journey()
        try world.visit("a")
        try world.shell("printf 'no picture' > pictures/glioma/broken.png")
        let outcome = try world.succeed("client", "accept", "--home", "a", "1")
        #expect(
            outcome.output.hasPrefix("1 picture cannot be read and is skipped; 'consilium data check' names them\n"))
    }

    /// A model can be installed where the pictures are not at hand; then it stays as it came, and the admin is told.
    @Test func aModelIsInstalledAsSentWhereItCannotBeFitted() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.journey()
        try world.visit("a")
        let pictures = try world.text("a/consilium.yaml").split(separator: "\n").filter { !$0.hasPrefix("data:") }
        try world.write(pictures.joined(separator: "\n") + "\n", to: "a/consilium.yaml")
        let outcome = try world.succeed("client", "accept", "--home", "a", "1")
        #expect(
            outcome.output.contains("installed as sent, not fitted to this hospital: ")
                && outcome.output.contains("consilium.yaml names no"))
        let installed = try Safetensors.decode(world.bytes("a/models/hospital-a_FinalGlobal_v1.safetensors"))
        let isAsSent = installed.tensors == (try Safetensors.decode(world.model(1)).tensors)
        #expect(isAsSent)
    }

    /// As sent it would stay for good: a share that is not mounted today is no reason for that.
    @Test func aModelWaitsForPicturesThatAreAway() throws {
        let world = try World.enrolled()
        let configuration = try world.text("a/consilium.yaml")
        let offer = try finished(world)
        try world.write(configuration.replacing(/data: .*/, with: "data: /nix"), to: "a/consilium.yaml")
        let before = try Snapshot(world.path("a"))
        let refused = try world.run("client", "accept", "--home", "a", "1")
        #expect(refused.status == 66, "\(refused)")
        #expect(refused.errors.contains("/nix") && refused.errors.contains("--as-sent"), "\(refused)")
        #expect(refused.errors.split(separator: "\n").count == 2, "\(refused)")
        #expect(before.changes(to: try Snapshot(world.path("a"))) == [])

        try world.shell("mv a/updates/pending/\(offer) a/updates/accepted/")
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("version 1 cannot be installed: "), "\(told)")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(world.names("a/models").isEmpty)
        try world.write(configuration, to: "a/consilium.yaml")
        try world.succeed("client", "run", "--home", "a")
        let installed = try Safetensors.decode(world.bytes("a/models/hospital-a_FinalGlobal_v1.safetensors"))
        #expect(installed.metadata["fitted"]?.contains("own pictures") == true)
    }

    @Test func aModelIsInstalledAsSentWhereThatIsWished() throws {
        let world = try World.enrolled()
        let offer = try finished(world)
        let away = try world.text("a/consilium.yaml").replacing(/data: .*/, with: "data: /nix")
        try world.write(away, to: "a/consilium.yaml")
        try world.shell("mv a/updates/pending/\(offer) a/updates/accepted/")
        try world.succeed("client", "run", "--home", "a")
        try world.succeed("client", "accept", "--home", "a", "1", "--as-sent")
        let installed = try Safetensors.decode(world.bytes("a/models/hospital-a_FinalGlobal_v1.safetensors"))
        #expect(installed.metadata["fitted"] == "as sent")
    }

    /// A session whose version hospital a was offered.
    private func finished(_ world: World) throws -> String {
        try world.startSession(rounds: 1)
        try world.journey()
        try world.visit("a")
        return try #require(world.names("a/updates/pending", "UPD").first)
    }
}

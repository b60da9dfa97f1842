import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// What a thief said with the server's key before a hospital revoked it: it is noted there as said, and the server's next word
/// about the same thing counts.
@Suite struct StolenWordTests {
    private func pending(_ home: String, in world: World) throws -> Digest {
        let own = try #require(try world.status(home)["requests"].items.last?["id"].text)
        return try #require(Digest(hex: own))
    }

    private func session(in world: World) throws -> RandomID {
        let id = try #require(try world.session("spring")["id"].text)
        return try #require(RandomID(hex: id))
    }

    /// REQ numbers into the folder of a session.
    private func approve(_ numbers: [Int], in world: World) throws {
        try world.shell("mkdir -p S/requests/approved/spring")
        for number in numbers { try world.shell("mv S/requests/pending/REQ-\(number)-* S/requests/approved/spring/") }
        try world.serve()
    }

    // MARK: requests

    @Test(arguments: ["rejected", "withdrawn"])
    func aRequestThatAThiefAnsweredIsApprovedByTheServer(verdict: String) throws {
        let world = try World.enrolled()
        try world.request()
        try world.layDecision(
            verdict == "rejected" ? "request" : "withdrawal", verdict, about: try pending("c", in: world), to: "c")
        let told = try world.succeed("client", "run", "--home", "c", "--verbose")
        #expect(told.output.contains("request \(verdict)"), "\(told)")
        try world.drill()
        #expect(try world.status("c")["requests"][0]["status"].text == verdict, "nobody else has said anything yet")
        try world.approveAll("spring")
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-c") } == ["counted"])
    }

    /// A number that stands nowhere but in the request that it ended would put that one before every later one.
    @Test func aRequestThatAThiefEndedUnderAHighNumberTakesNoOthersPlace() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 3)
        try world.request(["c"], rounds: 3)
        try world.layDecision(
            "withdrawal", "withdrawn", about: try pending("c", in: world), session: try session(in: world), to: "c")
        try world.succeed("client", "run", "--home", "c")
        try world.drill()
        try world.request(["c"], rounds: 3)
        try approve([4], in: world)
        for _ in 1...3 { try world.journey() }
        let states = try world.status("c")["requests"].items.compactMap { $0["status"].text }
        #expect(states == ["withdrawn", "approved"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-c") == "counted")
    }

    // MARK: sessions

    @Test(arguments: ["before its first global", "between its rounds"])
    func aSessionThatAThiefEndedGoesOnWithTheServersNextGlobal(moment: String) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        if moment == "between its rounds" {
            for home in World.everybody {
                try world.visit(home)
                try world.answer(home)
            }
        } else {
            try world.shell("cp S/outbox/decision-*-to-hospital-c-* c/inbox/")
            try world.succeed("client", "run", "--home", "c")
        }
        try world.layAbort(try session(in: world), to: "c")
        let told = try world.succeed("client", "run", "--home", "c")
        #expect(told.output.contains("is over: aborted by the server: said the thief"), "\(told)")
        try world.drill()
        let status = try world.succeed("client", "status", "--home", "c")
        #expect(status.output.contains("said the thief (said under a key that is revoked now"), "\(status)")
        try world.serve()
        for _ in 1...2 { try world.journey() }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-c") } == ["counted", "counted"])
    }

    /// The server's own word, under a key that is revoked by now, stays as it is as long as nobody says anything else.
    @Test func aSessionThatTheServerItselfEndedStaysOver() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        try world.journey()
        for home in World.everybody { try world.visit(home) }
        try world.succeed("server", "abort", "spring", "--reason", "wrong labels", "--home", "S")
        try world.journey()
        try world.drill()
        for home in World.everybody {
            let visit = try world.visit(home)
            #expect(!visit.output.contains("session "), "\(visit)")
            let session = try world.status(home)["sessions"][0]
            #expect(session["ended"].text == "aborted by the server: wrong labels")
        }
    }

    /// The second round comes true after a false one that was trained and answered already.
    @Test(arguments: [2, 7])
    func theTrueGlobalTakesThePlaceOfAFalseOne(round: Int) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 8)
        for home in World.everybody {
            try world.visit(home)
            try world.answer(home)
        }
        let true1 = try #require(world.names("S/outbox", "global").first)
        try world.forge("S/outbox/\(true1)", key: try world.key("S"), to: "a/inbox/forged.tar.age") {
            (manifest, payload) in
            manifest = Manifest(
                kind: manifest.kind, federation: manifest.federation, session: manifest.session, round: round,
                seq: 900_000, sender: manifest.sender, recipients: [try #require(PartyName("hospital-a"))],
                created: manifest.created, expires: manifest.expires, acks: [])
            for index in payload.indices where payload[index].name == "round.json" {
                let text = String(decoding: payload[index].bytes, as: UTF8.self)
                payload[index].bytes = Array(
                    text.replacing("\"round\":1", with: "\"round\":\(round)")
                        .replacing("\"closed\":0", with: "\"closed\":\(round - 1)").utf8)
            }
        }
        let told = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(told.output.contains("global of round \(round) received"), "\(told)")
        #expect(told.output.contains("update published"), "\(told)")
        try world.drill()
        try world.serve()
        let visit = try world.visit("a")
        #expect(visit.output.contains("global of round 2 received"), "\(visit)")
        for home in ["b", "c"] { try world.visit(home) }
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.journey()
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted", "counted"])
    }
}

extension World {
    /// The drill of docs/KEYS.md, from the new key to the last telephone call.
    func drill(at homes: [String] = everybody) throws {
        let old = try fingerprint("S")
        advance(seconds: 60)
        try succeed("key", "rotate", "--compromised", "--home", "S")
        let new = try fingerprint("S")
        for home in homes { try succeed("key", "distrust", old, "--home", home, "--reason", "call") }
        try succeed("server", "invite", "--home", "S")
        try shell("cp S/outbox/invite-*.tar new.tar")
        for home in homes { try succeed("key", "trust", "new.tar", "--fingerprint", new, "--only", "--home", home) }
    }

    /// With the server's key, under a number that nothing of the server's will reach.
    func layStolen(
        _ kind: BundleKind, _ file: String, _ content: JSONValue, about: Digest?, session: RandomID, to home: String
    ) throws {
        let record = try StrictJSON.parse(try bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let manifest = Manifest(
            kind: kind, federation: try #require(RandomID(hex: record["federation"].text ?? "")), session: session,
            round: 0, seq: 900_000, sender: try #require(PartyName("ministry")),
            recipients: [try #require(PartyName("hospital-\(home)"))], created: now, expires: now.adding(days: 90),
            request: about, acks: [])
        _ = try BundleWriter.write(
            manifest, payload: [.bytes(name: file, StrictJSON.serialize(content))], key: try key("S"),
            to: FilePath(path("\(home)/inbox/forged.tar")), files: LocalFileSystem())
    }

    func layDecision(
        _ subject: String, _ verdict: String, about: Digest, session: RandomID? = nil, to home: String
    ) throws {
        var decision: [String: JSONValue] = [
            "subject": .string(subject), "about": .string(about.hex), "verdict": .string(verdict),
            "reason": "said the thief",
        ]
        if let session { decision["session"] = .string(session.hex) }
        try layStolen(
            .decision, "decision.json", .object(decision), about: about, session: session ?? .none, to: home)
    }

    func layAbort(_ session: RandomID, to home: String) throws {
        try layStolen(.abort, "reason.json", ["reason": "said the thief"], about: nil, session: session, to: home)
    }
}

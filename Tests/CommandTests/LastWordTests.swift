import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// What holds after keys were lost or enrolments refused: of all that was said, the last word of whoever is believed.
@Suite struct LastWordTests {
    /// The drill of docs/KEYS.md, after the server has its new key.
    private func believeNewKey(at homes: [String], in world: World, afterDistrusting old: String? = nil) throws {
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        let new = try world.fingerprint("S")
        for home in homes {
            if let old { try world.succeed("key", "distrust", old, "--home", home, "--reason", "call") }
            try world.succeed("key", "trust", "new.tar", "--fingerprint", new, "--only", "--home", home)
        }
    }

    private func makeNewHome(_ home: String, _ number: Int, in world: World) throws {
        try world.shell("rm -r \(home)")
        try world.succeed(
            "client", "init", "--home", home, "--name", "hospital-\(home)", "--invite", "invite.tar", "--data",
            try Material.pictures.get() + "/client-\(number)")
        try world.answer(home)
    }

    private func decisions(to home: String, in world: World) -> [String] {
        world.names("S/outbox", "decision").filter { $0.contains("-to-hospital-\(home)-") }
    }

    // MARK: enrolments

    /// The file of the home that is gone is moved about by mistake: nothing leaves the outbox, at no tick.
    @Test func anOldEnrolmentThatCannotBeApprovedTakesNothingFromTheNewHome() throws {
        let world = try World.enrolled()
        try makeNewHome("b", 2, in: world)
        try world.serve()
        try world.approveEnrolments()
        try world.visit("b")
        try world.startSession("spring", ["a", "b"])
        try world.shell("mv S/enrolments/approved/ENR-2-* S/enrolments/rejected/")
        try world.serve()
        let outbox = world.names("S/outbox")
        #expect(outbox.contains { $0.hasPrefix("global-") } && !decisions(to: "b", in: world).isEmpty)
        try world.shell("mv S/enrolments/rejected/ENR-2-* S/enrolments/approved/")
        let told = try world.serve()
        #expect(told.output.contains("ENR-2-hospital-b.tar cannot be approved: the key"), "\(told)")
        #expect(!told.output.contains("is issued again"), "\(told)")
        #expect(world.names("S/outbox") == outbox)
        try world.serve()
        #expect(world.names("S/outbox") == outbox)
        try world.journey(["a", "b"])
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// A rejection by mistake did not arrive; the approval that followed it did, and stays the last word under every key.
    @Test(arguments: [false, true])
    func aRejectionThatWasTakenBackIsNotSaidAgain(wasKeptByAnEarlierVersion: Bool) throws {
        let world = try World.initialised()
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.shell("mv S/enrolments/pending/*hospital-a* S/enrolments/rejected/")
        try world.approveEnrolments()
        try world.shell("rm S/outbox/decision-*-to-hospital-a-* && cp -a S/mailbox/outgoing kept")
        try world.shell("mv S/enrolments/rejected/*hospital-a* S/enrolments/approved/")
        try world.serve()
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        if wasKeptByAnEarlierVersion {
            let ledger = try world.text("S/mailbox/ledger.json")
            let kept = ledger.replacing(/(\/rejected"[^}]*"retired":)true/) { "\($0.output.1)false" }
            try #require(kept != ledger)
            try world.write(kept, to: "S/mailbox/ledger.json")
            try world.shell("cp -n kept/* S/mailbox/outgoing/")
        }
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        #expect(decisions(to: "a", in: world).isEmpty)
        try believeNewKey(at: ["a"], in: world)
        let visit = try world.visit("a")
        #expect(!visit.output.contains("enrolment rejected"), "\(visit)")
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
    }

    /// It was said again under a new key before the mistake was seen: what takes it back goes out alone.
    @Test func onlyTheLastDecisionAboutAnEnrolmentGoesOut() throws {
        let world = try World.initialised()
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.shell("mv S/enrolments/pending/*hospital-a* S/enrolments/rejected/")
        try world.approveEnrolments()
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        #expect(decisions(to: "a", in: world).count == 1)
        try world.shell("mv S/enrolments/rejected/*hospital-a* S/enrolments/approved/")
        try world.serve()
        #expect(decisions(to: "a", in: world).count == 1)
        try believeNewKey(at: ["a"], in: world)
        let visit = try world.visit("a")
        #expect(visit.output.contains("enrolment approved") && !visit.output.contains("rejected"), "\(visit)")
    }

    /// Of a hospital whose enrolment is refused no model stays where it could be read, as after a revocation.
    @Test func whoIsEnrolledNoMoreGetsNoModel() throws {
        let world = try World.enrolled()
        try world.shell("mkdir X")
        try world.configure("S", "exchange: \(world.path("X"))")
        try world.startSession()
        try world.succeed("server", "reissue", "spring", "hospital-b", "--home", "S")
        try world.serve()
        let models = { (home: String) in world.names("X/hospital-\(home)/outbox", "global").count }
        try #require(models("a") == 1 && models("b") == 2)
        try world.shell("mv S/enrolments/approved/ENR-2-* S/enrolments/rejected/")
        let told = try world.serve()
        #expect(told.output.contains("hospital-b is enrolled no more"), "\(told)")
        #expect(models("a") == 1 && models("b") == 0)
        #expect(world.names("S/outbox", "global").allSatisfy { !$0.contains("-to-hospital-b-") })
        #expect(world.names("X/hospital-b/outbox", "decision").count >= 2, "what tells it so goes out")
        world.advance(days: 2)
        try world.serve()
        #expect(models("a") == 1 && models("b") == 0)
    }

    /// The name of a hospital that was enrolled stays taken, and what was made for its home is not for the next one.
    @Test(arguments: [true, false])
    func theNameOfWhoIsEnrolledNoMoreIsTaken(wasRevoked: Bool) throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.journey(["a", "b"])
        world.advance(days: 1)
        if wasRevoked { try world.succeed("server", "revoke", "hospital-b", "--home", "S") }
        try world.shell("mv S/enrolments/approved/ENR-2-* S/enrolments/rejected/")
        try world.serve()
        world.advance(seconds: 60)
        try makeNewHome("b", 2, in: world)
        let desk = try world.serve()
        #expect(desk.output.contains("!! THE NAME hospital-b IS TAKEN"), "\(desk)")
        #expect(desk.output.contains("!!   old key  revoked, over, or taken out"), "\(desk)")
        #expect(desk.output.contains("NOBODY VOUCHES FOR THE NEW KEY"), "\(desk)")
        try world.approveEnrolments()
        let visit = try world.visit("b")
        #expect(!visit.output.contains("old age recipient"), "\(visit)")
        #expect(visit.output.contains("enrolment approved"), "\(visit)")
        try world.startSession("autumn", ["b", "c"])
        try world.journey(["b", "c"])
        #expect(try world.session("autumn")["state"].text == "finished")
        // Whoever was never enrolled takes no name.
        try world.succeed("client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar")
        try world.answer("d")
        try world.serve()
        try world.shell("mv S/enrolments/pending/* S/enrolments/rejected/")
        try world.serve()
        try world.shell("rm -r d")
        try world.succeed("client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar")
        try world.answer("d")
        #expect(try !world.serve().output.contains("IS TAKEN"))
    }

    /// The hospital has dropped the key that was to follow: an approval would end the old one, and it would not hear of it.
    /// - Parameter isSecondThought: it was approved before that, of which the hospital has not heard.
    @Test(arguments: [false, true])
    func aKeyWhoseRejectionWasSentIsNotApprovedAfterwards(isSecondThought: Bool) throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        if isSecondThought {
            try world.approveEnrolments()
            try world.shell("mv S/enrolments/approved/ENR-4-* S/enrolments/rejected/")
        } else {
            try world.shell("mv S/enrolments/pending/ENR-4-* S/enrolments/rejected/")
        }
        try world.serve()
        try world.shell("mv S/enrolments/rejected/ENR-4-* S/enrolments/approved/")
        let refused = try world.serve()
        #expect(refused.output.contains("ENR-4-hospital-a.tar cannot be approved: "), "\(refused)")
        #expect(refused.output.contains("ask hospital-a for a new 'key rotate'"), "\(refused)")
        #expect(try world.serve().output.contains("cannot be approved") == false)
        #expect(try world.trusted("hospital-a", at: "S") == [old])
        let visit = try world.visit("a")
        #expect(visit.output.contains("did not take the new key"), "\(visit)")
        // And so it goes: under the next key everything is as with the first.
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("a")
        world.advance(days: 61)
        try world.startSession("spring", World.everybody)
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// The approval had reached the hospital, whose new key signs: it has nothing else to go on with.
    /// - Parameter isHeld: its first bundle under the new key, a receipt, comes after the second thought.
    @Test(arguments: [false, true])
    func aKeyThatSignsAlreadyIsApprovedAgain(isHeld: Bool) throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("a")
        let new = try world.fingerprint("a")
        #expect(new != old)
        if !isHeld {
            try world.answer("a")
            try world.serve()
        }
        try world.shell("mv S/enrolments/approved/ENR-4-* S/enrolments/rejected/")
        try world.serve()
        if isHeld {
            try world.answer("a")
            try world.serve()
        }
        try world.shell("mv S/enrolments/rejected/ENR-4-* S/enrolments/approved/")
        let told = try world.serve()
        #expect(!told.output.contains("cannot be approved"), "\(told)")
        #expect(try world.trusted("hospital-a", at: "S") == [old, new])
        try world.visit("a")
        #expect(try world.status("a")["enrolled"] == .bool(true))
    }

    @Test func whoIsEnrolledAgainIsStillExcludedAndTheAdminIsTold() throws {
        let world = try World.enrolled()
        try world.startSession()
        try world.shell("mv S/enrolments/approved/ENR-2-* S/enrolments/rejected/")
        try world.serve()
        try world.shell("mv S/enrolments/rejected/ENR-2-* S/enrolments/approved/")
        let told = try world.serve()
        #expect(told.output.contains("'server readmit spring hospital-b' lets hospital-b go on"), "\(told)")
        try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        try world.journey()
        #expect(try world.history("spring").map { $0.fate(of: "hospital-b") } == ["counted"])
    }

    // MARK: the server's key

    /// With the stolen key a thief refuses an enrolment under a high number: what the next key says counts all the same.
    @Test(arguments: [false, true])
    func aThiefsDecisionEndsWithItsKey(wasNotedByAnEarlierVersion: Bool) throws {
        let world = try World.enrolled()
        let thief = try world.key("S")
        let old = thief.publicKey.fingerprint
        let enrolment = try #require(
            try StrictJSON.parse(try world.bytes("S/requests/records.json"), maximumBytes: 1 << 20)["enrolments"].items
                .first { $0["name"].text == "hospital-a" }?["id"].text)
        let record = try StrictJSON.parse(try world.bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let about = try #require(Digest(hex: enrolment))
        let manifest = Manifest(
            kind: .decision, federation: try #require(RandomID(hex: record["federation"].text ?? "")), session: .none,
            round: 0, seq: 900_000, sender: try #require(PartyName("ministry")),
            recipients: [try #require(PartyName("hospital-a"))], created: world.now,
            expires: world.now.adding(days: 90),
            request: about, acks: [])
        let decision: JSONValue = [
            "subject": "enrolment", "about": .string(about.hex), "verdict": "rejected", "reason": "said the thief",
        ]
        _ = try BundleWriter.write(
            manifest, payload: [.bytes(name: "decision.json", StrictJSON.serialize(decision))], key: thief,
            to: FilePath(world.path("a/inbox/forged.tar")), files: LocalFileSystem())
        #expect(
            try world.succeed("client", "run", "--home", "a").output.contains("enrolment rejected: said the thief"))
        #expect(try world.run("client", "request", "--home", "a", "--rounds", "1").status == 77)
        if wasNotedByAnEarlierVersion {
            let state = try world.text("a/sessions/state.json")
            try world.write(state.replacing("\(about) - \(old)", with: "\(about) -"), to: "a/sessions/state.json")
        }
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try believeNewKey(at: ["a"], in: world, afterDistrusting: old)
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.visit("a")
        // And the server's own word about it is heard.
        try world.shell("mv S/enrolments/approved/ENR-1-* S/enrolments/rejected/")
        try world.serve()
        let visit = try world.visit("a")
        #expect(visit.output.contains("enrolment rejected"), "\(visit)")
        #expect(try world.run("client", "request", "--home", "a", "--rounds", "1").status == 77)
    }

    /// What became of an earlier request did not arrive; the approval of the one that followed did, and the hospital trains.
    @Test(arguments: ["drop", "withdrawal"])
    func anEndBeforeTheStandingRequestEndsNothingUnderTheNewKey(way: String) throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.shell("mkdir lost && mv S/outbox/decision-*-to-hospital-a-* lost/")
        if way == "drop" {
            try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        } else {
            try world.succeed("client", "withdraw", "--home", "a")
            try world.answer("a")
        }
        // The session has too few hospitals now.
        _ = try world.run("server", "run", "--home", "S")
        try world.shell("mv S/outbox/decision-*-to-hospital-a-* lost/")
        try world.request(["a"], rounds: 2)
        try world.approveAll("spring")
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try believeNewKey(at: World.everybody, in: world)
        let visit = try world.visit("a")
        #expect(!visit.output.contains("is over"), "\(visit)")
        for _ in 1...2 { try world.journey(["a", "b"]) }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted"])
    }

    /// What cannot be said again stays where it is, and is not counted with what left.
    @Test func onlyWhatLeftTheOutboxIsCounted() throws {
        let world = try World.enrolled()
        try world.request(["a", "b"])
        for (number, home) in [(1, "a"), (2, "b")] {
            try world.succeed(
                "server", "reject", "REQ-\(number)", "--reason", "no ethics approval at \(home)", "--home", "S")
        }
        try world.serve()
        try world.shell("sed -i 's/no ethics approval at b/no ethixx approval at b/' S/mailbox/outgoing/*.tar")
        world.advance(seconds: 60)
        let made = try world.succeed("key", "rotate", "--compromised", "--home", "S", "--verbose")
        let told = try world.serve()
        #expect(told.output.contains("decision for hospital-b: "), "\(told)")
        #expect(!told.output.contains("left the outbox"), "\(made) \(told)")
    }
}

import Bundles
import Testing
import Wire

/// Keys that follow each other while everything goes on, through the program.
@Suite struct KeyRotationTests {
    @Test func aServersNewKeySignsOnceEveryHospitalKnowsItAndTheSessionGoesOn() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        let old = try world.fingerprint("S")
        let made = try world.json("key", "rotate", "--home", "S", "--age")
        let new = try #require(made["fingerprint"].text)
        #expect(made["old_fingerprints"].texts == [old] && made["signs_now"] != .bool(true))
        let again = try world.run("key", "rotate", "--home", "S")
        #expect(again.status == 77 && again.errors.contains("a rotation is under way: hospital-a"), "\(again)")

        for home in ["a", "b"] {
            let visit = try world.visit(home)
            #expect(visit.output.contains("ministry: new key \(new)"), "\(visit)")
            #expect(visit.output.contains("introduced by \(old)"), "\(visit)")
            #expect(try world.trusted("ministry", at: home) == [old, new])
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.fingerprint("S") == old)
        try world.visit("c")
        try world.answer("c")
        let served = try world.serve()
        #expect(served.output.contains("the new key \(new) signs from now on"), "\(served)")
        #expect(try world.fingerprint("S") == new)
        #expect(world.names("S/identity").contains { $0.hasPrefix("id_ed25519-until-") })
        #expect(world.names("S/outbox", "invite").isEmpty)

        // Told once; and the round that the new key signed is trained as any other.
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").allSatisfy { $0.fate(of: "hospital-c") == "counted" })
        #expect(try world.run("client", "run", "--home", "a").output.contains("new key") == false)
        try world.succeed("server", "audit", "--home", "S")
        try world.succeed("doctor", "--home", "S")
        // The old private key goes with its last day, and no earlier.
        world.advance(days: 59)
        try world.serve()
        #expect(world.names("S/identity").contains { $0.hasPrefix("id_ed25519-until-") })
        world.advance(days: 3)
        try world.serve()
        #expect(!world.names("S/identity").contains { $0.hasPrefix("id_ed25519-until-") })
    }

    /// A hospital that was away meets bundles of a key that it does not know: they wait, and nothing is lost.
    @Test func aLateHospitalKeepsWhatItCannotVerifyUntilTheIntroductionComes() throws {
        let world = try World.enrolled()
        let new = try #require(
            try world.json("key", "rotate", "--home", "S", "--overlap-days", "4")["fingerprint"].text)
        try world.shell("mkdir late && mv S/outbox/trust-ministry-to-hospital-c-* late/")
        for home in ["a", "b"] { try world.visit(home) }
        world.advance(days: 2, seconds: 60)
        let served = try world.serve()
        #expect(served.output.contains("not acknowledged by hospital-a, hospital-b, hospital-c"), "\(served)")
        try world.request(rounds: 1)
        try world.approveAll("spring")
        try world.shell("mkdir away && mv S/outbox/trust-* away/; cp S/outbox/* c/inbox/")
        let waits = try world.succeed("client", "run", "--home", "c")
        #expect(waits.output.contains("its key \(new) is not known here; a trust bundle may introduce it"), "\(waits)")
        let doctor = try world.run("doctor", "--home", "c")
        #expect(doctor.output.contains("MEND unknown keys: bundles that say they are from ministry wait"), "\(doctor)")
        #expect(doctor.output.contains("'consilium key trust' takes the key"), "\(doctor)")
        #expect(try world.run("client", "run", "--home", "c").output.isEmpty)
        try world.shell("cp late/* c/inbox/")
        let taken = try world.succeed("client", "run", "--home", "c", "--verbose")
        #expect(taken.output.contains("update published"), "\(taken)")
        #expect(try world.run("doctor", "--home", "c").output.contains("ok   unknown keys"))
        for home in ["a", "b"] { try world.visit(home) }
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// Invited under the old key and enrolled after it was replaced.
    @Test func whoComesWithAnInviteOfTheOldKeyIsIntroducedToTheNewOne() throws {
        let world = try World.initialised()
        let old = try world.fingerprint("S")
        let new = try #require(try world.json("key", "rotate", "--home", "S")["fingerprint"].text)
        #expect(try world.fingerprint("S") == new)
        try world.answer("a")
        try world.serve()
        let desk = try world.text("S/enrolments/PENDING.txt")
        #expect(!desk.contains("!!"), "\(desk)")
        try world.approveEnrolments()
        let visit = try world.visit("a")
        #expect(
            visit.output.contains("introduced by \(old)") && visit.output.contains("enrolment approved"), "\(visit)")
        #expect(try world.trusted("ministry", at: "a") == [old, new])
    }

    @Test func aHospitalsNewKeyIsVouchedForByTheOldAndTakenByAPerson() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        let old = try world.fingerprint("a")
        let made = try world.json("key", "rotate", "--home", "a", "--contact", "Dr. A, ext. 12")
        let new = try #require(made["fingerprint"].text)
        #expect(try world.run("key", "rotate", "--home", "a").status == 77)
        try world.answer("a")
        let told = try world.serve()
        #expect(
            told.output.contains("hospital-a changes its key; the new one is signed by the key that is trusted now"))
        #expect(told.output.contains("old key  \(old)") && told.output.contains("new key  \(new)"), "\(told)")
        #expect(!told.output.contains("!!"))
        // It trains and signs with the old key, and the server takes that after the approval too.
        try world.visit("a")
        #expect(try world.fingerprint("a") == old)
        try world.approveEnrolments()
        try world.answer("a")
        for home in ["b", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        let visit = try world.visit("a")
        #expect(visit.output.contains("ministry has taken this hospital's new key \(new)"), "\(visit)")
        #expect(try world.fingerprint("a") == new)
        #expect(try world.trusted("hospital-a", at: "S") == [old, new])
        for home in ["b", "c"] { try world.visit(home) }
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
        let signers = try world.text("S/trust/allowed_signers").split(separator: "\n").filter {
            $0.hasPrefix("hospital-a ")
        }
        #expect(signers.count == 2 && signers.allSatisfy { !$0.contains("trust@") && !$0.contains("global@") })
        // A copied bundle of its own old key is known as its own.
        try world.shell("cp S/archive/*.tar a/inbox/")
        #expect(try world.run("client", "run", "--home", "a").output.contains("waits") == false)
    }

    @Test func aRejectedNewKeyLeavesTheOldOneInPlace() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/rejected/")
        try world.serve()
        let visit = try world.visit("a")
        #expect(visit.output.contains("ministry did not take the new key"), "\(visit)")
        #expect(try world.fingerprint("a") == old)
        #expect(try world.status("a")["enrolled"] != .bool(false))
        #expect(!world.names("a/identity").contains { $0.contains("-next") })
        try world.request(["a"])
    }

    @Test func aKeyThatEndsIsForeseenByBothSidesAndThenRefused() throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", "a", "--valid-days", "100")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        let key = try world.fingerprint("a")
        world.advance(days: 71)
        for home in ["a", "S"] {
            let run = [home == "S" ? "server" : "client", "run", "--home", home]
            #expect(try world.run(run).output.contains("the key \(key) of hospital-a ends on"))
            #expect(try world.run(run).output.contains("ends on") == false)
            let doctor = try world.run("doctor", "--home", home)
            #expect(doctor.status == 78 && doctor.output.contains("MEND key dates: the key \(key)"), "\(doctor)")
        }
        world.advance(days: 30)
        #expect(try world.run("client", "run", "--home", "a").output.contains("of hospital-a ended on"))
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.answer("a")
        let refused = try world.serve()
        #expect(
            refused.output.contains("its key was not valid on") && refused.output.contains("it ended on"), "\(refused)")
    }

    // MARK: attacks

    @Test func aStatementThatIsNotTheServersToMakeIsRefusedAndChangesNothing() throws {
        let world = try World.enrolled()
        let server = try world.key("S")
        let stranger = SigningKey.generate()
        let good = world.statement([(server.publicKey, nil, 60), (stranger.publicKey, 0, nil)])
        let before = try world.bytes("a/trust/allowed_signers")
        func refused(
            _ content: JSONValue, _ seq: Int64, _ words: String, key: SigningKey? = nil, federation: String? = nil
        )
            throws
        {
            try world.layTrust(content, seq: seq, to: "a", key: key ?? server, federation: federation)
            let run = try world.succeed("client", "run", "--home", "a", "--verbose")
            #expect(run.output.contains(words), "\(words): \(run)")
            #expect(try world.bytes("a/trust/allowed_signers") == before)
        }
        var wide = good
        if case .object(var fields) = good {
            fields["namespaces"] = "update@consilium"
            wide = .object(fields)
        }
        try refused(wide, 1000, "namespaces")
        try refused(world.statement([(stranger.publicKey, 9, 3)]), 1001, "must be later than valid_after")
        try refused(
            world.statement([(stranger.publicKey, 0, nil)], about: "hospital-b"), 1002, "is not signed by hospital-b")
        try refused(good, 1003, "it belongs to the federation", federation: String(repeating: "e", count: 32))
        try refused(good, 1004, "is not known here", key: try world.key("b"))
        try refused(world.statement([], revoked: [server.publicKey]), 1005, "revokes the key that signed it")
        // A hospital's key signs no statement at the server either.
        try world.layTrust(
            good, seq: 1006, to: "S", key: try world.key("b"), sender: "hospital-b", receiver: "ministry")
        let run = try world.serve()
        #expect(run.output.contains("hospital-b may not sign a bundle of kind trust"), "\(run)")
        // None of them keeps the server's own from being taken.
        let next = try #require(try world.json("key", "rotate", "--home", "S")["fingerprint"].text)
        #expect(try world.visit("a").output.contains("ministry: new key \(next)"))
    }

    /// An older statement that was kept back may bring nothing back that a newer one took away.
    @Test func anOlderStatementAfterANewerOneIsRolledBackByNobody() throws {
        let world = try World.enrolled()
        let (first, second, third) = (try world.key("S"), SigningKey.generate(), SigningKey.generate())
        try world.layTrust(
            world.statement([(first.publicKey, nil, 60), (second.publicKey, 0, nil)]), seq: 100, to: "a", key: first)
        try world.succeed("client", "run", "--home", "a")
        try world.layTrust(
            world.statement([(second.publicKey, nil, nil)], revoked: [first.publicKey]), seq: 102, to: "a", key: second)
        #expect(
            try world.run("client", "run", "--home", "a").output.contains("\(first.publicKey.fingerprint) is revoked"))
        let before = try world.text("a/trust/allowed_signers") + world.text("a/trust/revoked")
        try world.layTrust(
            world.statement([(first.publicKey, nil, nil), (third.publicKey, 0, nil)]), seq: 101, to: "a", key: second)
        let late = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(late.output.contains("an older statement about ministry's keys was ignored"), "\(late)")
        // By the revoked key, with the highest number.
        try world.layTrust(
            world.statement([(first.publicKey, nil, nil), (third.publicKey, 0, nil)]), seq: 900, to: "a", key: first)
        let revoked = try world.succeed("client", "run", "--home", "a")
        #expect(revoked.output.contains("the key \(first.publicKey.fingerprint) is revoked"), "\(revoked)")
        #expect(try world.text("a/trust/allowed_signers") + world.text("a/trust/revoked") == before)
        // The next one of the newest key is taken.
        try world.layTrust(
            world.statement([(second.publicKey, nil, 60), (third.publicKey, 0, nil)]), seq: 103, to: "a", key: second)
        try world.succeed("client", "run", "--home", "a")
        #expect(try world.trusted("ministry", at: "a").contains(third.publicKey.fingerprint))
    }

    /// The key that vouches for the next one is found stolen before the admin has decided.
    @Test func aKeyThatIsRevokedDuringItsRotationVouchesForNothing() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        #expect(try !world.text("S/enrolments/PENDING.txt").contains("NOBODY VOUCHES"))
        let told = try world.succeed(
            "server", "revoke", "hospital-a", "--reason", "laptop stolen", "--home", "S")
        #expect(told.output.contains("ENR-4 of hospital-a is rejected: \(old), which signed it, is revoked"), "\(told)")
        // Whoever asked there, it is off the desk; the hospital comes back with a key of its own.
        #expect(world.names("S/enrolments/rejected") == ["ENR-4-hospital-a.tar"])
        try world.serve()
        let new = try #require(try world.json("key", "rotate", "--lost", "--home", "a")["fingerprint"].text)
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.trusted("hospital-a", at: "S") == [new])
        try world.visit("a")
        try world.startSession("spring", ["a", "b"])
        try world.journey(["a", "b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }
}

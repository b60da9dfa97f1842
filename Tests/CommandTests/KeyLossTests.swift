import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// Keys that are lost, stolen or not believed any more, through the program.
@Suite struct KeyLossTests {
    /// A stolen machine, by telephone: revoked at once, out of the round, back with a new key and the night's work.
    @Test func aRevokedHospitalComesBackWithANewKeyAndItsUpdate() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        try world.journey()
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
        let old = try world.fingerprint("b")
        let told = try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        #expect(told.output.contains("the key \(old) of hospital-b is revoked"), "\(told)")
        #expect(told.output.contains("hospital-b is excluded: its key was revoked"), "\(told)")
        let again = try world.succeed("server", "revoke", old, "--home", "S")
        #expect(again.output.contains("was revoked before") && !again.output.contains("excluded"), "\(again)")
        #expect(try world.run("server", "revoke", "nobody", "--home", "S").status == 66)
        #expect(try world.run("server", "revoke", "ministry", "--home", "S").status == 77)
        // The closed round stays; what comes now does not count.
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
        let visit = try world.visit("b")
        #expect(
            visit.output.contains("ministry believes this hospital's key \(old) no more: laptop stolen"), "\(visit)")
        try world.answer("b")
        let refused = try world.serve()
        #expect(refused.output.contains("the key \(old) is revoked"), "\(refused)")
        // Whoever checks by the files alone, with or without this program, is told the same.
        let update = try world.opened(try world.update("b"))
        let checked = try world.run("bundle", "verify", "--signers", "S/trust/allowed_signers", update)
        #expect(checked.status == 77 && checked.errors.contains("the key is revoked"), "\(checked)")
        let others = try Program.shell(
            """
            mkdir x && cd x && tar xf ../\(update) && ssh-keygen -Y verify -f ../S/trust/allowed_signers \
                -r ../S/trust/revoked -I hospital-b -n update@consilium -s manifest.json.sig < manifest.json
            """, in: world.root)
        #expect(others.status != 0 && !others.output.contains("Good"), "\(others)")

        let new = try #require(try world.json("key", "rotate", "--lost", "--home", "b")["fingerprint"].text)
        try world.answer("b")
        let desk = try world.serve()
        #expect(desk.output.contains("!! THE NAME hospital-b IS TAKEN"), "\(desk)")
        #expect(desk.output.contains("!!   new key  \(new)"), "\(desk)")
        let early = try world.run("server", "readmit", "spring", "hospital-b", "--home", "S")
        #expect(early.status == 77, "\(early)")
        #expect(early.errors.contains("no key of hospital-b is believed here any more"), "\(early)")
        let approved = try world.approveEnrolments()
        #expect(approved.output.contains("'server readmit spring hospital-b'"), "\(approved)")
        try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        for home in ["a", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-b") == "counted")
    }

    /// Whatever became of the command: the trust says who may read and whose word counts.
    @Test func aTickFinishesARevocationThatWasStopped() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.succeed("server", "reissue", "spring", "hospital-b", "--home", "S")
        #expect(world.names("S/outbox", "global").contains { $0.contains("-to-hospital-b-") })
        // As it is when a kill comes after the trust was saved.
        try world.shell("cat b/identity/id_ed25519.pub >> S/trust/revoked")
        let told = try world.serve()
        #expect(told.output.contains("hospital-b is excluded: its key was revoked"), "\(told)")
        #expect(!world.names("S/outbox", "global").contains { $0.contains("-to-hospital-b-") })
        try world.journey(["a", "c"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    /// No trust names its own key yet, and the audit's head is signed by it.
    @Test func whoNeverRotatedAndLostTheKeyGoesOn() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.shell("rm a/identity/id_ed25519*")
        try world.succeed("key", "rotate", "--lost", "--home", "a")
        try world.succeed("client", "run", "--home", "a")
        #expect(try !world.succeed("doctor", "--home", "a").output.contains("MEND"))
    }

    /// A new home under a name that is taken needs the admin, in words that nobody can miss.
    @Test func aLostHomeEnrolsAnewUnderItsNameOnlyWithTheAdmin() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        let old = try world.fingerprint("a")
        try world.shell("mv a lost")
        let made = try world.json(
            "client", "init", "--home", "a", "--name", "hospital-a", "--invite", "invite.tar", "--data",
            try Material.pictures.get() + "/client-1")
        let new = try #require(made["fingerprint"].text)
        try world.answer("a")
        let desk = try world.serve()
        let words = [
            "THE NAME hospital-a IS TAKEN: approving this REPLACES ITS KEY", "old key  \(old)", "new key  \(new)",
            "NOBODY VOUCHES FOR THE NEW KEY", "compare by telephone", "it takes part in spring",
        ]
        for word in words { #expect(desk.output.contains(word), "\(word): \(desk)") }
        #expect(try world.trusted("hospital-a", at: "S") == [old])
        try world.carry("S", to: "lost")
        let approved = try world.approveEnrolments()
        #expect(approved.output.contains("'server drop spring hospital-a'"), "\(approved)")
        #expect(try world.trusted("hospital-a", at: "S") == [new])
        // Whoever found the old home cannot go on with it, not even with a date before.
        try world.succeed("client", "run", "--home", "lost")
        try world.answer("lost")
        #expect(try world.serve().output.contains("the key \(old) is revoked"))

        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        try world.request(["a"], rounds: 2)
        try world.approveAll("spring")
        for _ in 1...2 { try world.journey() }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
    }

    /// What a revoked key signed has left the outbox: whoever copies all of that is not alarmed by it.
    private func requireOutbox(of world: World, signedBy key: String) throws {
        #expect(!world.names("S/outbox").isEmpty)
        for name in world.names("S/outbox") {
            let path = FilePath(world.path(try world.opened("S/outbox/\(name)")))
            let bundle = try BundleReader.open(path, files: LocalFileSystem())
            #expect(bundle.signer.fingerprint == key, "\(name)")
        }
    }

    /// As it is when a kill comes after the trust was saved, and before anything left the outbox.
    @Test func aTickFinishesAReplacementThatWasStopped() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir kept && cp -a S/mailbox S/outbox S/sessions kept/")
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        let new = try world.fingerprint("S")
        try world.shell("rm -r S/mailbox S/outbox S/sessions && cp -a kept/* S/")
        let told = try world.serve()
        #expect(told.output.contains("is issued again to hospital-a"), "\(told)")
        try requireOutbox(of: world, signedBy: new)
        #expect(world.names("S/outbox", "global").count == 3)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    /// Whether a hospital is told of what was put into quarantine. What is on its way to another one is a detail.
    private static func isAlarmed(_ visit: Outcome) -> Bool {
        visit.output.split(separator: "\n").contains { line in
            line.contains("put into quarantine")
                && (!line.contains("not-for-this-identity") || line.contains("old age recipient"))
        }
    }

    /// What was decided before the key was lost, and had not arrived, arrives under the new one.
    @Test func whatTheLostKeySignedIsSaidAgainByTheNewOne() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.succeed("server", "reject", "REQ-1", "--reason", "no ethics approval", "--home", "S")
        try world.serve()
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        try world.succeed(
            "key", "trust", "new.tar", "--fingerprint", try world.fingerprint("S"), "--only", "--home", "a")
        let visit = try world.visit("a")
        #expect(visit.output.contains("request rejected: no ethics approval"), "\(visit)")
        #expect(!Self.isAlarmed(visit), "\(visit)")
    }

    /// The drill of docs/KEYS.md for a hospital whose home is gone: no false alarm in the new one.
    @Test(arguments: [true, false])
    func aNewHomeIsNotAlarmedByWhatTheOldOneLeftBehind(hasArrivedElsewhere: Bool) throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.journey(["a", "b"])
        #expect(try world.session("spring")["state"].text == "finished")
        world.advance(days: 1)
        if hasArrivedElsewhere {
            try world.visit("a")
            try world.answer("a")
            try world.serve()
        }
        try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        try world.shell("rm -r b")
        world.advance(seconds: 60)
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar invite.tar")
        try world.succeed(
            "client", "init", "--home", "b", "--name", "hospital-b", "--invite", "invite.tar", "--data",
            try Material.pictures.get() + "/client-2")
        try world.answer("b")
        try world.serve()
        try world.approveEnrolments()
        try world.succeed("server", "export", "1", "--to", "hospital-b", "--home", "S")
        let visit = try world.visit("b")
        #expect(visit.output.contains("version 1 of session") && visit.output.contains("waits for you"), "\(visit)")
        #expect(!visit.output.contains("restored from a backup"), "\(visit)")
        #expect(!Self.isAlarmed(visit), "\(visit)")
        try world.succeed("client", "accept", "1", "--home", "b")
        // Who waits for its own copy of what was for both gets one.
        #expect(world.names("S/outbox", "global").contains { $0.contains("-to-hospital-a-") } != hasArrivedElsewhere)
        #expect(try world.visit("a").output.contains("waits for you") != hasArrivedElsewhere)
        try world.succeed("client", "accept", "1", "--home", "a")
        // It is a hospital like any other.
        try world.startSession("autumn", ["b", "c"])
        try world.journey(["b", "c"])
        #expect(try world.session("autumn")["state"].text == "finished")
        #expect(try world.history("autumn").first?.fate(of: "hospital-b") == "counted")
    }

    /// The home that is gone knew of the server's coming key; the one that takes its name has to be told too.
    @Test func aNewHomeIsToldOfARotationThatIsUnderWay() throws {
        let world = try World.enrolled()
        let next = try #require(try world.json("key", "rotate", "--home", "S")["fingerprint"].text)
        try world.visit("b")
        try world.answer("b")
        try world.serve()
        #expect(try world.trusted("ministry", at: "b").contains(next))
        world.advance(seconds: 60)
        try world.shell("rm -r b")
        try world.succeed("client", "init", "--home", "b", "--name", "hospital-b", "--invite", "invite.tar")
        try world.answer("b")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.visit("b").output.contains("ministry: new key \(next)"))
        #expect(try world.trusted("ministry", at: "b").contains(next))
    }

    /// The drill of docs/KEYS.md for the server, step by step.
    @Test func theDrillForAServersKeyInForeignHands() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        let thief = try world.key("S")
        let old = thief.publicKey.fingerprint
        let made = try world.succeed("key", "rotate", "--compromised", "--home", "S")
        #expect(made.output.contains("call each of them now: hospital-a, hospital-b, hospital-c"), "\(made)")
        let new = try world.fingerprint("S")
        #expect(new != old)
        try requireOutbox(of: world, signedBy: new)
        let outbox = world.names("S/outbox")
        try world.serve()
        #expect(world.names("S/outbox") == outbox, "repeated, it changes nothing")
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        // The thief was faster at one hospital, and has introduced a key of his own there.
        let own = SigningKey.generate()
        try world.layTrust(world.statement([(own.publicKey, 0, nil)]), seq: 400, to: "b", key: thief)
        try world.succeed("client", "run", "--home", "b")
        #expect(try world.trusted("ministry", at: "b") == [old, own.publicKey.fingerprint])
        for home in World.everybody {
            try world.succeed("key", "distrust", old, "--home", home, "--reason", "call of the ministry")
            let wrong = try world.run("key", "trust", "new.tar", "--fingerprint", old, "--home", home)
            #expect(wrong.status == 77 && wrong.errors.contains("the invite's key is \(new)"), "\(wrong)")
        }
        // Without a key of the server nothing is taken, and no model goes out to whoever reads there.
        try world.layTrust(
            world.statement([(thief.publicKey, nil, nil), (SigningKey.generate().publicKey, 0, nil)]), seq: 500,
            to: "a",
            key: thief)
        #expect(try world.visit("a").output.contains("the key \(old) is revoked"))
        let mute = try world.run("client", "request", "--home", "a", "--rounds", "1")
        #expect(mute.status == 77 && mute.errors.contains("every key of it is revoked here"), "\(mute)")

        for home in World.everybody {
            try world.succeed("key", "trust", "new.tar", "--fingerprint", new, "--only", "--home", home)
            #expect(try world.trusted("ministry", at: home) == [new])
        }
        for home in World.everybody {
            let visit = try world.visit(home)
            #expect(!Self.isAlarmed(visit), "\(visit)")
            try world.answer(home)
        }
        try world.serve()
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
        try world.succeed("server", "audit", "--home", "S")
    }

    /// With the stolen key a thief says something harmless under a high number, for the time after the recovery.
    @Test(arguments: [false, true]) func aThiefsHighNumberSilencesNoKeyThatFollows(wasNotedByAnEarlierVersion: Bool)
        throws
    {
        let world = try World.enrolled()
        let thief = try world.key("S")
        let old = thief.publicKey.fingerprint
        try world.layTrust(world.statement([(thief.publicKey, nil, nil)]), seq: 900_000, to: "a", key: thief)
        try world.succeed("client", "run", "--home", "a")
        if wasNotedByAnEarlierVersion {
            let state = try world.text("a/sessions/state.json")
            #expect(state.contains("trust ministry \(old)"))
            try world.write(
                state.replacing("trust ministry \(old)", with: "trust ministry"), to: "a/sessions/state.json")
        }
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        try world.succeed("key", "distrust", old, "--home", "a", "--reason", "call of the ministry")
        try world.succeed(
            "key", "trust", "new.tar", "--fingerprint", try world.fingerprint("S"), "--only", "--home", "a")
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        let next = try #require(try world.json("key", "rotate", "--home", "S")["fingerprint"].text)
        let told = try world.visit("a")
        #expect(told.output.contains("ministry: new key \(next)"), "\(told)")
        #expect(try world.trusted("ministry", at: "a").contains(next))
    }

    /// What an earlier rotation kept goes with the key that is given up: nothing that vouches for nobody lies about.
    @Test(arguments: ["S", "a"]) func whatARotationKeptGoesWithAKeyThatIsGivenUp(home: String) throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", home)
        if home == "S" {
            for hospital in World.everybody {
                try world.visit(hospital)
                try world.answer(hospital)
            }
            try world.serve()
        } else {
            try world.answer("a")
            try world.serve()
            try world.approveEnrolments()
            try world.visit("a")
        }
        try #require(try world.succeed("key", "show", "--home", home).output.contains("kept until"))
        try world.succeed("key", "rotate", "--compromised", "--home", home)
        let shown = try world.succeed("key", "show", "--home", home)
        #expect(!shown.output.contains("old key"), "\(shown)")
        #expect(world.names("\(home)/identity").allSatisfy { !$0.contains("-until-") })
        if home == "S" { try world.succeed("server", "audit", "--home", "S") }
    }

    /// The server's key file is gone, and no backup: the same drill, with nothing to sign with before.
    @Test func aServerThatLostItsKeyFileGoesOnWithANewOne() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("S")
        try world.shell("rm S/identity/id_ed25519 S/identity/id_ed25519.pub")
        let stopped = try world.run("server", "run", "--home", "S")
        #expect(stopped.status == 66 && stopped.errors.contains("'consilium key rotate --lost'"), "\(stopped)")
        let made = try world.json("key", "rotate", "--lost", "--home", "S")
        #expect(made["old_fingerprints"].texts == [old])
        #expect(try world.trusted("ministry", at: "S") == [] && world.fingerprint("S") != old)
        try world.serve()
    }

    /// Somebody else's invite under the ministry's name and federation: the admin sees it before approving.
    @Test func anEnrolmentThatWasInvitedByAnotherKeyIsShownSo() throws {
        let world = try World.initialised()
        let impostor = SigningKey.generate()
        let record = try StrictJSON.parse(try world.bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let recipient = try #require(try world.json("key", "show", "--home", "S")["age_recipient"].text)
        try world.layInvite(
            [
                "federation": record["federation"], "server": "ministry",
                "key": .string(impostor.publicKey.openSSHLine), "age_recipient": .string(recipient),
                "architecture": "smallcnn", "classes": ["a", "b"], "image_size": 32,
            ], key: impostor, as: "false.tar")
        try world.succeed("client", "init", "--home", "d", "--name", "hospital-d", "--invite", "false.tar")
        try world.answer("d")
        let desk = try world.serve()
        #expect(
            desk.output.contains(
                "!! it believes that this server's key is \(impostor.publicKey.fingerprint), which is not so"),
            "\(desk)")
    }

    /// As where a run is killed between the update and the note of it: the next one finds it published, signed with another
    /// key meanwhile.
    @Test func anUpdateThatIsSignedAnewIsNotTakenForAnEarlierOne() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let first = try world.update("a")
        let state = "a/sessions/state.json"
        try world.shell("sed -i 's/\"answered_round\":1/\"answered_round\":0/' \(state)")
        #expect(try world.text(state).contains("\"answered_round\":0"))
        for _ in 1...2 {
            try world.succeed("key", "rotate", "--lost", "--home", "a")
            let again = try world.update("a")
            #expect(again != first)
            try world.succeed("client", "run", "--home", "a")
            #expect(world.names("a/outbox", "update").map { "a/outbox/\($0)" } == [again])
            try world.shell("sed -i 's/\"answered_round\":1/\"answered_round\":0/' \(state)")
        }
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// A key that was to follow the lost one is given up with it, though nothing is left of the lost one.
    @Test(arguments: ["S", "a"]) func aRotationUnderWayEndsWithTheKeyThatIsGone(home: String) throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", home)
        #expect(world.exists("\(home)/identity/id_ed25519-next"))
        try world.shell("rm \(home)/identity/id_ed25519")
        try world.succeed("key", "rotate", "--lost", "--home", home)
        #expect(!world.exists("\(home)/identity/id_ed25519-next"))
        let key = try world.fingerprint(home)
        let command = home == "S" ? "server" : "client"
        for _ in 1...2 { try world.succeed(command, "run", "--home", home) }
        #expect(try world.fingerprint(home) == key)
        guard home == "a" else { return }
        #expect(world.names("a/outbox", "enrol").count == 1)
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.trusted("hospital-a", at: "S") == [key])
    }

    /// There is no key that it follows: its end is told all the same, and the others are over.
    @Test func aKeyThatIsMadeWhereNoneWasHasItsEnd() throws {
        let world = try World.enrolled()
        try world.shell("rm a/identity/id_ed25519*")
        try world.succeed("client", "status", "--home", "a")
        try world.succeed("key", "rotate", "--lost", "--valid-days", "30", "--home", "a")
        let own = try world.text("a/trust/allowed_signers").split(separator: "\n").filter {
            $0.hasPrefix("hospital-a ")
        }
        #expect(own.count == 2 && own.allSatisfy { $0.contains("valid-before=") }, "\(own)")
        let doctor = try world.run("doctor", "--home", "a")
        #expect(doctor.output.contains("MEND key dates"), "\(doctor)")
        try world.succeed("client", "run", "--home", "a")
    }
}

import Bundles
import Files
import Testing
import Wire

/// What a thief does with a key before people have spoken on the telephone, and what the drills of docs/KEYS.md make of it.
@Suite struct KeyTheftTests {
    /// What the thief says of keys, under the server's key and by his own, before the hospital is called.
    enum Word: CaseIterable {
        case aKeyOfHisOwnForLater, anEndOfTheComingKey, aBeginOfTheComingKey, aRevocationOfTheComingKey,
            aRevocationByAKeyOfHisOwn
    }

    private func replaceServersKey(_ world: World) throws -> String {
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        return try world.fingerprint("S")
    }

    private func window(of key: String, at home: String, in world: World) throws -> String {
        let lines = try world.text("\(home)/trust/allowed_signers").split(separator: "\n")
        return String(try #require(lines.first { $0.contains(key) }))
    }

    private func trust(_ world: World, _ key: String, _ more: [String] = []) throws -> Outcome {
        try world.run(["key", "trust", "new.tar", "--fingerprint", key, "--home", "a"] + more)
    }

    /// The invite with the new key travels in the clear: he knows that key, and says what he likes of it.
    @Test(arguments: Word.allCases)
    func nothingThatAThiefSaidKeepsOutTheKeyThatIsComparedByTelephone(word: Word) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        let (thief, own) = (try world.key("S"), SigningKey.generate())
        let old = thief.publicKey.fingerprint
        let new = try replaceServersKey(world)
        let key = try world.key("S").publicKey
        func say(_ content: JSONValue, _ seq: Int64, by signer: SigningKey) throws {
            try world.layTrust(content, seq: seq, to: "a", key: signer)
            let run = try world.succeed("client", "run", "--home", "a")
            #expect(!run.output.contains("refused"), "\(run)")
        }
        switch word {
        case .aKeyOfHisOwnForLater:
            try say(world.statement([(thief.publicKey, nil, nil), (own.publicKey, 300, nil)]), 400, by: thief)
        case .anEndOfTheComingKey:
            try say(world.statement([(thief.publicKey, nil, nil), (key, 0, 1)]), 400, by: thief)
        case .aBeginOfTheComingKey:
            try say(world.statement([(thief.publicKey, nil, nil), (key, 300, nil)]), 400, by: thief)
        case .aRevocationOfTheComingKey:
            try say(world.statement([(thief.publicKey, nil, nil)], revoked: [key]), 400, by: thief)
        case .aRevocationByAKeyOfHisOwn:
            try say(world.statement([(key, 0, nil), (own.publicKey, 0, nil)]), 400, by: thief)
            try say(world.statement([(own.publicKey, nil, nil)], revoked: [key]), 401, by: own)
        }
        if word == .aRevocationOfTheComingKey {
            let early = try trust(world, new)
            #expect(early.status == 77 && early.errors.contains("\(old) said so"), "\(early)")
        }
        try world.succeed("key", "distrust", old, "--home", "a", "--reason", "call of the ministry")
        let trusted = try trust(world, new, ["--only"])
        #expect(trusted.status == 0, "\(trusted)")
        #expect(try world.trusted("ministry", at: "a") == [new])
        let line = try window(of: key.openSSHLine, at: "a", in: world)
        #expect(!line.contains("valid-after") && !line.contains("valid-before"), "\(line)")
        world.advance(days: 2)
        let visit = try world.visit("a")
        #expect(!visit.output.contains("a bundle of ministry was put into quarantine"), "\(visit)")
        #expect(!visit.output.contains("a bundle that says it is from ministry"), "\(visit)")
        try world.answer("a")
        let next = try #require(try world.json("key", "rotate", "--home", "S")["fingerprint"].text)
        #expect(try world.visit("a").output.contains("ministry: new key \(next)"))
    }

    /// As an earlier version left it.
    @Test func aBeginThatIsStillToComeIsMendedByTrustingOnceMore() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("S")
        let new = try replaceServersKey(world)
        try world.succeed("key", "distrust", old, "--home", "a", "--reason", "call of the ministry")
        #expect(try trust(world, new, ["--only"]).status == 0)
        let key = try world.key("S").publicKey.openSSHLine
        for more in [["--only"], []] {
            let lines = try world.text("a/trust/allowed_signers")
            let options = try window(of: key, at: "a", in: world).split(separator: " ")[1]
            #expect(!options.contains("valid-after"))
            try world.write(
                lines.replacing("\(options) \(key)", with: "\(options),valid-after=\"21990101000000Z\" \(key)"),
                to: "a/trust/allowed_signers")
            #expect(try window(of: key, at: "a", in: world).contains("2199"))
            #expect(try trust(world, new, more).status == 0)
            #expect(try !window(of: key, at: "a", in: world).contains("2199"))
        }
    }

    /// A person's own word is not overruled by an invite.
    @Test func whatAPersonDistrustedStaysSo() throws {
        let world = try World.enrolled()
        let new = try replaceServersKey(world)
        #expect(try trust(world, new).status == 0)
        try world.succeed("key", "distrust", new, "--home", "a", "--reason", "call of the ministry")
        let again = try trust(world, new, ["--only"])
        #expect(again.status == 77 && again.errors.contains("ministry needs a new key"), "\(again)")
    }

    /// The kept home of the drill: all is done before the hospital hears of it.
    @Test(arguments: [true, false]) func aKeyThatWasReplacedIsNoReasonToReplaceTheOneThatFollowed(isKept: Bool) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        let old = try world.fingerprint("b")
        let demand = "ministry believes this hospital's key \(old) no more"
        if isKept {
            try world.visit("b")
            try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
            try world.succeed("key", "rotate", "--lost", "--home", "b")
            try world.answer("b")
            try world.serve()
            try world.approveEnrolments()
            try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        } else {
            // Within the overlap of a rotation, which has its own key by then.
            try world.succeed("key", "rotate", "--home", "b")
            try world.answer("b")
            try world.serve()
            try world.approveEnrolments()
            try world.visit("b")
            try world.succeed("server", "revoke", old, "--reason", "laptop stolen", "--home", "S")
        }
        #expect(try world.fingerprint("b") != old)
        try world.carry("S", to: "b")
        let visit = try world.succeed("client", "run", "--home", "b")
        #expect(!visit.output.contains(demand) && !visit.output.contains("key rotate"), "\(visit)")
        #expect(visit.output.contains("the server has readmitted this hospital") == isKept, "\(visit)")
        #expect(try world.text("b/audit/audit.jsonl").contains("the key \(old) is revoked by ministry"))
    }

    /// An update that waits in an exchange, encrypted to an age identity that somebody else has too.
    @Test(arguments: [true, false]) func nothingLiesInTheOpenForWhoeverHasTheServersKeys(isDistrusted: Bool) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir -p exchange/hospital-a/inbox exchange/hospital-a/outbox")
        try world.configure("a", "exchange: \(world.path("exchange"))")
        try world.visit("a")
        func updates(_ folder: String) -> [String] { world.names(folder, "update").map { "\(folder)/\($0)" } }
        let places = ["a/outbox", "exchange/hospital-a/inbox"]
        for place in places { #expect(updates(place).count == 1, "\(place)") }
        let stolen = try AgeIdentity(identityFile: try world.bytes("S/identity/age.txt"))
        func isReadable(_ file: String, with identity: AgeIdentity) throws -> Bool {
            (try? AgeReader.decrypt(try world.bytes(file), with: [identity], limit: 1 << 28)) != nil
        }
        #expect(try isReadable(try #require(updates(places[1]).first), with: stolen))
        let old = try world.fingerprint("S")
        let new = try replaceServersKey(world)
        if isDistrusted {
            try world.succeed("key", "distrust", old, "--home", "a", "--reason", "call of the ministry")
            for _ in 1...2 {
                for place in places { #expect(world.names(place) == [], "\(place)") }
                world.advance(days: 1, seconds: 60)
                try world.succeed("client", "run", "--home", "a")
            }
        }
        #expect(try trust(world, new, ["--only"]).status == 0)
        for _ in 1...2 {
            for place in places {
                let file = try #require(updates(place).first, "\(place)")
                #expect(updates(place).count == 1 && !world.names(place).contains { $0.hasPrefix(".") })
                #expect(try !isReadable(file, with: stolen), "\(file)")
                #expect(try isReadable(file, with: AgeIdentity(identityFile: try world.bytes("S/identity/age.txt"))))
                #expect(try isReadable(file, with: AgeIdentity(identityFile: try world.bytes("a/identity/age.txt"))))
            }
            world.advance(days: 1, seconds: 60)
            try world.succeed("client", "run", "--home", "a")
        }
        try world.shell("cp exchange/hospital-a/inbox/update-* S/inbox/")
        try world.serve()
        for home in ["b", "c"] {
            try world.succeed("key", "trust", "new.tar", "--fingerprint", new, "--only", "--home", home)
        }
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
    }

    /// What the thief says of the coming age recipient, or of the coming key too, makes nothing seem to be encrypted to it.
    @Test(arguments: [true, false])
    func whatWasEncryptedToAStolenIdentityIsEncryptedAnewWhateverAThiefSaid(isKeyIntroduced: Bool) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.visit("a")
        let (thief, stolen) = (try world.key("S"), try AgeIdentity(identityFile: try world.bytes("S/identity/age.txt")))
        func isReadable(with identity: AgeIdentity) throws -> Bool {
            let update = try world.bytes(try world.update("a"))
            return (try? AgeReader.decrypt(update, with: [identity], limit: 1 << 28)) != nil
        }
        #expect(try isReadable(with: stolen))
        let new = try replaceServersKey(world)
        let age = try AgeIdentity(identityFile: try world.bytes("S/identity/age.txt"))
        let coming = isKeyIntroduced ? [(try world.key("S").publicKey, Int64?.some(0), Int64?.none)] : []
        try world.layTrust(
            world.statement([(thief.publicKey, nil, nil)] + coming, recipient: "\(age.recipient)"), seq: 400, to: "a",
            key: thief)
        #expect(try world.succeed("client", "run", "--home", "a").output.contains("new age recipient"))
        try world.succeed(
            "key", "distrust", thief.publicKey.fingerprint, "--home", "a", "--reason", "call of the ministry")
        #expect(try trust(world, new, ["--only"]).status == 0)
        world.advance(days: 1, seconds: 60)
        try world.succeed("client", "run", "--home", "a")
        #expect(world.names("a/outbox", "update").count == 1)
        #expect(try !isReadable(with: stolen) && isReadable(with: age))
    }

    /// Revoked keys that nobody has, by the thousand: the hospital goes on, is told in a few lines, and can be called.
    @Test func aFloodOfRevocationsLocksNobodyOut() throws {
        let world = try World.enrolled()
        let thief = try world.key("S")
        for number in 1...130 {
            let gone = (1...64).map { _ in SigningKey.generate().publicKey }
            try world.layTrust(
                world.statement([(thief.publicKey, nil, nil)], revoked: gone), seq: Int64(400 + number), to: "a",
                key: thief)
        }
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.split(separator: "\n").count <= 20, "\(told.output.prefix(2_000))")
        #expect(told.output.contains("and 61 other changes"), "\(told.output.prefix(2_000))")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        try world.succeed(
            "key", "distrust", thief.publicKey.fingerprint, "--home", "a", "--reason", "call of the ministry")
        let new = try replaceServersKey(world)
        #expect(try trust(world, new, ["--only"]).status == 0)
        #expect(try world.trusted("ministry", at: "a") == [new])
        world.advance(days: 1)
        let visit = try world.visit("a")
        #expect(!visit.output.contains("a bundle of ministry was put into quarantine"), "\(visit)")
    }

    /// Nothing of what a key's replacement changes is changed where the enrolment cannot be sent.
    @Test(arguments: [["--lost"], ["--age"]]) func aHospitalThatIsCutOffKeepsItsKeyUntilItCanEnrolAnother(how: [String])
        throws
    {
        let world = try World.enrolled()
        let server = try world.fingerprint("S")
        try world.succeed("key", "distrust", server, "--home", "a", "--reason", "call of the ministry")
        let before = try world.json("key", "show", "--home", "a")
        let files = world.names("a/identity")
        let refused = try world.run(["key", "rotate", "--home", "a"] + how)
        #expect(refused.status == 77 && refused.errors.contains("every key of it is revoked here"), "\(refused)")
        #expect(try world.json("key", "show", "--home", "a") == before)
        #expect(world.names("a/identity") == files)
        // Nor is one made where it has none, which would then be nobody's.
        if how == ["--lost"] {
            try world.shell("mv a/identity/id_ed25519 kept")
            let stranded = try world.run(["key", "rotate", "--home", "a"] + how)
            #expect(stranded.status == 77 && stranded.errors.contains("every key of it is revoked here"), "\(stranded)")
            #expect(!world.exists("a/identity/id_ed25519"))
            try world.shell("mv kept a/identity/id_ed25519")
        }
        let new = try replaceServersKey(world)
        #expect(try trust(world, new, ["--only"]).status == 0)
        let rotated = try world.run(["key", "rotate", "--home", "a"] + how)
        #expect(rotated.status == 0, "\(rotated)")
        try world.answer("a")
        #expect(try world.serve().output.contains("hospital-a"))
        try world.approveEnrolments()
        let visit = try world.visit("a")
        let own = try world.fingerprint("a")
        #expect(before["fingerprint"].text != own, "\(visit)")
        #expect(try world.trusted("hospital-a", at: "S").contains(own))
    }

    /// Whoever has the server's key can fill what a hospital remembers; it stays one that can be read.
    @Test func aStateThatIsFullKeepsNobodyFromDistrusting() throws {
        let world = try World.enrolled()
        let server = try world.fingerprint("S")
        try world.request(["a"])
        try world.approveAll("spring")
        let text = try world.text("a/sessions/state.json")
        let offer = """
            {"bundle":"\(String(repeating: "0", count: 64))","session":"\(String(repeating: "0", count: 32))",\
            "status":"rejected","version":1}
            """
        let count = ((64 << 20) - 40 - text.utf8.count) / (offer.utf8.count + 1)
        let offers = Array(repeating: offer, count: count).joined(separator: ",")
        let full = text.replacing("\"offers\":[]", with: "\"offers\":[\(offers)]")
        #expect((64 << 20) - 300..<(64 << 20) ~= full.utf8.count)
        try world.write(full, to: "a/sessions/state.json")
        let visit = try world.visit("a")
        #expect(visit.output.contains("state.json would have"), "\(visit.output.prefix(2000))")
        #expect(try world.bytes("a/sessions/state.json").count <= 64 << 20)
        try world.succeed("key", "distrust", server, "--home", "a", "--reason", "call of the ministry")
        #expect(
            try world.json("key", "show", "--home", "a")["trusted"].items.allSatisfy { $0["name"].text != "ministry" })
        // What could not be written down comes again.
        #expect(!world.names("a/inbox").isEmpty)
    }

    /// A thief rejects the key that is to follow, the hospital drops it, and then the admin, who never did, approves it.
    @Test func aKeyThatIsTakenAfterAThiefHadRejectedItIsToldOnce() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("S")
        let signing = try world.fingerprint("a")
        let dropped = try #require(try world.json("key", "rotate", "--home", "a")["fingerprint"].text)
        try world.answer("a")
        try world.serve()
        try world.shell("cp -r S T && rm -f T/outbox/* && mv T/enrolments/pending/*.tar T/enrolments/rejected/")
        try world.succeed("server", "run", "--home", "T")
        try world.shell("cp T/outbox/decision-ministry-to-hospital-a-* a/inbox/")
        #expect(try world.succeed("client", "run", "--home", "a").output.contains("did not take the new key"))
        let new = try replaceServersKey(world)
        try world.succeed("key", "distrust", old, "--home", "a", "--reason", "call of the ministry")
        #expect(try trust(world, new, ["--only"]).status == 0)
        try world.approveEnrolments()
        let told = try world.visit("a")
        #expect(told.output.contains("has taken the key \(dropped) of this hospital, which was given up"), "\(told)")
        #expect(try world.visit("a").output.contains("given up") == false)
        #expect(try world.fingerprint("a") == signing)
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.visit("a").output.contains("has taken this hospital's new key"))
        world.advance(days: 61)
        try world.startSession("spring", ["a"])
    }

    /// What the server says again of a key that was in use, and has been followed by another one, is nobody's concern.
    @Test func whatIsSaidAgainOfAFormerKeyIsNotTold() throws {
        let world = try World.enrolled()
        for number in 1...2 {
            try world.succeed("key", "rotate", "--home", "a")
            try world.answer("a")
            try world.serve()
            try world.shell("mkdir before && mv S/outbox/decision-* before/ || true")
            try world.approveEnrolments()
            if number == 1 { try world.shell("mkdir kept && cp S/outbox/decision-ministry-to-hospital-a-* kept/") }
            try world.visit("a")
            try world.answer("a")
            try world.serve()
            world.advance(days: 62)
            try world.visit("a")
        }
        #expect(!world.names("a/identity").contains { $0.contains("-until-") })
        let decision = try #require(world.names("kept").first)
        try world.shell("cp kept/\(decision) S/outbox/\(decision)")
        try world.forge(
            "S/outbox/\(decision)", key: try world.key("S"), to: "a/inbox/again.tar.age"
        ) { manifest, _ in manifest.seq += 1000 }
        let visit = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(visit.output.contains("1 new bundle, which asks for nothing"), "\(visit)")
        #expect(!visit.output.contains("given up"), "\(visit)")
    }
}

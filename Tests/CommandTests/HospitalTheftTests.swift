import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// A hospital's key in foreign hands: what the thief sent under it before the drill of docs/KEYS.md, and what stays of it.
@Suite struct HospitalTheftTests {
    /// Whose update the server has of the open round when the theft is found out.
    enum Moment: CaseIterable { case notTrained, trained, arrived }

    /// The drill up to the approval of the new key; `isRevoked` false: A forgot the first step.
    private func drill(_ world: World, isRevoked: Bool = true) throws {
        if isRevoked { try world.succeed("server", "revoke", "hospital-b", "--reason", "stolen", "--home", "S") }
        world.advance(seconds: 60)
        try world.succeed("key", "rotate", "--lost", "--home", "b")
        try world.answer("b")
        try world.serve()
        try world.approveEnrolments()
    }

    private func counted(of client: String, in world: World) throws -> String {
        let round = try #require(try world.history("spring").first)
        let line = try #require(round["participants"].items.first { $0["client"].text == client })
        return try #require(line["update"].text, "\(line)")
    }

    /// The update of somebody who has a copy of the home.
    private func steal(_ world: World, sequence: Int64 = 900) throws {
        try world.succeed("client", "run", "--home", "thief")
        let update = "thief/outbox/" + (try #require(world.names("thief/outbox", "update").last))
        try world.forge(update, key: try world.key("b"), to: "S/inbox/stolen.tar.age") { manifest, _ in
            manifest.seq = sequence
        }
    }

    @Test(arguments: Moment.allCases, [true, false])
    func theThiefsUpdateOfAnOpenRoundGivesWayToTheHospitals(moment: Moment, isRevoked: Bool) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("cp -a b thief")
        try world.carry("S", to: "thief")
        if moment != .notTrained { try world.visit("b") }
        if moment == .arrived {
            try world.answer("b")
            try world.serve()
            world.advance(days: 1)
            try world.visit("b")
        }
        try steal(world)
        try world.serve()
        try drill(world, isRevoked: isRevoked)
        if isRevoked { try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S") }
        world.advance(days: 1)
        let visit = try world.visit("b")
        if moment != .trained { #expect(visit.output.contains("update published"), "\(visit)") }
        #expect(visit.output.contains("an update in this hospital's name counts no more"), "\(visit)")
        try world.answer("b")
        for home in ["a", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        let path = "S/archive/\(try counted(of: "hospital-b", in: world)).tar"
        let update = try BundleReader.open(FilePath(world.path(path)), files: LocalFileSystem())
        #expect(update.signer.fingerprint == (try world.fingerprint("b")))
    }

    // MARK: desks

    /// Many requests in the hospital's name, each under a number of its own.
    private func flood(_ world: World, _ count: Int) throws {
        try world.succeed("client", "request", "--home", "b", "--rounds", "1")
        let request = "b/outbox/" + (try #require(world.names("b/outbox", "request").last))
        for number in 1...count {
            try world.forge(request, key: try world.key("b"), to: "S/inbox/flood-\(number).tar.age") { manifest, _ in
                manifest.seq = Int64(100 + number)
            }
        }
        try world.serve()
    }

    /// As an earlier version wrote it: without the signer.
    private func forgetSigners(_ world: World) throws {
        guard
            case .object(var fields) = try StrictJSON.parse(
                try world.bytes("S/requests/records.json"), maximumBytes: 1 << 20),
            case .array(let records)? = fields["requests"]
        else { throw TestTrouble("records.json has no request") }
        fields["requests"] = .array(
            records.map { record in
                guard case .object(var entry) = record else { return record }
                entry["signer"] = nil
                return .object(entry)
            })
        try world.write(
            String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self), to: "S/requests/records.json")
    }

    @Test(arguments: [true, false]) func theThiefsRequestsLeaveTheDeskWithTheKey(isNoted: Bool) throws {
        let world = try World.enrolled()
        try flood(world, 20)
        if !isNoted { try forgetSigners(world) }
        #expect(world.names("S/requests/pending").count == 20)
        let first = "REQ-1-hospital-b.tar"
        // Of one the admin has the old mail.
        try world.shell("cp S/requests/pending/\(first) kept.tar")
        let revoked = try world.succeed(
            "server", "revoke", "hospital-b", "--reason", "stolen", "--home", "S", "--verbose")
        #expect(revoked.output.contains("REQ-20 of hospital-b rejected: signed by a key that is revoked"), "\(revoked)")
        #expect(world.names("S/requests/pending").isEmpty && !world.exists("S/requests/PENDING.txt"))
        #expect(try world.run("server", "approve", "REQ-2", "--home", "S").status == 77)
        try world.shell("mv kept.tar S/requests/approved/\(first)")
        #expect(try world.serve().output.contains("REQ-1 was rejected before"))
        #expect(try world.json("server", "sessions", "--home", "S")["sessions"].items.isEmpty)
        try drill(world, isRevoked: false)
        world.advance(days: 1)
        try world.visit("b")
        try world.succeed("client", "request", "--home", "b", "--rounds", "1")
        try world.answer("b")
        try world.serve()
        #expect(world.names("S/requests/pending") == ["REQ-21-hospital-b.tar"])
    }

    /// `isMoved`: the admin has followed the mail already when the call comes.
    @Test(arguments: [true, false]) func aKeyThatAStolenKeyVouchesForGoesWithIt(isMoved: Bool) throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("b")
        try world.shell("cp -a b thief && cp -a b later")
        try world.succeed("key", "rotate", "--home", "thief")
        try world.shell("cp thief/outbox/enrol-* S/inbox/")
        #expect(try world.serve().output.contains("signed by the key that is trusted now"))
        if isMoved { try world.shell("mv S/enrolments/pending/ENR-4-* S/enrolments/approved/") }
        let revoked = try world.succeed("server", "revoke", "hospital-b", "--reason", "stolen", "--home", "S")
        #expect(
            revoked.output.contains("ENR-4 of hospital-b is rejected: \(old), which signed it, is revoked"),
            "\(revoked)")
        #expect(world.names("S/enrolments/pending").isEmpty && !world.exists("S/enrolments/PENDING.txt"))
        try drill(world, isRevoked: false)
        let new = try world.fingerprint("b")
        #expect(try world.trusted("hospital-b", at: "S") == [new])
        if !isMoved {
            try world.shell("mv S/enrolments/rejected/ENR-4-* S/enrolments/approved/")
            #expect(try world.serve().output.contains("ENR-4-hospital-b.tar cannot be approved"))
        }
        // Nor does one that comes only now.
        try world.succeed("key", "rotate", "--home", "later")
        try world.shell("cp later/outbox/enrol-* S/inbox/")
        #expect(try world.serve().output.contains("refused: it is signed by \(old), which is revoked"))
        #expect(try world.trusted("hospital-b", at: "S") == [new])
        #expect(try !world.text("S/trust/revoked").contains(try world.key("b").publicKey.openSSHLine))
    }

    /// Whoever has the key can have models encrypted to himself: that its fingerprint is the right one says nothing.
    @Test func anotherAgeRecipientUnderTheSameKeyIsSaidPlainly() throws {
        let world = try World.enrolled()
        let stolen = AgeIdentity.generate().recipient.description
        let own = try AgeIdentity(identityFile: try world.bytes("b/identity/age.txt")).recipient.description
        func ask(_ recipient: String, _ seq: Int64) throws -> String {
            try world.forge(
                "S/enrolments/approved/ENR-2-hospital-b.tar", key: try world.key("b"), to: "S/inbox/enrol-\(seq).tar"
            ) { manifest, payload in
                manifest.seq = seq
                payload = payload.map { name, bytes in
                    (name, Array(String(decoding: bytes, as: UTF8.self).replacing(own, with: recipient).utf8))
                }
            }
            return try world.serve().output
        }
        #expect(try ask(own, 50).contains("approving it changes nothing"))
        let told = try ask(stolen, 51)
        #expect(told.contains("approving this REPLACES ITS AGE RECIPIENT"), "\(told)")
        #expect(told.contains("old recipient  \(own)") && told.contains("new recipient  \(stolen)"), "\(told)")
        #expect(!told.contains("compare the key's fingerprint by telephone"), "\(told)")
        #expect(try world.text("S/enrolments/PENDING.txt").contains("REPLACES ITS AGE RECIPIENT"))
        try world.approveEnrolments()
        #expect(try world.text("S/audit/audit.jsonl").contains("; age recipient \(stolen) in place of \(own)"))
    }

    /// Strangers fill the desk: the hospital that comes back waits for room, and is not refused for good.
    @Test func anEnrolmentWaitsForRoomOnTheDesk() throws {
        let world = try World.enrolled()
        func change(_ body: (inout [JSONValue]) -> Void) throws {
            guard
                case .object(var fields) = try StrictJSON.parse(
                    try world.bytes("S/requests/records.json"), maximumBytes: 1 << 20),
                case .array(var records)? = fields["enrolments"]
            else { throw TestTrouble("records.json has no enrolment") }
            body(&records)
            fields["enrolments"] = .array(records)
            try world.write(
                String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self), to: "S/requests/records.json")
        }
        try change { records in
            guard case .object(var entry)? = records.first else { return }
            for number in 1...200 {
                entry["number"] = .integer(Int64(3 + number))
                entry["name"] = .string("stranger-\(number)")
                entry["status"] = "pending"
                entry["id"] = .string(SHA256Hash.digest(of: Array("\(number)".utf8)).hex)
                records.append(.object(entry))
            }
        }
        try world.succeed("server", "revoke", "hospital-b", "--reason", "stolen", "--home", "S")
        try world.succeed("key", "rotate", "--lost", "--home", "b")
        try world.answer("b")
        let told = try world.serve()
        #expect(told.output.contains("an enrolment of hospital-b waits: 200 enrolments wait already"), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try change { records in
            guard case .object(var entry)? = records.last else { return }
            entry["status"] = "rejected"
            records[records.count - 1] = .object(entry)
        }
        try world.serve()
        #expect(world.names("S/enrolments/pending") == ["ENR-204-hospital-b.tar"])
        try world.approveEnrolments()
        #expect(try world.trusted("hospital-b", at: "S") == [try world.fingerprint("b")])
    }

    // MARK: room

    @Test func updatesThatDoNotCountFillNoDisk() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.visit(home) }
        let update = try world.update("b")
        let before = world.names("S/archive").count
        for number in 1...14 {
            try world.forge(update, key: try world.key("b"), to: "S/inbox/update-\(number).tar.age") { manifest, _ in
                manifest.seq = Int64(100 + number)
            }
        }
        try world.serve()
        #expect(world.names("S/archive").count == before + 9)
        for home in ["a", "c"] { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        try world.succeed("server", "verify", "spring", "--home", "S")
    }

    // MARK: alarms

    /// The server's answers are signed proof that somebody else uses the key.
    @Test func answersToWhatWasNeverSentAreToldOnce() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        try world.visit("b")
        try world.shell("cp -a b thief")
        // He asks for a session of his own, and leaves the one that goes on.
        try world.succeed("client", "request", "--home", "thief", "--rounds", "1")
        try world.answer("thief")
        try world.serve()
        try world.shell("mv S/requests/pending/*.tar S/requests/approved/")
        try world.serve()
        let alarm = "is not known here: this home was restored from a backup, or its key is used elsewhere too"
        let told = try world.visit("b")
        #expect(told.output.contains(alarm) || told.output.contains("that this home does not know of"), "\(told)")
        let joined = try #require(try world.status("b")["requests"][0]["id"].text)
        try world.succeed("client", "withdraw", joined, "--home", "thief")
        try world.answer("thief")
        try world.serve()
        let second = try world.visit("b")
        #expect(second.output.contains("a withdrawal, which others have from here, \(alarm)"), "\(second)")
        world.advance(days: 1)
        #expect(try !world.visit("b").output.contains("is used elsewhere too"))
        #expect(try !world.visit("a").output.contains("is used elsewhere too"))
    }

    @Test func aRequestThatSomebodyElseTookBackIsTold() throws {
        let world = try World.enrolled()
        try world.request(["b"])
        try world.shell("cp -a b thief")
        try world.succeed("client", "withdraw", "--home", "thief")
        try world.answer("thief")
        try world.serve()
        let told = try world.visit("b")
        #expect(told.output.contains("was taken back, which this home did not do"), "\(told)")
        #expect(try !world.visit("b").output.contains("was taken back"))
        // Who takes it back himself is told nothing of the kind.
        try world.request(["a"])
        try world.succeed("client", "withdraw", "--home", "a")
        try world.answer("a")
        try world.serve()
        let own = try world.visit("a")
        #expect(own.output.contains("request withdrawn") && !own.output.contains("did not do"), "\(own)")
    }
}

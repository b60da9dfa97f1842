import Bundles
import Foundation
import Testing
import Wire

private let hasAge = ["age", "ssh-keygen", "tar"].allSatisfy { Program.has($0) }

/// Bundles travel encrypted unless a home's configuration says otherwise.
@Suite struct EncryptionTests {
    /// Whom a bundle is for, by its name: a home that can open it.
    private func reader(of name: String) -> String {
        for home in World.everybody where name.contains("-to-hospital-\(home)-") { return home }
        return name.hasPrefix("global-") || name.hasPrefix("abort-") ? "b" : "S"
    }

    private func isAge(_ world: World, _ path: String) throws -> Bool {
        try world.bytes(path).starts(with: Array("age-encryption.org/v1\n".utf8))
    }

    /// Nothing but the invite can be read on its way, in a whole session; age, tar and ssh-keygen of the one whom it is for
    /// open and prove it.
    @Test func nothingButTheInviteIsReadableOnItsWay() throws {
        let world = try World.initialised()
        try world.shell("mkdir road")
        let look = {
            for home in ["S"] + World.everybody {
                for name in world.names("\(home)/outbox") { try world.shell("cp \(home)/outbox/\(name) road/") }
            }
        }
        try look()
        try world.enrol()
        try look()
        try world.request(rounds: 1)
        try look()
        try world.approveAll("spring")
        try look()
        try world.journey()
        try look()
        for home in World.everybody { try world.visit(home) }
        try look()
        #expect(try world.session("spring")["state"].text == "finished")
        let road = world.names("road")
        #expect(Set(road.map { String($0.prefix { $0 != "-" }) }).count >= 6, "\(road)")
        for name in road {
            let isInvite = name.hasPrefix("invite-")
            #expect(name.hasSuffix(isInvite ? ".tar" : ".tar.age"))
            #expect(try isAge(world, "road/\(name)") == !isInvite, "\(name)")
        }
        guard hasAge else { return }
        for name in road where name.hasSuffix(".age") {
            let home = reader(of: name)
            try world.shell("rm -rf open && mkdir open && age -d -i \(home)/identity/age.txt road/\(name) > open.tar")
            try world.shell("tar xf open.tar -C open")
            let kind = name.prefix { $0 != "-" }
            let from =
                name.hasPrefix("\(kind)-ministry")
                ? "ministry" : "hospital-\(name.dropFirst(kind.count + 10).prefix(1))"
            try world.shell(
                "ssh-keygen -Y verify -f \(home)/trust/allowed_signers -I \(from) -n \(kind)@consilium "
                    + "-s open/manifest.json.sig < open/manifest.json")
            let others = ["S", "a", "b", "c"].filter { other in
                (try? Program.shell("age -d -i \(other)/identity/age.txt road/\(name) > /dev/null", in: world.root))?
                    .status == 0
            }
            #expect(others.contains(home) && (kind == "global" || others.count == 2), "\(name): \(others)")
        }
    }

    /// By default an update in the clear is not taken; the hospital hears why, mends it, and the same update counts.
    @Test func anUpdateInTheClearIsRefusedUntilItComesEncrypted() throws {
        let world = try World.enrolled()
        try world.configure("a", "encrypt: false")
        // What asks only may come in the clear.
        try world.startSession("spring", ["a", "b"])
        try world.journey(["b"])
        try world.visit("a")
        let update = try world.update("a")
        #expect(update.hasSuffix(".tar"))
        try world.answer("a")
        let told = try world.serve()
        #expect(told.output.contains("update of hospital-a refused: not-encrypted: it came in the clear"), "\(told)")
        #expect(told.output.contains("'require_encryption: false' here takes it as it is"), "\(told)")
        #expect(try world.reasons("S").contains("reason: not-encrypted"))
        #expect(try world.text("S/audit/audit.jsonl").contains("update of hospital-a: not-encrypted"))
        #expect(try world.session("spring")["state"].text == "running")
        try world.answer("a")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess, "said once")

        let visit = try world.visit("a")
        #expect(
            visit.output.contains("the server did not take this hospital's update: it came in the clear"), "\(visit)")
        #expect(visit.output.contains("remove 'encrypt: false' from consilium.yaml"), "\(visit)")
        #expect(try world.update("a") == update, "kept for another try")
        try world.shell("sed -i '/^encrypt: false/d' a/consilium.yaml")
        try world.succeed("client", "run", "--home", "a")
        #expect(world.names("a/outbox", "update") == [(update as NSString).lastPathComponent + ".age"])
        #expect(try isAge(world, update + ".age"))
        try world.answer("a")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        try world.visit("a")
        #expect(world.names("a/outbox", "update").isEmpty, "it is acknowledged")
        try world.succeed("server", "verify", "spring", "--home", "S")
    }

    /// However many updates a member sends in the clear, it is answered once in a round, and what counts for nothing anyway is
    /// not answered: nobody fills the server's outbox so.
    @Test func updatesInTheClearAreAnsweredOnceInARound() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        for home in ["a", "b"] { try world.visit(home) }
        let decisions = Set(world.names("S/outbox", "decision"))
        let answers = { world.names("S/outbox", "decision").filter { !decisions.contains($0) }.count }
        let clear = try world.opened(try world.update("a"))
        let forge = { (name: String, seq: Int64, change: @escaping (inout Manifest) -> Void) in
            try world.forge(clear, key: try world.key(of: "a"), to: "S/inbox/\(name).tar") { manifest, _ in
                manifest.seq += seq
                change(&manifest)
            }
        }
        try forge("wrong-base", 1) { $0.base = $0.request }
        try forge("later-round", 2) { $0.round += 1 }
        let worthless = try world.serve()
        #expect(worthless.output.contains("update of hospital-a refused: wrong base"), "\(worthless)")
        #expect(answers() == 0)
        for seq in 3..<6 { try forge("made-up-\(seq)", Int64(seq)) { _ in } }
        let told = try world.serve()
        #expect(
            told.output.split(separator: "\n").count { $0.contains("update of hospital-a refused: not-encrypted") }
                == 3, "\(told)")
        #expect(answers() == 1)
        for home in ["a", "b"] { try world.answer(home) }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// The copy in the clear and the encrypted one in one run, in whichever order: it came encrypted.
    @Test(arguments: ["0.tar", "z.tar"])
    func theSameUpdateInTheClearBesideItTakesNothingAway(name: String) throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        for home in ["a", "b"] { try world.visit(home) }
        try world.carry(try world.opened(try world.update("a")), as: "S/inbox/\(name)")
        for home in ["a", "b"] { try world.answer(home) }
        let told = try world.serve()
        #expect(!told.output.contains("not-encrypted"), "\(told)")
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// What waited for the enrolment of its key is judged by how it came then.
    @Test func whatWaitedInTheClearIsRefusedToo() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let update = try world.update("a")
        try world.succeed("key", "rotate", "--lost", "--home", "a")
        let again = try world.opened(try world.update("a"))
        #expect(again != update)
        try world.carry(again, as: "S/inbox/clear.tar")
        let waits = try world.serve()
        #expect(waits.output.contains("waits"), "\(waits)")
        try world.shell("cp a/outbox/enrol-* S/inbox/")
        try world.serve()
        let told = try world.approveEnrolments()
        #expect(told.output.contains("update of hospital-a refused: not-encrypted"), "\(told)")
        try world.answer("a")
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// One hospital in the clear and one encrypted train together, where the server is told so; it may send in the clear too.
    @Test func whoSendsInTheClearIsTakenWhereTheServerSaysSo() throws {
        let world = try World.enrolled()
        try world.configure("S", "require_encryption: false")
        for home in ["S", "a"] { try world.configure(home, "encrypt: false") }
        try world.startSession("spring", ["a", "b"])
        #expect(world.names("S/outbox", "global").allSatisfy { $0.hasSuffix(".tar") })
        try world.journey(["a", "b"])
        #expect(world.names("a/outbox", "update").allSatisfy { $0.hasSuffix(".tar") })
        #expect(world.names("b/outbox", "update").allSatisfy { $0.hasSuffix(".tar.age") })
        #expect(try world.session("spring")["state"].text == "finished")
        let doctor = try world.run("doctor", "--home", "S").output
        #expect(doctor.contains("encryption: off"), "\(doctor)")
    }

    /// What cannot be opened is put away and told; what is damaged too; the session goes on with the real file, resent as the
    /// identical bytes.
    @Test func damagedAndMisdirectedUpdatesAreToldAndTheSessionGoesOn() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let update = try world.update("a")
        let sent = try world.bytes(update)
        // The server's key is not the one that a believes, as after a restore of an old one.
        let stranger = AgeIdentity.generate().recipient
        let archive = try world.bytes(try world.opened(update))
        try Data(AgeWriter.encrypt(archive, to: [stranger])).write(
            to: URL(fileURLWithPath: world.path("S/inbox/u.tar.age")))
        let misdirected = try world.serve()
        #expect(misdirected.output.contains("not-for-this-identity"), "\(misdirected)")
        #expect(misdirected.output.contains("has an old age recipient"), "\(misdirected)")

        try world.carry(update, as: "S/inbox/flipped.tar.age")
        try world.damage("S/inbox/flipped.tar.age", at: 70_000)
        try world.shell("head -c 5000 \(update) > S/inbox/torn.tar.age")
        try world.serve()
        #expect(world.names("S/inbox") == ["flipped.tar.age", "torn.tar.age"])
        world.advance(seconds: 61)
        let told = try world.serve()
        #expect(told.output.contains("damaged-payload") && told.output.contains("incomplete: "), "\(told)")
        #expect(world.names("S/inbox").isEmpty)
        #expect(world.names("S/quarantine").filter { $0.hasSuffix(".tar.age") }.count == 3)

        // Encrypted to the server by somebody else, and addressed to nobody there.
        let global = try world.opened("S/outbox/" + (try #require(world.names("S/outbox", "global").first)))
        let recipient = try AgeIdentity(identityFile: try world.bytes("c/identity/age.txt")).recipient
        try Data(AgeWriter.encrypt(try world.bytes(global), to: [recipient]))
            .write(to: URL(fileURLWithPath: world.path("c/inbox/g.tar.age")))
        let third = try world.succeed("client", "run", "--home", "c", "--verbose")
        #expect(third.output.contains("it is not addressed to hospital-c"), "\(third)")

        world.advance(days: 2)
        try world.shell("rm \(update)")
        try world.succeed("client", "run", "--home", "a")
        #expect(try world.bytes(update) == sent)
        try world.answer("a")
        try world.carry(try world.opened(update), as: "S/inbox/the same.tar")
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        #expect(try world.session("spring")["state"].text == "finished")
    }

    @Test func whoHasNoRecipientIsNamedAndNothingGoesInTheClear() throws {
        let world = try World.enrolled()
        try world.request(["a", "b"])
        try world.shell("sed -i '/^hospital-b /d' S/trust/recipients")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78 && doctor.output.contains("no age recipient is known of hospital-b"), "\(doctor)")
        try world.shell(
            "mkdir -p S/requests/approved/spring && mv S/requests/pending/*.tar S/requests/approved/spring/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(
            told.output.contains("nothing is sent to hospital-b: its age recipient is not in trust/recipients"),
            "\(told)")
        #expect(world.names("S/outbox").allSatisfy { $0.hasPrefix("invite-") || $0.hasSuffix(".tar.age") })
        #expect(world.names("S/outbox", "global").isEmpty)
        let recipient = try AgeIdentity(identityFile: try world.bytes("b/identity/age.txt")).recipient
        try world.shell("echo 'hospital-b \(recipient)' >> S/trust/recipients")
        try world.serve()
        #expect(world.names("S/outbox", "global").count == 1)
        #expect(try world.run("doctor", "--home", "S").output.contains("ok   encryption"))

        // A hospital that cannot answer does not train for it.
        try world.shell("sed -i '/^ministry /d' a/trust/recipients")
        try world.carry("S", to: "a")
        let visit = try world.run("client", "run", "--home", "a")
        #expect(
            visit.status == 77 && visit.output.contains("not trained: nothing is sent to ministry"), "\(visit)")
        #expect(world.names("a/outbox", "update").isEmpty)
    }

    @Test func aBundleIsInspectedWithAHomeOrAKey() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        let bundle = "a/outbox/" + (try #require(world.names("a/outbox", "request").first))
        let closed = try world.run("bundle", "verify", bundle)
        #expect(closed.status == 65 && closed.errors.contains("is encrypted with age"), "\(closed)")
        #expect(closed.errors.contains("--identity"))
        // Whom it is for, and who sent it.
        for home in ["S", "a"] {
            let opened = try world.succeed("bundle", "inspect", bundle, "--home", home)
            #expect(opened.output.contains("encrypted with age") && opened.output.contains("hospital-a"), "\(opened)")
            #expect(opened.output.contains("the key is hospital-a's"), "\(opened)")
        }
        let key = try world.json("bundle", "inspect", bundle, "--identity", "S/identity/age.txt")
        #expect(key["encrypted"] == true && key["valid"] == true && key["trust"].text == "unchecked")
        let other = try world.run("bundle", "verify", bundle, "--home", "b")
        #expect(other.status == 65 && other.errors.contains("not encrypted to this identity"), "\(other)")
        try world.shell("cp S/identity/age.txt open-key && chmod 644 open-key")
        let open = try world.run("bundle", "verify", bundle, "--identity", "open-key")
        #expect(open.status != 0 && open.errors.contains("others may read this secret"), "\(open)")
        #expect(try world.run("bundle", "inspect", bundle, "--identity", "nosuch").status == 66)

        try world.shell("chmod 644 S/identity/age.txt")
        #expect(try world.run("doctor", "--home", "S").output.contains("MEND keys"))
        let unsafe = try world.run("bundle", "inspect", bundle, "--home", "S")
        #expect(unsafe.status == 77 && unsafe.errors.contains("others may read this secret"), "\(unsafe)")
    }
}

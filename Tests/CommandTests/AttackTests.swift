import Bundles
import FaultRecords
import Files
import Foundation
import Testing
import Wire

/// The courier's attacks by their names in TUF and Uptane, each against the real commands, and each followed by a good bundle
/// that is taken: two hospitals' updates, the average, the final model.
///
/// Equivocation is in ``EquivocationTests``, the malicious member in ``HostileMemberTests``.
@Suite struct AttackTests {
    private static let hospitals = ["a", "b"]

    /// Both have trained; their updates lie in their outboxes. Made once, then copied.
    private static let trained = Result { () throws -> String in
        let world = try World.enrolled()
        try world.startSession("spring", hospitals, rounds: 1)
        for home in hospitals { try world.visit(home) }
        return world.root
    }

    private func begun() throws -> World { try World.copy(of: try Self.trained.get()) }

    /// The good bundles of everybody, and what they lead to.
    private func endsWell(
        _ world: World, _ homes: [String] = hospitals, at location: SourceLocation = #_sourceLocation
    ) throws {
        for home in homes { try world.answer(home) }
        try world.serve()
        let state = try world.session("spring")["state"].text
        #expect(state == "finished", sourceLocation: location)
        for home in homes {
            let fate = try world.history("spring").last?.fate(of: "hospital-\(home)")
            #expect(fate == "counted", "\(home)", sourceLocation: location)
            try world.visit(home)
            try world.succeed("client", "accept", "1", "--home", home)
        }
        try world.succeed("server", "verify", "spring", "--home", "S")
    }

    private func global(_ world: World) throws -> String {
        "S/outbox/" + (try #require(world.names("S/outbox", "global").first))
    }

    @Test func arbitraryInstall() throws {
        let world = try begun()
        let before = try Snapshot(world.path("b/models"))
        for (name, key) in [("stranger", SigningKey.generate()), ("member", try world.key(of: "a"))] {
            try world.forge(try global(world), key: key, to: "b/inbox/\(name).tar") { manifest, _ in
                manifest.seq += 5
                manifest.round = 2
            }
        }
        let outbox = world.names("b/outbox")
        try world.succeed("client", "run", "--home", "b")
        #expect(world.names("b/updates/pending").filter { $0.hasSuffix(".tar") } == [])
        #expect(world.names("b/outbox").filter { $0.hasPrefix("update") } == outbox.filter { $0.hasPrefix("update") })
        #expect(try Snapshot(world.path("b/models")) == before)
        try endsWell(world)
    }

    @Test func endlessData() throws {
        let world = try begun()
        try world.shell("truncate -s 40G S/inbox/endless.tar")
        try world.shell(
            "cp '\(try world.opened(try world.update("a")))' S/inbox/long.tar && truncate -s 1G S/inbox/long.tar")
        let clock = ContinuousClock()
        let took = try clock.measure {
            let told = try world.serve()
            #expect(told.output.contains("endless.tar has more than"), "\(told)")
        }
        #expect(took < .seconds(60))
        #expect(try !world.succeed("server", "run", "--home", "S").output.contains("endless.tar"), "said once")
        try endsWell(world)
    }

    @Test func extraneousFiles() throws {
        let world = try begun()
        try world.unpack(try world.update("a"), to: "u")
        try world.write("{}\n", to: "u/more.json")
        let good = ["manifest.json", "manifest.json.sig", "update.safetensors", "metrics.json"]
        try world.pack("u", good + ["more.json"], to: "S/inbox/more.tar")
        try world.pack("u", Array(good.dropLast()), to: "S/inbox/fewer.tar")
        _ = try world.serveTwice()
        #expect(try world.reasons("S").components(separatedBy: "reason: file-set-mismatch").count == 3)
        try endsWell(world)
    }

    @Test func fastForward() throws {
        let world = try begun()
        try world.forge(try world.update("a"), key: try world.key(of: "a"), to: "S/inbox/far.tar") { manifest, _ in
            manifest.seq += 2_000_000
        }
        _ = try world.serve()
        let reasons = try world.reasons("S")
        #expect(reasons.contains("reason: fast-forward"), "\(reasons)")
        try endsWell(world)
    }

    /// With the server's key a thief numbers a decision as far ahead as is taken: no honest one about that request counts any
    /// more at this hospital. The next session knows nothing of it.
    @Test func aNewSessionRecoversFromAFastForward() throws {
        let world = try World.enrolled()
        try world.startSession("spring", Self.hospitals, rounds: 1)
        let decision = try #require(world.names("S/outbox", "decision").first { $0.contains("-to-hospital-a-") })
        try world.visit("a")
        try world.forge("S/outbox/\(decision)", key: try world.key(of: "S"), to: "a/inbox/far.tar") { manifest, _ in
            manifest.seq += 900_000
        }
        try world.succeed("client", "run", "--home", "a")
        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        #expect(try !world.visit("a").output.contains("dropped"), "the honest decision has a lower number")
        try world.succeed("server", "abort", "spring", "--reason", "a key was stolen", "--home", "S")
        for home in Self.hospitals {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        try world.startSession("autumn", Self.hospitals, rounds: 1)
        try world.journey(Self.hospitals)
        #expect(try world.session("autumn")["state"].text == "finished")
        #expect(try world.history("autumn").last?.fate(of: "hospital-a") == "counted")
    }

    /// What is old says so, in words of its own: of a round that is past, or of a time that is over.
    @Test func whatIsOldIsCalledOld() throws {
        let world = try World.enrolled()
        try world.startSession("spring", Self.hospitals, rounds: 2)
        let first = try global(world)
        try world.shell("cp '\(try world.opened(first))' first.tar")
        try world.journey(Self.hospitals)
        for home in Self.hospitals { try world.visit(home) }
        let key = try world.key(of: "S")
        try world.forge("first.tar", key: key, to: "a/inbox/rolled-back.tar") { manifest, _ in manifest.seq += 50 }
        let back = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(back.output.contains("an old global of session"), "\(back)")
        #expect(!back.output.contains("training"), "\(back)")
        try world.forge("first.tar", key: key, to: "a/inbox/frozen.tar") { manifest, _ in
            manifest.seq += 51
            manifest.created = manifest.created.adding(days: -200)
            manifest.expires = manifest.created.adding(days: 180)
        }
        let frozen = try world.succeed("client", "run", "--home", "a")
        #expect(frozen.output.contains("it expired on"), "\(frozen)")
        #expect(try world.reasons("a").contains("reason: expired"))
        try endsWell(world)
    }

    /// Limited: an old global instead of the new one, day after day. Indefinite: nothing at all. Then the new one comes.
    @Test func freezeAndRollback() throws {
        let world = try World.enrolled()
        try world.startSession("spring", Self.hospitals, rounds: 2)
        let old = try global(world)
        try world.carry(old, as: "old.tar")
        try world.journey(Self.hospitals)
        for _ in 1...3 {
            world.advance(days: 1)
            try world.carry("old.tar", as: "a/inbox/again.tar")
            let told = try world.succeed("client", "run", "--home", "a", "--verbose")
            #expect(!told.output.contains("received") && !told.output.contains("training"), "\(told)")
            #expect(world.names("a/inbox").isEmpty)
        }
        world.advance(days: 15)
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("nothing from ministry since round 1; ask there"), "\(told)")
        try world.succeed("server", "extend", "spring", "30", "--home", "S")
        for home in Self.hospitals { try world.visit(home) }
        // Rolled back once more, now that the second round is known.
        try world.carry("old.tar", as: "a/inbox/back.tar")
        let back = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(!back.output.contains("received") && !back.output.contains("training"), "\(back)")
        try endsWell(world)
    }

    @Test func mixAndMatch() throws {
        let world = try begun()
        let files = ["manifest.json", "manifest.json.sig", "update.safetensors", "metrics.json"]
        for home in Self.hospitals { try world.unpack(try world.update(home), to: "u-\(home)") }
        for file in files {
            try world.shell("rm -rf mixed && cp -r u-a mixed && cp u-b/\(file) mixed/")
            try world.pack("mixed", files, to: "S/inbox/with-\(file).tar")
        }
        _ = try world.serveTwice()
        #expect(world.names("S/inbox").isEmpty)
        #expect(world.names("S/quarantine").filter { $0.hasSuffix(".tar") }.count == files.count)
        try endsWell(world)
    }

    @Test func replay() throws {
        let world = try begun()
        try world.carry(try world.update("a"), as: "kept.tar")
        try endsWell(world)
        let model = try world.model(1)
        for number in 1...3 { try world.carry("kept.tar", as: "S/inbox/kept (\(number)).tar") }
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        #expect(try world.model(1) == model && world.names("S/inbox").isEmpty)
        // A new session is not troubled by the old one's bundle.
        try world.startSession("autumn", Self.hospitals, rounds: 1)
        for home in Self.hospitals { try world.visit(home) }
        try world.carry("kept.tar", as: "S/inbox/kept.tar")
        try world.serve()
        for home in Self.hospitals { try world.answer(home) }
        try world.serve()
        #expect(try world.session("autumn")["state"].text == "finished")
    }

    /// A few bytes with each run, for a day: left alone while it grows, taken when it is whole.
    @Test func slowRetrieval() throws {
        let world = try begun()
        let update = try world.update("a")
        let size = try world.bytes(update).count
        for step in 1...12 {
            try world.shell("head -c \(size * step / 13) '\(update)' > S/inbox/slow.tar.age")
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
            #expect(world.names("S/inbox") == ["slow.tar.age"] && world.names("S/quarantine").isEmpty)
            world.advance(seconds: 7200)
        }
        try world.carry(update, as: "S/inbox/slow.tar.age")
        try world.serve()
        #expect(world.names("S/inbox").isEmpty)
        try endsWell(world)
    }

    @Test func partialBundle() throws {
        let world = try begun()
        try world.shell("head -c 5000 '\(try world.update("a"))' > S/inbox/part.tar.age")
        let told = try world.serveTwice()
        #expect(told.contains("incomplete"), "\(told)")
        #expect(world.names("S/inbox").isEmpty)
        try endsWell(world)
    }

    @Test func wrongRecipient() throws {
        let world = try begun()
        try world.forge(try global(world), key: try world.key(of: "S"), to: "b/inbox/other.tar") { manifest, _ in
            manifest.recipients = [try #require(PartyName("hospital-c"))]
            manifest.seq += 1
            manifest.round = 2
        }
        let told = try world.succeed("client", "run", "--home", "b", "--verbose")
        #expect(told.output.contains("it is not addressed to hospital-b"), "\(told)")
        try endsWell(world)
    }

    @Test func surreptitiousForwarding() throws {
        let world = try begun()
        let recipient = try AgeIdentity(identityFile: try world.bytes("c/identity/age.txt")).recipient
        let archive = try world.bytes(try world.opened(try global(world)))
        try Data(AgeWriter.encrypt(archive, to: [recipient])).write(
            to: URL(fileURLWithPath: world.path("c/inbox/forwarded.tar.age")))
        let told = try world.succeed("client", "run", "--home", "c", "--verbose")
        #expect(told.output.contains("it is not addressed to hospital-c"), "\(told)")
        #expect(world.names("c/outbox", "update").isEmpty)
        try endsWell(world)
    }

    /// The key of a is stolen and revoked; what it signs from then on is refused, and the others finish without a.
    @Test func keyCompromiseAfterRevocation() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 1)
        for home in World.everybody { try world.visit(home) }
        let update = try world.update("a")
        try world.shell("cut -d' ' -f1,2 a/identity/id_ed25519.pub >> S/trust/revoked")
        try world.forge(update, key: try world.key(of: "a"), to: "S/inbox/stolen.tar") { manifest, _ in
            manifest.seq += 1
        }
        try world.carry(update, as: "S/inbox/honest.tar.age")
        _ = try world.serve()
        let reasons = try world.reasons("S")
        #expect(reasons.components(separatedBy: "reason: revoked").count == 3, "\(reasons)")
        try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
        try endsWell(world, ["b", "c"])
    }
}

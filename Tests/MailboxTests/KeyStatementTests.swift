import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What a server may say of its own keys, rule by rule, and what nobody may.
@Suite struct KeyStatementTests {
    private let ministry = name("ministry")
    private let old = SigningKey.generate().publicKey
    private let new = SigningKey.generate().publicKey
    private let world: TestFederation
    private let trust: TrustStore

    init() throws {
        world = try TestFederation()
        var trust = try TrustStore.load(from: world.hospitalB)
        trust.remove(name("ministry"))
        try trust.add(name("ministry"), role: .server, key: old, ageRecipient: nil)
        self.trust = trust
    }

    private func window(_ key: PublicKey, _ begin: Int64?, _ end: Int64?) -> KeyStatement.Window {
        .init(
            key: key, validAfter: begin.map { start.adding(days: $0) }, validBefore: end.map { start.adding(days: $0) })
    }

    private func statement(
        _ keys: [KeyStatement.Window], revoked: [PublicKey] = [], about subject: String = "ministry"
    ) -> KeyStatement {
        KeyStatement(subject: name(subject), keys: keys, revoked: revoked, ageRecipient: nil)
    }

    /// The words of the refusal; nil where it was taken. A refused statement changes nothing.
    private func refusal(
        _ statement: KeyStatement, by signer: PublicKey? = nil, in before: TrustStore? = nil
    ) -> String? {
        var changed = before ?? trust
        do {
            _ = try changed.take(statement, signer: signer ?? old, created: start)
            return nil
        } catch {
            #expect(changed == before ?? trust)
            #expect(error.kind == .trust)
            return error.message
        }
    }

    private func rotated() throws -> TrustStore {
        var trust = trust
        _ = try trust.take(statement([window(old, nil, 60), window(new, 0, nil)]), signer: old, created: start)
        return trust
    }

    @Test func aRotationBringsAWindowForEachKeyAndTheRoleOfItsParty() throws {
        var trust = trust
        let said = statement([window(old, nil, 60), window(new, 0, nil)])
        let changes = try trust.take(said, signer: old, created: start)
        #expect(changes == [.ends(old, start.adding(days: 60)), .added(new, from: start, until: nil)])
        #expect(trust.party(ministry)?.keys == [old, new])
        let entry = try #require(trust.signers.entries(for: new).first)
        #expect(entry.namespaces == BundleKind.ofServer.map(\.namespace))
        #expect(entry.validAfter == start && entry.validBefore == nil)
        #expect(trust.signers.entries(for: old).first?.validBefore == start.adding(days: 60))
        // Once more it is no news, although the key that signed it is not the newest any more.
        #expect(try trust.take(said, signer: old, created: start).isEmpty)
        try trust.save(to: world.hospitalB)
        #expect(try TrustStore.load(from: world.hospitalB) == trust)
    }

    @Test func aReplacedKeyBringsNothingBack() throws {
        let third = SigningKey.generate().publicKey
        let after = try rotated()
        #expect(
            refusal(statement([window(third, 0, nil)]), by: old, in: after)?.contains("only the newest key") == true)
        #expect(refusal(statement([window(old, nil, 30)]), by: old, in: after)?.contains("only the newest key") == true)
        #expect(refusal(statement([], revoked: [new]), by: old, in: after)?.contains("only the newest key") == true)
        #expect(refusal(statement([window(third, 0, nil)]), by: new, in: after) == nil)
    }

    @Test func endsOnlyComeNearerAndRevocationsStay() throws {
        var after = try rotated()
        #expect(try after.take(statement([window(old, nil, 90)]), signer: new, created: start).isEmpty)
        #expect(after.signers.entries(for: old).first?.validBefore == start.adding(days: 60))
        #expect(try after.take(statement([window(old, nil, 5)]), signer: new, created: start).count == 1)
        #expect(
            try after.take(statement([window(new, nil, nil)], revoked: [old]), signer: new, created: start).count == 1)
        #expect(after.isRevoked(old))
        // A statement that names it as good again is taken for the rest of what it says.
        _ = try after.take(statement([window(old, nil, nil), window(new, nil, nil)]), signer: new, created: start)
        #expect(after.isRevoked(old) && after.party(ministry)?.keys == [new])
    }

    @Test func aNewKeyCannotHaveSignedBeforeItsIntroduction() throws {
        var trust = trust
        _ = try trust.take(statement([window(new, -400, nil)]), signer: old, created: start)
        #expect(trust.signers.entries(for: new).first?.validAfter == start)
    }

    /// It would stand before every key that the server can ever have.
    @Test func aKeyIsIntroducedForItsTimeAndNotForALaterCentury() throws {
        #expect(refusal(statement([window(old, nil, nil), window(new, 365, nil)])) == nil)
        for days in [366, 63_000] as [Int64] {
            let words = refusal(statement([window(old, nil, nil), window(new, days, nil)]))
            #expect(words?.contains("has a key that begins on") == true, "\(days): \(words ?? "taken")")
        }
        // Of a key that is known already its begin is not asked.
        #expect(refusal(statement([window(old, 63_000, nil)])) == nil)
    }

    // MARK: how many

    @Test func revocationsOfKeysThatNobodyHereHasAreCountedAndThoseOfOthersAlwaysHold() throws {
        var full = trust
        for _ in 1...60 {
            let gone = (1...64).map { _ in SigningKey.generate().publicKey }
            _ = try full.take(statement([window(old, nil, nil)], revoked: gone), signer: old, created: start)
        }
        #expect(full.revoked.keys.count == 256)
        // Three times the same key is one.
        var thrice = trust
        let changes = try thrice.take(statement([], revoked: [new, new, new]), signer: old, created: start)
        #expect(changes == [.revoked(new)] && thrice.revoked.keys == [new])
        _ = try full.take(statement([window(new, 0, nil)]), signer: old, created: start)
        #expect(try full.take(statement([], revoked: [old]), signer: new, created: start) == [.revoked(old)])
        #expect(full.isRevoked(old) && full.party(ministry)?.keys == [new])
        full.revoke(SigningKey.generate().publicKey)
        #expect(full.revoked.keys.count == 258, "a person's word always counts")
        try full.save(to: world.hospitalB)
        #expect(try TrustStore.load(from: world.hospitalB) == full)
    }

    /// Each key introduces others and revokes those before.
    @Test func aChainOfIntroductionsEndsUntilAPersonHasSpoken() throws {
        var (full, newest, others) = (trust, old, [PublicKey]())
        var words: String?
        for _ in 1...60 where words == nil {
            let next = (1...63).map { _ in SigningKey.generate().publicKey }
            let said = statement([window(newest, nil, nil)] + next.map { window($0, 0, nil) }, revoked: others)
            do throws(MailboxError) {
                _ = try full.take(said, signer: newest, created: start)
            } catch {
                words = error.message
                continue
            }
            others = [newest] + next.dropLast()
            newest = try #require(next.last)
        }
        #expect(words?.contains("would bring") == true && words?.contains("256") == true, "\(words ?? "taken")")
        #expect(full.signers.entries(of: ministry).count <= 256)
        try full.save(to: world.hospitalB)
        #expect(try TrustStore.load(from: world.hospitalB) == full)
        // Ends and revocations still count.
        #expect(refusal(statement([window(newest, nil, 30)]), by: newest, in: full) == nil)
        // Whoever is called and revokes all the others lets the next one introduce again.
        let mended = try confirmed(full, only: true)
        #expect(mended.party(ministry)?.keys == [new])
        #expect(full.signers.entries(of: ministry).allSatisfy { mended.isRevoked($0.key) })
        let third = SigningKey.generate().publicKey
        #expect(refusal(statement([window(third, 0, nil)]), by: new, in: mended) == nil)
    }

    @Test func nothingIsSavedThatCouldNotBeLoaded() throws {
        let mailbox = try opened(world.hospitalB)
        let before = mailbox.trust
        let audit = try? content(world.hospitalB.audit.appending("audit.jsonl"))
        let error = #expect(throws: MailboxError.self) {
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                for _ in 1...13_200 { trust.revoke(SigningKey.generate().publicKey) }
            } noting: { () throws(MailboxError) in
                try AuditLog(world.hospitalB).append(
                    event: "key-revoked", subject: "x", detail: "x", actor: "test", now: start)
            }
        }
        #expect(error?.kind == .trust && error?.message.contains("trust/revoked would have") == true)
        #expect(mailbox.trust == before)
        #expect(try TrustStore.load(from: world.hospitalB) == before)
        #expect((try? content(world.hospitalB.audit.appending("audit.jsonl"))) == audit)
    }

    // MARK: by telephone

    private func confirmed(
        _ trust: TrustStore, invited day: Int64 = 1, only: Bool = false
    ) throws(MailboxError) -> TrustStore {
        var trust = trust
        try trust.confirm(
            new, of: ministry, role: .server, ageRecipient: AgeIdentity.generate().recipient,
            invited: start.adding(days: day), only: only)
        return trust
    }

    @Test func aComparedKeyComesBehindTheOthersAndNoLaterThanItsInvite() throws {
        let third = SigningKey.generate().publicKey
        for (begin, expected) in [(nil, nil), (-3, -3), (90, 1)] as [(Int64?, Int64?)] {
            var before = trust
            try before.add(
                ministry, role: .server, key: third, ageRecipient: nil, validFrom: begin.map { start.adding(days: $0) })
            let after = try confirmed(before)
            let entry = try #require(after.signers.entries(for: new).first)
            #expect(entry.validAfter == expected.map { start.adding(days: $0) })
            if begin != 90 { #expect(after.party(ministry)?.keys.last == new) }
            let alone = try confirmed(before, only: true)
            #expect(alone.party(ministry)?.keys == [new] && alone.isRevoked(old) && alone.isRevoked(third))
            #expect(alone.signers.entries(for: new).first?.validAfter == nil)
            // What is gone puts off nobody.
            before.revoke(third)
            #expect(try confirmed(before).signers.entries(for: new).first?.validAfter == nil)
        }
    }

    @Test func aRevocationCountsAsLongAsWhoeverSaidItIsBelieved() throws {
        var said = trust
        _ = try said.take(statement([window(old, nil, nil)], revoked: [new]), signer: old, created: start)
        try said.save(to: world.hospitalB)
        said = try TrustStore.load(from: world.hospitalB)
        let error = #expect(throws: MailboxError.self) { try confirmed(said) }
        #expect(error?.message.contains("its key \(old.fingerprint) said so") == true)
        #expect(try confirmed(said, only: true).party(ministry)?.keys == [new])
        var distrusted = said
        distrusted.revoke(old)
        #expect(try confirmed(distrusted).party(ministry)?.keys == [new])
        // A person's word, before or after the key's, or in the file by hand.
        for hands in 1...3 {
            var both = hands == 1 ? trust : said
            if hands < 3 { both.revoke(new) }
            if hands == 1 {
                _ = try both.take(statement([window(old, nil, nil)], revoked: [new]), signer: old, created: start)
            }
            try both.save(to: world.hospitalB)
            if hands == 3 {
                let path = world.hospitalB.trust.appending("revoked")
                try write(String(decoding: try content(path), as: UTF8.self) + new.openSSHLine + "\n", path)
            }
            both = try TrustStore.load(from: world.hospitalB)
            let stays = #expect(throws: MailboxError.self) { try confirmed(both, only: true) }
            #expect(stays?.hint == "ministry needs a new key")
        }
    }

    /// Signed by the old key after the new one's time began, as in every rotation.
    @Test func whatTheOldKeySignedInTheOverlapIsFoundOnceItIsRevoked() throws {
        let old = try world.key(of: world.server).publicKey
        func send(_ key: String, _ day: Int64) throws {
            try opened(world.server, at: start.adding(days: day)).send(
                key: key, kind: .decision, to: [name("hospital-a")],
                payload: [.bytes(name: "x.json", Array("{}\n".utf8))])
        }
        do {
            let mailbox = try opened(world.server)
            let next = try mailbox.makeNextKey(agentKey: nil).publicKey
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                try trust.add(ministry, role: .server, key: old, ageRecipient: nil)
                trust.end(old, of: ministry, at: start.adding(days: 60))
                try trust.add(ministry, role: .server, key: next, ageRecipient: nil, validFrom: start)
            }
        }
        try send("decision/1", 10)
        try opened(world.server).promoteNextKey(keepingOldUntil: start.adding(days: 60))
        try send("decision/2", 20)
        let mailbox = try opened(world.server, at: start.adding(days: 21))
        #expect(mailbox.outgoingOfRevokedKeys().isEmpty)
        try mailbox.updateTrust { (trust) throws(MailboxError) in trust.revoke(old) }
        #expect(mailbox.outgoingOfRevokedKeys().map(\.key) == ["decision/1"])
    }

    @Test func whatIsNotItsOwnOrMakesNoSenseIsRefused() throws {
        let hospital = SigningKey.generate().publicKey
        var known = trust
        try known.add(name("hospital-c"), role: .client, key: hospital, ageRecipient: nil)
        // A client speaks of nobody's keys, and nobody else of a client's.
        let about = statement([window(new, 0, nil)], about: "hospital-c")
        #expect(refusal(about, by: hospital, in: known)?.contains("is about a client") == true)
        #expect(refusal(about, in: known)?.contains("is not signed by hospital-c") == true)
        #expect(
            refusal(statement([window(new, 0, nil)]), by: hospital, in: known)?.contains("is not signed by") == true)
        #expect(refusal(statement([window(hospital, 0, nil)]), in: known)?.contains("which is hospital-c's") == true)
        #expect(refusal(statement([], revoked: [hospital]), in: known)?.contains("which is hospital-c's") == true)
        #expect(refusal(statement([window(new, 0, nil)], about: "nobody"))?.contains("is not signed by") == true)
        #expect(refusal(statement([window(new, 9, 3)]))?.contains("end before it begins") == true)
        #expect(refusal(statement([window(new, 3, 3)]))?.contains("end before it begins") == true)
        #expect(refusal(statement([window(new, 0, 1), window(new, 0, 2)]))?.contains("names a key twice") == true)
        #expect(refusal(statement([window(new, 0, 1)], revoked: [new]))?.contains("names a key twice") == true)
        #expect(refusal(statement([window(new, 0, nil)], revoked: [old]))?.contains("the key that signed it") == true)
        #expect(refusal(statement([window(old, nil, -1)]))?.contains("no key that holds") == true)
        let many = (0..<65).map { _ in window(SigningKey.generate().publicKey, 0, nil) }
        #expect(refusal(statement(many))?.contains("more than 64") == true)
    }

    /// Without a successor a key is spoken of a month before its end; with one it is not.
    @Test func anEndIsForeseenUnlessAnotherKeyFollows() throws {
        var trust = trust
        #expect(trust.endings(now: start).isEmpty)
        trust.end(old, of: ministry, at: start.adding(days: 40))
        #expect(trust.endings(now: start).isEmpty)
        #expect(trust.endings(now: start.adding(days: 11)).map(\.key) == [old])
        #expect(trust.endings(now: start.adding(days: 50)).map(\.end) == [start.adding(days: 40)])
        #expect(try rotated().endings(now: start.adding(days: 59)).isEmpty)
    }

    // MARK: at the inbox

    private func receive(_ manifest: Manifest, at home: Home, key: SigningKey, now: Timestamp = start) throws
        -> Received
    {
        try world.lay(manifest, as: "x.tar", in: home.inbox, key: key)
        return try opened(home, at: now).receive()
    }

    @Test func aClientMaySignNoTrust() throws {
        let key = try world.key(of: world.hospitalA)
        let atServer = try receive(world.manifest(.trust), at: world.server, key: key)
        #expect(atServer.refusals.map(\.reason) == [.wrongKind])
        // Even a hospital that knew the other one's key, in the server's name and in its own.
        try world.trust(world.hospitalA, in: world.hospitalB)
        for (sender, reason) in [("ministry", RefusalReason.wrongSender), ("hospital-a", .wrongKind)] {
            let received = try receive(
                world.manifest(.trust, from: sender, to: "hospital-b"), at: world.hospitalB, key: key)
            #expect(received.refusals.map(\.reason) == [reason])
        }
    }

    @Test func aStatementForAnotherFederationOrByARevokedKeyIsRefused() throws {
        let key = try world.key(of: world.server)
        var foreign = world.manifest(.trust, from: "ministry", to: "hospital-a")
        foreign.federation = session("e")
        #expect(try receive(foreign, at: world.hospitalA, key: key).refusals.map(\.reason) == [.wrongFederation])
        try opened(world.hospitalA).updateTrust { (trust) throws(MailboxError) in trust.revoke(key.publicKey) }
        let good = world.manifest(.trust, from: "ministry", to: "hospital-a", seq: 2)
        #expect(try receive(good, at: world.hospitalA, key: key).refusals.map(\.reason) == [.revoked])
    }

    /// Rotated in the middle of a round: what the old key signed inside its window is taken, for as long as sticks may be late.
    @Test(arguments: [(59, 60, RefusalReason?.none), (59, 119, nil), (59, 121, .keyExpired), (61, 61, .keyExpired)])
    func anUpdateOfTheOldKeyIsTakenInsideItsWindow(made: Int64, received: Int64, reason: RefusalReason?) throws {
        let (a, key) = (name("hospital-a"), try world.key(of: world.hospitalA))
        try opened(world.server).updateTrust { (trust) throws(MailboxError) in
            trust.end(key.publicKey, of: a, at: start.adding(days: 60))
            try trust.add(a, role: .client, key: new, ageRecipient: nil, validFrom: start)
        }
        var update = world.manifest(.update, session: session("1"), round: 1)
        update.created = start.adding(days: made)
        update.expires = start.adding(days: 300)
        let taken = try receive(update, at: world.server, key: key, now: start.adding(days: received))
        #expect(taken.refusals.first?.reason == reason)
        #expect(taken.deliveries.count == (reason == nil ? 1 : 0))
    }

    @Test func twoBundlesWithOneNumberAreStillAnAlarmAfterARotation() throws {
        let next = SigningKey.generate()
        try opened(world.server).updateTrust { (trust) throws(MailboxError) in
            try trust.add(name("hospital-a"), role: .client, key: next.publicKey, ageRecipient: nil, validFrom: start)
        }
        for text in ["{}\n", "{\"x\":1}\n"] {
            try world.lay(world.manifest(seq: 7), as: "\(text.count).tar", key: next, payload: Array(text.utf8))
        }
        #expect(try opened(world.server).receive().alarms.count == 1)
    }

    // MARK: key files

    @Test func aKilledChangeOfKeysIsFinished() throws {
        let mailbox = try opened(world.server)
        let before = mailbox.identity.signing.publicKey
        let next = try mailbox.makeNextKey(agentKey: nil).publicKey
        #expect(try mailbox.makeNextKey(agentKey: nil).publicKey == next)
        #expect(mailbox.identity.signing.publicKey == before)
        try mailbox.promoteNextKey(keepingOldUntil: start.adding(days: 60))
        try mailbox.promoteNextKey(keepingOldUntil: start.adding(days: 60))
        #expect(mailbox.identity.signing.publicKey == next && mailbox.identity.next == nil)
        #expect(mailbox.identity.retired.map(\.key.publicKey) == [before])
        #expect(mailbox.identity.key(before) != nil)
        // The public half that a kill left behind is brought up to date.
        try write("\(before.openSSHLine) ministry\n", world.server.identity.appending("id_ed25519.pub"))
        try mailbox.settleKeyFiles()
        let line = String(decoding: try content(world.server.identity.appending("id_ed25519.pub")), as: UTF8.self)
        #expect(line.hasPrefix(next.openSSHLine))
        for entry in try QuickFileSystem().list(world.server.identity) where !entry.name.hasSuffix(".pub") {
            let status = try QuickFileSystem().status(world.server.identity.appending(entry.component))
            #expect(status?.permissions == 0o600, "\(entry.name)")
        }
    }

    /// Each file operation fails in turn, as an error and as the end of the process.
    @Test(arguments: FaultyFileSystem.Mode.allCases)
    func aChangeOfKeysThatStopsAnywhereIsRepeatedToTheSameEnd(mode: FaultyFileSystem.Mode) throws {
        var limit = 1
        while true {
            let world = try TestFederation()
            let before = try world.key(of: world.server).publicKey
            func rotate(_ home: Home) throws {
                let mailbox = try opened(home)
                if mailbox.identity.signing.publicKey == before {
                    let next = try mailbox.makeNextKey(agentKey: nil).publicKey
                    try mailbox.updateTrust { (trust) throws(MailboxError) in
                        try trust.add(ministry, role: .server, key: next, ageRecipient: nil, validFrom: start)
                    }
                    try mailbox.promoteNextKey(keepingOldUntil: start.adding(days: 60))
                }
                try mailbox.settleKeyFiles()
            }
            let hook = FaultyFileSystem.Hook(failing: limit, mode)
            try? rotate(try Home.open(world.server.root, files: FaultyFileSystem(hook)))
            try rotate(world.server)
            let identity = try Identity.load(from: world.server)
            let step = "operation \(limit), \(mode)"
            #expect(identity.signing.publicKey != before && identity.next == nil, "\(step)")
            #expect(identity.retired.map(\.key.publicKey) == [before], "\(step)")
            #expect(
                try TrustStore.load(from: world.server).party(ministry)?.keys == [identity.signing.publicKey], "\(step)"
            )
            let files = try names(world.server.identity).sorted()
            #expect(
                files == ["age.txt", "id_ed25519", "id_ed25519-until-20270316", "id_ed25519.pub"], "\(step): \(files)")
            let line = String(decoding: try content(world.server.identity.appending("id_ed25519.pub")), as: UTF8.self)
            #expect(line.hasPrefix(identity.signing.publicKey.openSSHLine), "\(step)")
            guard hook.hasFailed else { break }
            limit += 1
        }
        #expect(limit > 30)
    }

    @Test func anOldKeyIsForgottenAfterItsLastDay() throws {
        var mailbox: Mailbox? = try opened(world.server)
        _ = try mailbox?.makeNextKey(agentKey: nil)
        try mailbox?.promoteNextKey(keepingOldUntil: start.adding(days: 60))
        mailbox = nil
        for (day, count) in [(59, 1), (62, 0)] {
            mailbox = try opened(world.server, at: start.adding(days: Int64(day)))
            try mailbox?.settleKeyFiles()
            #expect(mailbox?.identity.retired.count == count)
            mailbox = nil
        }
    }
}

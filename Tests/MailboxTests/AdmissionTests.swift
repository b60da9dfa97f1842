import Bundles
import Files
import Mailbox
import SystemPackage
import Testing
import Wire

/// Each rule for what comes in, with real bundles in a real inbox.
@Suite struct AdmissionTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private func receive(at now: Timestamp = start, accept: Bool = true) throws -> Received {
        let mailbox = try opened(world.server, at: now)
        let received = try mailbox.receive()
        if accept { for delivery in received.deliveries { try mailbox.commit(delivery, .accepted) } }
        try mailbox.finish()
        return received
    }

    private func refusal(of manifest: Manifest, key: SigningKey? = nil, at now: Timestamp = start) throws
        -> RefusalReason?
    {
        try world.lay(manifest, as: "x.tar", key: key)
        let received = try receive(at: now)
        #expect(received.deliveries.isEmpty)
        #expect(try names(world.server.inbox).isEmpty)
        return received.refusals.first?.reason
    }

    @Test func aGoodBundleIsDeliveredOnceAndArchived() throws {
        let manifest = try world.lay(world.manifest(), as: "Anything (1).TAR.txt")
        let received = try receive()
        #expect(received.deliveries.map(\.id) == [manifest.id])
        #expect(received.deliveries.first?.inboxName == "Anything (1).TAR.txt")
        #expect(try names(world.server.archive) == ["\(manifest.id).tar"])
        #expect(try names(world.server.inbox) == [])
        #expect(try opened(world.server).isAccepted(manifest.id))
    }

    @Test func aReplayIsCleanedAwayInSilence() throws {
        try world.lay(world.manifest(), as: "request.tar")
        let copy = try content(world.server.inbox.appending("request.tar"))
        _ = try receive()
        for now in [start.adding(seconds: 60), start.adding(days: 80), start.adding(days: 120)] {
            try QuickFileSystem().writeFile(world.server.inbox.appending("again.tar"), copy)
            let received = try receive(at: now)
            #expect(received.deliveries.isEmpty && received.refusals.isEmpty)
            #expect(try names(world.server.inbox) == [])
        }
    }

    @Test func aWrongRecipientIsRefused() throws {
        #expect(try refusal(of: world.manifest(to: "hospital-b")) == .wrongRecipient)
    }

    @Test func anotherFederationIsRefused() throws {
        var manifest = world.manifest()
        manifest.federation = session("e")
        #expect(try refusal(of: manifest) == .wrongFederation)
    }

    @Test func anExpiredBundleIsRefused() throws {
        #expect(try refusal(of: world.manifest(), at: start.adding(days: 91)) == .expired)
    }

    /// An old statement of how things stand is refused like all else that is over: whoever serves it hides a newer one.
    @Test(arguments: [BundleKind.global, .decision, .abort, .trust])
    func whatTheServerSaidLongAgoIsNotTaken(kind: BundleKind) throws {
        let isOfSession = kind != .trust
        var manifest = world.manifest(
            kind, from: "ministry", to: "hospital-a", session: isOfSession ? session("1") : .none,
            round: kind == .global ? 1 : 0)
        manifest.created = start.adding(days: -100)
        manifest.expires = start.adding(days: -1)
        try world.lay(manifest, as: "x.tar", in: world.hospitalA.inbox, key: try world.key(of: world.server))
        let received = try opened(world.hospitalA).receive()
        #expect(received.deliveries.isEmpty && received.refusals.map(\.reason) == [.expired])
    }

    @Test func everyArrivalOrderIsTaken() throws {
        for seq in [5, 1, 4, 6, 1_000_006] as [Int64] {
            let manifest = try world.lay(world.manifest(seq: seq), as: "\(seq).tar")
            #expect(try receive().deliveries.map(\.id) == [manifest.id])
        }
    }

    @Test func aBundleFromTheFutureIsRefusedAndDoesNotMoveTheClock() throws {
        var manifest = world.manifest()
        manifest.created = start.adding(days: 3650)
        manifest.expires = start.adding(days: 3700)
        #expect(try refusal(of: manifest) == .notYetValid)
        #expect(try receive(at: start.adding(seconds: 60)).refusals.isEmpty)
    }

    @Test func aForeignNameIsRefused() throws {
        #expect(try refusal(of: world.manifest(from: "hospital-b")) == .wrongSender)
    }

    @Test func aClientMayNotSignAGlobal() throws {
        let global = world.manifest(.global, session: session("1"), round: 1)
        #expect(try refusal(of: global) == .wrongKind)
    }

    @Test func theHomesOwnBundleIsRefusedQuietly() throws {
        try world.lay(world.manifest(.receipt, from: "ministry"), as: "x.tar", key: try world.key(of: world.server))
        let refusals = try receive().refusals
        #expect(refusals.map(\.reason) == [.wrongRecipient])
        #expect(refusals.map(\.isQuiet) == [true])
    }

    @Test func aRevokedKeyIsRefusedWhateverItSaysAboutTheTime() throws {
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(try world.key(of: world.hospitalA).publicKey)
        try trust.save(to: world.server)
        #expect(try refusal(of: world.manifest()) == .revoked)
    }

    @Test func aRevokedKeyMayNotEnrolAgain() throws {
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(try world.key(of: world.hospitalA).publicKey)
        try trust.save(to: world.server)
        #expect(try refusal(of: world.manifest(.enrol)) == .revoked)
    }

    @Test(arguments: [(-10, RefusalReason?.none, 0), (-1, .keyExpired, 61), (10, .keyNotYetValid, 0)])
    func aKeyHasItsTime(begin: Int64, reason: RefusalReason?, later: Int64) throws {
        let key = try world.key(of: world.hospitalA).publicKey.openSSHLine
        func text(_ days: Int64) -> String {
            start.adding(days: days).rfc3339.filter { $0.isNumber } + "Z"
        }
        let namespaces = BundleKind.ofClients.map(\.namespace).joined(separator: ",")
        try write(
            "hospital-a namespaces=\"\(namespaces)\",valid-after=\"\(text(begin))\",valid-before=\"\(text(20))\" \(key)\n",
            world.server.trust.appending("allowed_signers"))
        try world.lay(world.manifest(), as: "x.tar")
        // Received after the key's end: taken for 60 days, then no more.
        let received = try receive(at: start.adding(days: later == 0 ? 0 : 20 + later))
        #expect(received.refusals.first?.reason == reason)
        #expect(received.deliveries.count == (reason == nil ? 1 : 0))
    }

    @Test func aNumberFarAheadIsRefusedAndLeavesNoMark() throws {
        #expect(try refusal(of: world.manifest(seq: 1_000_001)) == .fastForward)
        try world.lay(world.manifest(seq: 1_000_000), as: "y.tar")
        #expect(try receive().deliveries.count == 1)
    }

    @Test func equalNumbersRaiseAnAlarmAndKeepBoth() throws {
        let first = try world.lay(world.manifest(), as: "a.tar")
        _ = try receive()
        let second = try world.lay(world.manifest(), as: "b.tar", payload: Array("{\"x\":1}\n".utf8))
        let received = try receive()
        let alarm = Equivocation(
            sender: name("hospital-a"), session: .none, seq: 1, first: first.id, second: second.id)
        #expect(received.alarms == [alarm])
        #expect(received.refusals.map(\.reason) == [.equivocation])
        #expect(try names(world.server.quarantine).count == 2)
        // Told once, remembered until the admin settles it.
        try world.lay(world.manifest(), as: "b.tar", payload: Array("{\"x\":1}\n".utf8))
        #expect(try receive().alarms.isEmpty)
        let mailbox = try opened(world.server)
        #expect(mailbox.equivocations == [alarm])
        try mailbox.forgetEquivocations(of: name("hospital-a"), session: .none)
        #expect(mailbox.equivocations.isEmpty)
    }

    @Test func equalNumbersInOneRunRaiseTheAlarmToo() throws {
        try world.lay(world.manifest(), as: "a.tar")
        try world.lay(world.manifest(), as: "b.tar", payload: Array("{\"x\":1}\n".utf8))
        let received = try receive()
        #expect(received.deliveries.count == 1)
        #expect(received.alarms.count == 1)
    }

    @Test func aStrangersEnrolmentIsDeliveredAsSelfSigned() throws {
        let key = SigningKey.generate()
        let manifest = try world.lay(world.manifest(.enrol, from: "hospital-c"), as: "enrol.tar", key: key)
        let received = try receive()
        #expect(received.deliveries.map(\.id) == [manifest.id])
        #expect(received.deliveries.first?.isSelfSigned == true)
        #expect(received.deliveries.first?.signer == key.publicKey)
    }

    @Test func aStrangersEnrolmentInAnothersNameRaisesNoAlarmAgainstHim() throws {
        try world.lay(world.manifest(), as: "a.tar")
        _ = try receive()
        try world.lay(world.manifest(.enrol), as: "b.tar", key: SigningKey.generate())
        let received = try receive()
        #expect(received.alarms.isEmpty)
        #expect(received.deliveries.count == 1)
    }

    @Test func aStrangersBundleWaitsForItsEnrolment() throws {
        let key = SigningKey.generate()
        let manifest = try world.lay(world.manifest(from: "hospital-c"), as: "early.tar", key: key)
        let copy = try content(world.server.inbox.appending("early.tar"))
        #expect(try receive().held.map(\.id) == [manifest.id])
        #expect(try names(world.server.inbox) == [])
        // Coming again it changes nothing.
        try QuickFileSystem().writeFile(world.server.inbox.appending("early (1).tar"), copy)
        #expect(try receive(at: start.adding(days: 1)).held.isEmpty)

        let mailbox = try opened(world.server, at: start.adding(days: 2))
        #expect(try mailbox.receive().deliveries.isEmpty)
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            try trust.add(name("hospital-c"), role: .client, key: key.publicKey, ageRecipient: nil)
        }
        let delivery = try #require(try mailbox.receive().deliveries.first)
        #expect(delivery.id == manifest.id && delivery.wasHeld)
        try mailbox.commit(delivery, .accepted)
        #expect(mailbox.held.isEmpty)
        #expect(try names(world.server.archive) == ["\(manifest.id).tar"])
    }

    @Test func strangersWaitThirtyDaysAndNotManyOfThem() throws {
        let key = SigningKey.generate()
        for number in 1...20 {
            try world.lay(world.manifest(from: "hospital-c", seq: Int64(number)), as: "\(number).tar", key: key)
        }
        let received = try receive()
        #expect(received.held.count == 16)
        #expect(received.refusals.map(\.reason) == Array(repeating: .heldTooMany, count: 4))
        let later = try receive(at: start.adding(days: 31))
        #expect(later.refusals.map(\.reason) == Array(repeating: .heldTooLong, count: 16))
        #expect(try opened(world.server, at: start.adding(days: 31)).held.isEmpty)
    }

    @Test func anEarlyBundleIsOfferedAgainWhenAsked() throws {
        let manifest = try world.lay(world.manifest(.update, session: session("1"), round: 1), as: "u.tar")
        var mailbox: Mailbox? = try opened(world.server)
        try mailbox?.commit(try #require(try mailbox?.receive().deliveries.first), .held("its session is not open yet"))
        mailbox = nil
        mailbox = try opened(world.server, at: start.adding(days: 1))
        #expect(mailbox?.held.map(\.cause) == [.early])
        #expect(try mailbox?.receive().deliveries.isEmpty == true)
        let again = try #require(try mailbox?.receive(retryEarly: true).deliveries.first)
        #expect(again.id == manifest.id && again.wasHeld)
        // Held again, it keeps its first date.
        try mailbox?.commit(again, .held("still not"))
        #expect(mailbox?.held.map(\.since) == [start])
    }

    @Test func onePartyCannotFillTheDiskWithEarlyBundles() throws {
        for number in 1...66 {
            try world.lay(world.manifest(.update, seq: Int64(number), session: session("1")), as: "\(number).tar")
        }
        let mailbox = try opened(world.server)
        for delivery in try mailbox.receive().deliveries { try mailbox.commit(delivery, .held("too early")) }
        #expect(mailbox.held.count == 64)
        #expect(try names(world.server.quarantine).count == 4 && names(world.server.inbox).isEmpty)
    }

    /// Whoever makes a key for each: what has no room is not settled, and is judged anew when it comes again.
    @Test func enrolmentsOfStrangersWaitUpToANumber() throws {
        func lay(_ number: Int, _ key: SigningKey) throws {
            try world.lay(world.manifest(.enrol, from: "stranger-\(number)"), as: "\(number).tar", key: key)
        }
        let keys = (1...65).map { _ in SigningKey.generate() }
        for (index, key) in keys.enumerated() { try lay(index, key) }
        var mailbox: Mailbox? = try opened(world.server)
        for delivery in try #require(mailbox).receive().deliveries {
            try mailbox?.commit(delivery, .held("200 enrolments wait"), isAcknowledged: false)
        }
        #expect(mailbox?.held.count == 64)
        let left = Set(keys.map(\.publicKey.fingerprint)).subtracting(mailbox?.held.map(\.fingerprint) ?? [])
        let index = try #require(keys.firstIndex { left == [$0.publicKey.fingerprint] })
        mailbox = nil
        try lay(index, keys[index])
        let again = try opened(world.server).receive().deliveries
        #expect(again.contains { left == [$0.signer.fingerprint] }, "\(again.count)")
    }

    @Test func aRejectedBundleIsQuarantinedWithItsReasonAndMayComeAgain() throws {
        try world.lay(world.manifest(), as: "r.tar")
        let copy = try content(world.server.inbox.appending("r.tar"))
        for now in [start, start.adding(days: 1)] {
            try QuickFileSystem().writeFile(world.server.inbox.appending("r.tar"), copy)
            let mailbox = try opened(world.server, at: now)
            let delivery = try #require(try mailbox.receive().deliveries.first)
            try mailbox.commit(delivery, .rejected("it wants 10,000 rounds"))
            let found = try names(world.server.quarantine)
            #expect(found.count == 2)
            let note = try #require(found.first { $0.hasSuffix(".reason.txt") })
            let text = String(decoding: try content(world.server.quarantine.appending(note)), as: UTF8.self)
            #expect(text.contains("it wants 10,000 rounds") && text.contains("file: r.tar"))
        }
    }

    @Test func anIgnoredBundleLeavesNothingAndNeverComesBack() throws {
        try world.lay(world.manifest(), as: "r.tar")
        let copy = try content(world.server.inbox.appending("r.tar"))
        do {
            let mailbox = try opened(world.server)
            try mailbox.commit(try #require(try mailbox.receive().deliveries.first), .ignored)
            try mailbox.finish()
        }
        #expect(try names(world.server.archive) == [] && names(world.server.inbox) == [])
        try QuickFileSystem().writeFile(world.server.inbox.appending("r.tar"), copy)
        #expect(try receive().deliveries.isEmpty)
    }

    @Test func whatIsNotCommittedComesAgain() throws {
        let manifest = try world.lay(world.manifest(), as: "r.tar")
        #expect(try receive(accept: false).deliveries.map(\.id) == [manifest.id])
        #expect(try receive().deliveries.map(\.id) == [manifest.id])
    }

    @Test func anInviteAmongCopiedFilesIsCleanedAway() throws {
        var invite = world.manifest(.invite, from: "ministry")
        invite.recipients = []
        try world.lay(
            invite, as: "invite.tar", in: world.hospitalA.inbox, key: try world.key(of: world.server))
        let received = try opened(world.hospitalA).receive()
        #expect(received.deliveries.isEmpty && received.refusals.isEmpty)
        #expect(try names(world.hospitalA.inbox) == [])
    }

    @Test func deliveriesComeInTheOrderOfTheirNumbers() throws {
        for seq in [3, 1, 2] { try world.lay(world.manifest(seq: Int64(seq)), as: "\(9 - seq).tar") }
        #expect(try receive().deliveries.map(\.manifest.seq) == [1, 2, 3])
    }
}

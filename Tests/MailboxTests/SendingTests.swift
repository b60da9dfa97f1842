import Bundles
import Files
import Mailbox
import SystemPackage
import Testing
import Wire

@Suite struct SendingTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private var outbox: FilePath { world.hospitalA.outbox }
    private let payload = [PayloadSource.bytes(name: "request.json", Array("{}\n".utf8))]

    private func send(
        _ mailbox: Mailbox, _ key: String, _ kind: BundleKind = .request, session: RandomID = .none, round: Int = 0,
        to recipient: String = "ministry", retention: Retention = .untilAcknowledged
    ) throws -> OutgoingRecord {
        try mailbox.send(
            key: key, kind: kind, to: [name(recipient)], session: session, round: round, retention: retention,
            payload: payload)
    }

    private func opened(_ home: Home, _ days: Int64 = 0, seconds: Int64 = 0) throws -> Mailbox {
        try MailboxTests.opened(home, at: start.adding(days: days).adding(seconds: seconds))
    }

    @Test func aKeyIsSentOnce() throws {
        let mailbox = try opened(world.hospitalA)
        let first = try send(mailbox, "request/1")
        let bytes = try content(outbox.appending(first.name))
        let second = try mailbox.send(
            key: "request/1", kind: .request, to: [name("ministry")],
            payload: [.bytes(name: "request.json", Array("{\"other\":1}\n".utf8))])
        #expect(first.id == second.id)
        #expect(try names(outbox) == [first.name])
        #expect(try content(outbox.appending(first.name)) == bytes)
    }

    @Test func theManifestIsFilledIn() throws {
        let mailbox = try opened(world.hospitalA)
        _ = try send(mailbox, "request/1")
        let first = try send(mailbox, "update/1", .update, session: session("1"), round: 1)
        let second = try send(mailbox, "update/2", .update, session: session("1"), round: 2)
        let bundle = try BundleReader.open(outbox.appending(second.name), files: QuickFileSystem()).verified()
        #expect(bundle.manifest.seq == 2 && bundle.manifest.prev == first.id && bundle.manifest.round == 2)
        #expect(bundle.manifest.federation == world.federation && bundle.manifest.sender == name("hospital-a"))
        #expect(bundle.manifest.expires == start.adding(days: 180))
        #expect(bundle.signer == (try world.key(of: world.hospitalA).publicKey))
        #expect(second.name == "update-hospital-a-r2-\(second.id.hex.prefix(8)).tar")
    }

    @Test func numbersAreCountedForEachSession() throws {
        let mailbox = try opened(world.hospitalA)
        let numbers = try ["1", "2", "1"].enumerated().map { index, digit in
            try send(mailbox, "update/\(index)", .update, session: session(Character(digit)), round: 1).seq
        }
        #expect(numbers == [1, 1, 2])
    }

    /// Runs a mailbox over an inbox to which everything in another home's outbox was copied.
    private func carry(_ from: Home, _ to: Home, at days: Int64, _ verdict: Verdict = .accepted) throws -> Mailbox {
        for file in try names(from.outbox) {
            try QuickFileSystem().copyFile(from: from.outbox.appending(file), to: to.inbox.appending(file))
        }
        let mailbox = try opened(to, days)
        for delivery in try mailbox.receive(retryEarly: true).deliveries { try mailbox.commit(delivery, verdict) }
        return mailbox
    }

    /// Nobody offers it: nothing is said again.
    @Test func whatWaitsHereIsNotAcknowledgedAgainByItself() throws {
        _ = try send(try opened(world.hospitalA), "request/1")
        for day in [1, 3, 5] as [Int64] {
            let server = try carry(world.hospitalA, world.server, at: day, .held("its session is not here"))
            try server.sendReceipts()
            #expect(server.outgoing.count == 1)
            for file in try names(outbox) { try QuickFileSystem().remove(outbox.appending(file)) }
        }
    }

    @Test(arguments: [Verdict.accepted, .rejected("too many rounds"), .ignored])
    func whatWasReceivedIsAcknowledgedByTheNextBundleAndThenRetired(verdict: Verdict) throws {
        let request = try send(try opened(world.hospitalA), "request/1")
        do {
            let server = try carry(world.hospitalA, world.server, at: 1, verdict)
            let decision = try send(server, "decision/1", .decision, to: "hospital-a")
            let bundle = try BundleReader.open(server.sentPath(decision), files: QuickFileSystem()).verified()
            #expect(bundle.manifest.acks == [request.id])
            try server.sendReceipts()
            #expect(try names(world.server.outbox).count == 1)
        }
        let client = try carry(world.server, world.hospitalA, at: 2)
        #expect(client.isAcknowledged(key: "request/1", by: name("ministry")))
        try client.publishPending()
        #expect(try !names(outbox).contains(request.name))
        #expect(client.sent(key: "request/1")?.isRetired == true)
        // The key stays taken.
        #expect(try send(client, "request/1").id == request.id)
        #expect(try !names(outbox).contains(request.name))
    }

    @Test func aReceiptIsMadeWhenNothingElseAcknowledgesAndIsNotAcknowledgedItself() throws {
        _ = try send(try opened(world.hospitalA), "request/1")
        do {
            let server = try carry(world.hospitalA, world.server, at: 1)
            try server.sendReceipts()
            try server.sendReceipts()
            #expect(server.outgoing.map(\.kind) == [.receipt])
        }
        let client = try carry(world.server, world.hospitalA, at: 2)
        try client.sendReceipts()
        try client.publishPending()
        #expect(client.outgoing.map(\.kind) == [.request])
        #expect(try names(outbox) == [])
    }

    /// Cron's run and a person's within one second: what came in between is acknowledged too.
    @Test func receiptsWithinOneSecondAreTwo() throws {
        for number in 1...2 {
            let request = try send(try opened(world.hospitalA), "request/\(number)")
            let server = try carry(world.hospitalA, world.server, at: 1)
            try server.sendReceipts()
            #expect(server.outgoing.count == number)
            let receipt = try #require(server.outgoing.last)
            let bundle = try BundleReader.open(server.sentPath(receipt), files: QuickFileSystem()).verified()
            #expect(bundle.manifest.acks == [request.id])
        }
    }

    /// What was rejected too: its sender offers it until it knows that it arrived.
    @Test(arguments: [Verdict.accepted, .rejected("too many rounds"), .held("its session is not here")])
    func aRepeatedBundleIsAcknowledgedAgainAfterADayOnly(verdict: Verdict) throws {
        _ = try send(try opened(world.hospitalA), "request/1")
        for (day, receipts) in [(1, 1), (1, 1), (3, 2)] as [(Int64, Int)] {
            let server = try carry(world.hospitalA, world.server, at: day, verdict)
            try server.sendReceipts()
            #expect(server.outgoing.count == receipts)
        }
    }

    @Test func whatWasCarriedAwayUnacknowledgedIsOfferedAgainAfterADay() throws {
        let record = try send(try opened(world.hospitalA), "request/1")
        let bytes = try content(outbox.appending(record.name))
        try QuickFileSystem().remove(outbox.appending(record.name))
        try opened(world.hospitalA, seconds: 86_399).publishPending()
        #expect(try names(outbox) == [])
        try opened(world.hospitalA, seconds: 86_400).publishPending()
        #expect(try content(outbox.appending(record.name)) == bytes)
        try QuickFileSystem().remove(outbox.appending(record.name))
        try opened(world.hospitalA, seconds: 90_000).publishPending()
        #expect(try names(outbox) == [])
    }

    @Test func retentionEndsWithExpiryDaysOrWithdrawal() throws {
        do {
            let mailbox = try opened(world.hospitalA)
            _ = try send(mailbox, "a")
            _ = try send(mailbox, "b", retention: .days(7))
            _ = try send(mailbox, "c", retention: .untilWithdrawn)
        }
        try opened(world.hospitalA, 8).publishPending()
        #expect(try names(outbox).count == 2)
        let mailbox = try opened(world.hospitalA, 9)
        try mailbox.withdraw { $0.key == "c" }
        #expect(try names(outbox).count == 1)
        #expect(mailbox.sent(key: "c")?.isRetired == true)
        let later = try MailboxTests.opened(world.hospitalB, at: start)
        withExtendedLifetime(later) {}
    }

    @Test func expiredBundlesLeaveTheOutboxAndLaterTheLedger() throws {
        _ = try send(try opened(world.hospitalA), "a")
        try opened(world.hospitalA, 91).publishPending()
        #expect(try names(outbox) == [])
        try wordFromServer(on: 151)
        let mailbox = try opened(world.hospitalA, 151)
        try mailbox.commit(try #require(try mailbox.receive().deliveries.first), .ignored)
        try mailbox.cleanUp()
        #expect(mailbox.outgoing.isEmpty)
        // The numbering goes on all the same.
        #expect(try send(mailbox, "b").seq > 1)
    }

    /// Others' acknowledgements of what it made forgotten would be taken for the sign of a restored backup.
    @Test func aClockThatIsWrongForANightMakesNothingForgotten() throws {
        let own = try send(try opened(world.hospitalA), "a")
        try wordFromServer(on: 1, acks: [own.id])
        do {
            let wrong = try opened(world.hospitalA, 400)
            try wrong.publishPending()
            try wrong.cleanUp()
        }
        let mailbox = try opened(world.hospitalA, 1)
        try mailbox.commit(try #require(try mailbox.receive().deliveries.first), .ignored)
        #expect(mailbox.problems.isEmpty && mailbox.outgoing.map(\.id) == [own.id])
    }

    private func wordFromServer(on day: Int64, acks: [Digest] = []) throws {
        var manifest = world.manifest(.receipt, from: "ministry", to: "hospital-a", acks: acks)
        (manifest.created, manifest.expires) = (start.adding(days: day), start.adding(days: day + 90))
        try world.lay(manifest, as: "r.tar", in: world.hospitalA.inbox, key: try world.key(of: world.server))
    }

    /// A home that was restored from a backup goes on above what it forgot, also where nobody tells it; and no wrong clock
    /// drives the numbers to where nobody takes them.
    @Test func numbersGoOnWithTheClock() throws {
        let ledger = world.hospitalA.root.appending("mailbox").appending("ledger.json")
        _ = try send(try opened(world.hospitalA), "a")
        let backup = try content(ledger)
        let lost = try ["b", "c", "d"].map { try send(try opened(world.hospitalA), $0).seq }
        try QuickFileSystem().writeFile(ledger, backup)
        for name in try names(outbox) { try QuickFileSystem().remove(outbox.appending(name)) }
        let next = try send(try opened(world.hospitalA, seconds: 3600), "e").seq
        #expect(lost == [2, 3, 4] && next > 4 && next < 100)
        #expect(try send(try opened(world.hospitalA, 500 * 365), "f").seq <= 500_000)
    }

    @Test func aRestoredBackupIsNoticedByStrangeAcknowledgements() throws {
        let unknown = SHA256Hash.digest(of: [1, 2, 3])
        try world.lay(
            world.manifest(.receipt, from: "ministry", to: "hospital-a", acks: [unknown]), as: "r.tar",
            in: world.hospitalA.inbox, key: try world.key(of: world.server))
        let mailbox = try opened(world.hospitalA)
        _ = try send(mailbox, "a")
        let delivery = try #require(try mailbox.receive().deliveries.first)
        try mailbox.commit(delivery, .accepted)
        #expect(mailbox.problems.count == 1)
        #expect(try send(mailbox, "b").seq > 1000)
    }

    @Test func aRestoredBackupIsNoticedByWhatOthersHave() throws {
        let unknown = SHA256Hash.digest(of: [1, 2, 3])
        let mailbox = try opened(world.hospitalA)
        let own = try send(mailbox, "a")
        try mailbox.otherSideHas(
            own.id, describing: "the update of round 3", says: name("ministry"), isRemembered: true)
        #expect(mailbox.problems.isEmpty)
        try mailbox.otherSideHas(
            unknown, describing: "the update of round 3", says: name("ministry"), isRemembered: true)
        #expect(
            mailbox.problems.count == 1 && mailbox.problems[0].hasPrefix("the update of round 3, which others have"))
        #expect(try send(mailbox, "b").seq == own.seq + 1001)
        try mailbox.otherSideHas(
            unknown, describing: "the update of round 3", says: name("ministry"), isRemembered: true)
        #expect(mailbox.problems.count == 1)
        #expect(try send(mailbox, "c").seq == own.seq + 1002)
    }

    /// What the home before it made under the same name alarms nobody, and its numbers are not used again.
    @Test func whatAFormerHomeMadeIsNoAlarm() throws {
        let mailbox = try opened(world.hospitalA)
        try mailbox.otherSideHas(
            SHA256Hash.digest(of: [1]), describing: "the update of round 3", says: name("ministry"), isRemembered: false
        )
        #expect(mailbox.problems.isEmpty)
        #expect(try send(mailbox, "a").seq > 1000)
    }

    @Test func acknowledgementsOfOthersBundlesAreNoSuchSign() throws {
        var manifest = world.manifest(
            .global, from: "ministry", to: "hospital-a", session: session("1"), round: 1,
            acks: [SHA256Hash.digest(of: [1])])
        manifest.recipients = [name("hospital-a"), name("hospital-b")]
        try world.lay(manifest, as: "g.tar", in: world.hospitalA.inbox, key: try world.key(of: world.server))
        let mailbox = try opened(world.hospitalA)
        try mailbox.commit(try #require(try mailbox.receive().deliveries.first), .accepted)
        #expect(mailbox.problems.isEmpty)
    }

    /// Whatever else lies there, and also where the first thing that is done is to send.
    @Test func ownBundlesAreFoundAmongManyOthersBeforeANumberIsUsed() throws {
        for number in 0..<300 { try write("\(number)", outbox.appending("decision-ministry-\(number).tar")) }
        try world.lay(world.manifest(seq: 7), as: "request-hospital-a-12345678.tar", in: outbox)
        let mailbox = try opened(world.hospitalA)
        #expect(try send(mailbox, "a").seq > 7)
        #expect(mailbox.problems.count == 1)
    }

    @Test func aRestoredBackupIsNoticedByOwnBundlesInTheOutbox() throws {
        try world.lay(world.manifest(seq: 7), as: "request-hospital-a-12345678.tar", in: outbox)
        let mailbox = try opened(world.hospitalA)
        try mailbox.publishPending()
        #expect(mailbox.problems.count == 1)
        #expect(try send(mailbox, "a").seq > 7)
        try mailbox.publishPending()
        #expect(mailbox.problems.count == 1)
    }
}

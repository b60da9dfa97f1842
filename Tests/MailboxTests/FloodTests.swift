import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What one party, enrolled or not, can do with many or large bundles: nothing that ends the work of the others.
@Suite struct FloodTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    @discardableResult
    private func run(
        _ home: Home? = nil, at seconds: Int64 = 0, _ verdict: (VerifiedDelivery) -> Verdict = { _ in .accepted }
    ) throws -> (received: Received, problems: [String]) {
        try world.run(home ?? world.server, at: seconds, verdict)
    }

    // MARK: numbers

    private func acknowledgeSomething(_ number: Int64) throws {
        let digest = SHA256Hash.digest(of: Array("\(number)".utf8))
        try world.lay(world.manifest(.receipt, seq: number, acks: [digest]), as: "r\(number).tar")
    }

    private func send(_ number: Int64) throws -> Int64 {
        try opened(world.server).send(
            key: "decision/\(number)", kind: .decision, to: [name("hospital-b")],
            payload: [.bytes(name: "decision.json", Array("{}\n".utf8))]
        ).seq
    }

    /// A member says that it has bundles which nobody made: that looks like a restored backup, once.
    @Test func madeUpAcknowledgementsMoveTheNumbersOnce() throws {
        for number in 1...20 { try acknowledgeSomething(Int64(number)) }
        #expect(try run().problems.count == 1)
        #expect(try send(1) == 1001)
        for number in 21...40 { try acknowledgeSomething(Int64(number)) }
        #expect(try run().problems.count == 1)
        #expect(try send(2) == 2002)
    }

    /// Even with a bundle of the server's between any two of them: others must go on taking its numbers.
    @Test func numbersAreNeverDrivenToWhereNobodyTakesThem() throws {
        var last: Int64 = 0
        for number in 1...5 {
            try acknowledgeSomething(Int64(number))
            try run()
            last = try send(Int64(number))
            guard number == 1 else { continue }
            // As after some seven hundred more.
            let path = world.server.root.appending("mailbox").appending("ledger.json")
            let ledger = String(decoding: try content(path), as: UTF8.self)
            try write(ledger.replacing(/"sequence_floor":\s*\d+/, with: "\"sequence_floor\":749500"), path)
        }
        #expect(last > 749_500 && last < 752_000)
        let fresh = try #require(try opened(world.server).outgoing.first { $0.seq == last })
        try opened(world.server).publishPending()
        try QuickFileSystem().copyFile(
            from: world.server.outbox.appending(fresh.name), to: world.hospitalB.inbox.appending(fresh.name))
        let received = try run(world.hospitalB).received
        #expect(received.deliveries.map(\.manifest.seq) == [last] && received.refusals.isEmpty)
    }

    // MARK: strangers

    /// Anybody can make keys without end, and sign an enrolment with each.
    @Test func enrolmentsOfAnyNumberOfKeysAreRememberedUpToACap() throws {
        for number in 0..<520 {
            try world.lay(
                world.manifest(.enrol, from: "stranger", seq: Int64(number + 1)), as: "e\(number).tar",
                key: SigningKey.generate())
        }
        try run { _ in .rejected("the desk is full") }
        try opened(world.server, at: start.adding(seconds: 60)).cleanUp()
        let ledger = try content(world.server.root.appending("mailbox").appending("ledger.json"))
        #expect(String(decoding: ledger, as: UTF8.self).matches(of: /"enrol"/).count == 500)
    }

    @Test func aStrangerAccusesNobody() throws {
        let key = SigningKey.generate()
        for number in 1...3 {
            try world.lay(
                world.manifest(.enrol), as: "e\(number).tar", key: key, payload: Array("{\"x\":\(number)}\n".utf8))
            let received = try run().received
            #expect(received.alarms.isEmpty)
            #expect(received.refusals.map(\.reason) == (number == 1 ? [] : [.equivocation]))
        }
    }

    @Test func nobodyEnrolsUnderTheServersName() throws {
        try world.lay(world.manifest(.enrol, from: "ministry"), as: "e.tar", key: SigningKey.generate())
        #expect(try run().received.refusals.map(\.reason) == [.wrongSender])
    }

    @Test func nothingIsRememberedForCenturies() throws {
        var manifest = world.manifest()
        manifest.expires = start.adding(days: 1462)
        try world.lay(manifest, as: "r.tar")
        #expect(try run().received.refusals.map(\.reason) == [.expiresTooLate])
        manifest.expires = start.adding(days: 1461)
        try world.lay(manifest, as: "r.tar")
        #expect(try run().received.deliveries.count == 1)
    }

    // MARK: room

    @Test func onlyBundlesWithAModelAreLarge() throws {
        let payload = [UInt8](repeating: 0, count: 17 << 20)
        try world.lay(
            world.manifest(.enrol, from: "hospital-c"), as: "e.tar", key: SigningKey.generate(), payload: payload)
        try world.lay(world.manifest(.receipt, seq: 1), as: "r.tar", payload: payload)
        try world.lay(world.manifest(.receipt, seq: 2), as: "s.tar", key: SigningKey.generate(), payload: payload)
        try world.lay(world.manifest(.update, seq: 3, session: session("1"), round: 1), as: "u.tar", payload: payload)
        let received = try run().received
        #expect(received.refusals.map(\.reason) == [.tooLarge, .tooLarge, .tooLarge])
        #expect(received.deliveries.map(\.manifest.kind) == [.update] && received.held.isEmpty)
    }

    /// A sparse file takes no room where it lies and all of it where it is copied to.
    @Test func aFileForWhichThereIsNoRoomDoesNotKeepOthersWaiting() throws {
        let junk = [UInt8](repeating: 7, count: 8 << 20)
        for name in ["aa.tar", "zz.tar"] { try QuickFileSystem().writeFile(world.server.inbox.appending(name), junk) }
        try world.lay(world.manifest(), as: "good.tar")
        let tight = try Home.open(world.server.root, files: TightFileSystem(available: 40 << 20))
        let first = try run(tight)
        #expect(first.received.deliveries.count == 1 && first.received.refusals.isEmpty)
        #expect(first.problems.count == 2, "\(first.problems)")
        #expect(first.problems.allSatisfy { $0.contains("for which this disk has no room") })
        #expect(try names(world.server.inbox) == ["aa.tar", "zz.tar"])
        #expect(try run(tight, at: 60).problems.isEmpty)
        // With room to copy them, but not to keep them.
        let wider = try Home.open(world.server.root, files: TightFileSystem(available: 74 << 20))
        try write("junk that is no bundle", world.server.inbox.appending("small.tar"))
        try QuickFileSystem().writeFile(world.server.inbox.appending("bb.tar"), [UInt8](repeating: 7, count: 20 << 20))
        for seconds in [120, 180, 240] as [Int64] { try run(wider, at: seconds) }
        #expect(try names(world.server.inbox) == ["bb.tar"])
        #expect(try names(world.server.quarantine).contains { $0.hasPrefix("small-") })
    }

    @Test func aFloodInAFlatExchangeDoesNotKeepOthersOut() throws {
        let root = world.root.appending("exchange")
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        for number in 0..<1200 { try write("junk \(number)", root.appending("inbox").appending("\(number).tar")) }
        try world.lay(world.manifest(), as: "good.tar", in: root.appending("inbox"))
        var copied: [String] = []
        for minute in 0..<6 where copied.isEmpty {
            let mailbox = try opened(world.server, at: start.adding(seconds: Int64(minute) * 61))
            copied = try mailbox.collect(from: try Exchange.detect(root, home: world.server)).copied
        }
        #expect(copied.count == 1)
    }
}

/// A disk on which so much is left.
private struct TightFileSystem: ForwardingFileSystem {
    let available: Int64
    let base: any FileSystem = QuickFileSystem()

    init(available: Int64) { self.available = available }

    func volume(of path: FilePath) throws(FileError) -> Volume? {
        Volume(type: "ext4", mountPoint: "/", isReadOnly: false, available: available)
    }
}

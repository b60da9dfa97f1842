import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What a home remembers, keeps and reads of others has bounds of each party's own: who uses his up harms himself.
@Suite struct BoundsTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    @discardableResult
    private func run(
        _ home: Home? = nil, at seconds: Int64 = 0, _ verdict: (VerifiedDelivery) -> Verdict = { _ in .accepted }
    ) throws -> (received: Received, problems: [String]) {
        try world.run(home ?? world.server, at: seconds, verdict)
    }

    private var ledgerPath: FilePath { world.server.root.appending("mailbox").appending("ledger.json") }

    // MARK: what is remembered

    @Test func whoMakesThingsUpKeepsNobodyElseFromBeingHeard() throws {
        func send(_ number: Int64) throws -> Int64 {
            try opened(world.server).send(
                key: "decision/\(number)", kind: .decision, to: [name("hospital-b")],
                payload: [.bytes(name: "decision.json", Array("{}\n".utf8))]
            ).seq
        }
        func digest(_ text: String) -> Digest { SHA256Hash.digest(of: Array(text.utf8)) }
        try world.lay(world.manifest(.receipt, acks: (0..<1500).map { digest("\($0)") }), as: "a.tar")
        #expect(try run().problems.count == 1)
        let remembered = String(decoding: try content(ledgerPath), as: UTF8.self)
        #expect((0..<1500).count { remembered.contains(digest("\($0)").hex) } == 1000)
        #expect(try send(1) == 1001)
        try world.lay(
            world.manifest(.receipt, from: "hospital-b", acks: [digest("true")]), as: "b.tar",
            key: world.key(of: world.hospitalB))
        #expect(try run().problems.count == 1)
        #expect(try send(2) == 2002)
    }

    @Test func contradictionsAreKeptUpToACapOfEachSession() throws {
        for number in 0..<12 {
            try world.lay(
                world.manifest(.update, session: session("1"), round: 1), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
        }
        var received = try run().received
        #expect(received.deliveries.count == 1 && received.alarms.count == 8)
        #expect(received.refusals.map(\.reason) == Array(repeating: .equivocation, count: 11))
        // Another session's are noticed all the same.
        for number in 0..<2 {
            try world.lay(
                world.manifest(.update, session: session("2"), round: 1), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
        }
        received = try run().received
        #expect(received.alarms.map(\.session) == [session("2")])
    }

    @Test func aKeyThatHasSentTooMuchWaitsUntilSomeOfItIsForgotten() throws {
        try world.lay(world.manifest(.receipt, seq: 1), as: "first.tar")
        try run()
        let ledger = String(decoding: try content(ledgerPath), as: UTF8.self)
        let record = try #require(ledger.firstMatch(of: /\{[^{}]*"kind":\s*"receipt"[^{}]*\}/))
        let id = try #require(record.output.firstMatch(of: /"id":\s*"([0-9a-f]{64})"/)?.output.1)
        let others = (0..<4999).map { number in
            let other = SHA256Hash.digest(of: Array("\(number)".utf8))
            return String(record.output).replacing(id, with: other.hex)
        }
        try write(
            ledger.replacing(record.output, with: ([String(record.output)] + others).joined(separator: ",")), ledgerPath
        )
        try world.lay(world.manifest(.receipt, seq: 2), as: "second.tar")
        try world.lay(
            world.manifest(.receipt, from: "hospital-b"), as: "other.tar", key: world.key(of: world.hospitalB))
        let received = try run().received
        #expect(received.refusals.map(\.reason) == [.tooMany])
        #expect(received.deliveries.map(\.sender) == [name("hospital-b")])
        // 60 days after the receipts' expiry.
        let later: Int64 = (90 + 61) * 86_400
        var manifest = world.manifest(.receipt, seq: 2)
        (manifest.created, manifest.expires) = (start.adding(seconds: later), start.adding(days: 200))
        try world.lay(manifest, as: "second.tar")
        do {
            let mailbox = try opened(world.server, at: start.adding(seconds: later))
            #expect(try mailbox.receive().refusals.map(\.reason) == [.tooMany])
            try mailbox.cleanUp()
        }
        manifest.seq = 3
        try world.lay(manifest, as: "third.tar")
        #expect(try run(at: later).received.deliveries.count == 1)
    }

    /// Before it was known who said so, they were a list of digests.
    @Test func anEarlierVersionsLedgerIsRead() throws {
        try run()
        try world.lay(world.manifest(), as: "r.tar")
        try run()
        let ledger = String(decoding: try content(ledgerPath), as: UTF8.self)
        let old = ledger.replacing(/"settled":\s*\[\],\s*/, with: "").replacing(
            /"unknown_acks":\s*\[\]/, with: "\"unknown_acks\":[\"\(String(repeating: "ab", count: 32))\"]")
        #expect(old.contains("abab"))
        try write(old, ledgerPath)
        try world.lay(world.manifest(seq: 2), as: "r.tar")
        #expect(try run().received.deliveries.count == 1)
    }

    /// The ninth rival and those after it are not recorded, and lie in their sender's outbox still.
    @Test func whatAPersonSettledRaisesNoAlarmAgain() throws {
        func carry() throws -> Received {
            for number in 0..<20 {
                try world.lay(
                    world.manifest(.update, session: session("1"), round: 1), as: "\(number).tar",
                    payload: Array("\(number)\n".utf8))
            }
            return try run().received
        }
        #expect(try carry().alarms.count == 8)
        try opened(world.server).forgetEquivocations(of: name("hospital-a"), session: session("1"))
        #expect(try carry().alarms.isEmpty)
        // What is contradicted later is another matter.
        for number in 0..<2 {
            try world.lay(
                world.manifest(.update, seq: 2, session: session("1"), round: 1), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
        }
        #expect(try run(at: 60).received.alarms.count == 1)
        // Whatever its number: a high one that was settled covers no lower one that was not there then.
        try opened(world.server, at: start.adding(seconds: 120)).forgetEquivocations(
            of: name("hospital-a"), session: session("2"))
        try world.lay(world.manifest(.update, seq: 900, session: session("2"), round: 1), as: "high.tar")
        try run(at: 120)
        for number in 0..<2 {
            try world.lay(
                world.manifest(.update, seq: 5, session: session("2"), round: 1), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
        }
        #expect(try run(at: 180).received.alarms.map(\.seq) == [5])
    }

    /// Anybody can write a name into an enrolment.
    @Test func aKeyAccusesNobodyElse() throws {
        for number in 0..<2 {
            try world.lay(
                world.manifest(.enrol, from: "hospital-b", seq: 7), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
        }
        for number in 0..<20 {
            try world.lay(world.manifest(.enrol, from: "nobody-\(number)", seq: 7), as: "n\(number).tar")
        }
        let received = try run().received
        #expect(received.alarms.isEmpty && received.deliveries.count == 1)
        #expect(received.refusals.map(\.reason) == [RefusalReason](repeating: .equivocation, count: 21))
        let fingerprint = try world.key(of: world.hospitalA).publicKey.fingerprint
        #expect(received.refusals.allSatisfy { $0.detail.contains(fingerprint) })
    }

    /// What was contradicted is remembered as long as the contradiction, however much of the sender's is refused after it.
    @Test func aPartyDoesNotPushOutItsOwnContradiction() throws {
        for number in 0..<2 {
            try world.lay(
                world.manifest(.update, session: session("1"), round: 1), as: "\(number).tar",
                payload: Array("\(number)\n".utf8))
            try run(at: Int64(number)) { _ in .rejected("wrong base") }
        }
        for number in 2..<600 {
            try world.lay(
                world.manifest(.update, seq: Int64(number), session: session("1"), round: 1), as: "\(number).tar")
        }
        try run(at: 60) { _ in .rejected("wrong base") }
        try opened(world.server, at: start.adding(seconds: 60)).cleanUp()
        #expect(try opened(world.server).equivocations.count == 1)
    }

    // MARK: what is kept

    @Test func earlyBundlesOfOnePartyTakeSoMuchRoom() throws {
        let home = try Home.open(world.server.root, files: LargeHeldFiles())
        for number in 1...2 {
            try world.lay(
                world.manifest(.update, seq: Int64(number), session: session("1"), round: 1), as: "\(number).tar")
        }
        try run(home) { _ in .held("early") }
        #expect(try names(home.root.appending("mailbox").appending("held")).count == 1)
        #expect(try names(home.quarantine).contains { $0.hasPrefix("2-") || $0.hasPrefix("1-") })
    }

    @Test func aFloodDoesNotPushOutWhatShowsAContradiction() throws {
        for number in 0..<2 {
            try world.lay(
                world.manifest(.update, session: session("1"), round: 1), as: "contradiction.tar",
                payload: Array("\(number)\n".utf8))
            try run()
        }
        let evidence = try names(world.server.quarantine)
        #expect(evidence.count == 2)
        for number in 0..<2100 { try write("\(number)", world.server.quarantine.appending("junk-\(number).tar")) }
        try run()
        let left = try names(world.server.quarantine)
        #expect(Set(evidence).isSubset(of: left) && left.count == 2000)
    }

    @Test func onePartysContradictionsLeaveRoomForAnothers() throws {
        for (hospital, home, count) in [("hospital-a", world.hospitalA, 20), ("hospital-b", world.hospitalB, 1)] {
            for session in 0..<count {
                let id = try #require(
                    RandomID(hex: SHA256Hash.digest(of: Array("\(session)".utf8)).hex.prefix(32).description))
                for number in 0..<2 {
                    try world.lay(
                        world.manifest(.update, from: hospital, session: id, round: 1),
                        as: "\(hospital)_\(session)_\(number).tar", key: world.key(of: home),
                        payload: Array("\(number)\n".utf8))
                }
            }
        }
        try run()
        for number in 0..<2100 { try write("\(number)", world.server.quarantine.appending("junk-\(number).tar")) }
        try run()
        let left = try names(world.server.quarantine).filter { $0.hasSuffix(".tar") }
        #expect(left.count { $0.hasPrefix("hospital-a") } == 16)
        #expect(left.count { $0.hasPrefix("hospital-b") } == 1)
    }

    // MARK: what is read

    @Test func whatCannotBeABundleIsCopiedOnce() throws {
        let operations = Operations()
        let home = try Home.open(world.server.root, files: CountingFileSystem(operations: operations))
        try QuickFileSystem().writeFile(home.inbox.appending("film.mp4"), [UInt8](repeating: 7, count: 2 << 20))
        for seconds in [0, 30, 60, 90] as [Int64] { try run(home, at: seconds) }
        #expect(operations.count("create", below: "mailbox/spool") == 1)
        #expect(try names(home.inbox).isEmpty && names(home.quarantine).contains { $0.hasPrefix("film_mp4-") })
    }

    /// A hole costs its maker nothing, whatever its size; it may also be a file that is filled in no order.
    @Test func zerosAreNeitherCopiedNorPutAway() throws {
        let operations = Operations()
        let home = try Home.open(world.server.root, files: CountingFileSystem(operations: operations))
        let zeros = [UInt8](repeating: 0, count: 2 << 20)
        try QuickFileSystem().writeFile(home.inbox.appending("hole.tar"), zeros)
        var problems: [String] = []
        for seconds in [0, 60, 120] as [Int64] { problems += try run(home, at: seconds).problems }
        #expect(operations.count("create", below: "mailbox/spool") == 0)
        #expect(problems.count == 1 && problems.first?.contains("zeros") == true, "\(problems)")
        #expect(try names(home.inbox) == ["hole.tar"] && names(home.quarantine).isEmpty)
    }

    /// Its first block is there already; what follows is still being written.
    @Test func whatIsStillWrittenToIsNotPutAway() throws {
        let path = world.server.inbox.appending("film.mp4")
        for seconds in [0, 60, 120] as [Int64] {
            try QuickFileSystem().writeFile(path, [UInt8](repeating: 7, count: 2 << 20) + [UInt8(seconds / 60)])
            try run(at: seconds)
        }
        #expect(try names(world.server.inbox) == ["film.mp4"] && names(world.server.quarantine).isEmpty)
    }

    /// It begins as a bundle does, so that only the whole of it shows that it is none.
    @Test func whatIsLeftWhereItLiesIsNotReadAgain() throws {
        let path = world.server.inbox.appending("torn.tar")
        try world.lay(
            world.manifest(.update, session: session("1"), round: 1), as: "torn.tar",
            payload: [UInt8](repeating: 0, count: 20 << 20))
        let whole = try QuickFileSystem().readFile(path, limit: 1 << 26)
        try QuickFileSystem().writeFile(path, Array(whole.dropLast(1024)))
        let operations = Operations()
        let home = try Home.open(
            world.server.root, files: CountingFileSystem(operations: operations, available: 74 << 20))
        for seconds in [0, 60] as [Int64] { try run(home, at: seconds) }
        operations.clear()
        #expect(try run(home, at: 120).problems.isEmpty)
        #expect(operations.count("open", below: "inbox") == 0)
        // But once a day, since size and time prove nothing.
        try run(home, at: 60 + 86_400)
        #expect(operations.count("open", below: "inbox") > 0)
        // Complete at last, it is taken.
        try QuickFileSystem().writeFile(path, whole)
        #expect(try run(home, at: 86_600).received.deliveries.count == 1)
    }

    @Test func strangeBundlesInTheOutboxAreOpenedAFewAtATime() throws {
        for number in 0..<100 {
            try write("junk \(number)", world.server.outbox.appending("\(number).tar"))
        }
        let operations = Operations()
        let home = try Home.open(world.server.root, files: CountingFileSystem(operations: operations))
        try opened(home).publishPending()
        let opened = operations.count("open", below: "outbox")
        #expect(opened > 0 && opened <= 2 * 32)
    }

    /// Somebody lays another file at the same place while the first is copied.
    @Test func anExchangeLosesNoFileThatCameMeanwhile() throws {
        let root = world.root.appending("exchange")
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        let path = root.appending("inbox").appending("request.tar")
        try world.lay(world.manifest(), as: "request.tar", in: root.appending("inbox"))
        let operations = Operations()
        operations.whenRenamed = { try? write("another file", path) }
        let home = try Home.open(world.server.root, files: CountingFileSystem(operations: operations))
        let mailbox = try opened(home)
        let summary = try mailbox.collect(from: try Exchange.detect(root, home: home))
        #expect(summary.copied.count == 1 && summary.removed.isEmpty)
        #expect(try content(path) == Array("another file".utf8))
    }
}

private final class Operations: @unchecked Sendable {
    private var done: [(operation: String, path: FilePath)] = []
    var whenRenamed: () -> Void = {}

    func note(_ operation: String, _ path: FilePath) {
        done.append((operation, path))
        if operation == "rename" { whenRenamed() }
    }

    func count(_ operation: String, below folder: String) -> Int {
        done.count { $0.operation == operation && $0.path.removingLastComponent().string.hasSuffix("/" + folder) }
    }

    func clear() { done = [] }
}

private struct CountingFileSystem: ForwardingFileSystem {
    let operations: Operations
    var available: Int64 = 1 << 40
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) { operations.note(operation, path) }

    func volume(of path: FilePath) throws(FileError) -> Volume? {
        Volume(type: "ext4", mountPoint: "/", isReadOnly: false, available: available)
    }
}

/// Every bundle that is held has nine GiB.
private struct LargeHeldFiles: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()

    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        guard let status = try base.status(path), status.kind == .regular,
            path.removingLastComponent().lastComponent?.string == "held"
        else { return try base.status(path) }
        return FileStatus(
            kind: status.kind, size: 9 << 30, permissions: status.permissions, owner: status.owner,
            modified: status.modified, device: status.device, inode: status.inode)
    }
}

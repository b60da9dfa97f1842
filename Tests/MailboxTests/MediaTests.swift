import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Reading a medium back, parts on it, and media that do not answer.
@Suite struct MediaTests {
    let world: TestFederation

    init() throws {
        world = try TestFederation()
        try QuickFileSystem().makeDirectories(stick)
    }

    private var stick: FilePath { world.root.appending("stick") }

    /// A bundle for hospital-a on the stick: its path below the root.
    private func delivered(_ key: String = "decision/a") throws -> FilePath {
        let mailbox = try opened(world.server)
        let record = try mailbox.send(
            key: key, kind: .decision, to: [name("hospital-a")],
            payload: [.bytes(name: "decision.json", Array("{}\n".utf8))])
        let exchange = try Exchange.detect(stick, home: world.server)
        #expect(try mailbox.deliver(to: exchange, byHand: true).copied == [record.name])
        return FilePath("hospital-a/outbox/\(record.name)")
    }

    private func verify(_ root: FilePath? = nil, only: PartyName? = nil) throws -> MediaReport {
        let mailbox = try opened(world.server, at: start.adding(seconds: 60))
        return try mailbox.verifyMedia(try Exchange.detect(root ?? stick, home: world.server), only: only)
    }

    private func verdicts(_ report: MediaReport) -> [FilePath: MediaReport.Verdict] {
        Dictionary(report.items.map { ($0.path, $0.verdict) }, uniquingKeysWith: { first, _ in first })
    }

    @Test func whatWasDeliveredIsIntactAlsoAtAnotherMountPoint() throws {
        let path = try delivered()
        #expect(try verdicts(verify()) == [path: .intact])
        let elsewhere = world.root.appending("media").appending("usb")
        try QuickFileSystem().makeDirectories(elsewhere.removingLastComponent())
        try QuickFileSystem().move(from: stick, to: elsewhere)
        #expect(try verdicts(verify(elsewhere)) == [path: .intact])
    }

    @Test func eachKindOfTroubleIsNamed() throws {
        let (first, second, third) = (try delivered("a"), try delivered("b"), try delivered("c"))
        let files = QuickFileSystem()
        var bytes = try content(stick.pushing(first))
        bytes[700] ^= 1
        try files.writeFile(stick.pushing(first), bytes)
        try files.remove(stick.pushing(second))
        try write("x", stick.appending("hospital-a/outbox/holiday.jpg"))
        try write("x", stick.appending("hospital-a/inbox/.u.tar.0123456789abcdef.part"))
        try write("x", stick.appending("hospital-a/outbox/.hidden"))
        let report = try verify()
        #expect(
            verdicts(report) == [
                first: .damaged, second: .missing, third: .intact, "hospital-a/outbox/holiday.jpg": .foreign,
                "hospital-a/inbox/.u.tar.0123456789abcdef.part": .unfinished,
            ])
        #expect(!report.isGood)
        #expect(report.items.first { $0.path == second }?.detail.contains("taken by the other side, or lost") == true)
        try files.writeFile(stick.pushing(first), Array(bytes.dropLast()))
        #expect(try verify().items.first { $0.path == first }?.detail.contains("bytes instead of") == true)
    }

    /// The digest that was written down counts, not the home's own copy.
    @Test func aCopyThatRottedInTheHomeDoesNotHideTheDamage() throws {
        let path = try delivered()
        let bytes = Array("rotten".utf8)
        for entry in try QuickFileSystem().list(world.server.root.appending("mailbox/outgoing")) {
            try QuickFileSystem().writeFile(
                world.server.root.appending("mailbox/outgoing").appending(entry.component), bytes)
        }
        try QuickFileSystem().writeFile(stick.pushing(path), bytes)
        #expect(try verdicts(verify()) == [path: .damaged])
    }

    @Test func whatIsNoLongerDueIsNotMissed() throws {
        let path = try delivered()
        try opened(world.server).withdraw { _ in true }
        #expect(try verdicts(verify()) == [path: .intact])
        try QuickFileSystem().remove(stick.pushing(path))
        let report = try verify()
        #expect(report.items.isEmpty && report.isGood)
    }

    @Test func onlyOneClientsFoldersAreLookedAtOnDemand() throws {
        _ = try delivered()
        #expect(try verify(only: name("hospital-b")).items.isEmpty)
        #expect(try verify(only: name("hospital-a")).items.count == 1)
    }

    @Test func lookingChangesNothing() throws {
        _ = try delivered()
        let before = try tree(world.root)
        _ = try verify()
        #expect(try tree(world.root) == before)
    }

    // MARK: parts

    /// Parts are said to be parts, once, the first three of a folder by name, and do not go into quarantine.
    @Test func partsAreToldAndLeftAlone() throws {
        try world.lay(world.manifest(), as: "request.tar")
        let folder = stick.appending("hospital-a/inbox")
        try QuickFileSystem().makeDirectories(folder)
        for target in [world.server.inbox, folder] {
            _ = try FileSplitter.split(
                world.server.inbox.appending("request.tar"), into: target, partSize: 1536, files: QuickFileSystem())
        }
        try QuickFileSystem().remove(world.server.inbox.appending("request.tar"))
        for seconds in [0, 600, 1200] as [Int64] {
            let mailbox = try opened(world.server, at: start.adding(seconds: seconds))
            let summary = try mailbox.collect(from: try Exchange.detect(stick, home: world.server))
            #expect(try mailbox.receive().refusals.isEmpty)
            let told = summary.problems + mailbox.problems
            #expect(told.count { $0.contains("of request.tar: 'consilium bundle join") } == (seconds == 0 ? 6 : 0))
            let others = told.filter { $0.contains("more file") && $0.contains("part") }
            #expect(others.count == (seconds == 0 ? 2 : 0) && told.count == others.count + (seconds == 0 ? 6 : 0))
        }
        #expect(try names(world.server.quarantine).isEmpty)
        _ = try FileJoiner.join([world.server.inbox], files: QuickFileSystem())
        #expect(try opened(world.server, at: start.adding(seconds: 1800)).receive().deliveries.count == 1)
    }

    // MARK: media that do not answer

    /// What one run over the exchange tells. Its patience is such that a busy machine does not wear it out; and without the
    /// share's lock, of which a tool that another test starts holds a copy for a moment.
    private func run(
        _ files: any FileSystem, at seconds: Int64, patience: Int64 = 60, locking: Bool = false
    ) throws -> (told: [String], isBusy: Bool) {
        let home = try Home.open(world.server.root, files: files)
            .watchingShares(exchange: stick, patience: patience, locking: locking)
        let mailbox = try opened(home, at: start.adding(seconds: seconds))
        var told = try mailbox.useExchange(at: stick) { try mailbox.collect(from: $0) }
        told += try mailbox.useExchange(at: stick) { try mailbox.deliver(to: $0, byHand: true) }
        return (told + mailbox.problems, told.contains { $0.contains("busy") })
    }

    /// The run goes on, and says it once: also when the folder's state is answered from memory and only a listing hangs.
    @Test(arguments: [true, false])
    func aShareThatHangsIsToldOnceAndUsedAgainWhenItAnswers(fromTheStart: Bool) throws {
        _ = try opened(world.server).send(
            key: "decision/a", kind: .decision, to: [name("hospital-a")],
            payload: [.bytes(name: "decision.json", Array("{}\n".utf8))])
        let silent = SilentFileSystem(folder: stick, answersStatus: !fromTheStart)
        let first = try run(silent, at: 0).told
        #expect(first.count == 1 && first.first?.contains("cannot reach \(stick)") == true, "\(first)")
        #expect(try run(silent, at: 60).told == [])
        #expect(try run(silent, at: 120).told == [])
        #expect(try run(QuickFileSystem(), at: 180).told == [])
        #expect(try names(stick.appending("hospital-a/outbox")).count == 1)
        let again = try run(silent, at: 240).told
        #expect(again == first, "\(again) instead of \(first)")
    }

    /// With real patience: one second, then the run goes on with what is local.
    @Test func aRunIsNotHeldByAShareThatBlocks() throws {
        let blocking = BlockingFileSystem(folder: stick)
        blocking.block()
        let before = ContinuousClock.now
        let told = try run(blocking, at: 0, patience: 1, locking: true).told
        #expect(told.count == 1 && told.first?.contains("no answer in 1 s") == true, "\(told)")
        #expect(ContinuousClock.now - before < .seconds(20))
        #expect(blocking.held == 1 && blocking.calls == 1)
        // The next run does not touch it while the first one's call still hangs.
        let next = try run(blocking, at: 60, patience: 1, locking: true).told
        #expect(next.count == 1 && next.first?.contains("an earlier run still hangs in it") == true, "\(next)")
        #expect(try run(blocking, at: 120, patience: 1, locking: true).told == [])
        #expect(blocking.calls == 1)
        blocking.letGo()
    }
}

/// Answers on a share as a guard does whose patience has ended.
private struct SilentFileSystem: ForwardingFileSystem {
    let folder: FilePath
    /// Whether what is in the system's memory is still told.
    let answersStatus: Bool
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        guard path.starts(with: folder), !(answersStatus && operation == "look at") else { return }
        throw .unreachable(folder, .timedOut, hint: "no answer")
    }
}

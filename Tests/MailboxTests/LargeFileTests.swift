import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Large files cost their maker nothing and our disk what they say. Rules: 1. what somebody known has signed comes first and is
/// held back by nobody's junk; 2. all else shares a budget, in folders of unknown parties too; 3. nothing is fetched or kept
/// for which there would be no room; 4. of what is left where it is, a person is told once, in few lines.
@Suite struct LargeFileTests {
    private let world: TestFederation
    private var root: FilePath { world.root.appending("exchange") }
    private var server: Home { world.server }

    init() throws { world = try TestFederation() }

    private func run(_ home: Home, at seconds: Int64 = 0) throws -> (received: Received, problems: [String]) {
        try world.run(home, at: seconds) { _ in .accepted }
    }

    private func collect(
        _ home: Home? = nil, at seconds: Int64 = 0
    ) throws -> (summary: ExchangeSummary, problems: [String]) {
        let mailbox = try opened(home ?? server, at: start.adding(seconds: seconds))
        let exchange = try Exchange.detect(root, home: mailbox.home)
        return (try mailbox.collect(from: exchange), mailbox.problems)
    }

    private func folder(_ party: String) throws -> FilePath {
        let folder = root.appending(party).appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        return folder
    }

    @discardableResult
    private func layLarge(
        _ number: Int64 = 1, in folder: FilePath? = nil, key: SigningKey? = nil, megabytes: Int = 2,
        federation: RandomID? = nil
    ) throws -> Manifest {
        var manifest = world.manifest(.update, seq: number, session: session("1"), round: 1)
        if let federation { manifest.federation = federation }
        return try world.lay(
            manifest, as: "update-\(number).tar", in: folder, key: key,
            payload: [UInt8](repeating: 0, count: megabytes << 20))
    }

    private func layHole(_ name: String, in folder: FilePath, bytes: Int) throws {
        let path = folder.appending(name)
        try write("", path)
        #expect(truncate(path.string, bytes) == 0)
    }

    private func layFilm(_ name: String, in folder: FilePath) throws {
        try QuickFileSystem().writeFile(folder.appending(name), [UInt8](repeating: 7, count: 2 << 20))
    }

    // MARK: who comes first

    @Test(arguments: [false, true])
    func whatSomebodyKnownSignedIsNotKeptBackByJunk(isEncrypted: Bool) throws {
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 30))
        for number in 0..<5 { try layFilm("film-\(number).mp4", in: home.inbox) }
        #expect(try run(home).received.settling == 5)
        try layLarge()
        if isEncrypted { try world.seal(home.inbox.appending("update-1.tar"), to: [server]) }
        let received = try run(home, at: 60).received
        #expect(received.deliveries.count == 1 && received.remaining == 4)
    }

    @Test func ofWhatHasWaitedInSeveralRunsAPersonIsToldOnce() throws {
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 30))
        for number in 0..<5 { try layFilm("film-\(number).mp4", in: home.inbox) }
        var told: [[String]] = []
        for minute in 0..<5 { told.append(try run(home, at: Int64(minute) * 60).problems) }
        // The budget is for one of them in each run, the first of which finds out that they are none.
        #expect(told.map(\.count) == [0, 0, 0, 2, 0], "\(told)")
        #expect(told[3].allSatisfy { $0.contains("has waited in 3 runs") })
    }

    @Test func whoeverMakesFoldersHasNoMoreBudget() throws {
        let copies = Copies()
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 30, copies: copies))
        for party in ["hospital-a", "nobody-1", "nobody-2", "nobody-3"] {
            let folder = try folder(party)
            for number in 0..<2 { try layFilm("film-\(number).mp4", in: folder) }
        }
        _ = try collect(home)
        #expect(copies.count == 0)
        _ = try collect(home, at: 60)
        #expect(copies.count == 2, "one of the hospital's, one of all others'")
    }

    /// Whoever carries a bundle can lay its beginning down again, with holes behind it.
    @Test func oneManifestIsBelievedOnceInARun() throws {
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 30))
        try layLarge()
        let whole = try QuickFileSystem().readFile(home.inbox.appending("update-1.tar"), limit: 1 << 26)
        var changed = whole
        changed[changed.count - 2000] = 1
        for number in 2..<6 { try QuickFileSystem().writeFile(home.inbox.appending("\(number).tar"), changed) }
        let received = try run(home).received
        // The true one is that, or one with a hole, for which the budget is spent.
        #expect(received.remaining == (received.deliveries.isEmpty ? 4 : 3))
    }

    /// Whoever has a key signs as many beginnings as he likes, and holes cost him nothing.
    @Test(arguments: [false, true])
    func whoDisappointsOnceIsBelievedNoMoreInThatRun(isInExchange: Bool) throws {
        let copies = Copies()
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 30, copies: copies))
        let folder = isInExchange ? try folder("hospital-a") : home.inbox
        for number in 1...6 {
            try layLarge(Int64(number), in: folder)
            let path = folder.appending("update-\(number).tar")
            var damaged = try QuickFileSystem().readFile(path, limit: 1 << 26)
            damaged[damaged.count - 2000] = 1
            try QuickFileSystem().writeFile(path, damaged)
        }
        if isInExchange { _ = try collect(home) } else { _ = try run(home) }
        #expect(copies.count <= 2, "one that is believed, one of the budget: \(copies.count)")
    }

    // MARK: room

    @Test func whatIsRefusedAndTooLargeForQuarantineLeavesANote() throws {
        let home = try Home.open(server.root, files: SizedFiles(available: 100 << 20))
        try layLarge(megabytes: 30, federation: session("e"))
        let received = try run(home).received
        #expect(received.refusals.map(\.reason) == [.wrongFederation])
        let kept = try names(home.quarantine)
        #expect(kept.count == 1 && kept.allSatisfy { $0.hasSuffix(".reason.txt") }, "\(kept)")
        let note = String(decoding: try content(home.quarantine.appending(kept.first ?? "")), as: UTF8.self)
        #expect(note.contains("kept: no"))
        #expect(try names(home.inbox).isEmpty && names(home.root.appending("mailbox/spool")).isEmpty)
    }

    @Test func quarantineKeepsItsBoundsWhileARunFillsIt() throws {
        let home = try Home.open(server.root, files: SizedFiles(available: 100 << 20))
        for number in 1...4 { try layLarge(Int64(number), megabytes: 20, federation: session("e")) }
        #expect(try run(home).received.refusals.count == 4)
        #expect(try names(home.quarantine).count { $0.hasSuffix(".tar") } == 1)
    }

    @Test func whatWouldNotBeTakenIsNotFetched() throws {
        let folder = try folder("hospital-a")
        let key = SigningKey.generate()
        for number in 1...6 { try layLarge(Int64(number), in: folder, key: key, federation: session("e")) }
        let first = try collect()
        #expect(first.summary.copied.isEmpty && first.summary.problems.count == 4, "\(first.summary.problems)")
        #expect(first.summary.problems.last?.contains("3 more large files") == true, "\(first.summary.problems)")
        #expect(try names(server.inbox).isEmpty && names(server.quarantine).isEmpty)
        let log = OpenLog()
        let watched = try Home.open(server.root, files: WatchingFileSystem(log: log))
        #expect(try collect(watched, at: 60).summary.problems.isEmpty)
        #expect(!log.paths.contains { $0.hasPrefix(folder.string) }, "looked at once a day, unless others are believed")
    }

    /// A film, a part that somebody forgot, a hole of four terabytes.
    @Test(arguments: ["no room", "set aside"])
    func whatIsNeverCopiedFromTheInboxKeepsNothingOutOfIt(what: String) throws {
        let home = try Home.open(server.root, files: SizedFiles(available: 200 << 20))
        try layHole("film", in: server.inbox, bytes: what == "no room" ? 4 << 40 : 80 << 20)
        if what == "set aside" { for time in [0, 60, 120] { _ = try run(home, at: Int64(time)) } }
        let folder = try folder("hospital-a")
        try layLarge(1, in: folder, megabytes: 20)
        let summary = try collect(home, at: 180).summary
        #expect(summary.copied.count == 1, "\(summary)")
    }

    /// It waits here for its enrolment as a small one does, which the courier need not carry twice; so many of one key.
    @Test func aStrangersLargeBundleWaitsHereForItsEnrolment() throws {
        let folder = try folder("hospital-a")
        let key = SigningKey.generate()
        for number in 1...3 { try layLarge(Int64(number), in: folder, key: key) }
        #expect(try collect().summary.copied.count == 3)
        #expect(try run(server).received.held.count == 3)
        for number in 4...18 { try layLarge(Int64(number), in: folder, key: key) }
        _ = try collect(at: 60)
        #expect(try run(server, at: 60).received.held.count == 13)
        #expect(try names(server.quarantine).isEmpty)
        try layLarge(19, in: folder, key: key)
        let full = try collect(at: 120).summary
        #expect(full.copied.isEmpty && full.problems.contains { $0.contains("16 bundles of this unknown key wait") })
    }

    /// Anybody can lay down a beginning with a hole behind it, which is as large as everything that may wait.
    @Test func aBeginningAloneTakesNoStrangersPlace() throws {
        let home = try Home.open(server.root, files: SizedFiles(large: 3 << 29))
        let folder = try folder("hospital-a")
        try layLarge(1, in: folder, key: SigningKey.generate())
        var hollow = try QuickFileSystem().readFile(folder.appending("update-1.tar"), limit: 1 << 26)
        hollow[hollow.count - 2000] = 1
        try QuickFileSystem().writeFile(folder.appending("update-1.tar"), hollow)
        try layLarge(2, in: folder, key: SigningKey.generate())
        let summary = try collect(home).summary
        #expect(summary.copied.count == 1 && summary.problems.isEmpty, "\(summary)")
    }

    /// Where the inbox itself is what others fill: they leave half of the disk, and a message always finds its place.
    @Test func strangersBundlesInTheInboxLeaveRoomOnTheDisk() throws {
        let home = try Home.open(server.root, files: SizedFiles(available: 100 << 20))
        for number in 1...2 {
            try layLarge(Int64(number), in: server.inbox, key: SigningKey.generate(), megabytes: 30)
        }
        try world.lay(world.manifest(), as: "request.tar", key: SigningKey.generate())
        let received = try run(home).received
        #expect(received.held.count == 2 && received.refusals.map(\.reason) == [.heldTooMany])
        #expect(received.held.contains { $0.kind == .request })
    }

    /// What a known key signed is refused on record, and its exchange cleaned, whatever its size.
    @Test func whatAKnownKeySignedIsRefusedOnRecord() throws {
        try layLarge(1, in: try folder("hospital-a"), federation: session("e"))
        #expect(try collect().summary.copied.count == 1)
        let refusals = try run(server).received.refusals
        #expect(
            refusals.map(\.reason) == [.wrongFederation]
                && refusals.allSatisfy { $0.line.hasPrefix("a bundle of hospital-a ") })
        #expect(try !names(server.quarantine).isEmpty)
    }

    @Test func nothingIsFetchedForWhichTheInboxHasNoRoom() throws {
        let home = try Home.open(server.root, files: SizedFiles(available: 122 << 20))
        let folder = try folder("hospital-a")
        // It fits the disk twice, and not beside itself, its copy and what is decrypted from that.
        try layLarge(1, in: folder, megabytes: 35)
        let (summary, _) = try collect(home)
        #expect(summary.copied.isEmpty && summary.problems.count == 1, "\(summary)")
        try layLarge(2, in: folder, megabytes: 20)
        #expect(try collect(home, at: 60).summary.copied.count == 1)
    }

    // MARK: growing

    @Test func whatGrowsWhileItIsCopiedWaits() throws {
        try layLarge(megabytes: 3)
        let small = try Home.open(server.root, files: SizedFiles(large: 2 << 20))
        let first = try run(small)
        #expect(first.received.settling == 1 && first.received.deliveries.isEmpty && first.problems.isEmpty)
        #expect(try run(server, at: 60).received.deliveries.count == 1)
        let folder = try folder("hospital-a")
        try layLarge(2, in: folder, megabytes: 3)
        let (summary, problems) = try collect(small, at: 120)
        #expect(summary.copied.isEmpty && summary.problems.isEmpty && problems.isEmpty, "\(summary)")
        #expect(try collect(at: 180).summary.copied.count == 1)
    }

    // MARK: zeros

    @Test func filesOfZerosAreOneLineAndTakeNobodysTurn() throws {
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        let inbox = root.appending("inbox")
        for folder in [inbox, server.inbox] {
            for number in 0..<1100 { try layHole("hole-\(number)", in: folder, bytes: 2 << 20) }
        }
        _ = try collect()
        let first = try collect(at: 60)
        #expect(first.summary.problems.count == 1, "\(first.summary.problems)")
        #expect(first.summary.problems.first?.hasPrefix("1100 files in ") == true)
        try world.lay(world.manifest(), as: "request.tar", in: inbox)
        let second = try collect(at: 120)
        #expect(second.summary.copied.count == 1 && second.summary.problems.isEmpty, "\(second.summary)")
        _ = try run(server, at: 120)
        try world.lay(world.manifest(seq: 2), as: "request.tar")
        let third = try run(server, at: 180)
        #expect(third.received.deliveries.count == 1 && third.problems.count == 1, "\(third.problems)")
        #expect(try run(server, at: 240).problems.isEmpty)
    }
}

private final class Copies: @unchecked Sendable {
    var count = 0
}

/// A disk with so much room, on which every large file outside of the spool and quarantine seems to have so many bytes.
private struct SizedFiles: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    var large: Int64?
    var available: Int64 = 1 << 40
    var copies: Copies?

    init(large: Int64? = nil, available: Int64 = 1 << 40, copies: Copies? = nil) {
        (self.large, self.available, self.copies) = (large, available, copies)
    }

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        if operation == "create", path.removingLastComponent().lastComponent?.string == "spool" { copies?.count += 1 }
    }

    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        guard let status = try base.status(path), status.kind == .regular, status.size > 1 << 20, let large,
            path.removingLastComponent().lastComponent?.string == "inbox"
        else { return try base.status(path) }
        return FileStatus(
            kind: status.kind, size: large, permissions: status.permissions, owner: status.owner,
            modified: status.modified, device: status.device, inode: status.inode)
    }

    func volume(of path: FilePath) throws(FileError) -> Volume? {
        Volume(type: "ext4", mountPoint: "/", isReadOnly: false, available: available)
    }
}

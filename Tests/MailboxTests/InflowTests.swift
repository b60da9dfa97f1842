import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What comes in from an exchange, run by run, is about what a run takes out of the inbox, however many parties lay down
/// however much; and whoever lays down nothing keeps no run busy.
@Suite struct InflowTests {
    private let world: TestFederation
    private var root: FilePath { world.root.appending("exchange") }
    private var server: Home { world.server }

    init() throws { world = try TestFederation() }

    private func folder(_ party: String) throws -> FilePath {
        let folder = root.appending(party).appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        return folder
    }

    private func tick(
        _ files: any FileSystem = QuickFileSystem(), minute: Int, lookSeconds: Double = 60
    ) throws -> (lines: [String], copied: [String], taken: [VerifiedDelivery], waiting: Int) {
        let mailbox = try opened(
            try Home.open(server.root, files: files), at: start.adding(seconds: Int64(minute) * 61))
        mailbox.lookSeconds = lookSeconds
        var copied: [String] = []
        let lines = try mailbox.useExchange(at: root) {
            let summary = try mailbox.collect(from: $0)
            copied = summary.copied
            return summary
        }
        let waiting = try names(server.inbox).count
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, .accepted) }
        try mailbox.finish()
        return (lines + mailbox.problems, copied, received.deliveries, waiting)
    }

    /// Two hospitals that send without end, and a third one with one bundle.
    @Test func hospitalsThatSendWithoutEndFillNoInbox() throws {
        let third = SigningKey.generate()
        var store = try TrustStore.load(from: server)
        try store.add(
            name("hospital-c"), role: .client, key: third.publicKey,
            ageRecipient: try Identity.load(from: world.hospitalB).age.recipient)
        try store.save(to: server)
        let senders = [
            ("hospital-a", try world.key(of: world.hospitalA)), ("hospital-b", try world.key(of: world.hospitalB)),
        ]
        var (taken, most) = ([Int](), 0)
        for run in 0..<4 {
            for number in 0..<1400 {
                let (sender, key) = senders[number % 2]
                var manifest = world.manifest(.receipt, from: sender, seq: Int64(run * 1400 + number + 1))
                // Is put away at once, which takes this test less time than an answer to each.
                manifest.expires = start.adding(days: 2000)
                try world.lay(manifest, as: "r-\(manifest.seq).tar", in: try folder(sender), key: key)
            }
            if run == 1 {
                try world.lay(
                    world.manifest(from: "hospital-c"), as: "request.tar", in: try folder("hospital-c"), key: third)
            }
            let tick = try tick(minute: run)
            most = max(most, tick.waiting)
            if tick.taken.contains(where: { $0.sender == name("hospital-c") }) { taken.append(run) }
        }
        #expect(most <= 1000, "\(most) files")
        #expect(taken.count == 1 && (taken.first ?? 9) <= 2, "taken in run \(taken)")
        // What was not fetched lies where it was laid, and comes later.
        let left = try names(try folder("hospital-a")).count
        _ = try tick(minute: 4)
        #expect(try names(try folder("hospital-a")).count < left)
    }

    /// Of an inbox that is full already: a known hospital's folder brings something all the same, a stranger's waits.
    @Test func aFullInboxTakesLessAndNothingOfStrangers() throws {
        for number in 0..<2500 { try write("junk \(number)", server.inbox.appending("scan-\(number).pdf")) }
        for number in 1...400 {
            try world.lay(
                world.manifest(.receipt, seq: Int64(number)), as: "r-\(number).tar", in: try folder("hospital-a"))
        }
        try world.lay(
            world.manifest(.enrol, from: "newcomer"), as: "enrol.tar", in: try folder("newcomer"),
            key: SigningKey.generate())
        let first = try tick(minute: 0)
        #expect((1...250).contains(first.copied.count), "\(first.copied.count)")
        #expect(first.copied.allSatisfy { $0.hasPrefix("receipt-") })
        var isFetched = false
        for minute in 1..<8 where !isFetched {
            isFetched = try tick(minute: minute).copied.contains { $0.hasPrefix("enrol-") }
        }
        #expect(isFetched)
    }

    /// What lies in the inbox for a person to take away keeps nobody waiting.
    @Test func whatIsLeftInTheInboxDoesNotCount() throws {
        let zeros = [UInt8](repeating: 0, count: (1 << 20) + 1)
        let home = PhantomFolder(server.inbox, count: 1500, content: .bytes(zeros))
        for minute in 0..<3 { _ = try tick(home, minute: minute) }
        try world.lay(
            world.manifest(.enrol, from: "newcomer"), as: "enrol.tar", in: try folder("newcomer"),
            key: SigningKey.generate())
        #expect(try tick(home, minute: 3).copied.count == 1)
    }

    // MARK: strangers' folders

    /// Folders without files are listed too, and that takes time as well. Each has its turn all the same.
    @Test func emptyFoldersOfStrangersEndNoRunLate() throws {
        for number in 0..<60 { _ = try folder("nobody-\(number)") }
        try world.lay(
            world.manifest(.enrol, from: "newcomer"), as: "enrol.tar", in: try folder("newcomer"),
            key: SigningKey.generate())
        let slow = SlowListings(root, besides: ["hospital-a"])
        var runs = 0
        var isFetched = false
        while !isFetched, runs < 60 {
            let begin = MonotonicClock.seconds()
            isFetched = try tick(slow, minute: runs, lookSeconds: 0.2).copied.count == 1
            let seconds = MonotonicClock.seconds() - begin
            #expect(seconds < 1.5, "\(seconds) s")
            runs += 1
        }
        #expect(isFetched)
        // Also where one listing alone takes longer than there is time.
        _ = try tick(slow, minute: 60, lookSeconds: 0.01)
        try world.lay(
            world.manifest(.enrol, from: "another"), as: "enrol.tar", in: try folder("another"),
            key: SigningKey.generate())
        isFetched = false
        for minute in 61..<140 where !isFetched {
            isFetched = try tick(slow, minute: minute, lookSeconds: 0.01).copied.count == 1
        }
        #expect(isFetched)
    }

    @Test func foldersThatCannotBeListedInOneRunAreAFewLines() throws {
        for number in 0..<9 { _ = try folder("nobody-\(number)") }
        let endless = EndlessFolders(root)
        for minute in 0..<4 {
            let lines = try tick(endless, minute: minute).lines
            #expect(minute == 0 ? lines.count == 4 : lines.isEmpty, "\(minute): \(lines)")
        }
    }

    /// Strangers' folders in which runs did not come to an end take no known hospital's next turn away.
    @Test func aKnownFoldersNextTurnIsRememberedHoweverManyOthersAre() throws {
        let own = try folder("hospital-a")
        for number in 0..<40 { try write(String(repeating: "\0", count: 2 << 20), own.appending("a-\(number)")) }
        try world.lay(world.manifest(), as: "z.tar", in: own)
        let tours = (0..<1200).map { "\"/elsewhere/\($0)/inbox\":[1,2,3,4]" }.joined(separator: ",")
        try write(
            "{\"files\":[],\"oddities\":[],\"tours\":{\(tours)}}",
            server.root.appending("mailbox/exchange-settling.json"))
        var isTaken = false
        for minute in 0..<40 where !isTaken {
            isTaken = try tick(SlowFiles(), minute: minute, lookSeconds: 0.4).copied.count == 1
        }
        #expect(isTaken)
    }
}

/// Files whose names begin with a- take time to be opened.
struct SlowFiles: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        if operation == "open", path.lastComponent?.string.hasPrefix("a-") == true { usleep(20_000) }
    }
}

/// Strangers' folders take time to be listed.
private struct SlowListings: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    private let root: FilePath
    private let quick: [FilePath]

    init(_ root: FilePath, besides quick: [String]) {
        (self.root, self.quick) = (root, quick.map { root.appending($0) })
    }

    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        if folder.starts(with: root), folder != root, !quick.contains(where: { folder.starts(with: $0) }) {
            usleep(50_000)
        }
        return try base.select(from: folder, limit: limit, selection)
    }
}

/// Folders below the root never come to an end.
private struct EndlessFolders: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let root: FilePath

    init(_ root: FilePath) { self.root = root }

    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        var selection = try base.select(from: folder, limit: limit, selection)
        if folder.starts(with: root), folder != root { selection.breakOff() }
        return selection
    }
}

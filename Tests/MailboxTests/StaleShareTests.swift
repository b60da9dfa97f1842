import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// A share whose client shows what was there a while ago: a new file not yet, a removed one still, an old content for a new
/// one. What is written reaches the share.
private struct StaleFileSystem: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let share: FilePath
    /// A copy of the share as it was.
    let past: FilePath
    /// Names are old, contents are not: a file that is listed and gone cannot be opened.
    var listsOnly = false

    private func old(_ path: FilePath) -> FilePath {
        guard path.starts(with: share) else { return path }
        var moved = past
        for component in path.components.dropFirst(share.components.count) { moved.append(component) }
        return moved
    }

    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try base.entries(old(folder), limit: limit)
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? { try base.status(old(path)) }
    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try base.openForReading(listsOnly ? path : old(path))
    }
}

/// Over a stale share nothing is lost, taken twice or put away for what it is not.
@Suite struct StaleShareTests {
    let world: TestFederation

    init() throws {
        world = try TestFederation()
        try QuickFileSystem().makeDirectories(inbox)
    }

    private var root: FilePath { world.root.appending("exchange") }
    private var inbox: FilePath { root.appending("hospital-a/inbox") }

    private func send() throws -> String {
        let mailbox = try opened(world.hospitalA)
        let record = try mailbox.send(
            key: "request/1", kind: .request, to: [name("ministry")], payload: [.bytes(name: "x.json", [1, 2, 3])])
        _ = try mailbox.deliver(to: try Exchange.detect(root, home: world.hospitalA))
        return record.name
    }

    /// Remembers the share as it is now.
    private func snapshot() throws -> FilePath {
        let past = world.root.appending("past")
        let files = QuickFileSystem()
        if try files.exists(past) { try files.removeTree(past) }
        try files.makeDirectories(past.appending("hospital-a/inbox"))
        for name in try names(inbox) {
            try files.writeFile(past.appending("hospital-a/inbox").appending(name), content(inbox.appending(name)))
        }
        return past
    }

    /// One run of the server over the share.
    private func serve(_ files: any FileSystem = QuickFileSystem(), at seconds: Int64) throws -> Received {
        let home = try Home.open(world.server.root, files: files)
        let mailbox = try opened(home, at: start.adding(seconds: seconds))
        _ = try mailbox.collect(from: try Exchange.detect(root, home: home))
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, .accepted) }
        try mailbox.finish()
        #expect(mailbox.problems.isEmpty, "\(mailbox.problems)")
        #expect(try names(home.quarantine).isEmpty)
        return received
    }

    @Test func aNewFileThatIsNotListedYetIsTakenLater() throws {
        let past = try snapshot()
        let name = try send()
        for seconds in [0, 600] as [Int64] {
            #expect(try serve(StaleFileSystem(share: root, past: past), at: seconds).deliveries.isEmpty)
            #expect(try names(inbox) == [name])
        }
        #expect(try serve(at: 1200).deliveries.count == 1)
        #expect(try names(inbox).isEmpty)
    }

    @Test(arguments: [false, true]) func aRemovedFileThatIsStillListedIsTakenOnce(listsOnly: Bool) throws {
        _ = try send()
        let past = try snapshot()
        #expect(try serve(at: 0).deliveries.count == 1)
        for seconds in [60, 600, 1200] as [Int64] {
            let stale = StaleFileSystem(share: root, past: past, listsOnly: listsOnly)
            let received = try serve(stale, at: seconds)
            #expect(received.deliveries.isEmpty && received.refusals.isEmpty && received.alarms.isEmpty)
        }
        #expect(try serve(at: 1800).deliveries.isEmpty)
    }

    /// Half of a file, while the whole lies there.
    @Test func anOldContentIsNotTakenForTheNewOne() throws {
        let name = try send()
        let whole = try content(inbox.appending(name))
        let past = try snapshot()
        try QuickFileSystem().writeFile(
            past.appending("hospital-a/inbox").appending(name), Array(whole.prefix(whole.count / 2)))
        let early = try serve(StaleFileSystem(share: root, past: past), at: 0)
        #expect(early.deliveries.isEmpty && early.refusals.isEmpty)
        let received = try serve(at: 30)
        #expect(received.deliveries.count == 1 && received.refusals.isEmpty)
    }
}

import Files
import Glibc
import SupportForTests
import SystemPackage
import Testing

/// Operations on a share end in time, also where the share does not answer.
@Suite struct ShareGuardTests {
    private static let patience = Duration.milliseconds(100)

    /// A share below a folder, a lock beside it, and a guarded file system.
    private struct World {
        let share: FilePath
        let lock: FilePath
        let blocking: BlockingFileSystem
        let files: GuardedFileSystem

        init(_ folder: FilePath) throws {
            share = folder.appending("share")
            lock = folder.appending("lock")
            try LocalFileSystem().makeDirectory(share, permissions: 0o700)
            blocking = BlockingFileSystem(folder: share)
            files = Self.guarded(share, lock, blocking)
        }

        static func guarded(_ share: FilePath, _ lock: FilePath, _ files: any FileSystem) -> GuardedFileSystem {
            GuardedFileSystem(
                files,
                guards: [
                    ShareGuard(root: share, patience: ShareGuardTests.patience, lockPath: lock, files: files)
                ])
        }
    }

    private func refusal(_ work: () throws(FileError) -> Void) -> FileError? {
        do throws(FileError) {
            try work()
            return nil
        } catch {
            return error
        }
    }

    @Test func aShareThatAnswersIsUsedAsEver() throws {
        try withTemporaryFolder { folder in
            let world = try World(folder)
            let source = folder.appending("source")
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
            try world.files.writeFile(source, bytes)
            let target = world.share.appending("a").appending("b")
            try world.files.makeDirectories(target)
            try world.files.publishFile(from: source, to: target.appending("file"))
            #expect(try world.files.readFile(target.appending("file"), limit: 4_000_000) == bytes)
            #expect(try world.files.list(target).map(\.name) == ["file"])
            try world.files.appendFile(target.appending("log"), [1, 2])
            try world.files.move(from: target.appending("log"), to: folder.appending("log"))
            #expect(try world.files.readFile(folder.appending("log"), limit: 2) == [1, 2])
            try world.files.removeTree(world.share.appending("a"))
            #expect(try world.files.list(world.share).isEmpty)
            #expect(throws: FileError.self) { try world.files.openForReading(world.share.appending("away")) }
            #expect(world.blocking.calls > 20)
        }
    }

    /// Whoever fills a folder does not make the share look dead: the look at it is brought to an end.
    @Test func aFolderThatTakesLongToListIsNotTheSharesEnd() throws {
        try withTemporaryFolder { folder in
            let files = World.guarded(folder, folder.appending("lock"), SlowFolder())
            var names = Names()
            names = try files.select(from: folder, limit: 1_000_000, names)
            #expect(names.count > 0 && names.count < 1_000_000 && !names.isWhole)
            #expect(try files.status(folder) != nil)
            #expect(try files.select(from: folder, limit: 3, Names()) == Names(count: 3, isWhole: false))
        }
    }

    private struct Names: NameSelection, Equatable {
        var count = 0
        var isWhole = true
        mutating func offer(_ entry: DirectoryEntry) { count += 1 }
        mutating func breakOff() { isWhole = false }
    }

    /// A name in a millisecond, without end.
    private final class SlowFolder: ForwardingFileSystem {
        let base: any FileSystem = LocalFileSystem()

        func select<Selection: NameSelection>(
            from folder: FilePath, limit: Int, _ selection: Selection
        ) throws(FileError) -> Selection {
            var selection = selection
            for _ in 0..<limit where !selection.isDone {
                usleep(1000)
                selection.offer(DirectoryEntry(component: "name", kind: .regular))
            }
            selection.breakOff()
            return selection
        }
    }

    @Test func anOperationThatDoesNotEndIsLeftBehindAndTheNextIsNotTried() throws {
        try withTemporaryFolder { folder in
            let world = try World(folder)
            world.blocking.block()
            let before = ContinuousClock.now
            let first = refusal { () throws(FileError) in _ = try world.files.list(world.share) }
            #expect(ContinuousClock.now - before < .seconds(10))
            let path = world.share.appending("file")
            let others = [
                refusal { () throws(FileError) in _ = try world.files.status(path) },
                refusal { () throws(FileError) in try world.files.unlink(path) },
                refusal { () throws(FileError) in try world.files.writeFile(path, [1]) },
                refusal { () throws(FileError) in try world.files.rename(folder.appending("x"), to: path) },
            ]
            #expect(first?.isUnreachable == true && first?.isTransient == true && first?.code == .timedOut)
            #expect(first?.description.hasPrefix("cannot reach \(world.share): ") == true)
            #expect(others.allSatisfy { $0 == first })
            #expect(world.blocking.calls == 1 && world.blocking.held == 1)
            // Everything else goes on.
            try world.files.writeFile(folder.appending("local"), [1])
            world.blocking.letGo()
        }
    }

    @Test(arguments: ["read", "write", "flush", "close"])
    func anOpenFileMayHangAtAnyStep(step: String) throws {
        try withTemporaryFolder { folder in
            let world = try World(folder)
            let path = world.share.appending("file")
            try LocalFileSystem().writeFile(path, [1, 2, 3])
            let reading = try world.files.openForReading(path)
            let writing = try world.files.create(world.share.appending("new"), permissions: 0o600)
            world.blocking.block()
            let error = refusal { () throws(FileError) in
                switch step {
                case "read": _ = try reading.bytes(at: 0, count: 3)
                case "write": try writing.write([1])
                case "flush": try writing.synchronize()
                default: try writing.close()
                }
            }
            #expect(error?.isUnreachable == true)
            world.blocking.letGo()
        }
    }

    /// What still hangs keeps later runs from adding to it.
    @Test func aShareThatAnEarlierRunHangsInIsLeftAlone() throws {
        try withTemporaryFolder { folder in
            let world = try World(folder)
            do {
                let earlier = World.guarded(world.share, world.lock, world.blocking)
                world.blocking.block()
                #expect(refusal { () throws(FileError) in _ = try earlier.status(world.share) }?.code == .timedOut)
            }
            let calls = world.blocking.calls
            let later = World.guarded(world.share, world.lock, world.blocking)
            let error = refusal { () throws(FileError) in _ = try later.status(world.share) }
            #expect(error?.isUnreachable == true && error?.code == .resourceBusy)
            #expect(world.blocking.calls == calls)
            world.blocking.letGo()
            // The thread lets go of the lock a moment after its operation ended.
            var isFree = false
            for _ in 0..<1000 where !isFree {
                isFree = try LocalFileSystem().lock(world.lock) != nil
                if !isFree { usleep(1000) }
            }
            #expect(isFree)
            #expect(try later.status(world.share) != nil)
        }
    }
}

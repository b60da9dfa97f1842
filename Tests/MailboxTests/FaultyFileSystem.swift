import Files
import SupportForTests
import Synchronization
import SystemPackage

/// The local file system without waiting for the disk.
struct QuickFileSystem: ForwardingFileSystem {
    let base: any FileSystem = LocalFileSystem()

    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        HookedFile(try base.create(path, permissions: permissions), hook: nil, path: path)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        HookedFile(try base.openForAppending(path, permissions: permissions), hook: nil, path: path)
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
}

/// Lets the N-th operation fail: once, as a disk does, or with all that follow, as for a process that was killed there. A
/// write that fails has written half of its bytes.
struct FaultyFileSystem: ForwardingFileSystem {
    enum Mode: CaseIterable { case onceWithError, killed }

    final class Hook: Sendable {
        private let count = Atomic<Int>(0)
        private let limit: Int
        private let mode: Mode

        init(failing limit: Int, _ mode: Mode) {
            self.limit = limit
            self.mode = mode
        }

        /// Whether the limit was reached, so that a higher one makes sense.
        var hasFailed: Bool { count.load(ordering: .relaxed) >= limit }

        func step(_ operation: String, _ path: FilePath) throws(FileError) {
            let number = count.add(1, ordering: .relaxed).newValue
            if number == limit || (mode == .killed && number > limit) { throw FileError(operation, path, .noSpace) }
        }
    }

    let hook: Hook
    let base: any FileSystem = LocalFileSystem()

    init(_ hook: Hook) { self.hook = hook }

    func pass(_ operation: String, _ path: FilePath) throws(FileError) { try hook.step(operation, path) }

    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("create", path)
        return HookedFile(try base.create(path, permissions: permissions), hook: hook, path: path)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("append", path)
        return HookedFile(try base.openForAppending(path, permissions: permissions), hook: hook, path: path)
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) { try pass("flush folder", folder) }
}

/// A file that does not wait for the disk, and fails when its hook says so.
private final class HookedFile: WritableFile {
    private let base: any WritableFile
    private let hook: FaultyFileSystem.Hook?
    private let path: FilePath

    init(_ base: any WritableFile, hook: FaultyFileSystem.Hook?, path: FilePath) {
        self.base = base
        self.hook = hook
        self.path = path
    }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        do { try hook?.step("write", path) } catch {
            _ = try base.writeSome(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]))
            throw error
        }
        return try base.writeSome(bytes)
    }

    func synchronize() throws(FileError) { try hook?.step("flush", path) }

    func truncate(to size: Int64) throws(FileError) {
        try hook?.step("truncate", path)
        try base.truncate(to: size)
    }

    func close() throws(FileError) {
        try base.close()
        try hook?.step("close", path)
    }
}

/// The paths that were opened for reading.
final class OpenLog: Sendable {
    private let list = Mutex<Set<String>>([])
    var paths: Set<String> { list.withLock { $0 } }
    func add(_ path: FilePath) { list.withLock { _ = $0.insert(path.string) } }
}

/// Remembers which files are opened for reading.
struct WatchingFileSystem: ForwardingFileSystem {
    let log: OpenLog
    let base: any FileSystem = QuickFileSystem()

    init(log: OpenLog) { self.log = log }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        log.add(path)
        return try base.openForReading(path)
    }
}

/// One folder seems to hold a crowd of files, which are gone when one looks closer.
final class CrowdedFileSystem: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    private let folder: FilePath
    private let names: Int
    private let count = Atomic<Int>(0)

    init(folder: FilePath, names: Int) {
        self.folder = folder
        self.names = names
    }

    /// How many of the crowd were looked at.
    var looks: Int { count.load(ordering: .relaxed) }

    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        guard folder == self.folder else { return try base.select(from: folder, limit: limit, selection) }
        var selection = selection
        for number in 0..<min(limit, names) {
            guard let name = FilePath.Component("update-\(number).tar") else { continue }
            selection.offer(DirectoryEntry(component: name, kind: .regular))
        }
        return selection
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        if path.removingLastComponent() == folder { count.add(1, ordering: .relaxed) }
        return try base.status(path)
    }
}

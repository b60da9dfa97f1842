import Files
import Synchronization
import SystemPackage

/// The local file system without waiting for the disk.
struct QuickFileSystem: FileSystem {
    private let base = LocalFileSystem()

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile { try base.openForReading(path) }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        HookedFile(try base.create(path, permissions: permissions), hook: nil, path: path)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        HookedFile(try base.openForAppending(path, permissions: permissions), hook: nil, path: path)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) { try base.rename(from, to: to) }
    func unlink(_ path: FilePath) throws(FileError) { try base.unlink(path) }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try base.makeDirectory(path, permissions: permissions)
    }
    func removeDirectory(_ path: FilePath) throws(FileError) { try base.removeDirectory(path) }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try base.entries(folder, limit: limit)
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? { try base.status(path) }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }
}

/// Lets the N-th operation fail: once, as a disk does, or with all that follow, as for a process that was killed there. A
/// write that fails has written half of its bytes.
struct FaultyFileSystem: FileSystem {
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
    private let base = QuickFileSystem()

    init(_ hook: Hook) { self.hook = hook }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try hook.step("open", path)
        return try base.openForReading(path)
    }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try hook.step("create", path)
        return HookedFile(try LocalFileSystem().create(path, permissions: permissions), hook: hook, path: path)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try hook.step("open", path)
        return HookedFile(
            try LocalFileSystem().openForAppending(path, permissions: permissions), hook: hook, path: path)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        try hook.step("rename", from)
        try base.rename(from, to: to)
    }
    func unlink(_ path: FilePath) throws(FileError) {
        try hook.step("remove", path)
        try base.unlink(path)
    }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try hook.step("create folder", path)
        try base.makeDirectory(path, permissions: permissions)
    }
    func removeDirectory(_ path: FilePath) throws(FileError) {
        try hook.step("remove folder", path)
        try base.removeDirectory(path)
    }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try hook.step("list", folder)
        return try base.entries(folder, limit: limit)
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        try hook.step("look at", path)
        return try base.status(path)
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) { try hook.step("flush folder", folder) }
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }
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
struct WatchingFileSystem: FileSystem {
    let log: OpenLog
    private let base = QuickFileSystem()

    init(log: OpenLog) { self.log = log }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        log.add(path)
        return try base.openForReading(path)
    }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try base.create(path, permissions: permissions)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try base.openForAppending(path, permissions: permissions)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) { try base.rename(from, to: to) }
    func unlink(_ path: FilePath) throws(FileError) { try base.unlink(path) }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try base.makeDirectory(path, permissions: permissions)
    }
    func removeDirectory(_ path: FilePath) throws(FileError) { try base.removeDirectory(path) }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try base.entries(folder, limit: limit)
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? { try base.status(path) }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) { try base.synchronizeDirectory(folder) }
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }
}

/// One folder seems to hold a crowd of files, which are gone when one looks closer.
final class CrowdedFileSystem: FileSystem {
    private let base = QuickFileSystem()
    private let folder: FilePath
    private let names: Int
    private let count = Atomic<Int>(0)

    init(folder: FilePath, names: Int) {
        self.folder = folder
        self.names = names
    }

    /// How many of the crowd were looked at.
    var looks: Int { count.load(ordering: .relaxed) }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile { try base.openForReading(path) }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try base.create(path, permissions: permissions)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try base.openForAppending(path, permissions: permissions)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) { try base.rename(from, to: to) }
    func unlink(_ path: FilePath) throws(FileError) { try base.unlink(path) }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try base.makeDirectory(path, permissions: permissions)
    }
    func removeDirectory(_ path: FilePath) throws(FileError) { try base.removeDirectory(path) }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        guard folder == self.folder else { return try base.entries(folder, limit: limit) }
        return (0..<min(limit, names)).compactMap { number in
            FilePath.Component("update-\(number).tar").map { DirectoryEntry(component: $0, kind: .regular) }
        }
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        if path.removingLastComponent() == folder { count.add(1, ordering: .relaxed) }
        return try base.status(path)
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }
}

import Files
import SupportForTests
import Synchronization
import SystemPackage

/// A local file system that lets the N-th operation fail, counted from 0, or counts operations only.
final class FailingFileSystem: ForwardingFileSystem {
    let base: any FileSystem = LocalFileSystem()
    private let failing: Int?
    private let code: Errno
    /// Writes only half of what they were asked, to show that callers go on.
    private let halvesWrites: Bool
    private let state = Mutex((count: 0, log: [String]()))

    init(failing: Int? = nil, code: Errno = .ioError, halvesWrites: Bool = false) {
        self.failing = failing
        self.code = code
        self.halvesWrites = halvesWrites
    }

    var count: Int { state.withLock { $0.count } }
    /// The names of the operations so far.
    var log: [String] { state.withLock { $0.log } }
    var hasFailed: Bool { failing.map { $0 < count } ?? false }

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        let number = state.withLock { state in
            state.log.append(operation)
            state.count += 1
            return state.count - 1
        }
        if number == failing { throw FileError(operation, path, code) }
    }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try pass("open", path)
        return FailingReadableFile(try base.openForReading(path), path, self)
    }

    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("create", path)
        return FailingWritableFile(try base.create(path, permissions: permissions), path, self, halvesWrites)
    }

    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("append", path)
        return FailingWritableFile(try base.openForAppending(path, permissions: permissions), path, self, halvesWrites)
    }

    func lock(_ path: FilePath) throws(FileError) -> FileLock? {
        try pass("lock", path)
        return try base.lock(path)
    }
}

private final class FailingReadableFile: ReadableFile {
    private let file: any ReadableFile
    private let path: FilePath
    private let system: FailingFileSystem

    init(_ file: any ReadableFile, _ path: FilePath, _ system: FailingFileSystem) {
        self.file = file
        self.path = path
        self.system = system
    }

    func status() throws(FileError) -> FileStatus {
        try system.pass("fstat", path)
        return try file.status()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        try system.pass("read", path)
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(max(1, buffer.count / 2)))
        return try file.read(into: part, at: offset)
    }
}

private final class FailingWritableFile: WritableFile {
    private let file: any WritableFile
    private let path: FilePath
    private let system: FailingFileSystem
    private let halves: Bool

    init(_ file: any WritableFile, _ path: FilePath, _ system: FailingFileSystem, _ halves: Bool) {
        self.file = file
        self.path = path
        self.system = system
        self.halves = halves
    }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        try system.pass("write", path)
        let part = halves ? UnsafeRawBufferPointer(rebasing: bytes.prefix(max(1, bytes.count / 2))) : bytes
        return try file.writeSome(part)
    }

    func synchronize() throws(FileError) {
        try system.pass("flush", path)
        try file.synchronize()
    }

    func truncate(to size: Int64) throws(FileError) {
        try system.pass("truncate", path)
        try file.truncate(to: size)
    }

    func close() throws(FileError) {
        try system.pass("close", path)
        try file.close()
    }
}

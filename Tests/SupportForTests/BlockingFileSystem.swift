package import Files
import Glibc
import Synchronization
package import SystemPackage

/// A file system whose operations below one folder do not come back until they are let go, as on a mount whose other side is
/// gone.
package final class BlockingFileSystem: ForwardingFileSystem {
    package let base: any FileSystem = LocalFileSystem()
    private let folder: FilePath
    private let isBlocked = Mutex(false)
    private let waiting = Atomic<Int>(0)
    private let entered = Atomic<Int>(0)

    package init(folder: FilePath) { self.folder = folder }

    /// How many operations came below the folder.
    package var calls: Int { entered.load(ordering: .relaxed) }
    /// How many of them are held just now.
    package var held: Int { waiting.load(ordering: .relaxed) }

    package func block() { isBlocked.withLock { $0 = true } }

    /// Lets go and waits until nothing is held.
    package func letGo() {
        isBlocked.withLock { $0 = false }
        while held > 0 { usleep(1000) }
    }

    package func pass(_ operation: String, _ path: FilePath) { wait(path) }

    fileprivate func wait(_ path: FilePath) {
        guard path.starts(with: folder) else { return }
        entered.add(1, ordering: .relaxed)
        waiting.add(1, ordering: .relaxed)
        while isBlocked.withLock({ $0 }) { usleep(1000) }
        waiting.subtract(1, ordering: .relaxed)
    }

    package func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        wait(path)
        return BlockingReadableFile(try base.openForReading(path), path, self)
    }
    package func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        wait(path)
        return BlockingWritableFile(try base.create(path, permissions: permissions), path, self)
    }
    package func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        wait(path)
        return BlockingWritableFile(try base.openForAppending(path, permissions: permissions), path, self)
    }
}

private final class BlockingReadableFile: ReadableFile {
    private let base: any ReadableFile
    private let path: FilePath
    private let system: BlockingFileSystem

    init(_ base: any ReadableFile, _ path: FilePath, _ system: BlockingFileSystem) {
        self.base = base
        self.path = path
        self.system = system
    }

    func status() throws(FileError) -> FileStatus {
        system.wait(path)
        return try base.status()
    }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        system.wait(path)
        return try base.read(into: buffer, at: offset)
    }
}

private final class BlockingWritableFile: WritableFile {
    private let base: any WritableFile
    private let path: FilePath
    private let system: BlockingFileSystem

    init(_ base: any WritableFile, _ path: FilePath, _ system: BlockingFileSystem) {
        self.base = base
        self.path = path
        self.system = system
    }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        system.wait(path)
        return try base.writeSome(bytes)
    }
    func synchronize() throws(FileError) {
        system.wait(path)
        try base.synchronize()
    }
    func truncate(to size: Int64) throws(FileError) {
        system.wait(path)
        try base.truncate(to: size)
    }
    func close() throws(FileError) {
        system.wait(path)
        try base.close()
    }
}

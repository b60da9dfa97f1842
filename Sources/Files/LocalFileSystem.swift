import Glibc
package import SystemPackage

/// The machine's own file system.
package struct LocalFileSystem: FileSystem {
    package init() {}

    package func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        // Without O_NONBLOCK, opening a fifo that somebody laid into an inbox would wait for ever.
        let descriptor = try open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
        let file = LocalReadableFile(path: path, descriptor: descriptor)
        guard try file.status().kind == .regular else {
            throw FileError("open", path, .invalidArgument, hint: "it is not a regular file")
        }
        return file
    }

    package func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        let descriptor = try open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, permissions, "create")
        return LocalWritableFile(path: path, descriptor: descriptor)
    }

    package func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        let descriptor = try open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, permissions)
        let file = LocalWritableFile(path: path, descriptor: descriptor)
        guard try fileStatus(of: descriptor, path: path).kind == .regular else {
            throw FileError("open", path, .invalidArgument, hint: "it is not a regular file")
        }
        return file
    }

    package func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        try check("rename", from) { from.withPlatformString { old in to.withPlatformString { Glibc.rename(old, $0) } } }
    }

    package func unlink(_ path: FilePath) throws(FileError) {
        try check("remove", path) { path.withPlatformString { Glibc.unlink($0) } }
    }

    package func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try check("create folder", path) { path.withPlatformString { mkdir($0, permissions) } }
    }

    package func removeDirectory(_ path: FilePath) throws(FileError) {
        try check("remove folder", path) { path.withPlatformString { rmdir($0) } }
    }

    package func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        _ = try visit(folder, limit: limit) {
            entries.append($0)
            return true
        }
        return entries
    }

    package func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        var selection = selection
        let isWhole = try visit(folder, limit: limit) {
            selection.offer($0)
            return !selection.isDone
        }
        if !isWhole { selection.breakOff() }
        return selection
    }

    /// - Parameter visitor: says whether it wants more.
    /// - Returns: whether those were all.
    private func visit(
        _ folder: FilePath, limit: Int, _ visitor: (DirectoryEntry) -> Bool
    ) throws(FileError) -> Bool {
        guard let stream = folder.withPlatformString({ opendir($0) }) else { throw lastError("list", folder) }
        defer { closedir(stream) }
        var visits = 0
        while visits < limit {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw lastError("list", folder) }
                return true
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { FilePath.Component(platformString: $0) }
            }
            // "." and ".." are no regular components.
            guard let name, name.kind == .regular else { continue }
            let kind: FileKind
            switch Int(entry.pointee.d_type) {
            case Int(DT_REG): kind = .regular
            case Int(DT_DIR): kind = .directory
            case Int(DT_LNK): kind = .symlink
            case Int(DT_UNKNOWN): kind = try status(folder.appending(name))?.kind ?? .other
            default: kind = .other
            }
            visits += 1
            guard visitor(DirectoryEntry(component: name, kind: kind)) else { return false }
        }
        return false
    }

    package func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        var status = stat()
        if path.withPlatformString({ lstat($0, &status) }) == 0 { return FileStatus(status) }
        let error = lastError("look at", path)
        if error.code == .noSuchFileOrDirectory || error.code == .notDirectory { return nil }
        throw error
    }

    package func synchronizeDirectory(_ folder: FilePath) throws(FileError) {
        let descriptor = try open(folder, O_RDONLY | O_DIRECTORY, 0)
        defer { close(descriptor) }
        do {
            try check("flush folder", folder) { fsync(descriptor) }
        } catch  where error.code == .invalidArgument {
            // The file system has no way to flush folders; there is nothing more to be had from it.
        }
    }

    package func lock(_ path: FilePath) throws(FileError) -> FileLock? {
        let descriptor = try open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
        do {
            try check("lock", path) { flock(descriptor, LOCK_EX | LOCK_NB) }
        } catch {
            close(descriptor)
            if error.code == .wouldBlock { return nil }
            throw error
        }
        return FileLock(descriptor: descriptor)
    }

    package func volume(of path: FilePath) throws(FileError) -> Volume? { try Volume(of: path) }

    private func open(
        _ path: FilePath, _ flags: Int32, _ permissions: UInt32, _ operation: String = "open"
    ) throws(FileError) -> Int32 {
        try check(operation, path) { path.withPlatformString { Glibc.open($0, flags | O_CLOEXEC, permissions) } }
    }
}

/// An exclusive lock, held until the value goes away; the kernel releases it also when the process is killed.
package struct FileLock: ~Copyable, Sendable {
    private let descriptor: Int32

    fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}

private final class LocalReadableFile: ReadableFile {
    private let path: FilePath
    private let descriptor: Int32

    init(path: FilePath, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func status() throws(FileError) -> FileStatus { try fileStatus(of: descriptor, path: path) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        try check("read", path) { pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    func forgetCache() { _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) }
}

private final class LocalWritableFile: WritableFile {
    private let path: FilePath
    private var descriptor: Int32

    init(path: FilePath, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        try check("write", path) { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }

    func synchronize() throws(FileError) { try check("flush", path) { fsync(descriptor) } }

    func truncate(to size: Int64) throws(FileError) {
        try check("truncate", path) { ftruncate(descriptor, off_t(size)) }
    }

    func close() throws(FileError) {
        guard descriptor >= 0 else { return }
        let open = descriptor
        descriptor = -1
        // Not repeated after EINTR: Linux has released the descriptor by then, and it may be another file's already.
        if Glibc.close(open) != 0 { throw lastError("close", path) }
    }
}

// MARK: calls

/// Repeats a call that a signal interrupted, and turns -1 into an error.
@discardableResult
func check<Result: SignedInteger>(
    _ operation: String, _ path: FilePath, _ call: () -> Result
) throws(FileError) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let error = lastError(operation, path)
        if error.code != .interrupted { throw error }
    }
}

func lastError(_ operation: String, _ path: FilePath) -> FileError {
    FileError(operation, path, Errno(rawValue: errno))
}

private func fileStatus(of descriptor: Int32, path: FilePath) throws(FileError) -> FileStatus {
    var status = stat()
    try check("look at", path) { fstat(descriptor, &status) }
    return FileStatus(status)
}

extension FileStatus {
    fileprivate init(_ status: stat) {
        let kind: FileKind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            default: .other
            }
        let seconds = Int64(status.st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        self.init(
            kind: kind, size: Int64(status.st_size), permissions: UInt32(status.st_mode & 0o7777), owner: status.st_uid,
            modified: seconds.overflow ? 0 : seconds.partialValue + Int64(status.st_mtim.tv_nsec),
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}

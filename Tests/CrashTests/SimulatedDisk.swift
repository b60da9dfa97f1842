import Files
import Synchronization
import SystemPackage

/// A disk that forgets: a real folder shows what a running system sees, and beside it is kept what would be left after a loss
/// of power.
///
/// 1. What a file holds is safe up to its last flush. Of what was written since, a crash keeps all, nothing, a beginning, or
///    some blocks and not others.
/// 2. Names are safe when their folder was flushed. Of the changes since, a crash keeps any selection in which no change
///    rests on a lost one; a rename happens whole or not at all.
/// 3. A file whose name is not safe is gone, however often the file itself was flushed.
///
/// The N-th operation can be the last one (a crash or a kill), or fail alone with an error of the system's.
final class SimulatedDisk: FileSystem {
    /// What happens at one operation.
    enum Fault: Equatable, Sendable {
        case none
        /// The operation and all after it fail: the machine has stopped. Only operations that change something count.
        case stop(at: Int)
        /// Only this operation fails. All operations count.
        case error(at: Int, Errno)
    }

    private let base = LocalFileSystem()
    private let fault: Fault
    private let model = Mutex(DiskModel())

    init(_ fault: Fault) { self.fault = fault }

    /// How many operations changed something, and how many there were in all.
    var changes: Int { model.withLock { $0.changes } }
    var operations: Int { model.withLock { $0.operations } }
    /// The paths that were written to.
    var changed: [String] { model.withLock { $0.changed.sorted() } }
    /// Whether the fault came, so that a later one makes sense.
    var wasReached: Bool {
        switch fault {
        case .none: false
        case .stop(let number): changes > number
        case .error(let number, _): operations > number
        }
    }

    /// Leaves in the real folder what a loss of power leaves, as `choice` has it.
    func losePower(_ choice: inout PowerLoss) throws {
        let plan = model.withLock { $0.remains(&choice) }
        for folder in plan.lostFolders { try base.removeTree(folder) }
        for folder in plan.folders where try !base.exists(folder) { try base.makeDirectories(folder) }
        for (path, bytes) in plan.files.sorted(by: { $0.key < $1.key }) {
            let path = FilePath(path)
            if let bytes {
                guard try base.status(path.removingLastComponent()) != nil else { continue }
                try base.remove(path)
                let file = try base.create(path, permissions: 0o600)
                try file.write(bytes)
                try file.close()
            } else {
                try base.remove(path)
            }
        }
    }

    /// - Parameter change: what the operation would do, half of it being done where it is a write that fails.
    fileprivate func step(_ operation: String, _ path: FilePath, isChange: Bool) throws(FileError) {
        // A picture that cannot be read is skipped with a line of its own: other pictures, another model.
        if Story.isPicture(path) { return }
        let (changes, operations) = model.withLock { model in
            model.operations += 1
            if isChange {
                model.changes += 1
                model.changed.insert(path.string)
            }
            return (model.changes, model.operations)
        }
        switch fault {
        case .none: return
        case .stop(let number):
            if changes > number { throw FileError(operation, path, .ioError) }
        case .error(let number, let code):
            if operations == number + 1 { throw FileError(operation, path, code) }
        }
    }

    // MARK: operations

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try step("open", path, isChange: false)
        return SimulatedReadableFile(try base.openForReading(path), path, self)
    }

    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try step("create", path, isChange: true)
        let file = try base.create(path, permissions: permissions)
        let node = model.withLock { $0.create(path) }
        return SimulatedWritableFile(file, path, node, self)
    }

    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try step("open", path, isChange: true)
        let known = try bytes(at: path)
        let file = try base.openForAppending(path, permissions: permissions)
        let node = model.withLock { model in known.map { model.adopt(path, $0) } ?? model.create(path) }
        return SimulatedWritableFile(file, path, node, self)
    }

    func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        try step("rename", from, isChange: true)
        let (source, replaced) = (try bytes(at: from), try bytes(at: to))
        try base.rename(from, to: to)
        model.withLock { model in
            if let source { _ = model.adopt(from, source) }
            if let replaced { _ = model.adopt(to, replaced) }
            model.rename(from, to)
        }
    }

    func unlink(_ path: FilePath) throws(FileError) {
        try step("remove", path, isChange: true)
        let known = try bytes(at: path)
        try base.unlink(path)
        model.withLock { model in
            if let known { _ = model.adopt(path, known) }
            model.unlink(path)
        }
    }

    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        // One that is there already changes nothing.
        try step("create folder", path, isChange: (try? base.exists(path)) != true)
        try base.makeDirectory(path, permissions: permissions)
        model.withLock { $0.makeFolder(path) }
    }

    func removeDirectory(_ path: FilePath) throws(FileError) {
        try step("remove folder", path, isChange: true)
        try base.removeDirectory(path)
        model.withLock { $0.removeFolder(path) }
    }

    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try step("list", folder, isChange: false)
        return try base.entries(folder, limit: limit)
    }

    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        try step("look at", path, isChange: false)
        return try base.status(path)
    }

    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {
        try step("flush folder", folder, isChange: true)
        model.withLock { $0.flush(folder: folder) }
    }

    func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }

    /// Of a file that the model has not met; nil for folders and for nothing.
    private func bytes(at path: FilePath) throws(FileError) -> [UInt8]? {
        if model.withLock({ $0.knows(path) }) { return nil }
        guard try base.status(path)?.kind == .regular else { return nil }
        return try base.readFile(path, limit: .max)
    }

    fileprivate func note(_ change: (inout DiskModel) -> Void) { model.withLock { change(&$0) } }
}

private final class SimulatedReadableFile: ReadableFile {
    private let base: any ReadableFile
    private let path: FilePath
    private let disk: SimulatedDisk

    init(_ base: any ReadableFile, _ path: FilePath, _ disk: SimulatedDisk) {
        (self.base, self.path, self.disk) = (base, path, disk)
    }

    func status() throws(FileError) -> FileStatus {
        try disk.step("look at", path, isChange: false)
        return try base.status()
    }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        try disk.step("read", path, isChange: false)
        return try base.read(into: buffer, at: offset)
    }
}

private final class SimulatedWritableFile: WritableFile {
    private let base: any WritableFile
    private let path: FilePath
    private let node: Int
    private let disk: SimulatedDisk

    init(_ base: any WritableFile, _ path: FilePath, _ node: Int, _ disk: SimulatedDisk) {
        (self.base, self.path, self.node, self.disk) = (base, path, node, disk)
    }

    /// A write that fails has written half of its bytes.
    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        do { try disk.step("write", path, isChange: true) } catch {
            _ = try append(UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2)))
            throw error
        }
        return try append(bytes)
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        let count = try base.writeSome(bytes)
        disk.note { $0.append(Array(bytes.prefix(count)), to: node) }
        return count
    }

    func synchronize() throws(FileError) {
        try disk.step("flush", path, isChange: true)
        disk.note { $0.flush(node: node) }
    }

    func truncate(to size: Int64) throws(FileError) {
        try disk.step("truncate", path, isChange: true)
        try base.truncate(to: size)
        disk.note { $0.truncate(node, to: Int(size)) }
    }

    /// An error comes when the file is closed all the same.
    func close() throws(FileError) {
        try base.close()
        try disk.step("close", path, isChange: true)
    }
}

package import SystemPackage

/// A file system that is patient with some folders only for a while; see ``ShareGuard``. All other paths go straight to the
/// file system below.
package struct GuardedFileSystem: FileSystem {
    private let base: any FileSystem
    private let guards: [ShareGuard]

    package init(_ base: any FileSystem, guards: [ShareGuard]) {
        self.base = base
        self.guards = guards
    }

    package func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        guard let share = share(of: path) else { return try base.openForReading(path) }
        let file = try share.run { [base] () throws(FileError) in try base.openForReading(path) }
        return GuardedReadableFile(file, share)
    }

    package func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        guard let share = share(of: path) else { return try base.create(path, permissions: permissions) }
        let file = try share.run { [base] () throws(FileError) in try base.create(path, permissions: permissions) }
        return GuardedWritableFile(file, share)
    }

    package func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        guard let share = share(of: path) else { return try base.openForAppending(path, permissions: permissions) }
        let file = try share.run { [base] () throws(FileError) in
            try base.openForAppending(path, permissions: permissions)
        }
        return GuardedWritableFile(file, share)
    }

    package func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        try watched(from, to) { [base] () throws(FileError) in try base.rename(from, to: to) }
    }

    package func unlink(_ path: FilePath) throws(FileError) {
        try watched(path) { [base] () throws(FileError) in try base.unlink(path) }
    }

    package func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try watched(path) { [base] () throws(FileError) in try base.makeDirectory(path, permissions: permissions) }
    }

    package func removeDirectory(_ path: FilePath) throws(FileError) {
        try watched(path) { [base] () throws(FileError) in try base.removeDirectory(path) }
    }

    package func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try watched(folder) { [base] () throws(FileError) in try base.entries(folder, limit: limit) }
    }

    package func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        guard let share = share(of: folder) else { return try base.select(from: folder, limit: limit, selection) }
        let progress = ShareGuard.Progress()
        return try share.run(watching: progress) { [base] () throws(FileError) in
            try base.select(from: folder, limit: limit, WatchedSelection(selection, progress)).selection
        }
    }

    package func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        try watched(path) { [base] () throws(FileError) in try base.status(path) }
    }

    package func synchronizeDirectory(_ folder: FilePath) throws(FileError) {
        try watched(folder) { [base] () throws(FileError) in try base.synchronizeDirectory(folder) }
    }

    package func volume(of path: FilePath) throws(FileError) -> Volume? {
        try watched(path) { [base] () throws(FileError) in try base.volume(of: path) }
    }

    /// Locks lie on local disk.
    package func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }

    private func watched<Value>(
        _ paths: FilePath..., call: @escaping () throws(FileError) -> Value
    ) throws(FileError) -> Value {
        for path in paths {
            if let share = share(of: path) { return try share.run(call) }
        }
        return try call()
    }

    private func share(of path: FilePath) -> ShareGuard? { guards.first { path.starts(with: $0.root) } }
}

/// Whoever fills a folder with names must not make the share look dead: as long as they come, it is not.
private struct WatchedSelection<Selection: NameSelection>: NameSelection {
    var selection: Selection
    private let progress: ShareGuard.Progress

    init(_ selection: Selection, _ progress: ShareGuard.Progress) {
        (self.selection, self.progress) = (selection, progress)
    }

    var isDone: Bool { progress.isToEnd || selection.isDone }

    mutating func offer(_ entry: DirectoryEntry) {
        progress.advance()
        selection.offer(entry)
    }

    mutating func breakOff() { selection.breakOff() }
}

/// Reads into memory of its own: a call that was left behind may still write there when the caller's is long gone.
private final class GuardedReadableFile: ReadableFile {
    private unowned(unsafe) let base: any ReadableFile
    private let owner: Unmanaged<AnyObject>
    private let share: ShareGuard

    init(_ base: any ReadableFile, _ share: ShareGuard) {
        self.base = base
        owner = Unmanaged.passRetained(base as AnyObject)
        self.share = share
    }

    deinit { share.release(owner) }

    func status() throws(FileError) -> FileStatus {
        try share.run { [base] () throws(FileError) in try base.status() }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        let wanted = min(buffer.count, fileChunkSize)
        let bytes = try share.run { [base] () throws(FileError) in
            var own = [UInt8](repeating: 0, count: wanted)
            let count = try own.withUnsafeMutableBufferPointer { (own) throws(FileError) in
                try base.read(into: UnsafeMutableRawBufferPointer(own), at: offset)
            }
            own.removeLast(wanted - count)
            return own
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func forgetCache() { try? share.run { [base] () throws(FileError) in base.forgetCache() } }
}

private final class GuardedWritableFile: WritableFile {
    private unowned(unsafe) let base: any WritableFile
    private let owner: Unmanaged<AnyObject>
    private let share: ShareGuard
    /// Since the last flush, in bytes.
    private var unflushed: Int64 = 0

    init(_ base: any WritableFile, _ share: ShareGuard) {
        self.base = base
        owner = Unmanaged.passRetained(base as AnyObject)
        self.share = share
    }

    deinit { share.release(owner) }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        let own = Array(bytes.prefix(fileChunkSize))
        let count = try share.run(moving: unflushed + Int64(own.count)) { [base] () throws(FileError) in
            try own.withUnsafeBufferPointer { (own) throws(FileError) in
                try base.writeSome(UnsafeRawBufferPointer(own))
            }
        }
        unflushed += Int64(count)
        return count
    }

    func synchronize() throws(FileError) {
        try share.run(moving: unflushed) { [base] () throws(FileError) in try base.synchronize() }
        unflushed = 0
    }

    func truncate(to size: Int64) throws(FileError) {
        try share.run { [base] () throws(FileError) in try base.truncate(to: size) }
    }

    func close() throws(FileError) {
        try share.run(moving: unflushed) { [base] () throws(FileError) in try base.close() }
    }
}

import Files
import SupportForTests
import Synchronization
import SystemPackage

/// A local folder that behaves as a stick with FAT32 does, scaled down: names fold their case and may not hold certain
/// characters, files have a largest size, modification times even seconds, permissions do not stick, folders cannot be
/// flushed, and there are no links.
final class FATFileSystem: FileSystem {
    /// Instead of 4 GiB - 1.
    static let largestFile: Int64 = 100_000
    private static let refused = Set(":?*\"<>|\\")
    private let base = QuickFileSystem()
    private let stick: FilePath

    /// - Parameter stick: the folder; everything outside is an ordinary disk.
    init(stick: FilePath) { self.stick = stick }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        guard isHere(path) else { return try base.openForReading(path) }
        return FATReadableFile(try base.openForReading(try found(path, for: "open")))
    }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        guard isHere(path) else { return try base.create(path, permissions: permissions) }
        try checkName(path)
        guard try existing(path) == nil else { throw FileError("open", path, .fileExists) }
        return FATWritableFile(try base.create(path, permissions: 0o777), path, size: 0)
    }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        guard isHere(path) else { return try base.openForAppending(path, permissions: permissions) }
        try checkName(path)
        let there = try existing(path)
        let size = try there.map { (path) throws(FileError) in try base.status(path)?.size ?? 0 } ?? 0
        return FATWritableFile(try base.openForAppending(there ?? path, permissions: 0o777), path, size: size)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        if isHere(from) != isHere(to) { throw FileError("rename", from, .improperLink) }
        guard isHere(from) else { return try base.rename(from, to: to) }
        try checkName(to)
        let source = try found(from, for: "rename")
        // What is replaced has perhaps its name in another case.
        if let there = try existing(to), there != source { try base.unlink(there) }
        try base.rename(source, to: to)
    }
    func unlink(_ path: FilePath) throws(FileError) {
        try base.unlink(isHere(path) ? try found(path, for: "remove") : path)
    }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        guard isHere(path) else { return try base.makeDirectory(path, permissions: permissions) }
        try checkName(path)
        guard try existing(path) == nil else { throw FileError("create folder", path, .fileExists) }
        try base.makeDirectory(path, permissions: 0o777)
    }
    func removeDirectory(_ path: FilePath) throws(FileError) {
        try base.removeDirectory(isHere(path) ? try found(path, for: "remove folder") : path)
    }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try base.entries(isHere(folder) ? try found(folder, for: "list") : folder, limit: limit)
    }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        guard isHere(path) else { return try base.status(path) }
        guard let there = try existing(path) else { return nil }
        return try base.status(there)?.asOnFAT
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    func lock(_ path: FilePath) throws(FileError) -> FileLock? {
        if isHere(path) { throw FileError("lock", path, .noLocks) }
        return try base.lock(path)
    }
    func volume(of path: FilePath) throws(FileError) -> Volume? {
        isHere(path) ? Volume(type: "fat-like", mountPoint: stick, isReadOnly: false, available: 1 << 30) : nil
    }

    // MARK: names

    private func isHere(_ path: FilePath) -> Bool { path.starts(with: stick) }

    private func checkName(_ path: FilePath) throws(FileError) {
        let name = path.lastComponent?.string ?? ""
        guard !name.contains(where: Self.refused.contains), !name.hasSuffix("."), !name.hasSuffix(" ") else {
            throw FileError("create", path, .invalidArgument)
        }
    }

    private func found(_ path: FilePath, for operation: String) throws(FileError) -> FilePath {
        guard let there = try existing(path) else { throw FileError(operation, path, .noSuchFileOrDirectory) }
        return there
    }

    /// The path as it was created, whatever the case of its names here.
    private func existing(_ path: FilePath) throws(FileError) -> FilePath? {
        var real = stick
        for component in path.components.dropFirst(stick.components.count) {
            let wanted = component.string.lowercased()
            guard try base.status(real)?.kind == .directory,
                let entry = try base.entries(real, limit: .max).first(where: { $0.name.lowercased() == wanted })
            else { return nil }
            real.append(entry.component)
        }
        return try base.status(real) == nil ? nil : real
    }
}

extension FileStatus {
    fileprivate var asOnFAT: FileStatus {
        let seconds = modified / 1_000_000_000
        return FileStatus(
            kind: kind, size: size, permissions: 0o777, owner: owner, modified: (seconds - seconds % 2) * 1_000_000_000,
            device: device &+ 1, inode: inode)
    }
}

private final class FATReadableFile: ReadableFile {
    private let base: any ReadableFile
    init(_ base: any ReadableFile) { self.base = base }
    func status() throws(FileError) -> FileStatus { try base.status().asOnFAT }
    /// Short reads, as shares give.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        try base.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(4096)), at: offset)
    }
}

private final class FATWritableFile: WritableFile {
    private let base: any WritableFile
    private let path: FilePath
    private var size: Int64

    init(_ base: any WritableFile, _ path: FilePath, size: Int64) {
        self.base = base
        self.path = path
        self.size = size
    }

    /// Writes what still fits, and then nothing more.
    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        let room = Int(FATFileSystem.largestFile - size)
        guard room > 0 || bytes.isEmpty else { throw FileError("write", path, .fileTooLarge) }
        let count = try base.writeSome(UnsafeRawBufferPointer(rebasing: bytes.prefix(min(room, 10_000))))
        size += Int64(count)
        return count
    }
    func synchronize() throws(FileError) { try base.synchronize() }
    func close() throws(FileError) { try base.close() }
    func truncate(to size: Int64) throws(FileError) {
        try base.truncate(to: size)
        self.size = size
    }
}

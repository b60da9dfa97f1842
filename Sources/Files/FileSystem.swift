package import SystemPackage

/// What lies at a path, without following a symbolic link there.
package enum FileKind: Hashable, Sendable { case regular, directory, symlink, other }

/// One name in a folder. Names come from foreign hands: nothing may be concluded from them.
package struct DirectoryEntry: Hashable, Sendable {
    /// For people and for comparisons with names of our own; bytes that are not UTF-8 are replaced.
    package let name: String
    /// The exact bytes, for building paths.
    package let component: FilePath.Component
    package let kind: FileKind

    package init(component: FilePath.Component, kind: FileKind) {
        self.name = component.string
        self.component = component
        self.kind = kind
    }
}

/// What `lstat` or `fstat` tells.
package struct FileStatus: Hashable, Sendable {
    package let kind: FileKind
    /// In bytes.
    package let size: Int64
    /// The twelve low bits of the mode.
    package let permissions: UInt32
    /// User id.
    package let owner: UInt32
    /// Nanoseconds since 1970. Shares round it and clocks lie: good for a cache, never for a decision.
    package let modified: Int64
    package let device: UInt64
    package let inode: UInt64

    package init(
        kind: FileKind, size: Int64, permissions: UInt32, owner: UInt32, modified: Int64, device: UInt64, inode: UInt64
    ) {
        self.kind = kind
        self.size = size
        self.permissions = permissions
        self.owner = owner
        self.modified = modified
        self.device = device
        self.inode = inode
    }
}

/// A regular file open for reading; closed when released.
package protocol ReadableFile: AnyObject {
    /// The state of the open file itself, whatever its path leads to by now.
    func status() throws(FileError) -> FileStatus
    /// Reads at `offset`, at most `buffer.count` bytes; fewer are normal.
    /// - Returns: the number of bytes read; 0 at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int
    /// Asks the system to read from the medium again instead of from its memory. Only a wish: some media have no such way.
    func forgetCache()
}

extension ReadableFile {
    package func forgetCache() {}
}

/// A regular file open for writing at its end. Nothing counts as stored before ``synchronize()`` and ``close()`` succeeded.
package protocol WritableFile: AnyObject {
    /// Writes some of the bytes.
    /// - Returns: how many; fewer than all are normal, 0 is not.
    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int
    /// fsync.
    func synchronize() throws(FileError)
    func close() throws(FileError)
    /// Cuts off the file's end.
    /// - Parameter size: what is left, in bytes.
    func truncate(to size: Int64) throws(FileError)
}

extension WritableFile {
    /// What is on no disk is written once.
    package func truncate(to size: Int64) throws(FileError) { throw FileError("truncate", "", .notSupported) }
}

/// What somebody wants of the names in a folder, however many there are: it bounds its own memory.
package protocol NameSelection: Sendable {
    mutating func offer(_ entry: DirectoryEntry)
    /// Whether it wants no more names.
    var isDone: Bool { get }
    /// The folder may hold more names than were offered.
    mutating func breakOff()
}

extension NameSelection {
    package var isDone: Bool { false }
    package mutating func breakOff() {}
}

/// The primitive operations that everything on disk is built from: few, so that a test can let each of them fail in turn
/// or lose what was not flushed. No operation follows a symbolic link in the last component, except for folders.
package protocol FileSystem: Sendable {
    /// Opens without blocking and refuses everything but a regular file.
    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile
    /// Creates a file that must not exist. The process's umask applies to `permissions`.
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile
    /// Opens a file for writing at its end, and creates it if it is missing.
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile
    /// Replaces what is at `to`. Atomic within one file system.
    func rename(_ from: FilePath, to: FilePath) throws(FileError)
    func unlink(_ path: FilePath) throws(FileError)
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError)
    /// Removes an empty folder.
    func removeDirectory(_ path: FilePath) throws(FileError)
    /// The names in a folder in no order, at most `limit` of them.
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry]
    /// Offers the names in a folder, in no order and at most `limit` of them, one after the other, and says where those were
    /// not all.
    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection
    /// - Returns: nil if nothing is there.
    func status(_ path: FilePath) throws(FileError) -> FileStatus?
    /// Makes renames and removals in the folder durable. A file system that cannot (EINVAL) is taken as it is.
    func synchronizeDirectory(_ folder: FilePath) throws(FileError)
    /// Takes the exclusive lock of a file on local disk, which is created if missing and never removed. Does not wait.
    /// - Returns: nil while another process, or another lock of this one, holds it.
    func lock(_ path: FilePath) throws(FileError) -> FileLock?
    /// What kind of file system a path that exists lies on, and how much room is left there.
    /// - Returns: nil where that is not known.
    func volume(of path: FilePath) throws(FileError) -> Volume?
}

extension FileSystem {
    package func volume(of path: FilePath) throws(FileError) -> Volume? { nil }

    package func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        var selection = selection
        let entries = try entries(folder, limit: limit)
        for entry in entries { selection.offer(entry) }
        if entries.count >= limit { selection.breakOff() }
        return selection
    }
}

package import Files
package import SystemPackage

/// One file in memory, to be read at any path; so that a parser of files can be tried some ten thousand times a second.
package struct MemoryFileSystem: FileSystem {
    private let bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    package func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile { MemoryFile(bytes) }
    package func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        throw FileError("create", path, .readOnlyFileSystem)
    }
    package func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        throw FileError("open", path, .readOnlyFileSystem)
    }
    package func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        throw FileError("move", from, .readOnlyFileSystem)
    }
    package func unlink(_ path: FilePath) throws(FileError) { throw FileError("remove", path, .readOnlyFileSystem) }
    package func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        throw FileError("create folder", path, .readOnlyFileSystem)
    }
    package func removeDirectory(_ path: FilePath) throws(FileError) {
        throw FileError("remove", path, .readOnlyFileSystem)
    }
    package func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] { [] }
    package func status(_ path: FilePath) throws(FileError) -> FileStatus? { MemoryFile(bytes).state }
    package func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    package func lock(_ path: FilePath) throws(FileError) -> FileLock? { nil }
}

private final class MemoryFile: ReadableFile {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var state: FileStatus {
        FileStatus(
            kind: .regular, size: Int64(bytes.count), permissions: 0o644, owner: 0, modified: 0, device: 1, inode: 1)
    }

    func status() throws(FileError) -> FileStatus { state }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        guard offset < bytes.count else { return 0 }
        let piece = bytes[Int(offset)..<min(bytes.count, Int(offset) + buffer.count)]
        buffer.copyBytes(from: piece)
        return piece.count
    }
}

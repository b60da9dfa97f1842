package import Files
package import SystemPackage

/// A file system over another one that differs in some operations; the others go on as they are.
package protocol ForwardingFileSystem: FileSystem {
    var base: any FileSystem { get }

    /// Called before every operation but ``FileSystem/lock(_:)``, which is for local disks. What it throws, the operation
    /// throws. A renaming comes with the new name.
    func pass(_ operation: String, _ path: FilePath) throws(FileError)
}

extension ForwardingFileSystem {
    package func pass(_ operation: String, _ path: FilePath) throws(FileError) {}

    package func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try pass("open", path)
        return try base.openForReading(path)
    }
    package func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("create", path)
        return try base.create(path, permissions: permissions)
    }
    package func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try pass("append", path)
        return try base.openForAppending(path, permissions: permissions)
    }
    package func rename(_ from: FilePath, to: FilePath) throws(FileError) {
        try pass("rename", to)
        try base.rename(from, to: to)
    }
    package func unlink(_ path: FilePath) throws(FileError) {
        try pass("remove", path)
        try base.unlink(path)
    }
    package func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) {
        try pass("create folder", path)
        try base.makeDirectory(path, permissions: permissions)
    }
    package func removeDirectory(_ path: FilePath) throws(FileError) {
        try pass("remove folder", path)
        try base.removeDirectory(path)
    }
    package func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        try pass("list", folder)
        return try base.entries(folder, limit: limit)
    }
    package func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        try pass("look at", path)
        return try base.status(path)
    }
    package func synchronizeDirectory(_ folder: FilePath) throws(FileError) {
        try pass("flush folder", folder)
        try base.synchronizeDirectory(folder)
    }
    package func lock(_ path: FilePath) throws(FileError) -> FileLock? { try base.lock(path) }
}

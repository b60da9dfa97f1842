package import SystemPackage

extension FileSystem {
    /// The names in a folder, sorted by bytes. Beyond `limit`, which bounds memory, the system chooses whose turn it is.
    package func list(_ folder: FilePath, limit: Int = .max) throws(FileError) -> [DirectoryEntry] {
        try entries(folder, limit: limit).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// Creates a folder and the missing ones above it. One that is there already is left as it is.
    package func makeDirectories(_ folder: FilePath, permissions: UInt32 = 0o755) throws(FileError) {
        if let status = try status(folder) {
            // A symbolic link to a folder is fine: whoever set up the home may have put part of it on another disk.
            guard status.kind == .directory || status.kind == .symlink else {
                throw FileError("create folder", folder, .fileExists, hint: "a file is in its place")
            }
            return
        }
        let parent = folder.folder
        if parent != folder { try makeDirectories(parent, permissions: permissions) }
        do { try makeDirectory(folder, permissions: permissions) } catch  where error.code == .fileExists { return }
        try synchronizeDirectory(parent)
    }

    /// Removes a file or a symbolic link itself; nothing there is success.
    package func remove(_ path: FilePath) throws(FileError) {
        do { try unlink(path) } catch  where error.isMissing { return }
        try synchronizeDirectory(path.folder)
    }

    /// Removes a file, or a folder with everything in it, without following symbolic links; nothing there is success.
    package func removeTree(_ path: FilePath) throws(FileError) {
        guard let kind = try status(path)?.kind else { return }
        try removeTree(path, kind: kind)
        try synchronizeDirectory(path.folder)
    }

    private func removeTree(_ path: FilePath, kind: FileKind) throws(FileError) {
        do {
            guard kind == .directory else { return try unlink(path) }
            for entry in try entries(path, limit: .max) {
                try removeTree(path.appending(entry.component), kind: entry.kind)
            }
            try removeDirectory(path)
        } catch  where error.isMissing {
            // Somebody else removed it first, which is what was wanted.
        }
    }

    /// Renames, replacing a file at `target`, and flushes both folders. A file moves to another file system by copy, so that
    /// it is for a moment at both places and never at none.
    package func move(from source: FilePath, to target: FilePath) throws(FileError) {
        do {
            try rename(source, to: target)
        } catch  where error.code == .improperLink {
            try copyFile(from: source, to: target, permissions: try status(source)?.permissions ?? 0o644)
            try unlink(source)
        }
        try synchronizeDirectory(target.folder)
        if source.folder != target.folder { try synchronizeDirectory(source.folder) }
    }

    /// Clears the leftovers of killed runs from a folder that only this program writes to, and only while holding its lock.
    /// - Returns: how many there were.
    @discardableResult
    package func removeLeftovers(in folder: FilePath) throws(FileError) -> Int {
        var count = 0
        for entry in try list(folder) where entry.kind == .regular && TemporaryName.isOurs(entry.name) {
            try unlink(folder.appending(entry.component))
            count += 1
        }
        return count
    }
}

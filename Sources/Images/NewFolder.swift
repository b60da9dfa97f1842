import Files
import SystemPackage

/// A folder that appears whole or not at all: built under `NAME.part` beside its place, flushed, then renamed.
///
/// The place must be free or an empty folder. A `NAME.part` that a killed run left is removed first.
struct NewFolder {
    private let target: FilePath
    private let part: FilePath
    private let files: any FileSystem
    private var made: Set<FilePath> = []

    /// - Throws: `outputExists`, `cannotWrite`.
    init(_ target: FilePath, files: any FileSystem) throws(ImageError) {
        guard let name = target.lastComponent else {
            throw ImageError(.cannotWrite, "\(target) cannot be an output folder: name a new one")
        }
        self.target = target
        self.files = files
        self.part = target.removingLastComponent().appending("\(name).part")
        let part = part
        try Self.writing { () throws(FileError) in
            guard let status = try files.status(target) else { return try files.removeTree(part) }
            guard status.kind == .directory, try files.entries(target, limit: 1).isEmpty else {
                throw FileError("create", target, .fileExists, hint: "give a new folder, or remove this one first")
            }
            try files.removeTree(part)
        }
        try makeFolder(FilePath())
    }

    /// Makes a folder inside the new one, with those above it.
    mutating func makeFolder(_ relative: FilePath) throws(ImageError) {
        let folder = part.pushing(relative)
        guard made.insert(folder).inserted else { return }
        let files = files
        try Self.writing { () throws(FileError) in try files.makeDirectories(folder) }
    }

    mutating func write(_ relative: FilePath, _ bytes: [UInt8]) throws(ImageError) {
        try makeFolder(relative.removingLastComponent())
        let (files, path) = (files, part.pushing(relative))
        try Self.writing { () throws(FileError) in
            // Flushed one by one, without the temporary names of the crash-safe write: the whole folder is temporary.
            let file = try files.create(path, permissions: 0o644)
            try file.write(bytes)
            try file.synchronize()
            try file.close()
        }
    }

    /// Flushes the folders and gives the whole its name.
    func publish() throws(ImageError) {
        let (files, made, part, target) = (files, made, part, target)
        try Self.writing { () throws(FileError) in
            for folder in made { try files.synchronizeDirectory(folder) }
            if try files.exists(target) { try files.removeDirectory(target) }
            try files.move(from: part, to: target)
        }
    }

    /// After an error: leaves nothing behind, as far as the file system lets us.
    func discard() { try? files.removeTree(part) }

    private static func writing<Result>(_ body: () throws(FileError) -> Result) throws(ImageError) -> Result {
        do { return try body() } catch {
            throw ImageError(error.code == .fileExists ? .outputExists : .cannotWrite, error.description)
        }
    }
}

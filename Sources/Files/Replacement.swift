import SystemPackage

/// A file on its way to a path: written under a temporary name in the same folder, then renamed.
///
/// Its errors name the path. A random name says nothing to a person, and makes one trouble look new at every try.
struct Replacement {
    let temporary: FilePath
    let file: CountedFile
    private let path: FilePath
    private let files: any FileSystem

    init(of path: FilePath, permissions: UInt32, in files: any FileSystem) throws(FileError) {
        guard let name = path.lastComponent, name.kind == .regular else {
            throw FileError("write", path, .invalidArgument, hint: "the path does not name a file")
        }
        self.path = path
        self.files = files
        temporary = path.folder.appending(TemporaryName.make(for: name.string))
        let names = Names(temporary: temporary, final: path)
        let created = try names.translating { () throws(FileError) in
            try files.create(names.temporary, permissions: permissions)
        }
        file = CountedFile(created, names)
    }

    /// For work on the temporary file that is done outside.
    func naming<Result>(_ work: () throws(FileError) -> Result) throws(FileError) -> Result {
        try Names(temporary: temporary, final: path).translating(work)
    }

    /// Flushes, closes, opens again and compares the size: some shares report a full disk only here.
    func finishWriting() throws(FileError) {
        try file.synchronize()
        try file.close()
        let size = try naming { () throws(FileError) in try files.openForReading(temporary).status().size }
        guard size == file.count else {
            throw FileError("write", path, .ioError, hint: "\(file.count) bytes were written, \(size) are there")
        }
    }

    func commit() throws(FileError) {
        try naming { () throws(FileError) in try files.rename(temporary, to: path) }
        try files.synchronizeDirectory(path.folder)
    }

    /// Clears away after an error, as far as the file system still lets us. The error that led here is the one to report.
    func discard() {
        try? file.close()
        try? files.unlink(temporary)
    }
}

extension Replacement {
    /// The two names of one file.
    fileprivate struct Names {
        let temporary: FilePath
        let final: FilePath

        func translating<Result>(_ work: () throws(FileError) -> Result) throws(FileError) -> Result {
            do { return try work() } catch {
                guard error.path == temporary else { throw error }
                throw FileError(error.operation, final, error.code, hint: error.hint)
            }
        }
    }
}

/// Counts what was written, to be compared with what arrived.
final class CountedFile: WritableFile {
    private(set) var count: Int64 = 0
    private let file: any WritableFile
    private let names: Replacement.Names

    fileprivate init(_ file: any WritableFile, _ names: Replacement.Names) {
        self.file = file
        self.names = names
    }

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        let written = try names.translating { () throws(FileError) in try file.writeSome(bytes) }
        count += Int64(written)
        return written
    }

    func synchronize() throws(FileError) {
        try names.translating { () throws(FileError) in try file.synchronize() }
    }
    func close() throws(FileError) { try names.translating { () throws(FileError) in try file.close() } }
}

/// Names of files that are still being written: `.NAME.<16 hexadecimal digits>.part`. Readers of a shared folder skip them.
package enum TemporaryName {
    private static let suffix = ".part"

    static func make(for name: String) -> String {
        // 100 bytes leave room for the rest within the usual limit of 255, also where a name is stored encrypted.
        let stem = String(decoding: name.utf8.prefix(100), as: UTF8.self)
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        return ".\(stem).\(String(repeating: "0", count: 16 - random.count))\(random)\(suffix)"
    }

    /// Whether a name ends as an unfinished file's does, ours or another program's.
    package static func isUnfinished(_ name: String) -> Bool { name.hasSuffix(suffix) }

    /// Whether `name` has exactly the form that ``FileSystem/writeFile(_:_:permissions:)`` uses.
    package static func isOurs(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].isEmpty, parts[parts.count - 1] == "part" else { return false }
        let random = parts[parts.count - 2].utf8
        return random.count == 16 && random.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

extension FilePath {
    /// The folder that the path lies in: `.` for a bare name.
    var folder: FilePath {
        let parent = removingLastComponent()
        return parent.isEmpty ? "." : parent
    }
}

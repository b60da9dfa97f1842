import Files
import Glibc
import SystemPackage

/// Files and folders that a person names to be read. Symbolic links are followed here, and only here: within homes, data
/// folders and bundles nothing follows them.
enum InputFile {
    /// - Returns: the absolute path without links.
    /// - Throws: ``CommandFailure`` with ``ExitStatus/missingInput`` where nothing is there.
    static func path(_ text: String) throws(CommandFailure) -> FilePath {
        guard let pointer = realpath(Environment.path(text).string, nil) else {
            let code = Errno(rawValue: errno)
            let isMissing = code == .noSuchFileOrDirectory || code == .notDirectory
            throw CommandFailure(
                isMissing ? .missingInput : .inputOutput, "\(text.printable): \(code.description.lowercased())")
        }
        defer { free(pointer) }
        return FilePath(String(cString: pointer))
    }

    /// The same for what must be a plain file.
    static func file(_ text: String) throws -> FilePath {
        let path = try path(text)
        guard let kind = try LocalFileSystem().status(path)?.kind, kind != .regular else { return path }
        throw CommandFailure(
            .missingInput, "\(text.printable): is \(kind == .directory ? "a folder" : "a device"), not a file")
    }

    /// The same for what must be a folder.
    static func folder(_ text: String) throws -> FilePath {
        let path = try path(text)
        guard try LocalFileSystem().status(path)?.kind == .directory else {
            throw CommandFailure(.missingInput, "\(text.printable): is not a folder")
        }
        return path
    }
}

/// Files that a person wants written. What is there already is never overwritten.
enum OutputFile {
    /// Writes a whole file, safely. One with the same content is left as it is, so that a command can be repeated.
    ///
    /// - Returns: whether anything was written.
    /// - Throws: ``CommandFailure`` with ``ExitStatus/cannotCreate``, `FileError` for what may pass.
    @discardableResult
    static func write(_ bytes: [UInt8], to path: FilePath, permissions: UInt32 = 0o644) throws -> Bool {
        let files = LocalFileSystem()
        do throws(FileError) {
            if try files.exists(path) {
                guard try files.status(path)?.size == Int64(bytes.count),
                    try files.readFile(path, limit: bytes.count) == bytes
                else { throw FileError("create", path, .fileExists, hint: "it has other content: choose another name") }
                return false
            }
            guard try files.exists(path.removingLastComponent()) else {
                throw FileError("create", path, .noSuchFileOrDirectory, hint: "make its folder first")
            }
            try files.writeFile(path, bytes, permissions: permissions)
            return true
        } catch  where !error.isTransient {
            throw CommandFailure(.cannotCreate, error.description)
        }
    }
}

extension String {
    /// For a terminal: file names and foreign texts must not bring control sequences or line ends with them.
    var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.isPrintable ? $0 : "?" }))
    }
}

extension Unicode.Scalar.Properties {
    fileprivate var isPrintable: Bool {
        switch generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
        default: true
        }
    }
}

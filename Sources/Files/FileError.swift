package import SystemPackage

/// Why a file operation failed: what was tried, on which path, the system's code, and a hint where one helps.
///
/// Texts are one line, lower case, no full stop: `cannot rename /a/b: no space left on device (free some space)`.
package struct FileError: Error, Equatable, CustomStringConvertible {
    /// The verb of the operation: "open", "read", "write", "flush", "rename", ...
    package let operation: String
    package let path: FilePath
    /// The system's error number. Refusals of our own borrow the nearest one, such as EFBIG for a file over its limit.
    package let code: Errno
    package let hint: String?

    package init(_ operation: String, _ path: FilePath, _ code: Errno, hint: String? = nil) {
        self.operation = operation
        self.path = path
        self.code = code
        self.hint = hint ?? FileError.usualHint(code)
    }

    package var description: String {
        let reason = code.description
        let text = reason.prefix(1).lowercased() + reason.dropFirst()
        return "cannot \(operation) \(path): \(text)" + (hint.map { " (\($0))" } ?? "")
    }

    package var isMissing: Bool { code == .noSuchFileOrDirectory }

    /// True where the same command may well succeed later without a change of what it was asked to do: a full disk, a
    /// share that is not mounted, too many open files.
    package var isTransient: Bool {
        let transient: [Errno] = [
            .noSpace, .diskQuotaExceeded, .ioError, .resourceTemporarilyUnavailable, .interrupted, .resourceBusy,
            .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .socketNotConnected, .staleNFSFileHandle,
            .timedOut, .connectionRefused, .connectionReset, .hostIsDown, .noRouteToHost, .networkUnreachable,
            .networkDown,
            .noLocks, .readOnlyFileSystem,
        ]
        return transient.contains(code)
    }

    private static func usualHint(_ code: Errno) -> String? {
        switch code {
        case .noSpace, .diskQuotaExceeded: "free some space and run again"
        case .permissionDenied, .notPermitted: "check the owner and the permissions of the file and its folder"
        case .readOnlyFileSystem: "mount it for writing"
        case .socketNotConnected, .staleNFSFileHandle: "mount the share again"
        case .fileTooLarge: "the file system may not take files this large: FAT32 stops at 4 GiB"
        case .tooManyOpenFiles: "raise the limit on open files"
        case .tooManySymbolicLinkLevels: "symbolic links are not followed here"
        default: nil
        }
    }
}

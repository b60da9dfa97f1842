package import SystemPackage
import Wire

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

    /// On one line whatever the path is called: names come from foreign hands, and errors go to mails and screens.
    package var description: String {
        "cannot \(operation) \(path.string.singleLine): \(reason)" + (hint.map { " (\($0))" } ?? "")
    }

    /// The system's words for the code.
    package var reason: String { code.description.prefix(1).lowercased() + code.description.dropFirst() }

    /// A share that did not answer in time; see ``ShareGuard``. The text is the same whatever was tried.
    package static func unreachable(_ root: FilePath, _ code: Errno, hint: String) -> FileError {
        FileError(reaching, root, code, hint: hint)
    }

    /// Whether the whole share is away, so that there is no sense in trying its other files.
    package var isUnreachable: Bool { operation == Self.reaching }

    /// Whether a text is such an error's.
    package static func isUnreachable(_ text: String) -> Bool { text.hasPrefix("cannot \(reaching) ") }

    private static let reaching = "reach"

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
        case .fileTooLarge:
            "FAT32 stops below 4 GiB: 'consilium bundle split' makes parts that fit, 'bundle join' the file"
        case .tooManyOpenFiles: "raise the limit on open files"
        case .tooManySymbolicLinkLevels: "symbolic links are not followed here"
        default: nil
        }
    }
}

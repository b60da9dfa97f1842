package import Bundles
package import Files
import Wire

/// Why a home could not be used or a message not moved.
///
/// One line, lower case, no full stop: what is wrong, on what; the hint says what to do.
package struct MailboxError: Error, Equatable, CustomStringConvertible {
    /// The class of the trouble, from which a command derives its exit status.
    package enum Kind: Hashable, Sendable {
        /// The folder is not a home, or its `home.json` is damaged.
        case notAHome
        /// A server's command on a client's home, or the other way round.
        case wrongRole
        /// There is a home, or a file, where a new one was to be made.
        case exists
        case identity
        /// One of the home's own keys is not there.
        case missingKey
        /// The signing key is another one than this home's.
        case foreignKey
        /// The trust folder is missing something or is garbled. Nothing is believed then.
        case trust
        /// The clock runs before what is already known to be past.
        case clock
        /// Own state is garbled.
        case state
        case desk
        /// What the configuration or a person names cannot be meant.
        case configuration
        case exchange
        /// A file that the user named is missing or is not what it should be.
        case input
        case bundle
        /// The disk or the share said no, for good.
        case storage
        /// The disk or the share said no; the same command may succeed later.
        case temporary
    }

    package let kind: Kind
    package let message: String
    package let hint: String?

    package init(_ kind: Kind, _ message: String, hint: String? = nil) {
        self.kind = kind
        self.message = message
        self.hint = hint
    }

    package init(_ error: FileError) {
        self.init(error.isTransient ? .temporary : .storage, error.description)
    }

    package init(_ kind: Kind, _ error: BundleError) {
        if let cause = error.cause {
            self.init(cause)
        } else {
            self.init(error.reason == .agentUnavailable ? .temporary : kind, error.description)
        }
    }

    package var description: String { message + (hint.map { " (\($0))" } ?? "") }
}

/// Runs file operations and reports their errors as this module's.
func onDisk<Result>(_ work: () throws(FileError) -> Result) throws(MailboxError) -> Result {
    do { return try work() } catch { throw MailboxError(error) }
}

/// Reads own state, whose damage is no foreigner's fault.
///
/// - Parameters:
///   - document: what the reader's errors begin with, in place of which they get `place`.
///   - place: the file, and where in it.
func readingState<Result>(
    _ document: String, at place: String, hint: String = "restore it from a backup; it is never edited by hand",
    _ work: () throws(JSONError) -> Result
) throws(MailboxError) -> Result {
    do { return try work() } catch {
        let text = error.description
        let isNamed = text.hasPrefix(document + ": ")
        throw MailboxError(
            .state, "\(place): \(isNamed ? String(text.dropFirst(document.count + 2)) : text)", hint: hint)
    }
}

import Bundles
import Files
import Mailbox

/// Why an admin's command, or a part of a tick, could not be done. Lower case, no full stop: what is wrong, on what.
package struct ServerError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable, CaseIterable {
        /// The home lacks something that the command needs (no version yet, no such request).
        case missing
        /// The state does not allow it (already decided, session over).
        case notAllowed
        /// A file of the home is damaged.
        case damaged
        /// A file that an admin wrote is not usable (`plan.yaml`, an edited request).
        case badInput
    }

    package let code: Code
    package let message: String
    /// What to do.
    package let hint: String?

    package init(_ code: Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var description: String { hint.map { "\(message) (\($0))" } ?? message }
}

/// Trouble of our own disk that may be over with the next run: the one thing that stops a whole tick. Everything else is the
/// trouble of one bundle, request or session, and the others go on.
func isTransient(_ error: any Error) -> Bool {
    switch error {
    case let error as FileError: error.isTransient
    case let error as MailboxError: error.kind == .temporary
    case let error as BundleError: error.cause?.isTransient ?? (error.reason == .agentUnavailable)
    default: false
    }
}

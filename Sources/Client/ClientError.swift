/// Why a hospital's command, or a part of a tick, could not be done. Lower case, no full stop: what is wrong, on what.
package struct ClientError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable, CaseIterable {
        /// Something the command needs is not there (no pictures, no accepted model).
        case missing
        /// It is there, but may not be read.
        case unreadable
        /// The state does not allow it (session over, already decided).
        case notAllowed
        /// A file of the home is damaged.
        case damaged
        /// The disk or the share fails just now; the same may succeed later.
        case temporary
        /// What the user gave is not usable (an invite that does not verify, pictures without classes).
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

package import Files
import Wire

/// Why a bundle, a signature or a key was refused.
///
/// One line, lower case, no full stop: what is wrong, on what, what to do about it.
package struct BundleError: Error, Equatable, CustomStringConvertible {
    /// The class of the fault, named as the field names it. The raw values are stable: they go into quarantine notes.
    package enum Reason: String, CaseIterable, Sendable {
        /// The file ends too early and is in order so far: it may still be growing. All other reasons are final.
        case incomplete
        /// The system would not let us read or write; says nothing about the bundle. See ``BundleError/cause``.
        case fileTrouble = "file-trouble"
        case tooLarge = "too-large"
        /// Not the one encoding of an archive: another tar dialect, a link, a folder, bytes after the end, ...
        case notCanonical = "not-canonical"
        /// The archive is in order, but its entries are not those that the manifest lists.
        case fileSetMismatch = "file-set-mismatch"
        /// A payload file has not the length or digest that the manifest states.
        case lengthOrHashMismatch = "length-or-hash-mismatch"
        case malformedManifest = "malformed-manifest"
        case unknownFormat = "unknown-format"
        case unknownKind = "unknown-kind"
        case malformedSignature = "malformed-signature"
        case badSignature = "bad-signature"
        case wrongNamespace = "wrong-namespace"
        case malformedKey = "malformed-key"
        case passphraseProtected = "passphrase-protected"
        /// The key is in an ssh-agent that is not there, or does not sign now. Says nothing about the key.
        case agentUnavailable = "agent-unavailable"
        case malformedTrust = "malformed-trust"
        /// Not an age file, or one with a header that age's specification forbids.
        case malformedEncryption = "malformed-encryption"
        /// An age file as age can make it and this program does not read it: armoured, with a passphrase, ...
        case unsupportedEncryption = "unsupported-encryption"
        /// None of our identities is among the recipients of an age file.
        case notForThisIdentity = "not-for-this-identity"
        /// An age file's header is not the one that its sender wrote.
        case badHeaderMAC = "bad-header-mac"
        /// An age file's content is not what its sender encrypted: changed, moved about, or with something after its end.
        case damagedPayload = "damaged-payload"
    }

    package let reason: Reason
    package let detail: String
    /// Present for ``Reason/fileTrouble``: whether to try again is for it to say.
    package let cause: FileError?

    package init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail.singleLine
        cause = nil
    }

    package init(_ cause: FileError) {
        reason = .fileTrouble
        detail = cause.description
        self.cause = cause
    }

    /// Gives an error out of a streaming write its type back: such closures can throw both of these types only.
    init(rethrown error: any Error) {
        switch error {
        case let error as BundleError: self = error
        case let error as FileError: self.init(error)
        default: self.init(.fileTrouble, "\(error)")
        }
    }

    package var description: String { detail }

    /// Whether it says something about what was read, as opposed to the system or an agent, which may do it later.
    package var isAboutContent: Bool { reason != .fileTrouble && reason != .agentUnavailable }
}

/// Runs file operations and reports their errors as bundle errors.
func readingFiles<Result>(_ work: () throws(FileError) -> Result) throws(BundleError) -> Result {
    do { return try work() } catch { throw BundleError(error) }
}

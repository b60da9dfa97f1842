package import Bundles
import Files
import SystemPackage
package import Wire

/// A bundle that is whole, signed by whom it says it is from, for this home, in time and new. Its meaning is not judged yet.
package struct VerifiedDelivery: Sendable {
    /// Lies in the mailbox's spool until it is committed.
    package let bundle: VerifiedBundle
    /// As somebody named the file; for messages to people only.
    package let inboxName: String
    /// True for an `enrol`: nobody vouches for the key. The caller checks that the key which the payload announces is
    /// ``signer``, and asks a person.
    package let isSelfSigned: Bool
    /// Whether it waited in this home before.
    package let wasHeld: Bool
    /// Whether its file came unencrypted. Of what waited here before as it was then.
    package internal(set) var cameInTheClear: Bool

    package var manifest: Manifest { bundle.manifest }
    package var id: Digest { bundle.id }
    package var sender: PartyName { bundle.manifest.sender }
    package var signer: PublicKey { bundle.signer }
}

/// The caller's answer to a delivery.
package enum Verdict: Equatable, Sendable {
    /// Kept in the archive; never delivered again.
    case accepted
    /// Kept in quarantine with this reason. The same bundle may come again and be judged anew.
    case rejected(String)
    /// Too early, for this reason: kept for 30 days and delivered again by `receive(retryEarly: true)`.
    case held(String)
    /// In order and of no interest, such as an old round's global: not kept; never delivered again.
    case ignored
}

/// A file that was taken out of the inbox into quarantine.
package struct Refusal: Sendable {
    /// How much of what is wrong is told, in bytes: it may quote what others wrote.
    static let detailBytes = 1 << 10

    /// Whose the key is that signed, as far as this home knows.
    enum Owner { case sender, somebodyElse, nobody }

    /// The file's name in the inbox.
    package let name: String
    package let reason: RefusalReason
    package let detail: String
    /// As the manifest says; nobody need have been it. Nil where there is none.
    package let sender: PartyName?
    /// Of the bundle, or of the file that is none.
    package let subject: Digest
    /// Of a file that is no bundle: what is wrong in one word, and how large it is. Its name and its content may name
    /// anybody, and have no place in the audit.
    let file: (fault: BundleError.Reason, bytes: Int64)?
    /// Fingerprint of the key that signed.
    package let signer: String?
    let trusted: Owner
    /// Whether the same file is in quarantine already.
    var isRepeated = false

    /// What happens when somebody copies whole folders, every night perhaps: not worth a mail, or not another one.
    package var isQuiet: Bool { reason == .wrongRecipient || isRepeated }

    /// For people.
    package var line: String {
        let whose: String
        switch (sender, signer) {
        case (let sender?, _) where trusted == .sender: whose = "a bundle of \(sender)"
        case (let sender?, let signer?): whose = "a bundle that says it is from \(sender), signed by \(signer),"
        default: whose = "a bundle"
        }
        return "\(whose) was put into quarantine: \(detail) (\(name))"
    }

    /// For the audit.
    package var record: String {
        if let file {
            return "\(reason.rawValue): \(file.fault.rawValue); a file of \(file.bytes) bytes with this SHA-256"
        }
        let claim = sender.map { trusted == .sender ? "; from \($0)" : "; says that it is from \($0)" } ?? ""
        let key = signer.map { detail.contains($0) ? "" : ", signed by \($0)" } ?? ""
        return "\(reason.rawValue): \(detail)\(claim)\(key)"
    }
}

/// What one look into the inbox brought.
package struct Received: Sendable {
    /// Sorted by sender, session and number.
    package internal(set) var deliveries: [VerifiedDelivery] = []
    package internal(set) var refusals: [Refusal] = []
    /// Newly held ones of unknown keys.
    package internal(set) var held: [HeldBundle] = []
    /// New alarms; they stay in ``Mailbox/equivocations``.
    package internal(set) var alarms: [Equivocation] = []
    /// Files that do not verify and may still be growing.
    package internal(set) var settling = 0
    /// Files left for the next run.
    package internal(set) var remaining = 0
}

/// A file in the inbox as it was when it was copied.
struct InboxFile: Equatable {
    let component: FilePath.Component
    let size: Int64
    let modified: Int64
    let inode: UInt64

    var name: String { component.string }
}

/// What the mailbox has to clean when a delivery is committed.
struct PendingDelivery {
    var bundle: VerifiedBundle
    /// More than one where the same bundle lay there under several names; none for a held one.
    var sources: [InboxFile]
}

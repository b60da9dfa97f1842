package import Bundles
package import Wire

/// A bundle of ours, found again by its key: what makes sending idempotent.
package struct OutgoingRecord: Equatable, Sendable {
    /// The caller's name for the wish, such as `global/SESSION/3`: one key, one bundle, for ever.
    package let key: String
    package let id: Digest
    package let kind: BundleKind
    package let session: RandomID
    package let round: Int
    package let seq: Int64
    package let recipients: [PartyName]
    package let created: Timestamp
    package let expires: Timestamp
    /// The file's name in the outbox; it ends in `.age` where the bundle travels encrypted.
    package internal(set) var name: String
    package let retention: Retention
    package internal(set) var acknowledgedBy: Set<PartyName> = []
    /// When it was last laid into the outbox; nil while that is still to be done, or it is kept back.
    package internal(set) var published: Timestamp?
    /// Superseded, withdrawn, acknowledged by all or expired: gone from the outbox, known only to keep its key taken.
    package internal(set) var isRetired = false

    /// Whether what lies in the outbox is encrypted. Decided when the bundle is made; see ``Mailbox/seal(_:)``.
    package var isEncrypted: Bool { name.hasSuffix(AgeFile.suffix) }
    /// Whether it is an update in the clear that is offered to nobody now; see ``Mailbox/seal(_:)``. In the record, since not
    /// every command that carries bundles reads the configuration.
    var isKeptBack: Bool { kind == .update && !isEncrypted && published == nil }
    /// Whether every recipient is known to have received it.
    package var isAcknowledged: Bool { !recipients.isEmpty && recipients.allSatisfy(acknowledgedBy.contains) }
}

/// How long a bundle stays in the outbox. Its expiry ends each of these.
package enum Retention: Hashable, Sendable {
    /// Decisions, aborts, requests, updates.
    case untilAcknowledged
    /// The newest global of a session: stays though acknowledged, for a site that lost it, until the caller withdraws it.
    case untilWithdrawn
    /// Invites and receipts, which nobody acknowledges: so many days.
    case days(Int64)
}

/// A bundle of another party's that passed all of the mailbox's checks.
struct IncomingRecord: Equatable {
    enum Outcome: String, CaseIterable { case accepted, rejected, ignored, held }

    let id: Digest
    let kind: BundleKind
    let sender: PartyName
    /// Fingerprint of the key that signed.
    let signer: String
    let session: RandomID
    let round: Int
    let seq: Int64
    let received: Timestamp
    let expires: Timestamp
    var outcome: Outcome
    /// Whether the sender still has to be told that it arrived.
    var owesAck: Bool
    /// When it was last told.
    var acknowledged: Timestamp?

    /// Whether its sender, who offers it still, seems not to have got the last acknowledgement. One that is noted for a day to
    /// come was dated by a wrong clock, and is not taken before that day.
    func isToBeToldAgain(now: Timestamp) -> Bool {
        guard let acknowledged else { return false }
        return abs(now.seconds - acknowledged.seconds) >= Ledger.repeatedAckAfter
    }
}

/// A verified bundle that waits in the home: for its sender's enrolment, or for the session that it belongs to.
package struct HeldBundle: Equatable, Sendable {
    package enum Cause: String, CaseIterable, Sendable {
        case unknownKey = "unknown-key"
        case early
    }

    package let id: Digest
    package let kind: BundleKind
    /// As the bundle says; not to be believed while the key is unknown.
    package let sender: PartyName
    package let fingerprint: String
    package let since: Timestamp
    package let cause: Cause
    package let reason: String
    /// Whether its file came unencrypted, and never encrypted since.
    var cameInTheClear = false
}

/// Two different bundles with one number from one party: somebody uses the key a second time, a backup was restored, or the
/// party says different things to different people.
package struct Equivocation: Hashable, Sendable {
    package let sender: PartyName
    package let session: RandomID
    package let seq: Int64
    /// The one that was taken.
    package let first: Digest
    /// The one in quarantine.
    package let second: Digest

    package init(sender: PartyName, session: RandomID, seq: Int64, first: Digest, second: Digest) {
        self.sender = sender
        self.session = session
        self.seq = seq
        self.first = first
        self.second = second
    }
}

/// The last bundle that was numbered in a session.
struct SequencePosition: Equatable {
    var seq: Int64
    var id: Digest
}

package import Wire

/// The fields of a verified manifest by which its freshness is judged.
package struct Envelope: Equatable, Sendable {
    package let kind: MessageKind
    package let id: Digest
    package let federation: RandomID
    package let session: RandomID
    package let round: Int
    package let sequence: Int64
    package let sender: PartyName
    package let recipients: [PartyName]
    package let created: Timestamp
    package let expires: Timestamp
    /// The `model.safetensors` that an update was trained from.
    package let base: Digest?

    package init(
        kind: MessageKind, id: Digest, federation: RandomID, session: RandomID, round: Int, sequence: Int64,
        sender: PartyName, recipients: [PartyName], created: Timestamp, expires: Timestamp, base: Digest?
    ) {
        self.kind = kind
        self.id = id
        self.federation = federation
        self.session = session
        self.round = round
        self.sequence = sequence
        self.sender = sender
        self.recipients = recipients
        self.created = created
        self.expires = expires
        self.base = base
    }
}

/// The bundle kinds, named as in the manifest.
package enum MessageKind: String, Sendable, CaseIterable {
    case invite, enrol, request, decision, global, update, receipt, withdraw, abort, trust, recovery

    /// Kinds that say how things stand. An old one is not merely stale: whoever serves it hides a newer one.
    var statesTheSituation: Bool { self == .global || self == .decision || self == .abort || self == .trust }
}

/// What is to be done with a bundle whose signature and content are good.
package enum Verdict: Equatable, Sendable {
    case accept
    /// In the ledger already: no-op.
    case duplicate
    /// Cannot be judged yet; kept and tried again.
    case hold(HoldReason)
    case reject(RejectReason)
    /// Same sender, session and sequence number as an accepted bundle, other content: keep both, alarm, exclude.
    case equivocation(other: Digest)
}

package enum HoldReason: String, Sendable, CaseIterable {
    /// The session's decision has not come yet; bundles overtake each other.
    case unknownSessionYet = "unknown session yet"
    /// A round that this home has not opened: its state may be an old backup.
    case roundNotOpenYet = "round not open yet"
}

/// Why a bundle is refused; attack names from TUF (The Update Framework, version 1.0.34) where they fit.
package enum RejectReason: String, Sendable, CaseIterable, CustomStringConvertible {
    case wrongFederation = "wrong federation"
    case wrongRecipient = "wrong recipient"
    case notYetValid = "not yet valid"
    case expired
    /// An expired statement of how things stand is served in place of a newer one.
    case freeze
    /// A sequence number too far above the highest seen.
    case fastForward = "fast-forward"
    /// A statement older than one that was accepted on the same subject.
    case rollback
    case unknownSession = "unknown session"
    case sessionOver = "session over"
    /// An update for a round of this session that is closed, from another model line.
    case closedRound = "closed round"
    /// Trained from another model than the round's.
    case wrongBase = "wrong base"
    /// A second, different global for a round that was taken.
    case conflictingGlobal = "conflicting global"
    /// A bundle of one context used in another: an update or a global with no session or round.
    case replay

    package var description: String { rawValue }
}

/// What the ledger knows about a bundle's sender and session.
package struct LedgerFacts: Equatable, Sendable {
    package var isKnown: Bool
    /// Highest accepted sequence number of this sender in this session; 0 if none.
    package var highestSequence: Int64
    /// The accepted bundle with the same sender, session and sequence number.
    package var sameSequence: Digest?
    /// For decision and trust: the highest accepted sequence number on the same subject; nil if none.
    package var subjectSequence: Int64?

    package init(
        isKnown: Bool, highestSequence: Int64, sameSequence: Digest? = nil, subjectSequence: Int64? = nil
    ) {
        self.isKnown = isKnown
        self.highestSequence = highestSequence
        self.sameSequence = sameSequence
        self.subjectSequence = subjectSequence
    }
}

/// The freshness rules of PROTOCOL, as functions of values.
///
/// Order of the checks: duplicate, federation, recipient, validity, equivocation, sequence, then the session's own
/// rules.
package enum Freshness {
    /// Rules that hold for every kind.
    ///
    /// - Parameters:
    ///   - federation: nil while this home belongs to none yet (an `invite` is being read).
    ///   - own: this home's name; an `invite` is addressed to nobody.
    package static func judge(
        _ envelope: Envelope, own: PartyName, federation: RandomID?, ledger: LedgerFacts, now: Timestamp
    ) -> Verdict {
        if ledger.isKnown { return .duplicate }
        if let federation, federation != envelope.federation { return .reject(.wrongFederation) }
        if envelope.kind != .invite, !envelope.recipients.contains(own) { return .reject(.wrongRecipient) }
        if envelope.created > now.adding(seconds: FederationLimits.clockTolerance) { return .reject(.notYetValid) }
        if envelope.expires < now { return .reject(envelope.kind.statesTheSituation ? .freeze : .expired) }
        if let other = ledger.sameSequence { return .equivocation(other: other) }
        if envelope.sequence > ledger.highestSequence + FederationLimits.sequenceJump { return .reject(.fastForward) }
        if let newest = ledger.subjectSequence, envelope.sequence < newest { return .reject(.rollback) }
        return .accept
    }

    /// An update or withdrawal, against the server's session.
    ///
    /// A late update of a closed round is accepted: the session records it, and its late policy decides.
    ///
    /// - Parameter session: nil if the server has none of this id.
    package static func judge(update envelope: Envelope, session: Session?) -> Verdict {
        guard !envelope.session.isNone, envelope.round >= 1 else { return .reject(.replay) }
        guard let session, session[envelope.sender] != nil else { return .reject(.unknownSession) }
        guard !session.isOver else { return .reject(.sessionOver) }
        guard let open = session.round else { return .hold(.roundNotOpenYet) }
        if envelope.round > open.number { return .hold(.roundNotOpenYet) }
        if envelope.round == open.number { return envelope.base == open.model ? .accept : .reject(.wrongBase) }
        let closed = session.history[envelope.round - 1]
        return envelope.base == closed.base ? .accept : .reject(.closedRound)
    }

    /// A global, against what the client has taken.
    ///
    /// - Parameters:
    ///   - taken: round and model of the newest global taken in this session; nil if none.
    ///   - isExpected: the client has sent a request or has a decision that fits this session.
    ///   - isOver: the client has withdrawn, was dropped, or stopped the session.
    ///   - model: the global's own `model.safetensors`.
    package static func judge(
        global envelope: Envelope, model: Digest, taken: (round: Int, model: Digest)?, isExpected: Bool, isOver: Bool
    ) -> Verdict {
        guard !envelope.session.isNone, envelope.round >= 1 else { return .reject(.replay) }
        guard !isOver else { return .reject(.sessionOver) }
        guard isExpected else { return .hold(.unknownSessionYet) }
        guard let taken else { return .accept }
        if envelope.round < taken.round { return .reject(.rollback) }
        // A re-issue, for whoever lost the frozen tensors, has the same model; anything else is a second story.
        if envelope.round == taken.round, model != taken.model { return .reject(.conflictingGlobal) }
        return .accept
    }

    /// Whether a client should tell its people that the server is silent: the round's deadline, and a day for the
    /// courier, have passed since the last global.
    package static func isSilent(lastGlobal: Timestamp, plan: Plan, now: Timestamp) -> Bool {
        now > lastGlobal.adding(seconds: plan.deadline + FederationLimits.clockTolerance)
    }
}

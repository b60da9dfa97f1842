package import Wire

/// The fields of a verified manifest by which its place in a session is judged.
package struct Envelope: Equatable, Sendable {
    package let session: RandomID
    package let round: Int
    package let sender: PartyName
    /// The `model.safetensors` that an update was trained from.
    package let base: Digest?

    package init(session: RandomID, round: Int, sender: PartyName, base: Digest?) {
        self.session = session
        self.round = round
        self.sender = sender
        self.base = base
    }
}

/// What is to be done with a bundle whose signature and content are good.
package enum Verdict: Equatable, Sendable {
    case accept
    /// Cannot be judged yet; kept and tried again.
    case hold(HoldReason)
    case reject(RejectReason)
}

package enum HoldReason: String, Sendable, CaseIterable {
    /// The session's decision has not come yet; bundles overtake each other.
    case unknownSessionYet = "unknown session yet"
    /// A round that this home has not opened: its state may be an old backup.
    case roundNotOpenYet = "round not open yet"
}

/// Why a bundle is refused; attack names from TUF (The Update Framework, version 1.0.34) where they fit.
package enum RejectReason: String, Sendable, CaseIterable, CustomStringConvertible {
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

/// The freshness rules of PROTOCOL that a session has of its own, as functions of values. Those that hold for every kind are the
/// mailbox's.
package enum Freshness {
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

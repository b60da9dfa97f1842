package import Wire

/// Work that a session's state asks for. Derived from the state alone, as often as one likes: each publication has a
/// key under which it happens once, each other wish is answered by an event.
package enum SessionWish: Equatable, Sendable {
    case decision(key: String, to: PartyName, Decision)
    case global(GlobalOrder)
    case abort(key: String, to: [PartyName], Reason)
    /// Answered by ``SessionEvent/aggregated(round:model:)``.
    case aggregate(AggregationOrder)
    /// Answered by ``SessionEvent/versionSaved(_:)``.
    case saveVersion(VersionOrder)
    /// Answered by ``SessionEvent/pauseAnnounced``: the admin is told once, with exit code 69.
    case announcePause(reason: String)
}

/// A global to publish: `plan.json`, `round.json`, `model.safetensors`, and `base.safetensors` where asked for.
package struct GlobalOrder: Equatable, Sendable {
    package let key: String
    package let round: Int
    /// Sorted.
    package let recipients: [PartyName]
    /// SHA-256 of `model.safetensors`.
    package let model: Digest
    /// SHA-256 of `base.safetensors`, for recipients that have not acknowledged it; nil: it does not travel.
    package let base: Digest?
    package let plan: Plan
    package let report: RoundReport
}

/// Updates to average, written down in the state before the work starts.
package struct AggregationOrder: Equatable, Sendable {
    package let round: Int
    /// `model.safetensors` that the updates were trained from.
    package let base: Digest
    package let strategy: Strategy
    /// Sorted by client.
    package let inputs: [ReceivedUpdate]
}

/// A version to save.
package struct VersionOrder: Equatable, Sendable {
    /// What the version's model is, and the final global: the last round's, or after an early stop the best round's.
    package let model: Digest
    package let modelRound: Int
    package let last: Digest
    package let lastRound: Int
    package let best: BestRound?
    package let stoppedEarly: Bool
}

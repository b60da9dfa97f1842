package import Wire

/// What can happen to a session. Events that come from bundles may come twice, late and in any order; those of the
/// admin's commands throw where they cannot apply.
package enum SessionEvent: Equatable, Sendable {
    /// A request lies in the session's approved folder. Before the start: takes part from round 1; afterwards: from the
    /// next round.
    case join(client: PartyName, request: Digest, pictures: Int)
    /// How many clients a session that waits needs; the configuration may change meanwhile.
    case need(clients: Int)
    /// The plan is fixed and enough clients are there: round 1 opens.
    case start(SessionStart)
    /// A good update.
    case update(ReceivedUpdate)
    /// An update of this session that was refused for what it says, never for its freshness.
    case refuse(client: PartyName, round: Int, bundle: Digest, reason: String)
    /// An update of the open round is not, or may not be, its client's own: the key that signed it is revoked.
    case disown(client: PartyName, bundle: Digest)
    /// A client has acknowledged a global that carried the frozen tensors.
    case baseAcknowledged(PartyName)
    /// A client has lost its model or its frozen tensors: the current global goes out to it once more, whole.
    case reissue(PartyName)
    /// Frozen tensors may have been sent in this server's name: whoever has some is sent the true ones, with the current
    /// global.
    case baseDoubted
    /// Two bundles with the same sequence number.
    case equivocation(PartyName)
    /// For a reason of its own, such as a revoked key: as after an equivocation, until the admin readmits it.
    case exclude(PartyName, reason: String)
    case readmit(PartyName)
    /// A request was moved from approved to rejected, or `server drop`.
    case drop(PartyName, reason: String)
    case withdraw(PartyName, bundle: Digest)
    /// `server extend`: from the deadline, or from now where it has passed.
    case extend(days: Int64)
    case abort(reason: String)
    /// Time has passed.
    case tick
    /// The frozen updates of this round were averaged into `model`.
    case aggregated(round: Int, model: Digest)
    /// `versions/NUMBER` is complete on disk.
    case versionSaved(Int)
    /// The admin has been told that the session is paused.
    case pauseAnnounced
}

/// What a session begins with.
package struct SessionStart: Equatable, Sendable {
    package let plan: Plan
    /// SHA-256 of `plan.json` as it is sent.
    package let planDigest: Digest
    /// The version that is trained further; 0 for the imported or initial model.
    package let version: Int
    /// `model.safetensors` of round 1: the part that trains.
    package let model: Digest
    /// `base.safetensors`: the frozen part; nil where everything trains.
    package let base: Digest?

    package init(plan: Plan, planDigest: Digest, version: Int, model: Digest, base: Digest?) {
        self.plan = plan
        self.planDigest = planDigest
        self.version = version
        self.model = model
        self.base = base
    }

    var json: JSONValue {
        JSONValue(fields: [
            "plan": plan.json, "plan_digest": JSONValue(planDigest), "version": JSONValue(version),
            "model": JSONValue(model), "base": base.map { JSONValue($0) },
        ])
    }

    init(reading object: inout ObjectReader) throws {
        guard let read = try object.optionalNested("plan", Plan.init(reading:)) else {
            throw object.problem("plan", "is missing")
        }
        plan = read
        planDigest = try object.digest("plan_digest")
        version = try object.count("version")
        model = try object.digest("model")
        base = try object.optionalDigest("base")
    }
}

/// What an event brought about, for the audit and for the admin. Work that has to be done is not here but in
/// ``Session/wishes``, which a killed run derives again.
package enum SessionEffect: Equatable, Sendable, CustomStringConvertible {
    case joined(PartyName, round: Int)
    case started(participants: [PartyName], round: Int)
    /// A session of one: nothing is averaged.
    case trainsAlone(PartyName)
    case updateRecorded(PartyName, round: Int)
    /// A newer update of the same client took the place of an older one.
    case updateReplaced(PartyName, round: Int)
    /// The round had closed.
    case updateLate(PartyName, round: Int)
    /// Nothing changed, and why.
    case updateIgnored(PartyName, reason: String)
    case updateRefused(PartyName, round: Int, reason: String)
    /// It was taken, and the key that signed it is revoked since.
    case updateDisowned(PartyName, round: Int)
    case closing(round: Int, used: [PartyName], missing: [PartyName])
    case aggregated(round: Int, model: Digest)
    case roundOpened(Int)
    case paused(reason: String)
    case resumed(round: Int)
    case extended(until: Timestamp)
    case excluded(PartyName, reason: String)
    case readmitted(PartyName)
    case dropped(PartyName, reason: String)
    case withdrawn(PartyName)
    /// Without a round: the finished model.
    case reissued(PartyName, round: Int?)
    case finished(rounds: Int, early: Bool)
    case versionSaved(Int)
    case aborted(reason: String)

    package var description: String {
        switch self {
        case .joined(let client, let round): "\(client) takes part from round \(round)"
        case .started(let clients, let round): "round \(round) starts with \(names(clients))"
        case .trainsAlone(let client): "\(client) trains alone: nothing is averaged with another hospital"
        case .updateRecorded(let client, let round): "update of \(client) for round \(round) received"
        case .updateReplaced(let client, let round): "newer update of \(client) for round \(round) received"
        case .updateLate(let client, let round): "update of \(client) for round \(round) came late and is not used"
        case .updateIgnored(let client, let reason): "update of \(client) ignored: \(reason)"
        case .updateRefused(let client, let round, let reason):
            "update of \(client) for round \(round) refused: \(reason)"
        case .updateDisowned(let client, let round):
            "update of \(client) for round \(round) counts no more: the key that signed it is revoked"
        case .closing(let round, let used, let missing):
            "round \(round) closes with \(names(used))" + (missing.isEmpty ? "" : ", without \(names(missing))")
        case .aggregated(let round, let model): "round \(round) aggregated into \(model.short)"
        case .roundOpened(let round): "round \(round) is open"
        case .paused(let reason): "paused: \(reason)"
        case .resumed(let round): "round \(round) goes on"
        case .extended(let time): "deadline is now \(time.rfc3339)"
        case .excluded(let client, let reason): "\(client) is excluded: \(reason)"
        case .readmitted(let client): "\(client) is readmitted"
        case .dropped(let client, let reason): "\(client) is dropped" + (reason.isEmpty ? "" : ": \(reason)")
        case .withdrawn(let client): "\(client) has withdrawn"
        case .reissued(let client, let round?): "global of round \(round) is issued again to \(client)"
        case .reissued(let client, nil): "the finished model is issued again to \(client)"
        case .finished(let rounds, let early):
            "finished after \(counted(rounds, "round"))" + (early ? " (early stop)" : "")
        case .versionSaved(let number): "version \(number) saved"
        case .aborted(let reason): "aborted" + (reason.isEmpty ? "" : ": \(reason)")
        }
    }

    /// A person has to act, or has to know: cron mails what is printed.
    package var needsAttention: Bool {
        switch self {
        case .closing(_, _, let missing): !missing.isEmpty
        // A refused update is told by whoever refused it.
        case .paused, .updateDisowned, .excluded, .withdrawn, .trainsAlone, .aborted: true
        default: false
        }
    }

    private func names(_ clients: [PartyName]) -> String {
        clients.isEmpty ? "nobody" : clients.map(\.text).joined(separator: ", ")
    }
}

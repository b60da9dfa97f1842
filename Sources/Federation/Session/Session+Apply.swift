package import Wire

extension Session {
    /// Takes an event in. Only `.tick` (and `.extend`) closes, pauses or resumes the round.
    ///
    /// - Returns: what came of it, in order; empty where the event was known already.
    /// - Throws: ``FederationError`` `.notAllowed` for a command that does not fit the state. Nothing has changed then.
    ///   Events made from bundles never throw.
    package mutating func apply(_ event: SessionEvent, now: Timestamp) throws(FederationError) -> [SessionEffect] {
        let before = (isOver, version)
        let effects = try react(to: event, now: now)
        if isOver, before != (isOver, version) { ended = now }
        return effects
    }

    private mutating func react(to event: SessionEvent, now: Timestamp) throws(FederationError) -> [SessionEffect] {
        switch event {
        case .join(let client, let request, let pictures):
            return try join(client, request: request, pictures: pictures)
        case .need(let clients):
            if state == .waiting { minimumClients = max(1, clients) }
            return []
        case .start(let values): return try begin(values, now: now)
        case .update(let update): return record(update)
        case .refuse(let client, let round, let bundle, let reason):
            return refuse(client, round: round, bundle: bundle, reason: Reason(reason).reason)
        case .disown(let client, let bundle): return disown(client, bundle)
        case .baseAcknowledged(let client):
            change(client) { $0.hasBase = true }
            return []
        case .reissue(let client): return try reissue(client)
        case .baseDoubted:
            issueBaseAgain()
            return []
        case .equivocation(let client): return exclude(client, reason: Self.equivocationReason)
        case .exclude(let client, let reason): return exclude(client, reason: Reason(reason).reason)
        case .readmit(let client): return try readmit(client)
        case .drop(let client, let reason): return try drop(client, reason: Reason(reason).reason)
        case .withdraw(let client, let bundle): return withdraw(client, bundle: bundle)
        case .extend(let days): return try extend(days: days, now: now) + advance(now)
        case .abort(let reason): return try abort(Reason(reason).reason)
        case .tick: return advance(now)
        case .aggregated(let number, let model): return aggregated(number, model: model, now: now)
        case .versionSaved(let number): return versionSaved(number, now: now)
        case .pauseAnnounced:
            if state == .paused { pauseAnnounced = true }
            return []
        }
    }

    // MARK: participants

    private mutating func join(
        _ client: PartyName, request: Digest, pictures: Int
    ) throws(FederationError) -> [SessionEffect] {
        if let known = self[client] {
            // The file lies in its folder as long as the session lives: seeing it again is no news, and a withdrawn
            // request stays withdrawn. A dropped one was put back on purpose.
            if known.request == request, known.standing != .dropped { return [] }
            if known.standing == .active || known.standing == .excluded {
                throw FederationError(
                    .notAllowed, "\(client) takes part in session \(name) already; reject its other request")
            }
        }
        try requireOngoing("join")
        guard self[client] != nil || participants.count < FederationLimits.participants else {
            throw FederationError(
                .notAllowed, "session \(name) has \(participants.count) participants; approve \(client) for another one"
            )
        }
        let joining = joiningRound(of: client)
        if let plan, joining > plan.rounds {
            throw FederationError(
                .notAllowed,
                "session \(name) is in its last round; approve the request of \(client) for another session")
        }
        var participant = Participant(name: client, request: request, pictures: pictures, firstRound: joining)
        if let known = self[client] {
            // What it had of the session it may have cleared away; what it sent belongs to the request that is over.
            participant.decisions = known.decisions
            // A round that is being averaged stays as its account says.
            if round?.frozen == nil, let old = round?.update(of: client)?.bundle {
                round?.superseded.append(old)
                round?.superseded.sort()
                round?.received.removeAll { $0.client == client }
            }
        }
        participant.decisions.append(
            Decision(subject: .request, about: request, verdict: .approved, session: id))
        participants.removeAll { $0.name == client }
        participants.append(participant)
        participants.sort { $0.name < $1.name }
        if round?.number == joining { issueAgain(client) }
        return [.joined(client, round: joining)]
    }

    /// The next round; or the open one, where that cannot reach its quorum without a newcomer, or the client was in it before.
    private func joiningRound(of client: PartyName) -> Int {
        guard let round, let plan else { return 1 }
        if let known = self[client], known.firstRound <= round.number, round.frozen == nil { return round.number }
        let short = state == .paused && expected.count < requiredUpdates(plan)
        return short ? round.number : round.number + 1
    }

    static let equivocationReason = "two bundles carry the same sequence number"

    private mutating func exclude(_ client: PartyName, reason: String) -> [SessionEffect] {
        guard !isOver, let known = self[client], known.standing == .active else { return [] }
        settle(
            client, as: .excluded,
            Decision(
                subject: .session, about: known.request, verdict: .excluded, reason: reason, session: id))
        return [.excluded(client, reason: reason)]
    }

    private mutating func readmit(_ client: PartyName) throws(FederationError) -> [SessionEffect] {
        try requireOngoing("readmit")
        let known = try member(client)
        if known.standing == .active { return [] }
        guard known.standing == .excluded else {
            throw FederationError(.notAllowed, "\(client) has left session \(name); approve a new request of it")
        }
        settle(
            client, as: .active, Decision(subject: .session, about: known.request, verdict: .readmitted, session: id))
        // It may have missed the global while it was excluded.
        if let round, round.frozen == nil, known.firstRound <= round.number, round.update(of: client) == nil {
            let why = known.decisions.last { $0.verdict == .excluded }?.reason
            // Else somebody else may have acknowledged what was for it.
            let isAlone = why == Self.equivocationReason && known.hasBase
            if isAlone { issueAgain(client) } else { tellAgain(client) }
        }
        return [.readmitted(client)]
    }

    private mutating func drop(_ client: PartyName, reason: String) throws(FederationError) -> [SessionEffect] {
        try requireOngoing("drop")
        let known = try member(client)
        guard known.standing == .active || known.standing == .excluded else { return [] }
        settle(
            client, as: .dropped,
            Decision(subject: .request, about: known.request, verdict: .dropped, reason: reason, session: id))
        return [.dropped(client, reason: reason)]
    }

    private mutating func withdraw(_ client: PartyName, bundle: Digest) -> [SessionEffect] {
        guard !isOver, let known = self[client], known.standing == .active || known.standing == .excluded,
            !known.decisions.contains(where: { $0.verdict == .withdrawn && $0.about == bundle })
        else { return [] }
        settle(
            client, as: .withdrawn, Decision(subject: .withdrawal, about: bundle, verdict: .withdrawn, session: id))
        return [.withdrawn(client)]
    }

    private mutating func reissue(_ client: PartyName) throws(FederationError) -> [SessionEffect] {
        let known = try member(client)
        guard let round, state != .aborted, known.standing == .active, known.firstRound <= round.number else {
            throw FederationError(.notAllowed, "session \(name) has no global for \(client) now")
        }
        tellAgain(client)
        return [.reissued(client, round: state == .finished ? nil : round.number)]
    }

    // MARK: the whole session

    private mutating func extend(days: Int64, now: Timestamp) throws(FederationError) -> [SessionEffect] {
        guard let round, state == .running || state == .paused else {
            throw FederationError(.notAllowed, "session \(name) is \(state.rawValue): it has no deadline to extend")
        }
        guard (1...730).contains(days) else {
            throw FederationError(.notAllowed, "extend by 1 to 730 days, not by \(days)")
        }
        let until = max(round.deadline, now).adding(days: days)
        self.round?.deadline = until
        return [.extended(until: until)]
    }

    private mutating func abort(_ reason: String) throws(FederationError) -> [SessionEffect] {
        if state == .aborted { return [] }
        try requireOngoing("abort")
        abortRecipients = participants.filter { $0.standing == .active || $0.standing == .excluded }.map(\.name)
        abortReason = reason
        pauseReason = nil
        state = .aborted
        return [.aborted(reason: reason)]
    }

    // MARK: helpers

    private func requireOngoing(_ verb: String) throws(FederationError) {
        guard !isOver else {
            throw FederationError(.notAllowed, "session \(name) is \(state.rawValue): cannot \(verb)")
        }
    }

    private func member(_ client: PartyName) throws(FederationError) -> Participant {
        guard let known = self[client] else {
            throw FederationError(.notAllowed, "\(client) is not in session \(name)")
        }
        return known
    }

    private mutating func settle(_ client: PartyName, as standing: Participant.Standing, _ decision: Decision) {
        change(client) { participant in
            participant.standing = standing
            participant.decisions.append(decision)
        }
    }

    mutating func change(_ client: PartyName, _ body: (inout Participant) -> Void) {
        if let index = participants.firstIndex(where: { $0.name == client }) { body(&participants[index]) }
    }

    /// Again only where somebody has acknowledged frozen tensors since.
    private mutating func issueBaseAgain() {
        guard start?.base != nil, !isOver else { return }
        let holders = participants.filter { $0.hasBase && $0.standing == .active }.map(\.name)
        guard let round, !holders.isEmpty else { return }
        for client in holders { change(client) { $0.hasBase = false } }
        let audience = holders.filter { name in round.issues.contains { $0.recipients.contains(name) } }
        if !audience.isEmpty { self.round?.issues.append(OpenRound.Issue(recipients: audience, withBase: true)) }
    }

    /// All that a client needs to train the open round. Whoever lost its model may have lost the decision too, without which it
    /// takes no global; and where a thief has acknowledged one, it did not arrive.
    mutating func tellAgain(_ client: PartyName) {
        guard let known = self[client] else { return }
        let approval = Decision(subject: .request, about: known.request, verdict: .approved, session: id)
        change(client) { participant in
            participant.hasBase = false
            participant.decisions.append(approval)
        }
        issueAgain(client)
    }

    /// One more bundle of the current global, for one client that may lack the others.
    private mutating func issueAgain(_ client: PartyName) {
        let lacks = start?.base != nil && self[client]?.hasBase == false
        round?.issues.append(OpenRound.Issue(recipients: [client], withBase: lacks))
    }
}

package import Wire

extension Session {
    mutating func begin(_ values: SessionStart, now: Timestamp) throws(FederationError) -> [SessionEffect] {
        guard state == .waiting else { return [] }
        guard canStart(values.plan) else {
            let needed = max(minimumClients, values.plan.quorum.minimumParticipants)
            throw FederationError(
                .notAllowed, "session \(name) has \(active.count) of the \(needed) participants that it needs")
        }
        start = values
        state = .running
        let alone = active.count == 1 ? active.map { SessionEffect.trainsAlone($0) } : []
        return [.started(participants: active, round: 1)] + alone + open(1, model: values.model, now: now)
    }

    // MARK: updates

    mutating func record(_ update: ReceivedUpdate) -> [SessionEffect] {
        let client = update.client
        if knows(update.bundle) { return [] }
        guard !isOver else { return [.updateIgnored(client, reason: "the session is \(state.rawValue)")] }
        guard let open = round, let participant = self[client] else {
            return [.updateIgnored(client, reason: "it takes no part in a running round")]
        }
        guard participant.standing == .active || participant.standing == .excluded else {
            return [.updateIgnored(client, reason: "the client is \(participant.standing.rawValue)")]
        }
        guard participant.firstRound <= update.round, update.round <= open.number, update.round >= 1 else {
            return [.updateIgnored(client, reason: "round \(update.round) is not open for it")]
        }
        // Who was sent the global again may have lost everything since it trained: then only its acknowledgement counts.
        let isIssuedAgain = open.issues.count { $0.recipients.contains(client) } > 1
        if !isIssuedAgain { change(client) { $0.hasBase = true } }
        if update.round < open.number || open.frozen != nil {
            // The round's report, which lists them, has the same bound.
            guard open.late.count < FederationLimits.participants else {
                return [
                    .updateIgnored(client, reason: "it is late, and \(open.late.count) late updates are noted already")
                ]
            }
            round?.late.append(LateUpdate(client: client, round: update.round, update: update.bundle))
            round?.late.sort { ($0.client, $0.round, $0.update) < ($1.client, $1.round, $1.update) }
            return [.updateLate(client, round: update.round)]
        }
        guard let older = open.update(of: client) else {
            round?.received.append(update)
            round?.received.sort { $0.client < $1.client }
            return [.updateRecorded(client, round: update.round)]
        }
        let isNewer = update.sequence > older.sequence
        round?.superseded.append(isNewer ? older.bundle : update.bundle)
        round?.superseded.sort()
        guard isNewer else {
            return [.updateIgnored(client, reason: "a newer update of it is here")]
        }
        round?.received = open.received.map { $0.client == client ? update : $0 }
        return [.updateReplaced(client, round: update.round)]
    }

    /// Whether this update has left its trace in the state already.
    private func knows(_ bundle: Digest) -> Bool {
        if let round, round.received.contains(where: { $0.bundle == bundle }) || round.superseded.contains(bundle) {
            return true
        }
        if let round, round.late.contains(where: { $0.update == bundle }) { return true }
        return history.contains { closed in
            closed.superseded.contains(bundle) || closed.late.contains { $0.update == bundle }
                || closed.participants.contains { $0.counted?.update == bundle }
        }
    }

    mutating func refuse(_ client: PartyName, round number: Int, bundle: Digest, reason: String) -> [SessionEffect] {
        guard let open = round, open.number == number, open.frozen == nil, !isOver, self[client] != nil,
            !open.refused.contains(where: { $0.bundle == bundle }), !open.superseded.contains(bundle)
        else { return [] }
        round?.superseded += open.refused.filter { $0.client == client }.map(\.bundle)
        round?.superseded.sort()
        round?.refused.removeAll { $0.client == client }
        round?.refused.append(RefusedUpdate(client: client, bundle: bundle, reason: reason))
        round?.refused.sort { $0.client < $1.client }
        return [.updateRefused(client, round: number, reason: reason)]
    }

    /// What has come from a client in the round that is open, whatever became of it.
    package func bundlesOfOpenRound(from client: PartyName) -> [Digest] {
        guard let round else { return [] }
        return round.received.filter { $0.client == client }.map(\.bundle)
            + round.refused.filter { $0.client == client }.map(\.bundle)
            + round.late.filter { $0.client == client && $0.round == round.number }.map(\.update)
    }

    // MARK: rounds

    /// Closes, pauses or resumes the open round, as answers, quorum and time demand.
    mutating func advance(_ now: Timestamp) -> [SessionEffect] {
        guard let open = round, let plan, state == .running || state == .paused else { return [] }
        let required = requiredUpdates(plan)
        if answered.count >= required, missing.isEmpty || now >= open.deadline { return freeze() }
        if expected.count < required {
            let left =
                switch expected.count {
                case 0: "no participant is left"
                case 1: "1 participant is left"
                default: "\(expected.count) participants are left"
                }
            return pause("round \(open.number): \(left), ", "\(required) are needed")
        }
        if now >= open.deadline {
            let names = missing.map(\.text).joined(separator: ", ")
            return pause(
                "round \(open.number): the deadline has passed with ",
                "\(answered.count) of \(required) updates needed, missing \(names)")
        }
        guard state == .paused else { return [] }
        state = .running
        pauseReason = nil
        return [.resumed(round: open.number)]
    }

    /// - Parameters:
    ///   - cause: the beginning of the reason. Another one is news in a session that is paused already.
    ///   - details: the rest, which answers change from tick to tick.
    private mutating func pause(_ cause: String, _ details: String) -> [SessionEffect] {
        let isNews = state != .paused || pauseReason?.hasPrefix(cause) != true
        state = .paused
        pauseReason = cause + details
        guard isNews else { return [] }
        pauseAnnounced = false
        return [.paused(reason: cause + details)]
    }

    /// Writes down what will be averaged, and everybody's fate.
    private mutating func freeze() -> [SessionEffect] {
        guard let open = round else { return [] }
        let lines = participants.filter { $0.firstRound <= open.number }.compactMap { fate(of: $0, in: open) }
        round?.frozen = lines
        state = .closing
        pauseReason = nil
        let used = lines.filter { $0.counted != nil }.map(\.client)
        return [.closing(round: open.number, used: used, missing: lines.map(\.client).filter { !used.contains($0) })]
    }

    private func fate(of participant: Participant, in open: OpenRound) -> ParticipantLine? {
        let client = participant.name
        switch participant.standing {
        case .dropped, .withdrawn: return nil
        case .excluded:
            let why = participant.decisions.last { $0.verdict == .excluded }?.reason ?? Self.equivocationReason
            let reason = "excluded: \(why)"
            return ParticipantLine(client: client, fate: .rejected(reason))
        case .active:
            if let update = open.update(of: client) {
                return ParticipantLine(client: client, fate: .counted(update.counted))
            }
            if let refusal = open.refused.first(where: { $0.client == client }) {
                return ParticipantLine(client: client, fate: .rejected(refusal.reason))
            }
            let late = open.late.contains { $0.client == client }
            return ParticipantLine(client: client, fate: late ? .late : .missing)
        }
    }

    mutating func aggregated(_ number: Int, model: Digest, now: Timestamp) -> [SessionEffect] {
        guard state == .closing, let open = round, open.number == number, let lines = open.frozen,
            let used = open.used, let plan
        else { return [] }
        let metrics = Dictionary(used.map { ($0.client, $0.metrics) }, uniquingKeysWith: { first, _ in first })
        history.append(
            ClosedRound(
                number: number, base: open.model, model: model, opened: open.opened, closed: now,
                participants: lines, late: open.late, superseded: open.superseded,
                metrics: AggregatedMetrics(pooling: metrics),
                issues: open.issues.count))
        let effects = [SessionEffect.aggregated(round: number, model: model)]
        stoppedEarly = number < plan.rounds && shouldStopEarly
        guard number == plan.rounds || stoppedEarly else {
            state = .running
            return effects + self.open(number + 1, model: model, now: now)
        }
        state = .finished
        round = nil
        return effects + [.finished(rounds: number, early: stoppedEarly)]
    }

    private mutating func open(_ number: Int, model: Digest, now: Timestamp) -> [SessionEffect] {
        guard let start else { return [] }
        let recipients = participants.filter { $0.standing == .active && $0.firstRound <= number }
        let lacking = recipients.filter { start.base != nil && !$0.hasBase }.map(\.name)
        let others = recipients.map(\.name).filter { !lacking.contains($0) }
        let issues = [
            OpenRound.Issue(recipients: others, withBase: false), OpenRound.Issue(recipients: lacking, withBase: true),
        ]
        round = OpenRound(
            number: number, model: model, opened: now, deadline: now.adding(seconds: start.plan.deadline),
            issues: issues.filter { !$0.recipients.isEmpty })
        return state == .finished ? [] : [.roundOpened(number)]
    }

    mutating func versionSaved(_ number: Int, now: Timestamp) -> [SessionEffect] {
        guard state == .finished, version == nil, let order = versionOrder else { return [] }
        version = number
        _ = open(order.lastRound + 1, model: order.model, now: now)
        return [.versionSaved(number)]
    }
}

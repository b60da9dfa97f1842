import Wire

extension Session {
    /// The work that the state asks for, in the order in which it should be done.
    package var wishes: [SessionWish] {
        var wishes = decisionWishes
        switch state {
        case .waiting: break
        case .running: wishes += globalWishes
        case .paused:
            wishes += globalWishes
            if let pauseReason, !pauseAnnounced { wishes.append(.announcePause(reason: pauseReason)) }
        case .closing:
            if let round, let used = round.used, let plan {
                let order = AggregationOrder(
                    round: round.number, base: round.model, strategy: plan.strategy, inputs: used)
                wishes.append(.aggregate(order))
            }
        case .finished:
            if version == nil, let versionOrder { wishes.append(.saveVersion(versionOrder)) }
            wishes += globalWishes
        case .aborted:
            if let abortReason, !abortRecipients.isEmpty {
                wishes.append(.abort(key: "\(id)/abort", to: abortRecipients, Reason(abortReason)))
            }
        }
        return wishes
    }

    private var decisionWishes: [SessionWish] {
        participants.flatMap { participant in
            participant.decisions.enumerated().map { index, decision in
                var decision = decision
                decision.plan = decision.verdict == .approved ? start?.planDigest : nil
                return .decision(key: "\(id)/decision/\(participant.name)/\(index)", to: participant.name, decision)
            }
        }
    }

    private var globalWishes: [SessionWish] {
        guard let round, let start, let report else { return [] }
        return round.issues.enumerated().compactMap { index, issue in
            let recipients = issue.recipients.filter { self[$0]?.standing == .active }
            guard !recipients.isEmpty else { return nil }
            return .global(
                GlobalOrder(
                    key: globalKey(round: round.number, issue: index), round: round.number, recipients: recipients,
                    model: round.model, base: issue.withBase ? start.base : nil, plan: start.plan, report: report))
        }
    }

    private func globalKey(round: Int, issue: Int) -> String { "\(id)/global/\(round)/\(issue)" }

    /// Globals of earlier rounds, by key: they may leave the outbox, since only the newest is of use.
    package var supersededKeys: [String] {
        let past = history.flatMap { closed in
            (0..<closed.issues).map { globalKey(round: closed.number, issue: $0) }
        }
        guard state == .aborted, let round else { return past }
        return past + round.issues.indices.map { globalKey(round: round.number, issue: $0) }
    }

    /// The account of the last closed round that goes out with the current global; nil while there is no global.
    package var report: RoundReport? {
        guard let round, let plan else { return nil }
        let closed = history.last
        return RoundReport(
            phase: state == .finished ? .final : .running, round: round.number, closed: closed?.number ?? 0,
            model: round.model, frozen: start?.base, base: closed?.base, strategy: plan.strategy,
            participants: closed?.participants ?? [],
            late: Array((closed?.late ?? []).prefix(FederationLimits.participants)), metrics: closed?.metrics,
            best: best, version: version,
            stoppedEarly: stoppedEarly)
    }

    /// What a finished session is saved as; nil before.
    package var versionOrder: VersionOrder? {
        guard state == .finished, let last = history.last else { return nil }
        let chosen = stoppedEarly ? best : nil
        return VersionOrder(
            model: chosen?.model ?? last.model, modelRound: chosen?.round ?? last.number, last: last.model,
            lastRound: last.number, best: best, stoppedEarly: stoppedEarly)
    }
}

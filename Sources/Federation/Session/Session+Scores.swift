import Wire

/// Which round's model is best.
///
/// The model that round r makes is scored by the clients at the beginning of round r + 1, so the last round's is scored
/// by nobody before it is published. To make it a candidate nevertheless (a selection that never considers the final
/// round is a known fault), its score is estimated: the score of the trained models of the last round, less the mean
/// lead that trained models had over the global made from them in the rounds where both are known.
extension Session {
    /// The plan's metric; or accuracy, where sites withhold what the metric needs, so that a selection always happens.
    package var selectionMetric: Metric {
        let wanted = plan?.earlyStop?.metric ?? .balancedAccuracy
        let scored = history.compactMap(\.metrics.global) + history.compactMap(\.metrics.trained)
        return scored.allSatisfy { $0.value(of: wanted) != nil } ? wanted : .accuracy
    }

    /// - Parameter round: 0 for the model that the session started from.
    /// - Returns: the pooled score of the model that `round` made, as the next round's participants measured it.
    package func measuredScore(ofRound round: Int) -> Double? {
        guard history.indices.contains(round) else { return nil }
        return history[round].metrics.global?.value(of: selectionMetric)
    }

    private func trainedScore(inRound round: Int) -> Double? {
        guard round >= 1, history.indices.contains(round - 1) else { return nil }
        return history[round - 1].metrics.trained?.value(of: selectionMetric)
    }

    /// Of the last round's model.
    private var estimatedScore: Double? {
        guard let last = trainedScore(inRound: history.count) else { return nil }
        let leads = (1..<max(history.count, 1)).compactMap { round -> Double? in
            guard let trained = trainedScore(inRound: round), let made = measuredScore(ofRound: round) else {
                return nil
            }
            return trained - made
        }
        guard !leads.isEmpty else { return last }
        let estimate = last - leads.reduce(0, +) / Double(leads.count)
        return max(-1e6, min(estimate, 1e6))
    }

    /// The best model so far, the last round's included; of equals the later one. Nil before the first scores.
    package var best: BestRound? {
        let metric = selectionMetric
        var best: BestRound?
        for closed in history {
            let isLast = closed.number == history.count
            guard let value = isLast ? estimatedScore : measuredScore(ofRound: closed.number) else { continue }
            if let best, metric.isBetter(best.value, than: value) { continue }
            best = BestRound(
                round: closed.number, model: closed.model, metric: metric, value: value, estimated: isLast)
        }
        return best
    }

    /// Whether the measured score has not improved for `patience` rounds; the model that the session started from
    /// counts as the first to beat.
    var shouldStopEarly: Bool {
        guard let rule = plan?.earlyStop else { return false }
        let metric = selectionMetric
        let measured = history.indices.compactMap { round in measuredScore(ofRound: round).map { (round, $0) } }
        guard let first = measured.first, let newest = measured.last else { return false }
        let best = measured.dropFirst().reduce(first) { metric.isBetter($1.1, than: $0.1) ? $1 : $0 }
        return newest.0 - best.0 >= rule.patience
    }
}

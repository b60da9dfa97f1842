import Federation
import Mailbox
import Wire

/// What the audit says of a session's events: beside what people read, in full, the bundles that each of them is about.
///
/// Made of the event and of the state around it alone, so that a run that repeats itself says the same once more, and it is
/// not added twice.
extension ServerRun {
    /// How many updates one entry names, of at most 8 KiB each.
    private static let updatesPerEntry = 50

    /// - Parameters:
    ///   - bundles: what brought the event about, where the event itself does not say it.
    ///   - before: the session as the event found it.
    ///   - after: as it left it.
    static func entries(
        for effects: [SessionEffect], of event: SessionEvent, about bundles: [Digest], before: Session, after: Session
    ) -> [String] {
        let cause = cause(of: event, about: bundles, in: before)
        return effects.flatMap { effect -> [String] in
            switch effect {
            case .closing(let round, _, _):
                let used = (after.round?.frozen ?? []).compactMap { line in
                    line.counted.map { "\(line.client) \($0.update)" }
                }
                let parts = stride(from: 0, to: used.count, by: updatesPerEntry).map { first in
                    "round \(round) uses "
                        + used[first..<min(first + updatesPerEntry, used.count)].joined(separator: ", ")
                }
                return ["\(effect)"] + parts
            case .aggregated(let round, let model): return ["round \(round) aggregated into \(model)"]
            default: return ["\(effect)\(cause)"]
            }
        }
    }

    /// The bundle that brought an event about; of an admin's command the request with which the hospital takes part.
    static func cause(of event: SessionEvent, about bundles: [Digest] = [], in session: Session) -> String {
        guard bundles.isEmpty else { return "; bundles " + bundles.map { "\($0)" }.joined(separator: " and ") }
        switch event {
        case .update(let update): return "; bundle \(update.bundle)"
        case .refuse(_, _, let bundle, _), .withdraw(_, let bundle), .disown(_, let bundle): return "; bundle \(bundle)"
        case .join(_, let request, _): return "; request \(request)"
        case .equivocation(let client), .exclude(let client, _), .readmit(let client), .drop(let client, _),
            .reissue(let client):
            return session[client].map { "; request \($0.request)" } ?? ""
        case .start, .need, .baseAcknowledged, .baseDoubted, .extend, .abort, .tick, .aggregated, .versionSaved,
            .pauseAnnounced:
            return ""
        }
    }
}

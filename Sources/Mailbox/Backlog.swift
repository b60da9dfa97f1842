import Bundles
package import Wire

/// What lies in a home's outbox and nobody has acknowledged: it was not carried, or no answer came back.
package struct Backlog: Equatable, Sendable {
    /// Older than this, somebody should ask whether anything is carried at all. In seconds.
    package static let patience: Int64 = 14 * 86_400

    package let count: Int
    /// When the oldest of them was made.
    package let oldest: Timestamp?

    package static func load(from home: Home, now: Timestamp) throws(MailboxError) -> Backlog {
        // A receipt is never acknowledged itself.
        let waiting = try Ledger.load(from: home).outgoing.values.filter { record in
            record.kind != .receipt && !record.isRetired && !record.recipients.isEmpty && !record.isAcknowledged
                && record.expires >= now
        }
        return Backlog(count: waiting.count, oldest: waiting.map(\.created).min())
    }

    package func isStale(at now: Timestamp) -> Bool {
        oldest.map { now.seconds - $0.seconds > Self.patience } ?? false
    }
}

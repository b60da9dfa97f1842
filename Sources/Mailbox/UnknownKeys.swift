import Bundles
package import Wire

/// A key that nobody introduced, of which bundles wait here.
package struct UnknownKey: Equatable, Sendable {
    /// As the bundles say; not to be believed.
    package let name: PartyName
    package let fingerprint: String
    /// When the first of them came.
    package let since: Timestamp

    package static func load(from home: Home) throws(MailboxError) -> [UnknownKey] {
        of(try Ledger.load(from: home).held.values.filter { $0.cause == .unknownKey })
    }

    /// One line for a key, however many bundles wait; the oldest first.
    static func of(_ held: [HeldBundle]) -> [UnknownKey] {
        var keys: [UnknownKey] = []
        for bundle in held.sorted(by: { ($0.since, $0.id) < ($1.since, $1.id) })
        where !keys.contains(where: { $0.name == bundle.sender && $0.fingerprint == bundle.fingerprint }) {
            keys.append(UnknownKey(name: bundle.sender, fingerprint: bundle.fingerprint, since: bundle.since))
        }
        return keys
    }
}

extension Mailbox {
    /// What people have to do again at a home that was restored from a backup; nothing but they knows of it.
    var whatToRepeat: String {
        guard home.role == .server else { return "" }
        return "; what was decided here since the backup is lost: repeat revocations first, then approvals, and have "
            + "'consilium key rotate' run where a new key is not enrolled here any more"
    }
}

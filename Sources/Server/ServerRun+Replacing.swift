import Bundles
import Federation
import Mailbox
import Wire

/// Bundles in the outbox that nobody can take any more: this server's key was revoked, or the home that they were made for
/// is gone. Each hospital would put them into quarantine with an alarm, in the middle of the emergency.
///
/// Whoever waits for one gets it anew; then it leaves the outbox, and with the next delivery the exchange. A kill in between
/// lets the next run do it again, under the same keys.
extension ServerRun {
    private static let againPrefix = "again/"

    /// The key of the bundle that one with this key was made after.
    static func originalKey(_ key: String) -> String {
        guard key.hasPrefix(againPrefix) else { return key }
        return String(key.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).last ?? "")
    }

    /// What a key signed that is revoked by now. Its introductions are made anew by ``publishKeys()``; invites and receipts end
    /// with it.
    func replaceWhatRevokedKeysSigned() throws {
        let gone = mailbox.outgoingOfRevokedKeys()
        guard !gone.isEmpty else { return }
        let count = try replace(gone, because: home.name) { record in
            let waiting = waiting(for: record)
            return waiting.isEmpty ? [:] : ["": waiting]
        }
        if count > 0 { detail("\(counted(count, "bundle")) of a revoked key left the outbox") }
    }

    /// What was made for a home that is gone, before another one takes its name: it can open none of that, and would take it for
    /// a mistake about its key. The others of a bundle that was for several get their own, whose names say whom they are for.
    func replaceWhatIsForFormerHome(of name: PartyName) throws {
        let gone = mailbox.outgoing.filter { !$0.isRetired && $0.recipients.contains(name) }
        try replace(gone, because: name) { record in
            Dictionary(uniqueKeysWithValues: waiting(for: record).filter { $0 != name }.map { ("-\($0)", [$0]) })
        }
    }

    /// Models go to whoever is believed only.
    private func waiting(for record: OutgoingRecord) -> [PartyName] {
        record.recipients.filter { !record.acknowledgedBy.contains($0) && (record.kind != .global || isBelieved($0)) }
    }

    /// What was made while the clock here was ahead: nobody takes it before its date, and a hospital waits for it as long. What
    /// introduces a key keeps its name, by which its answer is known, and waits for that day.
    func replaceWhatIsStillToCome() throws {
        let early = mailbox.outgoingStillToCome.filter { record in
            [.decision, .abort, .global].contains(record.kind) || record.kind == .trust && isStillSaid(record)
        }
        guard !early.isEmpty else { return }
        let count = try replace(early, as: { "early-\($0.created.seconds)" }) { record in
            let waiting = waiting(for: record)
            return waiting.isEmpty ? [:] : ["": waiting]
        }
        if count > 0 {
            attention(
                "\(counted(count, "bundle")) made while the clock here was ahead, which nobody takes before its date: made anew"
            )
        }
    }

    /// - Parameters:
    ///   - party: whose keys were revoked or are about to be: as many as there are, as many times this may happen.
    ///   - audiences: who is to get a bundle once more: one bundle for each group, which its name tells from the others.
    /// - Returns: how many left the outbox; what could not be said again stays for the next run.
    @discardableResult
    private func replace(
        _ gone: [OutgoingRecord], because party: PartyName, for audiences: (OutgoingRecord) -> [String: [PartyName]]
    ) throws -> Int {
        let turn = mailbox.trust.signers.entries(of: party).count { mailbox.trust.isRevoked($0.key) }
        return try replace(gone, as: { _ in "\(party)-\(turn)" }, for: audiences)
    }

    /// - Parameter occasion: tells this time from the others that the same may have to be said again.
    private func replace(
        _ gone: [OutgoingRecord], as occasion: (OutgoingRecord) -> String,
        for audiences: (OutgoingRecord) -> [String: [PartyName]]
    ) throws -> Int {
        var replaced: Set<String> = []
        for record in gone {
            try isolated("\(record.kind.rawValue) for \(record.recipients.map(\.text).joined(separator: ", "))") {
                if isStillSaid(record) {
                    for (group, audience) in audiences(record).sorted(by: { $0.key < $1.key }) {
                        try sayAgain(
                            record, to: audience,
                            as: "\(Self.againPrefix)\(occasion(record))\(group)/\(Self.originalKey(record.key))")
                    }
                }
                replaced.insert(record.key)
            }
        }
        try mailbox.withdraw { replaced.contains($0.key) }
        return replaced.count
    }

    /// Whether a bundle says how things stand.
    private func isStillSaid(_ record: OutgoingRecord) -> Bool {
        switch record.kind {
        case .decision: return isLastWord(record)
        case .abort: return true
        case .global:
            let session = session(record.session)
            return session?.state != .aborted
                && session?.supersededKeys.contains(Self.originalKey(record.key)) != true
        case .trust: return Self.originalKey(record.key).hasPrefix(Self.revocationKey)
        default: return false
        }
    }

    /// Of several decisions about one thing the hospital believes the one that was numbered last, and that one may have arrived.
    /// One that another has overtaken must not get a number after it.
    private func isLastWord(_ record: OutgoingRecord) -> Bool {
        let key = Self.originalKey(record.key)
        if let enrolment = records.enrolments.first(where: { key.hasPrefix(Self.decisionPrefix($0)) }) {
            return key == Self.decisionKey(enrolment)
        }
        let all = session(record.session)?.wishes.compactMap { wish -> (key: String, decision: Decision)? in
            guard case .decision(let key, let client, let decision) = wish, record.recipients == [client] else {
                return nil
            }
            return (key, decision)
        }
        guard let all, let index = all.firstIndex(where: { $0.key == key }) else { return true }
        let own = all[index].decision
        // A hospital has one request at a time in a session: what is decided of a later one is the last word about its part in
        // that, also of what was decided of those before. That one was taken back remains so beside it.
        guard own.verdict != .withdrawn else { return true }
        return !all[(index + 1)...].contains { !$0.decision.isOfStanding || own.isOfStanding }
    }

    private func sayAgain(_ record: OutgoingRecord, to audience: [PartyName], as key: String) throws {
        if record.kind == .global, let session = session(record.session), !session.isOver {
            return try issueAgain(record, to: audience, in: session)
        }
        try mailbox.sendAgain(record, as: key, to: audience, strangers: strangers(among: audience, for: key))
    }

    /// The current global of an open session: the session knows who has it. What it has issued since, it issues once.
    private func issueAgain(_ record: OutgoingRecord, to audience: [PartyName], in session: Session) throws {
        let orders = session.wishes.compactMap { wish -> GlobalOrder? in
            if case .global(let order) = wish { order } else { nil }
        }
        for client in audience where orders.last(where: { $0.recipients.contains(client) })?.key == record.key {
            try apply(.reissue(client), to: session.id)
        }
    }
}

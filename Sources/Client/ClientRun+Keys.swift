import Bundles
import Configuration
import Federation
import Files
import Mailbox
import Wire

/// The server's keys as this hospital believes them: its newest one may introduce another one, in a `trust` bundle, which is
/// told to a person, once.
extension ClientRun {
    // MARK: the server's key

    /// Of one statement. What is more is counted: the audit has it all.
    private static let changesTold = 3

    /// - Returns: whether somebody else is believed now, so that what waited for that can be looked at again.
    func takeTrust(_ delivery: VerifiedDelivery) throws -> Bool {
        let statement = try TrustStatement(
            decoding: try delivery.bundle.payload(TrustStatement.fileName, limit: TrustStatement.maximumBytes))
        let subject = "trust \(statement.subject) \(delivery.signer.fingerprint)"
        // Sticks overtake each other; whoever replays an old one brings nothing back. Each key has numbers of its own: who stole
        // one must not use up those of the key that follows. The same number is the same bundle, of a run that was stopped
        // before it was done with it. A word about this hospital's own keys only takes away: each counts whenever it comes.
        let newest = state.newestDecision[subject] ?? numberBeforeSigners(of: statement.subject)
        guard statement.subject == home.name || delivery.manifest.seq >= newest else {
            detail("an older statement about \(statement.subject)'s keys was ignored")
            try audit(
                "trust-ignored", subject: delivery.id.hex,
                detail: "older than one that was taken; from \(delivery.sender)")
            try mailbox.commit(delivery, .ignored)
            return false
        }
        var changes: [KeyChange] = []
        if statement.subject == home.name {
            try noteOwnRevocation(statement, delivery)
        } else {
            changes = try change(by: try statement.keys(), delivery)
        }
        var lines = changes.sorted { $0.rank < $1.rank }.map { "\(statement.subject): \($0)" }
        // A run that was stopped after the change has said nothing of it. What is said of the own keys is so each time.
        if lines.isEmpty, statement.subject != home.name {
            lines = try AuditLog(home).recent("trust", subject: delivery.id.hex)
        }
        for line in lines.prefix(Self.changesTold) { attention(line) }
        if lines.count > Self.changesTold {
            attention(
                "\(statement.subject): and \(lines.count - Self.changesTold) other changes; 'consilium key show --verbose' "
                    + "lists what is believed")
        }
        if lines.contains(where: { $0.hasPrefix("\(statement.subject): \(KeyChange.newKey)") }) {
            attention(
                "  introduced by \(delivery.signer.fingerprint), which was believed before; where nobody told you of it, call "
                    + "\(statement.subject) and compare")
        }
        state.newestDecision[subject] = max(newest, delivery.manifest.seq)
        try saveState()
        try mailbox.commit(delivery, .accepted)
        return !changes.isEmpty
    }

    /// What an earlier version of this program remembered, of whichever key. Once one was revoked, it may have been that one's.
    private func numberBeforeSigners(of subject: PartyName) -> Int64 {
        let isOneRevoked = mailbox.trust.signers.entries(of: subject).contains { mailbox.trust.isRevoked($0.key) }
        return isOneRevoked ? 0 : state.newestDecision["trust \(subject)"] ?? 0
    }

    private func change(by keys: KeyStatement, _ delivery: VerifiedDelivery) throws -> [KeyChange] {
        var changes: [KeyChange] = []
        do {
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                changes = try trust.take(keys, signer: delivery.signer, created: delivery.manifest.created)
            } noting: { () throws(MailboxError) in
                try audit("trust", subject: delivery.id.hex, details: changes.map { "\(keys.subject): \($0)" })
            }
        } catch {
            // What is wrong with the statement, as opposed to this home.
            guard error.kind == .trust else { throw error }
            throw FederationError(.notAllowed, error.message)
        }
        return changes
    }

    private func noteOwnRevocation(_ statement: TrustStatement, _ delivery: VerifiedDelivery) throws {
        let reason = statement.reason.isEmpty ? "" : ": \(statement.reason)"
        let own = Set(mailbox.ownKeys.map(\.openSSHLine)).intersection(statement.revoked)
        let fingerprints = try own.sorted().map { try PublicKey(openSSHLine: $0).fingerprint }
        state.note(
            revoked: fingerprints, by: delivery.signer.fingerprint, reason: statement.reason,
            gone: Set(mailbox.trust.revoked.keys.map(\.fingerprint)))
        let inUse = [mailbox.identity.signing.publicKey, mailbox.identity.next?.publicKey].compactMap(\.?.fingerprint)
        for fingerprint in fingerprints where !inUse.contains(fingerprint) {
            detail(
                "this hospital's former key \(fingerprint) is revoked by \(server)\(reason); another one took its place"
            )
        }
        let entries = fingerprints.map { "\(home.name): the key \($0) is revoked by \(delivery.sender)\(reason)" }
        if !entries.isEmpty { try audit("trust", subject: delivery.id.hex, details: entries) }
    }

    /// Said once all is taken in, since the approval of the key that follows the revoked one may have come with it: who is told
    /// to replace the key then would give up a good one.
    func tellOwnRevocation() throws {
        let key = mailbox.identity.signing.publicKey
        if state.revocation(of: key, trust: mailbox.trust) == nil {
            state.announced.forget(Self.ownKeyRevoked)
        } else if let obstacle {
            // Again where something else is to be done: the key that was to follow may be rejected since.
            let line = "\(obstacle.text); \(obstacle.advice)"
            if state.announced.announce(Self.ownKeyRevoked, reason: line) { attention(line) }
        }
        try saveState()
    }

    private static let ownKeyRevoked = "own-key-revoked"

    /// What ends the wait for an introduction.
    package static let cureOfUnknownKey =
        "a trust bundle may introduce it, else ask by telephone for the fingerprint and a new invite: 'consilium key trust' takes the "
        + "key from that"

    /// Bundles of a key that nobody introduced: perhaps the introduction is still on its way.
    func tellUnknownKeys() throws {
        for held in mailbox.held where held.cause == .unknownKey && held.sender == server {
            if state.announced.announce("unknown-key-\(held.fingerprint)") {
                attention(
                    "a bundle that says it is from \(held.sender) waits: its key \(held.fingerprint) is not known here; "
                        + Self.cureOfUnknownKey)
            }
        }
        try saveState()
    }

    /// Takes the server's key from an invite: where the one before is lost, or in foreign hands, nothing else can.
    ///
    /// - Parameters:
    ///   - fingerprint: as it was read out on the telephone.
    ///   - only: revokes every other key of the server. Whoever had the old one may have introduced more.
    package func accept(
        _ invite: ClientHome.CheckedInvite, fingerprint: String, only: Bool, actor: String
    ) throws {
        guard invite.invitation.federation == home.federation, invite.invitation.server == server else {
            throw ClientError(
                .badInput,
                "the invite is of \(invite.invitation.server) in federation \(invite.invitation.federation.short), this home "
                    + "belongs to \(server) in \(home.federation.short)")
        }
        guard invite.key.fingerprint == fingerprint else {
            throw ClientError(
                .notAllowed, "the invite's key is \(invite.key.fingerprint), not \(fingerprint)",
                hint: "compare it by telephone once more; if it stays so, the invite is not \(server)'s")
        }
        let server = server
        let others = mailbox.trust.party(server)?.keys.filter { $0 != invite.key } ?? []
        let wasRevoked = mailbox.trust.isRevoked(invite.key)
        var confirmed = mailbox.trust
        try confirmed.confirm(
            invite.key, of: server, role: .server, ageRecipient: invite.ageRecipient, invited: invite.created,
            only: only)
        // Somebody else may have the age identity of the one before. That the trust has the right recipient already says nothing
        // of whom a bundle was encrypted to: whoever stole the key before this one may have laid it there, and this key too.
        try mailbox.encryptAnew(for: server)
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            trust = confirmed
        } noting: { () throws(MailboxError) in
            try audit(
                "trust", subject: fingerprint,
                detail:
                    "\(server), from an invite\(wasRevoked ? "; what revoked keys said against it is forgotten" : "")",
                actor: actor)
            for key in others where only {
                try audit(
                    "key-revoked", subject: key.fingerprint, detail: "\(server), all but the new one", actor: actor)
            }
        }
        if wasRevoked { detail("only revoked keys had said that \(fingerprint) is revoked: that is forgotten") }
        detail("the key \(fingerprint) of \(server) is believed from now on")
        for key in others where only { detail("the key \(key.fingerprint) of \(server) is revoked here") }
        tellOtherKeys(than: invite.key)
    }

    /// A thief may have introduced a key of his own while he could.
    private func tellOtherKeys(than key: PublicKey?) {
        for other in mailbox.trust.party(server)?.keys ?? [] where other != key {
            attention(
                "the key \(other.fingerprint) of \(server) is still believed here: 'consilium key distrust' it too, unless "
                    + "\(server) names it as its own")
        }
    }

    /// Believes a key no more, at once and without anybody's bundle.
    package func distrust(_ fingerprint: String, reason: String, actor: String) throws {
        let server = server
        guard
            let key = mailbox.trust.signers.entries(of: server).map(\.key).first(where: {
                $0.fingerprint == fingerprint
            })
        else {
            let known = mailbox.trust.signers.entries(of: server).map(\.key.fingerprint).joined(separator: ", ")
            throw ClientError(.missing, "\(server) has no key '\(fingerprint)' here", hint: "it has \(known)")
        }
        let wasRevoked = mailbox.trust.isRevoked(key)
        // What a key has said becomes a person's own word, which no other key's fate changes.
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            trust.revoke(key)
        } noting: { () throws(MailboxError) in
            try audit("key-revoked", subject: fingerprint, detail: "\(server) \(reason)", actor: actor)
        }
        takeBackFromServer()
        guard !wasRevoked else { return detail("\(fingerprint) was revoked before") }
        detail("the key \(fingerprint) of \(server) is revoked here: nothing that it signed is taken from now on")
        if mailbox.trust.isWithoutKey(server) {
            attention(
                "no key of \(server) is left: nothing is taken from it or sent to it before 'consilium key trust INVITE'"
            )
        }
        tellOtherKeys(than: nil)
    }

    /// What was sent and not taken yet leaves the outbox and the exchange, where no key of the server is left. The key is
    /// revoked whatever comes of this: the next run does it again.
    private func takeBackFromServer() {
        guard mailbox.trust.isCutOff(server) else { return }
        do {
            try mailbox.publishPending()
            try useExchange(configuration.exchange) { try mailbox.deliver(to: $0) }
        } catch {
            attention("what is on its way to \(server) waits for the next run to be taken back: \(error)")
        }
        reportProblems()
    }

    // MARK: ends

    /// Says once of every key that it ends soon, and once that it has ended.
    func tellEndings() throws {
        for ending in mailbox.trust.endings(now: now) {
            let isOver = now > ending.end
            guard state.announced.announce("key-\(isOver ? "ended" : "ends")-\(ending.key.fingerprint)") else {
                continue
            }
            let advice =
                ending.name == home.name ? "run 'consilium key rotate'" : "ask there for 'consilium key rotate'"
            attention(
                "the key \(ending.key.fingerprint) of \(ending.name) \(isOver ? "ended" : "ends") on "
                    + "\(ending.end.rfc3339): \(advice)")
        }
        try saveState()
    }
}

extension KeyChange {
    /// The order in which it is told: what matters most comes first.
    fileprivate var rank: Int {
        switch self {
        case .added: 0
        case .newRecipient: 1
        case .ends: 2
        case .revoked: 3
        }
    }
}

extension TrustStatement {
    fileprivate func keys() throws(BundleError) -> KeyStatement {
        var windows: [KeyStatement.Window] = []
        for key in keys {
            windows.append(
                .init(
                    key: try PublicKey(openSSHLine: key.key), validAfter: key.validAfter, validBefore: key.validBefore))
        }
        var gone: [PublicKey] = []
        for line in revoked { gone.append(try PublicKey(openSSHLine: line)) }
        return KeyStatement(
            subject: subject, keys: windows, revoked: gone,
            ageRecipient: try ageRecipient.map { (text) throws(BundleError) in try AgeRecipient(text) })
    }
}

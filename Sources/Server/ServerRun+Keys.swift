package import Bundles
import Federation
package import Mailbox
import Wire

/// The server's own key in change, and the revocation of others'.
///
/// 1. A new key is introduced to every hospital by a `trust` bundle that the old one signs. It signs nothing else until all
///    have acknowledged that, or half of the overlap is over; a hospital that gets it later still keeps what it cannot verify
///    until then.
/// 2. Who was invited under an old key and enrolled after the change gets the introduction from the old key, which is kept
///    until the overlap ends.
/// 3. A key that is lost or in foreign hands introduces nothing. Each hospital takes the new one from an invite, by telephone.
extension ServerRun {
    private var own: TrustStore.Party? { mailbox.trust.party(home.name) }

    private func entry(_ key: PublicKey) -> AllowedSigners.Entry? {
        mailbox.trust.signers.entries(for: key).first { $0.principal == home.name }
    }

    private var clients: [TrustStore.Party] {
        mailbox.trust.parties.filter { $0.role == .client && !$0.keys.isEmpty }
    }

    // MARK: rotation

    /// Makes a new key and has the old one introduce it.
    ///
    /// - Parameters:
    ///   - overlap: for how many days the old key holds beside it.
    ///   - validity: for how many days the new key holds; nil for ever.
    package func rotateKey(
        overlap: Int64, validity: Int64?, agentKey: PublicKey?, replacesAge: Bool, actor: String
    ) throws -> RotatedKey {
        if let next = mailbox.identity.next, entry(next.publicKey) != nil {
            let waiting = waitingForKey().map(\.text).joined(separator: ", ")
            throw ServerError(
                .notAllowed, "a rotation is under way: \(waiting) did not acknowledge the new key yet",
                hint: "it signs from \(switchTime(next.publicKey).rfc3339) at the latest")
        }
        let old = mailbox.identity.signing.publicKey
        try requireNew(agentKey)
        let next = try mailbox.makeNextKey(agentKey: agentKey).publicKey
        let recipient = replacesAge ? try mailbox.replaceAgeIdentity() : mailbox.identity.age.recipient
        let (name, now) = (home.name, now)
        let end = now.adding(days: overlap)
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            trust.end(old, of: name, at: end)
            try trust.add(
                name, role: .server, key: next, ageRecipient: recipient, validFrom: now,
                validUntil: validity.map { now.adding(days: $0) })
        } noting: { () throws(MailboxError) in
            try audit("key-rotate", subject: next.fingerprint, detail: "follows \(old.fingerprint)", actor: actor)
        }
        try publishKeys()
        try advanceKeys()
        let isUsed = mailbox.identity.signing.publicKey == next
        return RotatedKey(
            new: next, old: [old], oldUntil: end, signsNow: isUsed, signsBy: isUsed ? nil : switchTime(next),
            ageRecipient: recipient)
    }

    /// Replaces a key that is lost, or that somebody else may have: all that were before are revoked, and the age identity is
    /// replaced too.
    package func replaceKey(validity: Int64?, agentKey: PublicKey?, actor: String) throws -> RotatedKey {
        try requireNew(agentKey)
        if let agentKey { try mailbox.requireUsable(agentKey) }
        // Before the key changes: whoever has to do this again after a kill doubts them again.
        for session in sessions where !session.isOver { try apply(.baseDoubted, to: session.id) }
        // A run that was killed after the change of the file goes on here. What was made since a file is missing is not what an
        // agent's key was named for.
        let signing = mailbox.identity.signing.publicKey
        // One that was to follow the lost key is given up with it.
        try mailbox.dropNextKey()
        if entry(signing) != nil || agentKey.map({ $0 != signing }) ?? false {
            _ = try mailbox.makeNextKey(agentKey: agentKey)
            try mailbox.promoteNextKey(keepingOldUntil: nil)
        }
        let new = mailbox.identity.signing.publicKey
        let recipient = try mailbox.replaceAgeIdentity()
        let old = mailbox.trust.signers.entries(of: home.name).map(\.key).filter {
            $0 != new && !mailbox.trust.isRevoked($0)
        }
        let (name, now) = (home.name, now)
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            for key in old { trust.revoke(key) }
            try trust.add(
                name, role: .server, key: new, ageRecipient: recipient, validFrom: now,
                validUntil: validity.map { now.adding(days: $0) })
        } noting: { () throws(MailboxError) in
            try audit(
                "key-replace", subject: new.fingerprint,
                detail: "revoked \(old.map(\.fingerprint).joined(separator: " "))", actor: actor)
        }
        try mailbox.forgetRetiredKeys()
        try mailbox.withdraw { $0.kind == .invite }
        try publishKeys()
        try replaceWhatRevokedKeysSigned()
        return RotatedKey(
            new: new, old: old, oldUntil: nil, signsNow: true, signsBy: nil, ageRecipient: recipient)
    }

    /// Before anything changes: an agent's key may be one that is known here, in use or given up. What somebody else has would
    /// stay believed, or nothing would be that signs.
    private func requireNew(_ agentKey: PublicKey?) throws {
        guard let agentKey, entry(agentKey) != nil else { return }
        throw ServerError(
            .notAllowed, "the agent's key \(agentKey.fingerprint) is \(home.name)'s already",
            hint: "make another one; where it is the new one of a run that was stopped, 'server run' does what is left")
    }

    /// The tick's part: lets the new key sign once it may, forgets old ones, warns of ends.
    func advanceKeys() throws {
        if let next = mailbox.identity.next, mailbox.trust.isRevoked(next.publicKey) { try mailbox.dropNextKey() }
        if let next = mailbox.identity.next, entry(next.publicKey) != nil {
            let old = mailbox.identity.signing.publicKey
            let waiting = waitingForKey()
            if waiting.isEmpty || now >= switchTime(next.publicKey) {
                try audit("key-in-use", subject: next.publicKey.fingerprint, detail: "follows \(old.fingerprint)")
                // They carry the old key; who uses a copy is introduced to the new one after the enrolment. Before the change: what
                // a kill leaves undone behind it, nobody does.
                try mailbox.withdraw { $0.kind == .invite }
                try mailbox.promoteNextKey(keepingOldUntil: entry(old)?.validBefore ?? now)
                let missing =
                    waiting.isEmpty
                    ? ""
                    : "; not acknowledged by \(waiting.map(\.text).joined(separator: ", ")): ask there whether it came; where it "
                        + "was refused, 'consilium key trust' takes it from a new invite"
                attention("the new key \(next.publicKey.fingerprint) signs from now on\(missing)")
            }
        }
        try mailbox.settleKeyFiles()
    }

    /// When the new key signs at the latest.
    private func switchTime(_ next: PublicKey) -> Timestamp {
        guard let begin = entry(next)?.validAfter,
            let end = entry(mailbox.identity.signing.publicKey)?.validBefore
        else { return now }
        return begin.adding(seconds: max(0, end.seconds - begin.seconds) / 2)
    }

    private func waitingForKey() -> [PartyName] {
        clients.map(\.name).filter { name in
            invitedUnder(name) != own?.keys.last?.fingerprint
                && !mailbox.isAcknowledged(key: introductionKey(name), by: name)
        }
    }

    // MARK: introductions

    /// Changes with every key and every revocation of this server's own.
    private func introductionKey(_ client: PartyName) -> String {
        let revoked = mailbox.trust.statement(about: home.name).revoked.count
        return "trust/\(own?.keys.last?.fingerprint ?? "-")/\(revoked)\(introductionEnd(client))"
    }

    /// Whoever comes back after the loss of a key, in a new home perhaps, is told again.
    private func introductionEnd(_ client: PartyName) -> String {
        let lost = mailbox.trust.signers.entries(of: client).count { mailbox.trust.isRevoked($0.key) }
        return lost == 0 ? "/\(client)" : "/\(client)/\(lost)"
    }

    /// Fingerprint of the server's key that the hospital took from its invite, as its enrolment says.
    private func invitedUnder(_ client: PartyName) -> String? {
        records.enrolments.last { $0.name == client && $0.status == .approved }?.serverKey
    }

    /// Every hospital is told once of every change of this server's keys, by the newest key that it can know.
    func publishKeys() throws {
        guard mailbox.trust.signers.entries(of: home.name).count > 1, let newest = own?.keys.last else { return }
        let keys = mailbox.trust.statement(about: home.name)
        let statement = TrustStatement(
            subject: home.name,
            keys: keys.keys.map {
                .init(key: $0.key.openSSHLine, validAfter: $0.validAfter, validBefore: $0.validBefore)
            }, revoked: keys.revoked.map(\.openSSHLine), ageRecipient: keys.ageRecipient?.description, reason: "")
        for client in clients where invitedUnder(client.name) != newest.fingerprint {
            let key = introductionKey(client.name)
            guard mailbox.sent(key: key) == nil else { continue }
            try isolated("trust for \(client.name)") {
                try mailbox.send(
                    key: key, kind: .trust, to: [client.name], signedBy: keyKnown(to: client.name),
                    payload: [.bytes(name: TrustStatement.fileName, statement.encoded)])
                detail("\(client.name) is told of the key \(newest.fingerprint)")
            }
        }
    }

    private func keyKnown(to client: PartyName) -> SigningKey? {
        let end = introductionEnd(client)
        let knowsCurrent = mailbox.outgoing.contains {
            $0.kind == .trust && $0.key.hasPrefix("trust/SHA256:") && $0.key.hasSuffix(end)
                && $0.acknowledgedBy.contains(client)
        }
        guard !knowsCurrent, let fingerprint = invitedUnder(client) else { return nil }
        return mailbox.identity.retired.map(\.key).first {
            $0.publicKey.fingerprint == fingerprint && !mailbox.trust.isRevoked($0.publicKey)
        }
    }

    // MARK: revocation

    /// Believes a client's key no more, from now on, whenever it signed: its bundles are refused, and where none of its keys
    /// is left, sessions go on without it. What was accepted before stays so. Repeating it changes nothing.
    ///
    /// - Parameter text: a client's name, for all its keys, or one key's fingerprint.
    package func revoke(_ text: String, reason: String, actor: String) throws {
        let found = mailbox.trust.signers.entries.filter {
            text.hasPrefix("SHA256:") ? $0.key.fingerprint == text : $0.principal.text == text
        }
        guard let name = found.first?.principal else {
            let known = mailbox.trust.parties.filter { $0.role == .client }.map(\.name.text).joined(separator: ", ")
            throw ServerError(
                .missing, "nobody here has the name or the key '\(text)'",
                hint: known.isEmpty ? "nobody is enrolled" : "enrolled are \(known)")
        }
        guard name != home.name else {
            throw ServerError(
                .notAllowed, "that is this server's own key", hint: "use 'consilium key rotate --compromised'")
        }
        let keys = Set(found.map(\.key))
        let news = keys.filter { !mailbox.trust.isRevoked($0) }.sorted { $0.fingerprint < $1.fingerprint }
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            for key in keys { trust.revoke(key) }
        } noting: { () throws(MailboxError) in
            for key in news {
                try audit("key-revoked", subject: key.fingerprint, detail: "\(name) \(reason)", actor: actor)
            }
        }
        for key in news { attention("the key \(key.fingerprint) of \(name) is revoked") }
        for key in keys.sorted(by: { $0.fingerprint < $1.fingerprint }) {
            let notice = TrustStatement(
                subject: name, keys: [], revoked: [key.openSSHLine], ageRecipient: nil, reason: reason)
            try isolated("trust for \(name)") {
                try mailbox.send(
                    key: "\(Self.revocationKey)\(key.fingerprint)", kind: .trust, to: [name],
                    payload: [.bytes(name: TrustStatement.fileName, notice.encoded)])
            }
        }
        if news.isEmpty { detail("\(text) was revoked before") }
        guard mailbox.trust.isCutOff(name) else { return }
        try exclude(name, reason: Self.revokedReason)
        if !news.isEmpty {
            attention("\(name) has no key left that is believed here; a new enrolment of it waits for your approval")
        }
    }

    static let revocationKey = "trust/revoked/"
    static let revokedReason = "its key was revoked"

    /// Whether a party has a key that is believed here.
    func isBelieved(_ name: PartyName) -> Bool { !mailbox.trust.isCutOff(name) }

    /// From all sessions that it takes part in: they go on without whoever is believed no more.
    func exclude(_ name: PartyName, reason: String) throws {
        for session in sessions where session[name]?.standing == .active {
            try isolated("session \(session.name)") {
                try apply(.exclude(name, reason: reason), to: session.id)
            }
        }
    }

    // MARK: ends

    /// Says once of every key that it ends soon, and once that it has ended.
    func tellEndings() {
        for ending in mailbox.trust.endings(now: now) {
            let isOver = now > ending.end
            let verb = isOver ? "ended" : "ends"
            let what =
                ending.name == home.name
                ? "this server's key \(ending.key.fingerprint) \(verb) on \(ending.end.rfc3339): run 'consilium key rotate'"
                : "the key \(ending.key.fingerprint) of \(ending.name) \(verb) on \(ending.end.rfc3339): "
                    + "ask there for 'consilium key rotate'"
            announce("key-\(isOver ? "ended" : "ends")-\(ending.key.fingerprint)", what)
        }
    }
}

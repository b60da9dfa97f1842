import Bundles
import Federation
import Mailbox
import Wire

/// Enrolments under a name that is taken: a hospital changes its key, or has lost it, or somebody wants to be it.
///
/// Nothing of this is decided without a person. A key that the old one vouches for comes beside that; one that nobody vouches
/// for takes its place, and the old one is revoked: whoever found it may not go on with it.
extension ServerRun {
    enum Vouching: Equatable {
        /// By a key of the same party that is believed now.
        case trusted(PublicKey)
        /// By the party's last key, whose time is over and which nobody has followed yet.
        case over(PublicKey)
        /// By a key that is revoked, followed by another, or not that party's.
        case worthless(PublicKey)
        case none
    }

    /// - Throws: `FederationError` `.malformed` for a signature that is none, or not of this enrolment and federation.
    func vouching(in bundle: VerifiedBundle, for enrolment: Enrolment) throws -> Vouching {
        guard bundle.manifest.files.contains(where: { $0.name == Enrolment.vouchName }) else { return .none }
        let bytes = try bundle.payload(Enrolment.fileName, limit: FederationLimits.messageBytes)
        let signature = try SSHSignature(
            armoured: try bundle.payload(Enrolment.vouchName, limit: BundleLimits.standard.signatureBytes))
        guard signature.namespace == BundleKind.enrol.namespace, signature.isValid(for: bytes),
            enrolment.federation == home.federation
        else {
            throw FederationError(
                .malformed, "\(Enrolment.vouchName) is not a signature of this enrolment in this federation")
        }
        let key = signature.publicKey
        let (trust, name) = (mailbox.trust, enrolment.name)
        guard key != bundle.signer, trust.party(name)?.keys.contains(key) == true else { return .worthless(key) }
        let isTrusted = [bundle.manifest.created, now].allSatisfy { trust.believes(key, of: name, for: .enrol, at: $0) }
        if isTrusted { return .trusted(key) }
        let last = TrustStore.inOrder(trust.signers.entries(of: name)).last { $0.key != bundle.signer }
        return last?.key == key ? .over(key) : .worthless(key)
    }

    /// What the admin has to know of an enrolment, beside its key.
    func lines(of item: DeskItem, _ record: DeskRecords.EnrolmentRecord) throws -> [String] {
        var lines: [String] = []
        let isKnown = mailbox.trust.party(record.name)?.keys.contains(item.bundle.signer) == true
        if isTaken(record.name, beside: item.bundle.signer) {
            lines += try linesOfTakenName(item, record)
            if isKnown { lines += try linesOfKnownKey(item, record) }
        } else if isKnown {
            lines += try linesOfKnownKey(item, record)
        } else {
            lines.append("wants to be enrolled; compare the key's fingerprint by telephone")
        }
        if !record.contact.isEmpty { lines.append("contact: \(record.contact)") }
        let own = mailbox.ownKeys.filter { !mailbox.trust.isRevoked($0) }.map(\.fingerprint)
        if !record.serverKey.isEmpty, !own.contains(record.serverKey) {
            lines.append(
                "!! it believes that this server's key is \(record.serverKey), which is not so: it was invited by somebody else"
            )
            lines.append("!! or under a key that is revoked; do not approve before that is understood")
        }
        return lines
    }

    /// The key says nothing here: it is the one that is believed, and whoever else has it can ask for this.
    private func linesOfKnownKey(_ item: DeskItem, _ record: DeskRecords.EnrolmentRecord) throws -> [String] {
        let name = record.name
        let enrolment = try Enrolment(
            decoding: try item.bundle.payload(Enrolment.fileName, limit: FederationLimits.askBytes))
        guard let change = recipientChange(by: enrolment) else {
            return [
                "\(name) IS ENROLLED WITH THIS KEY already, and has this age recipient: approving it changes nothing"
            ]
        }
        return [
            "!! \(name) IS ENROLLED WITH THIS KEY already: approving this REPLACES ITS AGE RECIPIENT, to which models are",
            "!! encrypted from then on",
            "!!   old recipient  \(change.old)", "!!   new recipient  \(change.new)",
            "!! WHOEVER HAS THE KEY CAN ASK FOR THIS, and comparing its fingerprint says nothing: call \(name) under a number",
            "!! that you had before, and compare the new recipient, as 'consilium key show' prints it there; else reject it",
        ]
    }

    /// To whom else bundles for this party would be encrypted from the approval on; nil where that stays as it is.
    func recipientChange(by enrolment: Enrolment) -> (old: String, new: String)? {
        guard let old = mailbox.trust.party(enrolment.name)?.ageRecipient?.description, old != enrolment.ageRecipient
        else { return nil }
        return (old, enrolment.ageRecipient)
    }

    /// Whether another key than this one is or was that party's, though its enrolment may be rejected by now.
    private func isTaken(_ name: PartyName, beside key: PublicKey) -> Bool {
        mailbox.trust.signers.entries(of: name).contains { $0.key != key }
            || records.enrolments.contains {
                $0.name == name && $0.wasApproved && $0.fingerprint != key.fingerprint
            }
    }

    private func linesOfTakenName(_ item: DeskItem, _ record: DeskRecords.EnrolmentRecord) throws -> [String] {
        let name = record.name
        let enrolment = try Enrolment(
            decoding: try item.bundle.payload(Enrolment.fileName, limit: FederationLimits.messageBytes))
        let party = mailbox.trust.party(name)
        let old = party?.keys.map(\.fingerprint).filter { $0 != record.fingerprint } ?? []
        let vouching = try vouching(in: item.bundle, for: enrolment)
        if case .trusted(let key) = vouching {
            return [
                "\(name) changes its key; the new one is signed by the key that is trusted now:",
                "  old key  \(key.fingerprint)", "  new key  \(record.fingerprint)",
            ] + (recipientChange(by: enrolment).map { ["  new age recipient  \($0.new)"] } ?? []) + [
                "both hold for \(KeyRotation.overlapDays) days after the approval; call \(name) if nobody told you of it"
            ]
        }
        if case .over(let key) = vouching {
            return [
                "!! \(name) changes its key TOO LATE: the new one is signed by the old key, whose time is over",
                "!!   old key  \(key.fingerprint)", "!!   new key  \(record.fingerprint)",
                "!! A KEY THAT IS OVER VOUCHES FOR NOTHING: call \(name) under a number that you had before, and compare; what",
                "!! the old key signed in its time still counts, so if it may be in foreign hands, reject this",
            ]
        }
        var lines = [
            "!! THE NAME \(name) IS TAKEN: approving this REPLACES ITS KEY, and the old one is revoked at once"
        ]
        lines += old.map { "!!   old key  \($0)" }
        if old.isEmpty { lines.append("!!   old key  revoked, over, or taken out with its enrolment") }
        lines.append("!!   new key  \(record.fingerprint)")
        if case .worthless(let key) = vouching {
            lines.append("!! it is signed by \(key.fingerprint), which is not believed")
        }
        lines.append(
            "!! NOBODY VOUCHES FOR THE NEW KEY: call \(name) under a number that you had before, compare by telephone, and ask"
        )
        lines.append("!! what became of the old key; if nobody there knows of this, reject it")
        let running = sessions.filter { !$0.isOver && $0[name] != nil }.map(\.name)
        if !running.isEmpty { lines.append("!! it takes part in \(running.joined(separator: ", "))") }
        return lines
    }

    /// Believes the key of an approved enrolment.
    ///
    /// - Parameter isAgain: it was approved and rejected before.
    func believe(_ enrolment: Enrolment, _ item: DeskItem, isAgain: Bool) throws {
        let name = enrolment.name
        let key = item.bundle.signer
        let recipient = try AgeRecipient(enrolment.ageRecipient)
        let known = mailbox.trust.signers.entries(of: name).map(\.key).filter { $0 != key }
        let old = known.filter { !mailbox.trust.isRevoked($0) }
        // One that is over has its end already: what it signed in its time may still be under way.
        let keepsOld =
            switch try vouching(in: item.bundle, for: enrolment) {
            case .trusted, .over: true
            case .worthless, .none: false
            }
        let isTaken = isTaken(name, beside: key)
        let end = now.adding(days: KeyRotation.overlapDays)
        let begin = known.isEmpty ? nil : item.manifest.created
        func change(_ trust: inout TrustStore) throws(MailboxError) {
            try trust.add(
                name, role: .client, key: key, ageRecipient: recipient, validFrom: begin,
                validUntil: enrolment.validUntil)
            for other in old {
                if keepsOld { trust.end(other, of: name, at: end) } else { trust.revoke(other) }
            }
        }
        // On a copy first: what cannot be believed takes nothing from the home that is.
        var copy = mailbox.trust
        try change(&copy)
        // Before the key is believed, and so before anything is made for it.
        if isTaken, !keepsOld, enrolment.isOfNewHome, mailbox.trust.signers.entries(for: key).isEmpty {
            try replaceWhatIsForFormerHome(of: name)
        }
        try mailbox.updateTrust(change) { () throws(MailboxError) in
            for other in old {
                try audit(
                    keepsOld ? "key-rotated" : "key-revoked", subject: other.fingerprint,
                    detail: "\(name), followed by \(key.fingerprint)")
            }
        }
        for entry in mailbox.trust.signers.entries(of: name) where old.contains(entry.key) {
            let fate = keepsOld ? "ends on \((entry.validBefore ?? end).rfc3339)" : "is revoked"
            detail("the key \(entry.key.fingerprint) of \(name) \(fate)")
        }
        let isReplaced = isTaken && !keepsOld
        guard isReplaced || isAgain else { return }
        for session in sessions where !session.isOver {
            switch session[name]?.standing {
            case .active where isReplaced:
                attention(
                    "session \(session.name): \(name) goes on with its new key if it kept its home; if it made a new one, run "
                        + "'server drop \(session.name) \(name)' and approve a new request of it")
            case .excluded:
                attention("session \(session.name): 'server readmit \(session.name) \(name)' lets \(name) go on")
            case .active, .dropped, .withdrawn, nil: break
            }
        }
    }
}

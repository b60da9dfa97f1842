package import Bundles
import Configuration
import Federation
import Files
package import Mailbox
import Wire

/// A hospital's own key in change.
///
/// 1. A new key is introduced by an enrolment of its own, for which the old key vouches; it signs nothing else before the
///    server's admin has approved that.
/// 2. A key that is lost or in foreign hands is replaced at once, vouches for nothing, and the admin has to be called.
/// 3. A key is announced once. One of an agent that was announced before, or is in use, is refused before anything changes:
///    no enrolment would follow. A command that was stopped is finished by the same command.
extension ClientRun {
    static func enrolmentKey(_ key: PublicKey) -> String { "\(ClientHome.enrolmentKey)/\(key.fingerprint)" }

    /// The enrolment of the key that signs now.
    var currentEnrolment: Digest? {
        (mailbox.sent(key: Self.enrolmentKey(mailbox.identity.signing.publicKey))
            ?? mailbox.sent(key: ClientHome.enrolmentKey))?.id
    }

    /// Makes a new key, and asks the server to take it beside the one that is believed now.
    package func rotateKey(
        validity: Int64?, agentKey: PublicKey?, replacesAge: Bool, contact: String, actor: String
    ) throws -> RotatedKey {
        if let next = mailbox.identity.next, mailbox.sent(key: Self.enrolmentKey(next.publicKey)) != nil {
            throw ClientError(
                .notAllowed,
                "a rotation is under way: \(server) did not decide about \(next.publicKey.fingerprint) yet",
                hint: "call there; it lies on the enrolment desk")
        }
        try requireWay()
        guard agentKey != mailbox.identity.signing.publicKey else { throw isInUse(mailbox.identity.signing.publicKey) }
        try requireNew(agentKey)
        let old = mailbox.identity.signing
        let next = try mailbox.makeNextKey(agentKey: agentKey)
        if replacesAge { _ = try mailbox.replaceAgeIdentity() }
        let end = validity.map { now.adding(days: $0) }
        try rememberOwn(old.publicKey, next.publicKey, until: end)
        try enrol(next, vouching: old, until: end, contact: contact, actor: actor)
        return RotatedKey(
            new: next.publicKey, old: [old.publicKey], oldUntil: nil, signsNow: false, signsBy: nil,
            ageRecipient: mailbox.identity.age.recipient)
    }

    /// Before a key is made in a home that has none: one that nobody is told of would be nobody's.
    package static func requireWay(in home: Home) throws {
        let encrypts = try ClientConfiguration.load(from: home).encrypt
        let trust = try TrustStore.load(from: home)
        if let obstacle = Mailbox.obstacle(to: home.record.server, from: home, trust, encrypts: encrypts) {
            throw ClientError(.notAllowed, obstacle)
        }
    }

    /// Before anything changes: an agent's key may be one that was announced before, and no new enrolment would follow. That
    /// goes for the key of a rotation that is under way, too: what was announced of it has the age recipient of then.
    private func requireNew(_ agentKey: PublicKey?) throws {
        guard let agentKey, mailbox.sent(key: Self.enrolmentKey(agentKey)) != nil else { return }
        throw ClientError(
            .notAllowed, "the agent's key \(agentKey.fingerprint) was announced to \(server) before",
            hint: "a key is announced once; make another one")
    }

    private func isInUse(_ key: PublicKey) -> ClientError {
        ClientError(
            .notAllowed, "the agent's key \(key.fingerprint) is \(home.name)'s already",
            hint: "nothing would follow it; make another one")
    }

    /// In days: as long as its bundle may be taken.
    private static let enrolmentRemembered: Int64 = 180

    /// What a replacement by an agent's key has done that was stopped, where the same command is given again.
    private enum Replacement { case toBegin, promoted, enrolled }

    /// - Throws: where the key is no new one.
    private func replacement(by agentKey: PublicKey?) throws -> Replacement {
        let signing = mailbox.identity.signing.publicKey
        guard agentKey == signing else {
            try requireNew(agentKey)
            return .toBegin
        }
        guard let record = mailbox.sent(key: Self.enrolmentKey(signing)) else {
            // All keys but the first have a begin, from before they signed. What was sent since would be remembered.
            let begin = mailbox.trust.signers.entries(for: signing).compactMap(\.validAfter).max()
            guard let begin, now < begin.adding(days: Self.enrolmentRemembered) else { throw isInUse(signing) }
            return .promoted
        }
        guard !record.isRetired, !record.isAcknowledged else { throw isInUse(signing) }
        let enrolment = try BundleReader.open(mailbox.sentPath(record), files: files).verified()
        if enrolment.manifest.files.contains(where: { $0.name == Enrolment.vouchName }) { throw isInUse(signing) }
        return .enrolled
    }

    /// Replaces a key that is lost, or that somebody else may have. The new one signs at once; what it signs waits at the
    /// server for the admin.
    ///
    /// - Parameter isNew: the key that is here was made just now, because there was none.
    package func replaceKey(
        validity: Int64?, agentKey: PublicKey?, isNew: Bool, contact: String, actor: String
    ) throws -> RotatedKey {
        // Before anything changes: what signs from now on has to be enrolled.
        try requireWay()
        let stage = try replacement(by: agentKey)
        let isMade = stage != .toBegin || isNew && agentKey == nil
        let old = isMade ? nil : mailbox.identity.signing.publicKey
        let end = validity.map { now.adding(days: $0) }
        if let agentKey { try mailbox.requireUsable(agentKey) }
        if old != nil || isNew {
            // The one that was to follow never signed anything else than its enrolment.
            if let dropped = mailbox.identity.next?.publicKey {
                let name = home.name
                try mailbox.updateTrust { (trust) throws(MailboxError) in trust.remove(key: dropped, of: name) }
            }
            try mailbox.dropNextKey()
        }
        if let old {
            let (name, time) = (home.name, now)
            let next = try mailbox.makeNextKey(agentKey: agentKey).publicKey
            // First: once the new key signs, the one before it is not known any more to a run that finishes this.
            try rememberOwn(old, next, until: end)
            try mailbox.updateTrust { (trust) throws(MailboxError) in trust.end(old, of: name, at: time) }
            // A run that finds the new one signing and not enrolled has to say so.
            try noteReplacement(by: next)
            try mailbox.promoteNextKey(keepingOldUntil: nil)
        }
        if isNew, agentKey == nil, stage == .toBegin {
            // There was none to follow: all that are remembered are gone.
            let (name, key, time) = (home.name, mailbox.identity.signing.publicKey, now)
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                for lost in trust.signers.entries(of: name).map(\.key) where lost != key {
                    trust.end(lost, of: name, at: time)
                }
                try trust.add(name, role: .client, key: key, ageRecipient: nil, validFrom: time, validUntil: end)
            }
        }
        // An enrolment that was sent names the one of then.
        let recipient =
            stage == .enrolled ? mailbox.identity.age.recipient : try mailbox.replaceAgeIdentity()
        let key = mailbox.identity.signing
        try mailbox.forgetRetiredKeys()
        // Whoever stops this before the enrolment has to begin again, and is told so.
        try noteReplacement(by: key.publicKey)
        try enrol(key, vouching: nil, until: end, contact: contact, actor: actor)
        do { try signAgainWhatALostKeySigned() } catch {
            // The key is replaced whatever comes of this: who is told that it failed makes another one.
            attention("what the lost key signed waits for the next run to be signed anew: \(error)")
        }
        return RotatedKey(
            new: key.publicKey, old: isNew ? [] : old.map { [$0] } ?? [], oldUntil: nil, signsNow: true, signsBy: nil,
            ageRecipient: recipient)
    }

    /// So that a bundle of the old key that comes back is known as this home's own, and the end of the new one is told here.
    private func rememberOwn(_ old: PublicKey, _ new: PublicKey, until end: Timestamp?) throws {
        let (name, now) = (home.name, now)
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            try trust.add(name, role: .client, key: old, ageRecipient: nil)
            try trust.add(name, role: .client, key: new, ageRecipient: nil, validFrom: now, validUntil: end)
        }
    }

    private func enrol(
        _ key: SigningKey, vouching old: SigningKey?, until end: Timestamp?, contact: String, actor: String
    ) throws {
        let enrolment = Enrolment(
            name: home.name, key: key.publicKey.openSSHLine,
            ageRecipient: mailbox.identity.age.recipient.description, contact: contact,
            serverKey: mailbox.trust.party(server)?.keys.last?.fingerprint, federation: home.federation, validUntil: end
        )
        var payload: [PayloadSource] = [.bytes(name: Enrolment.fileName, enrolment.encoded)]
        if let old {
            let vouch = try old.sign(enrolment.encoded, namespace: BundleKind.enrol.namespace)
            payload.append(.bytes(name: Enrolment.vouchName, vouch))
        }
        try audit(
            old == nil ? "key-replace" : "key-rotate", subject: key.publicKey.fingerprint,
            detail: old.map { "follows \($0.publicKey.fingerprint)" } ?? "the key before is lost", actor: actor)
        try mailbox.send(
            key: Self.enrolmentKey(key.publicKey), kind: .enrol, to: [server], signedBy: key, payload: payload)
    }

    /// The admin's answer about the key that is to follow. The change of the identity comes last: by the next key a run that
    /// comes after a kill sees that all of this is still to do.
    func takeKeyDecision(_ decision: Decision, _ delivery: VerifiedDelivery) throws {
        guard decision.subject == .enrolment else { return }
        guard let next = mailbox.identity.next?.publicKey,
            mailbox.sent(key: Self.enrolmentKey(next))?.id == decision.about
        else { return try takeLateKeyDecision(decision, delivery) }
        let old = mailbox.identity.signing.publicKey
        // The server counts from its own approval, which may have been long under way.
        let (name, until) = (home.name, min(now, delivery.manifest.created).adding(days: KeyRotation.overlapDays))
        let source = "; decision \(delivery.id) from \(delivery.sender)"
        if decision.verdict == .approved {
            try audit("key-in-use", subject: next.fingerprint, detail: "follows \(old.fingerprint)\(source)")
            try mailbox.updateTrust { (trust) throws(MailboxError) in trust.end(old, of: name, at: until) }
            try mailbox.promoteNextKey(keepingOldUntil: until)
            attention("\(server) has taken this hospital's new key \(next.fingerprint); it signs from now on")
        } else {
            try audit("key-rejected", subject: next.fingerprint, detail: "\(decision.reason)\(source)")
            note(decision, delivery)
            try mailbox.updateTrust { (trust) throws(MailboxError) in trust.remove(key: next, of: name) }
            try mailbox.dropNextKey()
            let reason = decision.reason.isEmpty ? "" : ": \(decision.reason)"
            let isGood = state.revocation(of: old, trust: mailbox.trust) == nil
            attention(
                "\(server) did not take the new key \(next.fingerprint)\(reason)"
                    + (isGood ? "; the old one goes on" : ""))
        }
    }

    /// The answer about a key that this home announced and has no more. Where it was never in use, it was dropped because a
    /// thief said that it is rejected, or with `--lost`: the server would let the one that signs here end, and nobody would know.
    /// One that was in use and has been followed is nobody's concern any more.
    private func takeLateKeyDecision(_ decision: Decision, _ delivery: VerifiedDelivery) throws {
        let prefix = ClientHome.enrolmentKey + "/"
        guard let record = mailbox.sent(id: decision.about), record.kind == .enrol, record.key.hasPrefix(prefix) else {
            return
        }
        let fingerprint = String(record.key.dropFirst(prefix.count))
        let own = mailbox.identity.publicKeys + mailbox.trust.signers.entries(of: home.name).map(\.key)
        guard !own.contains(where: { $0.fingerprint == fingerprint }), note(decision, delivery),
            decision.verdict == .approved, state.announced.announce("dropped-key-\(fingerprint)")
        else { return }
        try audit(
            "key-approved-late", subject: fingerprint,
            detail: "dropped here before; decision \(delivery.id) from \(delivery.sender)")
        attention(
            "\(server) has taken the key \(fingerprint) of this hospital, which was given up here after it had been announced: "
                + "the one that signs here ends there; run 'consilium key rotate', and call \(server)")
    }

    /// - Returns: whether nothing newer was said about it.
    @discardableResult
    private func note(_ decision: Decision, _ delivery: VerifiedDelivery) -> Bool {
        let subject = ClientState.subject(of: decision)
        guard delivery.manifest.seq > state.newestNumber(about: subject) else { return false }
        state.newestDecision[ClientState.entry(subject, by: delivery.signer.fingerprint)] = delivery.manifest.seq
        return true
    }
}

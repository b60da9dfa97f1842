import Bundles
import Federation
import Mailbox
import Wire

/// What a key has signed that the server believes no more: it would go into quarantine there, with an alarm each time.
extension ClientRun {
    /// Remembered before a new key is enrolled in a lost one's place, and until all is done that follows from that. What the
    /// trust says of the old key would not tell: one that had ended before looks the same after a rotation, which leaves good
    /// what it signed.
    func noteReplacement(by key: PublicKey?) throws {
        state.replacingKey = key?.fingerprint
        try saveState()
    }

    /// All that any other key signed, once the new one signs: none of them is left, and the approval of the new one revokes
    /// them all at the server, without a word.
    func signAgainWhatALostKeySigned() throws {
        let key = mailbox.identity.signing.publicKey
        guard state.replacingKey == key.fingerprint else { return }
        guard mailbox.sent(key: Self.enrolmentKey(key)) != nil else { return tellUnannounced(key) }
        try signAgain(try mailbox.outgoing { _, _ in true }, as: keyUnderNewKey)
        try noteReplacement(by: nil)
    }

    /// A command was stopped between the change of the key and its enrolment, which only a command makes: it names a contact,
    /// and perhaps an end.
    private func tellUnannounced(_ key: PublicKey) {
        guard state.announced.announce("unannounced-key", reason: key.fingerprint) else { return }
        attention(
            "the lost key was replaced by \(key.fingerprint), and the command was stopped before \(server) was told of it, so "
                + "nothing of here is taken there: repeat 'consilium key rotate --lost'")
    }

    /// The tick's part: what a replacement left that was stopped; what a key signed that is revoked, where an earlier version
    /// of this program left such bundles; and what a key signed after its own end, before the next one was approved.
    func signAgainWhatOldKeysSigned() throws {
        if mailbox.obstacle(to: server) == nil {
            try signAgainWhatALostKeySigned()
            // A server that was restored from a backup may not know the key before this one any more.
            if !missed.isEmpty {
                try signAgain(
                    try mailbox.outgoing { _, _ in true }.filter { missed.contains($0.id) }, as: keyUnderNewKey)
            }
        }
        let trust = mailbox.trust
        let former = trust.signers.entries(of: home.name).filter { $0.key != mailbox.identity.signing.publicKey }
        let isOver = former.contains { $0.validBefore.map { $0 < now } ?? false }
        let isRevoked = state.revocations.contains { $0.key != mailbox.identity.signing.publicKey.fingerprint }
        guard isOver || isRevoked, mailbox.obstacle(to: server) == nil else { return }
        try signAgain(
            try mailbox.outgoing { signer, created in
                state.revocation(of: signer, trust: trust) != nil
                    || former.contains { $0.key == signer && $0.validBefore.map { $0 < created } ?? false }
            }, as: keyUnderNewKey)
    }

    /// What was made while the clock here was ahead: nobody takes it before its date, by which the round is over.
    func signAgainWhatIsStillToCome() throws {
        let early = mailbox.outgoingStillToCome
        guard !early.isEmpty, mailbox.obstacle(to: server) == nil else { return }
        for record in early where record.kind != .receipt && state.announced.announce("early-\(record.id)") {
            let consequence =
                switch record.kind {
                case .update, .withdraw: "it is signed anew"
                case .request: "repeat 'consilium client request'"
                default: "it waits for that day"
                }
            attention(
                "the \(record.kind.rawValue) \(record.id.short) was made while the clock here was ahead, and is not taken before "
                    + "\(record.created.rfc3339): \(consequence)")
        }
        try saveState()
        try signAgain(early.filter { $0.kind == .update || $0.kind == .withdraw }) {
            "\($0.key)/\($0.created.seconds)"
        }
    }

    /// Takes such bundles out of the outbox, and with the next delivery out of the exchange, and says again what the server
    /// still needs. An update is signed anew, since a night's work is in it, and so is what takes a request back; a request is
    /// for people to repeat. What receipts and the others acknowledged is acknowledged again.
    ///
    /// One that the disk has spoiled is given up alone: the same file would end every run.
    ///
    /// - Parameter name: what each is sent as instead: the same in the run after one that was stopped.
    func signAgain(_ open: [OutgoingRecord], as name: (OutgoingRecord) -> String) throws {
        guard !open.isEmpty else { return }
        for record in open { try mailbox.acknowledgeAgain(try acks(of: record)) }
        for record in open {
            switch record.kind {
            case .update:
                // By a run that was stopped then, it is not needed any more.
                if mailbox.sent(key: name(record)) == nil, let damage = try damage(of: record) {
                    try trainAgain(damaged: record, damage)
                    continue
                }
                try mailbox.sendAgain(record, as: name(record), to: [server])
                detail("session \(record.session.short): the update of round \(record.round) is signed anew")
            case .withdraw: try withdrawAgain(record, as: name(record))
            case .request:
                attention(
                    "the request \(record.id.short) may not have arrived: repeat 'client request' once the key is approved"
                )
            default: break
            }
            try mailbox.withdraw { $0.key == record.key }
        }
    }

    /// What it is sent as under the key of now.
    private func keyUnderNewKey(_ record: OutgoingRecord) -> String {
        "\(record.key)/\(mailbox.identity.signing.publicKey.fingerprint)"
    }

    private func withdrawAgain(_ record: OutgoingRecord, as again: String) throws {
        let own = state.requests.first { $0.withdrawal == record.id }
        if mailbox.sent(key: again) == nil, let damage = try damage(of: record) {
            guard let own else { return attention(tell(damage, of: record, "it is given up")) }
            attention(tell(damage, of: record, "it is sent again without its reason"))
            // That the hospital leaves is what counts.
            try mailbox.send(
                key: again, kind: .withdraw, to: [server], session: record.session, request: own.id,
                payload: [.bytes(name: Reason.fileName, Reason("").encoded)])
        } else {
            try mailbox.sendAgain(record, as: again, to: [server])
        }
        guard let own, let sent = mailbox.sent(key: again) else { return }
        state.withdrawing(request: own.id, bundle: sent.id)
        try saveState()
    }

    /// The round that the update answered is open again before the update goes: a run that is stopped between the two finds
    /// the damaged file once more.
    private func trainAgain(damaged record: OutgoingRecord, _ damage: BundleError) throws {
        if let session = state.session(record.session), session.ended == nil, !session.global.isFinal,
            answer(in: session)?.id == record.id
        {
            state.change(session: session.id) { $0.trainAgain(for: record.id) }
            attention(tell(damage, of: record, "the round is trained once more"))
            try audit("update-damaged", subject: record.id.hex, detail: "\(damage)")
            try saveState()
        } else {
            detail(tell(damage, of: record, "it is of no use any more and given up"))
        }
        try mailbox.withdraw { $0.key == record.key }
    }

    // MARK: damage

    /// A request that was sent and is not on record, and cannot be read any more, so that nobody can say what it asked for.
    func giveUp(damagedRequest record: OutgoingRecord, _ damage: BundleError) throws {
        attention(tell(damage, of: record, "it may not have arrived; repeat 'client request'"))
        try mailbox.withdraw { $0.key == record.key }
    }

    /// What is wrong with a bundle of this hospital's own as the disk has it; nil where nothing is.
    ///
    /// - Throws: where it cannot be read just now, which says nothing about it.
    func damage(of record: OutgoingRecord) throws -> BundleError? {
        do throws(BundleError) {
            _ = try BundleReader.open(mailbox.sentPath(record), files: files).verified()
            return nil
        } catch {
            guard error.isAboutContent else { throw MailboxError(.bundle, error) }
            return error
        }
    }

    /// What it acknowledged, which its manifest says whatever became of its payload. Where that is damaged too, the server
    /// sends once more what it does not know to have arrived.
    private func acks(of record: OutgoingRecord) throws -> [Digest] {
        do throws(BundleError) {
            return try BundleReader.open(mailbox.sentPath(record), files: files).manifest().acks
        } catch {
            guard error.isAboutContent else { throw MailboxError(.bundle, error) }
            return []
        }
    }

    private func tell(_ damage: BundleError, of record: OutgoingRecord, _ consequence: String) -> String {
        let what = record.kind == .update ? "update of round \(record.round)" : record.kind.rawValue
        return
            "\(mailbox.sentPath(record)), the \(what) that \(server) has not acknowledged, is damaged (\(damage)): "
            + "\(consequence); check the disk"
    }
}

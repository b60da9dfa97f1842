package import Bundles
import Files
package import SystemPackage
package import Wire

extension Mailbox {
    /// How many acknowledgements one bundle carries; more wait for the next.
    static let acksPerBundle = 1000

    /// Sends a bundle, once for each key: whoever asks again, in this run or after a kill, gets the record of the first time,
    /// and the outbox the identical bytes.
    ///
    /// The bundle is built in the home, then recorded together with its number and with the acknowledgements that it carries,
    /// and only then published to the outbox. Where it is encrypted, that happens before it is recorded, and never again.
    ///
    /// - Parameters:
    ///   - wish: names the wish for ever, such as `update/SESSION/3`.
    ///   - recipients: in any order; empty for an invite only.
    ///   - validDays: how long it may be taken; nil for the kind's default.
    ///   - signedBy: one of this home's own keys that is not the current one, such as the next, for its own enrolment.
    ///   - strangers: whom to encrypt to where a recipient is nobody in ``trust``, such as one whose enrolment is refused.
    ///   - payload: read now and not needed afterwards.
    /// - Throws: `trust` where it is to be encrypted and a recipient's age recipient is not known. Nothing is sent then.
    @discardableResult
    package func send(
        key wish: String, kind: BundleKind, to recipients: [PartyName], session: RandomID = .none, round: Int = 0,
        request: Digest? = nil, base: Digest? = nil, validDays: Int64? = nil, retention: Retention = .untilAcknowledged,
        signedBy key: SigningKey? = nil, strangers: [PartyName: AgeRecipient] = [:], payload: [PayloadSource]
    ) throws(MailboxError) -> OutgoingRecord {
        if let record = ledger.outgoing[wish] {
            if record.published == nil, !record.isRetired { try publish(record) }
            return ledger.outgoing[wish] ?? record
        }
        if let refusal = refusal(to: recipients) { throw refusal }
        try noticeForeignHand()
        let recipients = Set(recipients).sorted()
        let sealing = try ageRecipients(for: recipients, strangers: strangers)
        let (seq, prev) = ledger.next(in: session, age: age)
        let acks = ledger.owedAcks(to: recipients.compactMap { trust.party($0) }, limit: Self.acksPerBundle)
        let draft = Manifest(
            kind: kind, federation: home.federation, session: session, round: round, seq: seq, sender: home.name,
            recipients: recipients, created: now, expires: now.adding(days: validDays ?? kind.usualValidity),
            request: request, base: base, prev: prev, acks: acks)
        let manifest = try build(draft, payload, key: key ?? identity.signing, sealing: sealing)
        let record = OutgoingRecord(
            key: wish, id: manifest.id, kind: kind, session: session, round: round, seq: seq, recipients: recipients,
            created: now, expires: manifest.expires,
            name: sealing == nil ? manifest.outboxName : manifest.outboxName + AgeFile.suffix, retention: retention)
        let now = now
        try updateLedger { ledger in
            ledger.outgoing[wish] = record
            ledger.sequences[session] = SequencePosition(seq: seq, id: record.id)
            for ack in acks {
                ledger.incoming[ack]?.owesAck = false
                ledger.incoming[ack]?.acknowledged = now
            }
        }
        try publish(record)
        return ledger.outgoing[wish] ?? record
    }

    /// Sends what a bundle of ours holds once more, in a bundle of its own: under a new number, to these recipients, signed and
    /// encrypted with the keys of now.
    ///
    /// What a kill leaves in the spool goes with the next run.
    package func sendAgain(
        _ record: OutgoingRecord, as wish: String, to recipients: [PartyName],
        strangers: [PartyName: AgeRecipient] = [:]
    ) throws(MailboxError) {
        var payload: [(name: String, path: FilePath)] = []
        let manifest: Manifest
        do {
            let bundle = try BundleReader.open(sentPath(record), files: files).verified()
            manifest = bundle.manifest
            for file in manifest.files {
                let path = spoolPath()
                try bundle.extract(file.name, to: path, permissions: 0o600)
                payload.append((file.name, path))
            }
        } catch {
            throw MailboxError(.bundle, error)
        }
        try send(
            key: wish, kind: record.kind, to: recipients, session: record.session, round: record.round,
            request: manifest.request, base: manifest.base, retention: record.retention, strangers: strangers,
            payload: payload.map { .file(name: $0.name, $0.path) })
        for (_, path) in payload { try onDisk { () throws(FileError) in try files.remove(path) } }
    }

    /// Signs, and then encrypts. What is left by a kill before the record is written belongs to no record and goes.
    private func build(
        _ draft: Manifest, _ payload: [PayloadSource], key: SigningKey, sealing recipients: [AgeRecipient]?
    ) throws(MailboxError) -> Manifest {
        let spooled = spoolPath()
        do {
            let manifest = try BundleWriter.write(
                draft, payload: payload, key: key, to: spooled, files: files, permissions: 0o600)
            try files.move(from: spooled, to: home.outgoingPath(manifest.id))
            if let recipients {
                try AgeWriter.encrypt(
                    home.outgoingPath(manifest.id), to: recipients, at: home.sealedPath(manifest.id), files: files)
            }
            return manifest
        } catch let error as BundleError {
            throw MailboxError(.bundle, error)
        } catch let error as FileError {
            throw MailboxError(error)
        } catch {
            throw MailboxError(.bundle, "\(error)")
        }
    }

    /// Lays a recorded bundle into the outbox, and notes when. Without the note it is laid there again, unchanged.
    ///
    /// What is for nobody who is believed waits in the home, and so does what is to be encrypted first, or has expired.
    func publish(_ record: OutgoingRecord) throws(MailboxError) {
        guard !isExpired(record), refusal(to: record.recipients) == nil, !isToBeSealed(record) else { return }
        try encryptIfMissing(record)
        try onDisk { () throws(FileError) in
            try files.publishFile(from: travellingPath(record), to: home.outbox.appending(record.name))
        }
        let now = now
        try updateLedger { $0.outgoing[record.key]?.published = now }
    }

    /// Lays a bundle into the outbox again if its file is not there.
    package func layAgain(_ record: OutgoingRecord) throws(MailboxError) {
        let isThere = try onDisk { () throws(FileError) in
            try files.exists(home.outbox.appending(record.name))
        }
        if !isThere, !record.isRetired { try publish(record) }
    }

    /// The next bundle to their sender names these once more, as far as they came here. What its sender is to keep, as an update
    /// that has to come encrypted, was never acknowledged and is not now.
    package func acknowledgeAgain(_ ids: [Digest]) throws(MailboxError) {
        guard !ids.isEmpty else { return }
        try updateLedger { ledger in
            for id in ids where ledger.incoming[id]?.acknowledged != nil { ledger.incoming[id]?.owesAck = true }
        }
    }

    // MARK: questions

    package func sent(key: String) -> OutgoingRecord? { ledger.outgoing[key] }
    package func sent(id: Digest) -> OutgoingRecord? { ledger.outgoing(id: id) }
    /// In the order in which they were made, retired ones included: their keys stay taken until some time after expiry.
    package var outgoing: [OutgoingRecord] { ledger.outgoingInOrder }

    package func isAcknowledged(key: String, by party: PartyName) -> Bool {
        ledger.outgoing[key]?.acknowledgedBy.contains(party) ?? false
    }

    /// The signed archive of a bundle of ours that is not retired, readable for us whether or not it travels encrypted.
    package func sentPath(_ record: OutgoingRecord) -> FilePath { home.outgoingPath(record.id) }
}

extension BundleKind {
    /// In days.
    var usualValidity: Int64 {
        switch self {
        case .invite: 30
        case .request: 90
        default: 180
        }
    }
}

extension Manifest {
    /// A unique lower-case name that tells a person what the file is; nothing reads it.
    var outboxName: String {
        let audience = recipients.count == 1 && !kind.isFromClientsOnly ? "-to-\(recipients[0])" : ""
        let turn = round > 0 ? "-r\(round)" : ""
        return "\(kind.rawValue)-\(sender)\(audience)\(turn)-\(id.hex.prefix(8)).tar"
    }
}

extension BundleKind {
    /// Goes to the one server, so that its name needs not say to whom.
    var isFromClientsOnly: Bool {
        switch self {
        case .enrol, .request, .update, .withdraw: true
        default: false
        }
    }
}

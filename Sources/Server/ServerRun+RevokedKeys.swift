import Bundles
import Federation
import Files
import Mailbox
import Wire

/// What was taken of a hospital under a key that is revoked since, and is not settled: nobody knows whether it is the
/// hospital's or a thief's.
///
/// Asked anew in each run, whatever revoked the key: a command, an approved enrolment, a line in `trust/revoked`. What is
/// done is found to be done.
extension ServerRun {
    func takeBackWhatRevokedKeysSigned() throws {
        try rejectEnrolments()
        try rejectRequests()
        for session in sessions where !session.isOver {
            try isolated("session \(session.name)") { try disownUpdates(in: session) }
        }
    }

    /// The updates of a round that is open still. Its hospital is told, so that it trains the round once more, where the update
    /// was its own.
    func disownUpdates(in session: Session) throws {
        guard let round = session.round, round.frozen == nil else { return }
        for update in round.received {
            guard let signer = revokedSigner(of: update) else { continue }
            // First, since nothing asks for it afterwards.
            for bundle in [update.bundle] + displaced(by: update, signedBy: signer, in: session, round) {
                try isolated("decision for \(update.client)") {
                    try send(
                        Decision(
                            subject: .session, about: bundle, verdict: .withdrawn,
                            reason: "that of round \(round.number), signed by \(signer), which is revoked",
                            session: session.id),
                        key: "disowned/\(bundle)", to: update.client)
                }
            }
            try apply(.disown(client: update.client, bundle: update.bundle), to: session.id)
        }
    }

    /// What gave way to an update that counts no more, or was kept out by it: it is gone as well, and its hospital may think
    /// that it counts. What another key signed comes first, since that is nobody's but the hospital's.
    private func displaced(
        by update: ReceivedUpdate, signedBy signer: String, in session: Session, _ round: OpenRound
    ) -> [Digest] {
        let others = mailbox.acceptedUpdates(of: update.client, session: session.id, round: round.number)
            .filter { $0.bundle != update.bundle && round.superseded.contains($0.bundle) }
        let inOrder = others.filter { $0.signer != signer } + others.filter { $0.signer == signer }
        return inOrder.prefix(Self.displacedTold).map(\.bundle)
    }

    /// Of one round and hospital. A thief can send more, and each is a bundle of its own.
    private static let displacedTold = 8

    // MARK: requests

    /// Those that wait: they keep the hospital's own from the desk, and would be approved under its name.
    private func rejectRequests() throws {
        let waiting = records.requests.filter { $0.status == .pending && revokedSigner(of: $0) != nil }
        guard !waiting.isEmpty else { return }
        for (client, own) in Dictionary(grouping: waiting, by: \.client).sorted(by: { $0.key < $1.key }) {
            for record in own {
                try audit(
                    "request-rejected", subject: record.id.hex,
                    detail:
                        "\(record.label) of \(client): signed by \(revokedSigner(of: record) ?? ""), which is revoked")
                records.decide(
                    request: record.id, .rejected, reason: "the key that signed it is revoked; ask again", now: now)
            }
            attention(
                "\(own.map(\.label).joined(separator: ", ")) of \(client) rejected: signed by a key that is revoked; whoever "
                    + "there has asked asks again")
        }
        try saveRecords()
        let gone = Set(waiting.map(\.id))
        for item in try look(at: .requests(home), only: .pending).items where gone.contains(item.id) {
            try Desk.requests(home).clear(item)
        }
    }

    /// - Returns: the fingerprint of the key that signed it; nil where that is not revoked.
    func revokedSigner(of record: DeskRecords.RequestRecord) -> String? {
        revoked(record.signer, record.id, of: record.client)
    }

    // MARK: enrolments

    /// Those that wait and have a revoked key's word for them. What the admin was told of them is so no more, and the lines of
    /// that mail would go on to serve whoever wrote them.
    private func rejectEnrolments() throws {
        for record in records.enrolments where record.status == .pending && !revokedKeys(of: record.name).isEmpty {
            try isolated(record.deskName.short) {
                // Of one that is gone the admin is told, and the file on the desk is asked when somebody moves it.
                guard try files.exists(home.archived(record.id)) else { return }
                let bundle = try BundleReader.open(home.archived(record.id), files: files).verified()
                guard try rejectIfRevoked(record, bundle) else { return }
                let desk = Desk.enrolments(home)
                let items = try look(at: desk, only: .pending).items
                if let item = items.first(where: { $0.id == record.id }) { try desk.move(item, to: .rejected) }
            }
        }
    }

    /// - Returns: whether a revoked key signed it, or vouches for it.
    func rejectIfRevoked(_ record: DeskRecords.EnrolmentRecord, _ bundle: VerifiedBundle) throws -> Bool {
        // Its approval has begun, and may itself have revoked the key that vouches: a run that was stopped then goes on with it.
        guard mailbox.trust.party(record.name)?.keys.contains(bundle.signer) != true else { return false }
        let signer: String
        if mailbox.trust.isRevoked(bundle.signer) {
            signer = bundle.signer.fingerprint
        } else {
            let enrolment = try Enrolment(
                decoding: try bundle.payload(Enrolment.fileName, limit: FederationLimits.askBytes))
            guard let key = try revokedVoucher(in: bundle, for: enrolment) else { return false }
            signer = key.fingerprint
        }
        let reason = "\(signer), which signed it, is revoked"
        try audit("enrolment-rejected", subject: record.id.hex, detail: "\(record.name) \(reason)")
        records.decide(enrolment: record.id, .rejected, reason: reason, now: now)
        try saveRecords()
        attention(
            "\(record.deskName.short) of \(record.name) is rejected: \(reason); where \(record.name) itself has changed its "
                + "key, it makes another one with 'key rotate --lost'")
        return true
    }

    /// - Returns: nil where nobody vouches, or a key that is not revoked.
    func revokedVoucher(in bundle: VerifiedBundle, for enrolment: Enrolment) throws -> PublicKey? {
        guard case .worthless(let key) = try vouching(in: bundle, for: enrolment), mailbox.trust.isRevoked(key) else {
            return nil
        }
        return key
    }

    // MARK: keys

    private func revokedSigner(of update: ReceivedUpdate) -> String? {
        revoked(update.signer, update.bundle, of: update.client)
    }

    /// - Parameter signer: nil where an earlier version of this program did not note it; the archived bundle says it then.
    private func revoked(_ signer: String?, _ bundle: Digest, of party: PartyName) -> String? {
        let keys = revokedKeys(of: party)
        guard !keys.isEmpty else { return nil }
        let signer = signer ?? (try? BundleReader.open(home.archived(bundle), files: files))?.signer.fingerprint
        return signer.flatMap { keys.contains($0) ? $0 : nil }
    }

    /// Fingerprints.
    private func revokedKeys(of name: PartyName) -> Set<String> {
        Set(mailbox.trust.signers.entries(of: name).map(\.key).filter(mailbox.trust.isRevoked).map(\.fingerprint))
    }
}

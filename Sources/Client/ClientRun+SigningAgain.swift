import Bundles
import Federation
import Mailbox
import Wire

/// What a key has signed that the server believes no more: it would go into quarantine there, with an alarm each time.
extension ClientRun {
    /// The tick's part: what a key signed that is revoked, where a command was stopped or an earlier version of this program
    /// left such bundles, and what a key signed after its own end, before the next one was approved.
    func signAgainWhatOldKeysSigned() throws {
        let trust = mailbox.trust
        let former = trust.signers.entries(of: home.name).filter { $0.key != mailbox.identity.signing.publicKey }
        let isOver = former.contains { $0.validBefore.map { $0 < now } ?? false }
        let isRevoked = state.revocations.contains { $0.key != mailbox.identity.signing.publicKey.fingerprint }
        guard isOver || isRevoked, mailbox.obstacle(to: server) == nil else { return }
        try signAgain(
            mailbox.outgoing { signer, created in
                state.revocation(of: signer, trust: trust) != nil
                    || former.contains { $0.key == signer && $0.validBefore.map { $0 < created } ?? false }
            })
    }

    /// Takes such bundles out of the outbox, and with the next delivery out of the exchange, and says again what the server
    /// still needs. An update is signed anew, since a night's work is in it, and so is what takes a request back; a request is
    /// for people to repeat. What receipts and the others acknowledged is acknowledged again.
    func signAgain(_ open: [OutgoingRecord]) throws {
        guard !open.isEmpty else { return }
        let key = mailbox.identity.signing.publicKey
        for record in open {
            let bundle = try BundleReader.open(mailbox.sentPath(record), files: files).verified()
            try mailbox.acknowledgeAgain(bundle.manifest.acks)
        }
        for record in open {
            let again = "\(record.key)/\(key.fingerprint)"
            switch record.kind {
            case .update:
                try mailbox.sendAgain(record, as: again, to: [server])
                detail("session \(record.session.short): the update of round \(record.round) is signed anew")
            case .withdraw:
                try mailbox.sendAgain(record, as: again, to: [server])
                if let own = state.requests.first(where: { $0.withdrawal == record.id }),
                    let sent = mailbox.sent(key: again)
                {
                    state.withdrawing(request: own.id, bundle: sent.id)
                    try saveState()
                }
            case .request:
                attention(
                    "the request \(record.id.short) may not have arrived: repeat 'client request' once the key is approved"
                )
            default: break
            }
            try mailbox.withdraw { $0.key == record.key }
        }
    }
}

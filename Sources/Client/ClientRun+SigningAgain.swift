import Bundles
import Federation
import Mailbox
import Wire

/// What a key has signed that the server believes no more: it would go into quarantine there, with an alarm each time.
extension ClientRun {
    /// The tick's part, where a command was stopped, or an earlier version of this program left such bundles.
    func signAgainWhatRevokedKeysSigned() throws {
        let trust = mailbox.trust
        let isKnown = state.revocations.contains { $0.key != mailbox.identity.signing.publicKey.fingerprint }
        guard isKnown, mailbox.obstacle(to: server) == nil else { return }
        try signAgain(mailbox.outgoing { state.revocation(of: $0, trust: trust) != nil })
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

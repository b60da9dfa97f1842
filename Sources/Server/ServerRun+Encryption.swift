import Bundles
import Federation
import Mailbox
import Wire

/// Updates that came in the clear. Whoever carried them has read them: to refuse them hides nothing any more, but a hospital
/// that sends so by mistake is told of the first one, and not after a year.
extension ServerRun {
    private static let advice =
        "it came in the clear, which this server does not take: remove 'encrypt: false' from consilium.yaml, and the next "
        + "'client run' sends the same update encrypted"

    /// The hospital hears of it at once, once in a round, and keeps the update, since it is not acknowledged. The bundle may
    /// come again.
    func refuseInTheClear(_ delivery: VerifiedDelivery) throws {
        let (client, session) = (delivery.sender, delivery.manifest.session)
        let isNew = !mailbox.isRejected(delivery.id)
        let reason = "\(RefusalReason.notEncrypted.rawValue): it came in the clear"
        let line =
            "update of \(client) refused: \(reason); there 'encrypt: false' is to go from consilium.yaml, and the next 'client "
            + "run' sends it encrypted; 'require_encryption: false' here takes it as it is"
        if isNew { attention(line) } else { detail(line) }
        try audit("refused", subject: delivery.id.hex, detail: "update of \(client): \(reason)")
        try apply(
            .refuse(
                client: client, round: delivery.manifest.round, bundle: delivery.id,
                reason: "\(RefusalReason.notEncrypted.rawValue): \(Self.advice)"), to: session)
        try send(
            Decision(
                subject: .session, about: delivery.id, verdict: .rejected, reason: Self.advice, session: session),
            key: "not-encrypted/\(client)/\(session)/\(delivery.manifest.round)", to: client)
        try mailbox.commit(delivery, .rejected(reason), as: .notEncrypted)
    }
}

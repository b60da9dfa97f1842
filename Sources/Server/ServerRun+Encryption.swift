import Bundles
import Configuration
import Federation
import Mailbox
import Wire

/// Updates that came in the clear. Whoever carried them has read them: to refuse them hides nothing any more, but a hospital
/// that sends so by mistake is told of the first one, and not after a year.
extension ServerRun {
    private static let answer = "not-encrypted"
    private static let advice =
        "it came in the clear, which this server does not take: remove 'encrypt: false' from consilium.yaml, and the next "
        + "'client run' sends the same update encrypted"

    /// Whether an update is taken only once it comes encrypted. One that was acknowledged while it waited is taken as it is,
    /// as from a time when this server took updates in the clear: its hospital keeps it no more and cannot send it again.
    func isToComeEncrypted(_ delivery: VerifiedDelivery) -> Bool {
        delivery.cameInTheClear && configuration.requireEncryption
            && !(delivery.wasHeld && mailbox.hasAcknowledged(delivery.id))
    }

    /// Lets an update wait. Of one that is to come encrypted its hospital has to keep a copy to send so.
    func hold(_ delivery: VerifiedDelivery, _ reason: String) throws {
        try mailbox.commit(delivery, .held(reason), isAcknowledged: !isToComeEncrypted(delivery))
    }

    /// The hospital hears of it at once, once in a round for each request with which it takes part, and keeps the update, since
    /// it is not acknowledged. The bundle may come again.
    func refuseInTheClear(_ delivery: VerifiedDelivery, session: Session) throws {
        let client = delivery.sender
        let isNew = !mailbox.isRejected(delivery.id)
        let reason = "\(RefusalReason.notEncrypted.rawValue): it came in the clear"
        let line =
            "update of \(client) refused: \(reason); there 'encrypt: false' is to go from consilium.yaml, and the next 'client "
            + "run' sends it encrypted; 'require_encryption: false' here takes it as it is"
        if isNew { attention(line) } else { detail(line) }
        try audit("refused", subject: delivery.id.hex, detail: "update of \(client): \(reason)")
        // The round's report goes to all hospitals, and comes when the advice helps no more.
        try apply(
            .refuse(client: client, round: delivery.manifest.round, bundle: delivery.id, reason: reason),
            to: session.id)
        // By the approved request, not by the one that the bundle names: that can be made up, for an answer each.
        let request = session[client].map { "/\($0.request)" } ?? ""
        try send(
            Decision(
                subject: .session, about: delivery.id, verdict: .rejected, reason: Self.advice, session: session.id),
            key: "\(Self.answer)/\(client)/\(session.id)/\(delivery.manifest.round)\(request)", to: client)
        try mailbox.commit(delivery, .rejected(reason), as: .notEncrypted, isAcknowledged: false)
    }

    /// Takes back what answered updates in the clear and was not acknowledged yet: one of that round, or of a later one, was
    /// taken, or nothing can be sent for the session any more.
    ///
    /// That a round is closed is no reason: until its hospital hears of it, the next update comes in the clear too.
    func withdrawAnswersInTheClear(
        in session: RandomID, to client: PartyName? = nil, upTo round: Int = .max
    ) throws {
        try mailbox.withdraw { record in
            guard record.session == session, client == nil || record.recipients == client.map({ [$0] }) else {
                return false
            }
            let parts = Self.originalKey(record.key).split(separator: "/")
            guard parts.first == Self.answer[...], parts.count > 3, let answered = Int(parts[3]) else { return false }
            return answered <= round
        }
    }
}

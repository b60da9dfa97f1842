import Bundles
import Federation
import Mailbox
import Wire

/// What a server that was restored from a backup has lost.
extension ClientRun {
    /// The server issued a round again that this hospital has answered. It acknowledges with that what it has of the round; an
    /// update that it had acknowledged before and does not name now is lost there, and nothing else would ever bring it back:
    /// its files went with the acknowledgement. So the round is trained once more. A server that has it all the same takes the
    /// new update in the old one's place: it never counts both.
    ///
    /// One that was not acknowledged is offered again anyway; and a re-issue that is older than the update, on a slow stick,
    /// says nothing about it.
    ///
    /// - Parameter known: the session before this bundle.
    func answerAgain(_ delivery: VerifiedDelivery, issuedBefore known: ClientSession?) throws {
        let manifest = delivery.manifest
        guard let known, let session = state.session(known.id), session.ended == nil, !session.global.isFinal,
            session.global.bundle == delivery.id, known.global.bundle != delivery.id,
            known.global.round == session.global.round, known.global.model == session.global.model,
            session.answeredRound >= session.global.round,
            let update = mailbox.outgoing.last(where: {
                $0.kind == .update && $0.session == known.id && $0.round == manifest.round
            }),
            update.isAcknowledged, manifest.created > update.created, !manifest.acks.contains(update.id)
        else { return }
        state.change(session: known.id) { $0.trainAgain(for: delivery.id) }
        let line =
            "session \(known.id.short): the server has issued round \(manifest.round) again and does not have this "
            + "hospital's update of it; it is trained once more"
        detail(line)
        try audit("global", subject: delivery.id.hex, detail: "\(line); update \(update.id)")
    }
}

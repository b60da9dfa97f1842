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
    /// One that was not acknowledged is offered again anyway, by the key that signs now; and a re-issue that is older than the
    /// update, on a slow stick, says nothing about it.
    ///
    /// - Parameter known: the session before this bundle.
    func answerAgain(_ delivery: VerifiedDelivery, issuedBefore known: ClientSession?) throws {
        let manifest = delivery.manifest
        guard let known, let session = state.session(known.id), session.ended == nil, !session.global.isFinal,
            session.global.bundle == delivery.id, known.global.bundle != delivery.id,
            known.global.round == session.global.round, known.global.model == session.global.model,
            session.answeredRound >= session.global.round,
            let update = answer(in: session), manifest.created > update.created,
            !manifest.acks.contains(update.id)
        else { return }
        guard update.isAcknowledged else {
            missed.insert(update.id)
            return
        }
        try answerAgain(session, instead: update)
    }

    /// The same where the bundles have overtaken each other: the update is acknowledged only now, by a bundle that the server
    /// made before it issued the round again and named no such update.
    ///
    /// To be asked before the bundle is committed, and its acknowledgements with it.
    func answerAgain(acknowledgedLateBy delivery: VerifiedDelivery) throws {
        let manifest = delivery.manifest
        for session in state.sessions where session.ended == nil && !session.global.isFinal {
            guard session.answeredRound == session.global.round, manifest.created < session.global.created,
                let update = answer(in: session), !update.isAcknowledged, manifest.acks.contains(update.id)
            else { continue }
            try answerAgain(session, instead: update)
            try saveState()
        }
    }

    /// The newest update of the round that is open: by its number, since the clock may have been wrong.
    func answer(in session: ClientSession) -> OutgoingRecord? {
        mailbox.outgoing.filter {
            $0.kind == .update && $0.session == session.id && $0.round == session.global.round
        }.max { $0.seq < $1.seq }
    }

    private func answerAgain(_ session: ClientSession, instead update: OutgoingRecord) throws {
        state.change(session: session.id) { $0.trainAgain(for: $0.global.bundle) }
        let line =
            "session \(session.id.short): the server has issued round \(session.global.round) again and does not have this "
            + "hospital's update of it; it is trained once more"
        detail(line)
        try audit("global", subject: session.global.bundle.hex, detail: "\(line); update \(update.id)")
    }
}

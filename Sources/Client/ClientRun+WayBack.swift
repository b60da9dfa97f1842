import Bundles
import Federation
import Mailbox
import Wire

/// A server that was restored from a backup of an earlier round than the one that this hospital has.
///
/// The rounds since are lost, and it opens the next one anew: what this hospital did with them is of no use any more. Either the
/// server asks for the earlier round once more, or it has what it needs of it, and then another round comes under the number of
/// a lost one.
extension ClientRun {
    /// Whether the global is the server's later word, and not its old one that a slow or hostile courier brings now.
    ///
    /// 1. It is of an earlier round of a session that goes on, or another one of the same round.
    /// 2. It was made after the newer round was opened.
    /// 3. Its number is higher, where both were signed with one key: a clock that was set back in between proves nothing.
    ///
    /// That a key stands for it that is believed was found before. What only a revoked key has said binds nobody anyway.
    func goesBack(_ known: ClientSession, by delivery: VerifiedDelivery, _ report: RoundReport) -> Bool {
        known.isUndone(by: report, created: delivery.manifest.created) && hasLaterNumber(delivery, than: known)
    }

    private func hasLaterNumber(_ delivery: VerifiedDelivery, than known: ClientSession) -> Bool {
        guard let former = mailbox.number(of: known.global.bundle), former.signer == delivery.signer.fingerprint else {
            return true
        }
        return delivery.manifest.seq > former.seq
    }

    /// Whether the global was made before the newest one here though its round is a later one, which happens only where the
    /// server lost it: to take it would leave the round that the server waits for.
    func isLost(_ delivery: VerifiedDelivery, _ report: RoundReport, of known: ClientSession) -> Bool {
        guard let binding = known.binding, report.round > binding.round,
            let former = mailbox.number(of: known.global.bundle), former.signer == delivery.signer.fingerprint
        else { return false }
        return delivery.manifest.seq < former.seq && delivery.manifest.created < known.global.created
    }

    package static let wayOutOfReopened = "ask there for 'server abort'"

    /// What is finished here stays finished, and its version is what it is. But people have to know: the server waits for what
    /// nobody trains, or has another model under the same number.
    func tellReopened(_ known: ClientSession?, by delivery: VerifiedDelivery, _ report: RoundReport) throws {
        guard let known, known.global.isFinal, known.binding != nil,
            delivery.manifest.created > known.global.created, hasLaterNumber(delivery, than: known)
        else { return }
        let isFinished = report.phase == .final
        let reopening = ClientSession.Reopening(
            round: report.round, speaker: .server(delivery.signer.fingerprint))
        state.change(session: known.id) { $0.reopened = isFinished ? nil : reopening }
        if isFinished {
            if report.model != known.global.model, state.announced.announce("finished-anew-\(known.id)") {
                attention(
                    "session \(known.id.short) is finished here, and the server, restored from a backup, has finished it with "
                        + "another model: the version that is here stays what it is; ask there which of the two is meant"
                )
            }
        } else if known.reopened == nil {
            attention(
                "session \(known.id.short) is finished here: \(reopening.text); nothing is trained for it, "
                    + Self.wayOutOfReopened)
        }
        try saveState()
    }
}

extension ClientSession {
    /// Whether a global that contradicts the newest one was made after that.
    func isUndone(by report: RoundReport, created: Timestamp) -> Bool {
        guard let binding, ended == nil, !global.isFinal else { return false }
        let isOther = report.round < binding.round || report.round == binding.round && report.model != binding.model
        return isOther && created > global.created
    }

    /// The number of a round does not tell any more which model an update is of.
    mutating func goBack(for bundle: Digest) {
        forgetFalseAnswer()
        trainAgain(for: bundle)
    }
}

import Bundles
import Federation
import Mailbox
import Wire

/// A server that was restored from a backup of an earlier round than the one that this hospital has.
///
/// The rounds since are lost, and it opens the next one anew: what this hospital did with them is of no use any more, and only
/// its update of the earlier round brings the session on.
extension ClientRun {
    /// Whether the global is the server's later word, and not its old one that a slow or hostile courier brings now.
    ///
    /// 1. It is of an earlier round of a session that goes on.
    /// 2. It was made after the newer round was opened.
    /// 3. Its number is higher, where both were signed with one key: a clock that was set back in between proves nothing.
    ///
    /// That a key stands for it that is believed was found before. What only a revoked key has said binds nobody anyway.
    func goesBack(_ known: ClientSession, by delivery: VerifiedDelivery, _ report: RoundReport) -> Bool {
        guard report.phase != .final, known.isBefore(report, created: delivery.manifest.created) else { return false }
        guard let former = mailbox.number(of: known.global.bundle), former.signer == delivery.signer.fingerprint else {
            return true
        }
        return delivery.manifest.seq > former.seq
    }

    package static let wayOutOfReopened = "ask there for 'server abort'"

    /// What is finished here stays finished, and its version is what it is. But whoever runs the server has to know.
    func tellReopened(_ known: ClientSession?, by delivery: VerifiedDelivery, _ report: RoundReport) throws {
        guard let known, known.global.isFinal, known.binding != nil, report.phase != .final,
            delivery.manifest.created > known.global.created
        else { return }
        let wasKnown = known.reopened != nil
        let reopening = ClientSession.Reopening(
            round: report.round, speaker: .server(delivery.signer.fingerprint))
        state.change(session: known.id) { $0.reopened = reopening }
        try saveState()
        guard !wasKnown else { return }
        attention(
            "session \(known.id.short) is finished here: \(reopening.text); nothing is trained for it, \(Self.wayOutOfReopened)"
        )
    }
}

extension ClientSession {
    /// Whether a global of an earlier round than the newest one was made after that.
    func isBefore(_ report: RoundReport, created: Timestamp) -> Bool {
        guard let binding, ended == nil, !global.isFinal else { return false }
        return report.round < binding.round && created > global.created
    }

    /// The number of a round does not tell any more which model an update is of.
    mutating func goBack(for bundle: Digest) {
        forgetFalseAnswer()
        trainAgain(for: bundle)
    }
}

import Federation
import Mailbox
import Wire

/// The server answers what this home never sent: somebody else uses its key, or it was restored from a backup.
extension ClientRun {
    /// Says so, once of each thing. Only of what nobody but the holder of the key can have brought about: an enrolment in this
    /// hospital's name anybody can make, and what is rejected may be of the home before this one.
    ///
    /// To be asked before the decision is taken.
    func tellStrangeAnswer(_ decision: Decision, from sender: PartyName) throws {
        // A new home under an old name knows nothing of what the one before has asked.
        let hasAsked = !state.requests.isEmpty
        switch (decision.subject, decision.verdict) {
        case (.request, .approved) where state.request(decision.about) == nil:
            try mailbox.otherSideHas(
                decision.about, describing: "a request", says: sender, isRemembered: hasAsked)
        case (.withdrawal, .withdrawn):
            guard let own = state.withdrawnRequest(by: decision) else {
                return try mailbox.otherSideHas(
                    decision.about, describing: "a withdrawal", says: sender, isRemembered: hasAsked)
            }
            guard own.status == .sent || own.status == .approved,
                state.announced.announce("strange-withdrawal-\(own.id)")
            else { return }
            attention(
                "\(sender) says that request \(own.id.short) was taken back, which this home did not do: it was restored from a "
                    + "backup, or its key is used elsewhere too; ask by telephone")
        default: break
        }
    }
}

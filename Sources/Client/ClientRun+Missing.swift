import Bundles
import Mailbox
import Wire

/// What a hospital's home has lost without a word.
extension ClientRun {
    /// Once, and again when it comes again.
    func tellMissing() throws {
        if !mailbox.trust.signers.entries(of: server).isEmpty {
            state.announced.forget("missing")
        } else if state.announced.announce("missing", reason: server.text) {
            attention(
                "trust/allowed_signers lacks \(server): restore it from a backup; what it sends is a stranger's until then"
            )
        }
        if let objection = mailbox.ageObjection {
            if state.announced.announce("age", reason: objection) { attention(objection) }
        } else {
            state.announced.forget("age")
        }
        try saveState()
    }
}

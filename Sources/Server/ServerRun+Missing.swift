import Bundles
package import Mailbox
package import Wire

/// What a home has lost without a word: its trust is shorter than its desk says.
extension DeskRecords {
    /// Whose key was approved here and stands no more in `trust/allowed_signers`; the server too, where its own key does not.
    package func missing(in trust: TrustStore, of home: Home) -> [PartyName] {
        let known = Set(trust.signers.entries.map { "\($0.principal) \($0.key.fingerprint)" })
        let lost = enrolments.filter { $0.status == .approved && !known.contains("\($0.name) \($0.fingerprint)") }
        let isKnown = !trust.signers.entries(of: home.name).isEmpty
        return Set(lost.map(\.name) + (isKnown ? [] : [home.name])).sorted()
    }
}

extension ServerRun {
    /// Once, and again when it is another one.
    func tellMissing() {
        let missing = records.missing(in: mailbox.trust, of: home).map(\.text).joined(separator: ", ")
        if missing.isEmpty {
            records.announced.forget("missing")
        } else if records.announced.announce("missing", reason: missing) {
            attention(
                "trust/allowed_signers lacks \(missing), whose keys were approved here: restore it from a backup; what they "
                    + "send is a stranger's until then")
        }
        if let objection = mailbox.ageObjection {
            if records.announced.announce("age", reason: objection) { attention(objection) }
        } else {
            records.announced.forget("age")
        }
    }
}

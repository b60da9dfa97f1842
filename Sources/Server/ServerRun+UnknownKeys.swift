import Bundles
package import Mailbox
import Wire

/// Bundles of a key that no enrolment speaks of: it is still on its way, or it came, was acknowledged, and is lost with what a
/// restored backup does not have. Then nothing brings it again but its hospital's next rotation.
extension DeskRecords {
    /// What to ask for there.
    package static let cureOfUnknownKey =
        "if none comes, since this server was restored from an older backup, ask there by telephone for 'consilium key rotate', "
        + "and for its request once more; what it has sent for a session that is running comes with 'server reissue'"

    package func hasEnrolment(of fingerprint: String) -> Bool {
        enrolments.contains { $0.fingerprint == fingerprint }
    }

    /// Those about which nothing lies on the desk, and after which no other key was approved under the same name: what a key
    /// signed that was replaced waits until it is too old, and there is nothing to ask for.
    package func withoutEnrolment(_ keys: [UnknownKey]) -> [UnknownKey] {
        keys.filter { key in
            !hasEnrolment(of: key.fingerprint)
                && !enrolments.contains {
                    $0.name == key.name && $0.status == .approved && $0.received >= key.since
                }
        }
    }
}

extension ServerRun {
    /// To be told when all else has been taken in: the enrolment may have come with them.
    func tellUnknownKeys(_ held: [HeldBundle]) {
        for bundle in held {
            let cure = records.hasEnrolment(of: bundle.fingerprint) ? "" : "; \(DeskRecords.cureOfUnknownKey)"
            attention(
                "a bundle that says it is from \(bundle.sender) waits: \(bundle.reason); it is taken once the enrolment is "
                    + "approved\(cure)")
        }
    }
}

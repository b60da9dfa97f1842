import Bundles
import Wire

/// When a bundle is neither early nor over. What is refused outside of it may be refused for a clock's sake alone, this home's
/// or its sender's: in its time it has another look.
struct BundleTimes: Equatable {
    let from: Timestamp
    let until: Timestamp

    func contains(_ now: Timestamp) -> Bool { from <= now && now <= until }
}

extension AdmissionRules {
    /// As long as the bundle itself and its sender's key hold, as far as that is known here.
    func times(of manifest: Manifest, signer: PublicKey) -> BundleTimes {
        let ends = trust.signers.entries(for: signer).filter {
            $0.principal == manifest.sender && $0.isValid(at: manifest.created)
        }.map { $0.validBefore?.adding(seconds: TrustStore.graceAfterKeyEnd) ?? .latest }
        return BundleTimes(
            from: manifest.created.adding(seconds: -ClockFloor.tolerance),
            until: min(manifest.expires, ends.max() ?? .latest))
    }
}

extension RefusalReason {
    /// Those that another time of the clock could change.
    private static let ofTime: [Self] = [.expired, .notYetValid, .keyExpired]

    /// What a person who reads of one of them should know: in quarantine may lie the only copy.
    static let clockHint = "once the clocks are right, move it back into inbox/ (an exchange brings it again by itself)"

    /// Whether a note in quarantine gives one of them as the reason.
    package static func isOfTime(note: String) -> Bool {
        ofTime.contains { note.contains("\nreason: \($0.rawValue)\n") }
    }
}

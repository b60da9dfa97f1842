import Federation
package import Wire

/// Numbers of decisions under several keys of the server.
///
/// 1. Its numbers go on across a rotation: of all that its keys signed about one thing, the highest number counts.
/// 2. They end with a key that is revoked: whoever stole it may have said anything under any number.
/// 3. What an earlier version of this program noted without the key may be of any, and ends with the first that is revoked.
extension ClientState {
    static func subject(about: Digest, in session: RandomID?) -> String { "\(about) \(session?.hex ?? "-")" }

    static func subject(of decision: Decision) -> String {
        subject(about: decision.about, in: decision.session) + (decision.isOfStanding ? " standing" : "")
    }

    /// - Parameter signer: a key's fingerprint.
    static func entry(_ subject: String, by signer: String) -> String { "\(subject) \(signer)" }

    /// What an entry is about, and the fingerprint of the key whose number it is; nil where that was not noted.
    private static func parts(of entry: String) -> (subject: String, signer: String?) {
        guard let space = entry.lastIndex(of: " "), entry[space...].hasPrefix(" SHA256:") else { return (entry, nil) }
        return (String(entry[..<space]), String(entry[space...].dropFirst()))
    }

    /// Of all keys whose numbers count.
    func newestNumber(about subject: String) -> Int64 {
        newestDecision.lazy.filter { $0.key.hasPrefix(subject) && Self.parts(of: $0.key).subject == subject }
            .map(\.value).max() ?? 0
    }

    /// Forgets under which numbers revoked keys of the server spoke. What they decided stays as it is, for the next decision to
    /// change, but for two things that nobody would decide again:
    ///
    /// 1. A refusal of the enrolment is one no more: the server takes whom it has enrolled, and tells who is not.
    /// 2. Requests that they approved keep their order, before every one that another key approves.
    ///
    /// - Parameters:
    ///   - revoked: fingerprints.
    ///   - enrolment: the bundle of this hospital's own enrolment.
    package mutating func forgetNumbers(of revoked: Set<String>, enrolment: Digest?) {
        guard !revoked.isEmpty else { return }
        func isForgotten(_ entry: String) -> Bool {
            // Statements about keys have rules of their own.
            !entry.hasPrefix("trust ") && Self.parts(of: entry).signer.map(revoked.contains) ?? true
        }
        if enrolled == false, let enrolment {
            let subject = Self.subject(about: enrolment, in: nil)
            let newest = newestDecision.filter { Self.parts(of: $0.key).subject == subject }
                .max { $0.value < $1.value }
            if let newest, isForgotten(newest.key) { (enrolled, enrolmentReason) = (nil, "") }
        }
        newestDecision = newestDecision.filter { !isForgotten($0.key) }
        let past = requests.filter { $0.approval < 0 }.sorted { $0.approval < $1.approval }
        let gone = requests.filter { $0.approval > 0 && $0.approver.map(revoked.contains) ?? false }
            .sorted { $0.approval < $1.approval }
        guard !gone.isEmpty else { return }
        for (index, own) in (past + gone).enumerated() {
            change(request: own.id) { $0.approval = Int64(index - past.count - gone.count) }
        }
    }
}

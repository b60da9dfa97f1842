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
    func newestNumber(about subject: String) -> Int64 { newest(about: subject)?.number ?? 0 }

    func newest(about subject: String) -> (number: Int64, signer: String?)? {
        newestDecision.lazy.filter { $0.key.hasPrefix(subject) && Self.parts(of: $0.key).subject == subject }
            .max { $0.value < $1.value }.map { ($0.value, Self.parts(of: $0.key).signer) }
    }

    /// Forgets under which numbers revoked keys of the server spoke. What they said stays as it is, for the server's next word
    /// to change: of a request, that it is over (its approval says otherwise); of a session, that it is over (a global that is
    /// not the last one, or an approval, does); of a global, that it is the newest one (any other one does). What this hospital
    /// itself took back or left stays so. But there are two things that nobody would say again:
    ///
    /// 1. A refusal of the enrolment is one no more: the server takes whom it has enrolled, and tells who is not.
    /// 2. Requests that they approved keep their order, before every one that another key approves. One whose approver was not
    ///    noted may be theirs.
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
            let newest = newest(about: Self.subject(about: enrolment, in: nil))
            if let newest, newest.signer.map(revoked.contains) ?? true { (enrolled, enrolmentReason) = (nil, "") }
        }
        newestDecision = newestDecision.filter { !isForgotten($0.key) }
        disown(revoked)
        let past = requests.filter { $0.approval < 0 }.sorted { $0.approval < $1.approval }
        let gone = requests.filter { $0.approval > 0 && $0.approver.map(revoked.contains) ?? true }
            .sorted { $0.approval < $1.approval }
        guard !gone.isEmpty else { return }
        for (index, own) in (past + gone).enumerated() {
            change(request: own.id) { $0.approval = Int64(index - past.count - gone.count) }
        }
    }

    private mutating func disown(_ revoked: Set<String>) {
        for own in requests { change(request: own.id) { $0.endedBy.forget(revoked) } }
        for session in sessions {
            change(session: session.id) { session in
                session.endedBy.forget(revoked)
                session.global.speaker.forget(revoked)
                session.reopened?.speaker.forget(revoked)
                if session.reopened?.speaker.isRevoked ?? false { session.reopened = nil }
            }
        }
        for id in over.keys { over[id]?.speaker.forget(revoked) }
    }
}

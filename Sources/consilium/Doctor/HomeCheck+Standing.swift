import Bundles
import Client
import Federation
import Mailbox
import Server
import Wire

/// What the server has said against this hospital: the run says it once, and it holds until somebody acts.
extension HomeCheck {
    func standing() throws -> (good: Bool, text: String, advice: String) {
        let view = try ClientView(home)
        if let obstacle = view.state.obstacle(
            of: try Identity.load(from: home), trust: try TrustStore.load(from: home),
            server: view.server)
        {
            return (false, obstacle.text, obstacle.advice)
        }
        let excluded = view.state.sessions.filter { $0.ended == nil && $0.excluded != nil }
        guard excluded.isEmpty else {
            let names = excluded.map { session in
                session.id.short + ((session.excluded ?? "").isEmpty ? "" : " (\(session.excluded ?? ""))")
            }
            return (
                false, "\(view.server) has excluded this hospital from session \(names.joined(separator: ", "))",
                "ask the server's admin for 'server readmit'"
            )
        }
        let reopened = view.state.sessions.compactMap { session in
            session.reopened.map { "session \(session.id.short) is finished here: \($0.text)" }
        }
        guard reopened.isEmpty else {
            return (false, reopened.joined(separator: "; "), ClientRun.wayOutOfReopened)
        }
        return (
            true, view.state.enrolled == true ? "enrolled at \(view.server)" : "the enrolment is not answered yet", ""
        )
    }
}

extension HomeCheck {
    /// What keeps sessions from beginning: a run says it once.
    func sessions() throws -> (good: Bool, text: String) {
        let starts = try SessionStarts(home)
        // What cannot be read is told under records.
        let waiting = try SessionStore(home: home).load().filter { $0.state == .waiting }
        let found = try waiting.flatMap { session in
            try starts.obstacles(to: session).map { (text: "session \(session.name) \($0.text)", isFault: $0.isFault) }
        }
        return (
            !found.contains { $0.isFault },
            found.isEmpty ? "none waits to begin" : found.map(\.text).joined(separator: "; ")
        )
    }
}

import Bundles
import Client
import Federation
import Mailbox
import Server
import Wire

/// What the server has said against this hospital: the run says it once, and it holds until somebody acts.
extension HomeCheck {
    func standing() -> Finding {
        var advice = "ask the server's admin"
        let result = Result { () throws -> (good: Bool, text: String) in
            let view = try ClientView(home)
            if let obstacle = view.state.obstacle(
                signing: try Identity.load(from: home).signing.publicKey, trust: try TrustStore.load(from: home),
                server: view.server)
            {
                advice = obstacle.advice
                return (false, obstacle.text)
            }
            let excluded = view.state.sessions.filter { $0.ended == nil && $0.excluded != nil }
            guard excluded.isEmpty else {
                advice = "ask the server's admin for 'server readmit'"
                let names = excluded.map { session in
                    session.id.short + ((session.excluded ?? "").isEmpty ? "" : " (\(session.excluded ?? ""))")
                }
                return (
                    false, "\(view.server) has excluded this hospital from session \(names.joined(separator: ", "))"
                )
            }
            switch view.state.enrolled {
            case true?: return (true, "enrolled at \(view.server)")
            default: return (true, "the enrolment is not answered yet")
            }
        }
        switch result {
        case .success(let found):
            return Finding(check: "standing", isGood: found.good, text: found.text, advice: advice)
        case .failure(let error): return Finding(check: "standing", isGood: false, text: "\(error)", advice: advice)
        }
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

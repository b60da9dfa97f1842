import ArgumentParser
import Bundles
import Client
import Federation
import Mailbox
import Reports
import Wire

struct ClientStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Where this hospital stands: enrolment, requests, sessions, offers.",
        discussion: """
            EXAMPLES:
              consilium client status --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let view = try ClientView(try home.open(.client))
        let state = view.state
        if output.json { return Console.print(json: json(view)) }
        let enrolment =
            switch state.enrolled {
            case true?: "approved"
            case false?: "rejected" + (state.enrolmentReason.isEmpty ? "" : ": \(state.enrolmentReason)")
            case nil: "not answered yet"
            }
        Console.print("\(view.home.name), a client of \(view.server); enrolment \(enrolment)")
        // A rejected enrolment is in the first line.
        if state.enrolled != false, let obstacle = obstacle(view) {
            Console.print("\(obstacle.text); \(obstacle.advice)")
        }
        var requests = TextTable([("request", .left), ("made", .left), ("status", .left), ("reason", .left)])
        for request in state.requests {
            let isReplaced = state.replacement(of: request) != nil
            requests.add([
                request.id.short, request.created.rfc3339, isReplaced ? "replaced" : request.status.rawValue,
                request.reason + doubt(request.isDisowned),
            ])
        }
        if !requests.isEmpty { Console.print("\n" + requests.text) }
        let now = try Environment.now()
        var sessions = TextTable([("session", .left), ("round", .right), ("next", .left)])
        for session in state.sessions {
            sessions.add([
                session.id.short, "\(min(session.global.round, session.plan.rounds))/\(session.plan.rounds)",
                next(session, now),
            ])
        }
        if !sessions.isEmpty { Console.print("\n" + sessions.text) }
        for offer in state.offers where offer.status == .pending {
            Console.print(
                "\nversion \(offer.version) waits: 'consilium client updates', then 'consilium client accept \(offer.version)'"
            )
        }
    }

    /// Where a key or the trust is missing, 'doctor' says so: how the sessions stand is to be seen all the same.
    private func obstacle(_ view: ClientView) -> (text: String, advice: String)? {
        guard let identity = try? Identity.load(from: view.home), let trust = try? TrustStore.load(from: view.home)
        else { return nil }
        return view.state.obstacle(of: identity, trust: trust, server: view.server)
    }

    private func doubt(_ isDisowned: Bool) -> String {
        isDisowned ? " (said under a key that is revoked now; the server's next word counts)" : ""
    }

    private func next(_ session: ClientSession, _ now: Timestamp) -> String {
        if let ended = session.ended {
            return "over: \(ended)" + doubt(session.isDisowned) + (session.reopened.map { "; \($0.text)" } ?? "")
        }
        switch session.consent {
        case .asked: return "its plan waits for you in plans/pending"
        case .refused: return "refused"
        case .granted: break
        }
        if let reason = session.excluded {
            return "the server has excluded this hospital" + (reason.isEmpty ? "" : ": \(reason)")
        }
        if let round = session.roundToTrain { return "round \(round) to be trained until \(session.deadline.rfc3339)" }
        let silent = Freshness.isSilent(lastGlobal: session.global.created, plan: session.plan, now: now)
        return silent ? "the server has been silent past the deadline" : "waits for the server"
    }

    private func json(_ view: ClientView) -> JSONValue {
        let state = view.state
        return [
            "obstacle": .optional(obstacle(view)) { .string("\($0.text); \($0.advice)") },
            "schema_version": 1, "name": .string(view.home.name.text), "server": .string(view.server.text),
            "enrolled": state.enrolled.map { .bool($0) } ?? .null,
            "requests": .array(
                state.requests.map {
                    [
                        "id": .string($0.id.hex), "created": .string($0.created.rfc3339),
                        "status": .string($0.status.rawValue), "reason": .string($0.reason),
                        "session": $0.session.map { .string($0.hex) } ?? .null,
                    ]
                }),
            "sessions": .array(
                state.sessions.map {
                    [
                        "id": .string($0.id.hex), "round": .integer(Int64($0.global.round)),
                        "rounds": .integer(Int64($0.plan.rounds)), "consent": .string($0.consent.rawValue),
                        "answered_round": .integer(Int64($0.answeredRound)), "deadline": .string($0.deadline.rfc3339),
                        "ended": $0.ended.map { .string($0) } ?? .null,
                        "excluded": $0.excluded.map { .string($0) } ?? .null,
                        "reopened_round": $0.reopened.map { .integer(Int64($0.round)) } ?? .null,
                    ]
                }),
            "offers": .array(
                state.offers.map {
                    [
                        "version": .integer(Int64($0.version)), "session": .string($0.session.hex),
                        "status": .string($0.status.rawValue),
                    ]
                }),
        ]
    }
}

import ArgumentParser
import Federation
import Reports
import Server
import Wire

struct ServerSessionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions", abstract: "List the sessions: state, round, who has answered, who is missing.",
        discussion: """
            EXAMPLES:
              consilium server sessions --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let run = try ServerSession.open(home)
        let sessions = run.sessions
        let obstacles = try sessions.map { session in
            session.state == .waiting ? try run.obstacles(to: session).map(\.text).joined(separator: "; ") : ""
        }
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "sessions": .array(zip(sessions, obstacles).map(Self.json)),
            ])
        }
        guard !sessions.isEmpty else { return Console.print("no session yet") }
        var table = TextTable([
            ("session", .left), ("hospitals see", .left), ("state", .left), ("round", .right), ("answered", .left),
            ("missing", .left),
            ("deadline", .left), ("because", .left),
        ])
        for (session, obstacle) in zip(sessions, obstacles) {
            let rounds =
                session.plan.map { "\(min(session.round?.number ?? session.history.count, $0.rounds))/\($0.rounds)" }
                ?? "-"
            table.add([
                session.name, session.id.short, session.state.rawValue, rounds,
                list(session.isOver ? [] : session.answered),
                list(session.isOver ? [] : session.missing),
                session.isOver ? "" : session.round?.deadline.rfc3339 ?? "", session.pauseReason ?? obstacle,
            ])
        }
        Console.print(table.text)
    }

    private func list(_ names: [PartyName]) -> String { names.map(\.text).joined(separator: ", ") }

    private static func json(_ session: Session, _ obstacle: String) -> JSONValue {
        [
            "name": .string(session.name), "id": .string(session.id.hex), "state": .string(session.state.rawValue),
            "round": session.round.map { .integer(Int64($0.number)) } ?? .null,
            "rounds": session.plan.map { .integer(Int64($0.rounds)) } ?? .null,
            "answered": .array(session.answered.map { .string($0.text) }),
            "missing": .array(session.missing.map { .string($0.text) }),
            "participants": .array(
                session.participants.map {
                    ["name": .string($0.name.text), "standing": .string($0.standing.rawValue)]
                }),
            "deadline": session.round.map { .string($0.deadline.rfc3339) } ?? .null,
            "pause_reason": session.pauseReason.map { .string($0) } ?? .null,
            "waiting_reason": obstacle.isEmpty ? .null : .string(obstacle),
            "version": session.version.map { .integer(Int64($0)) } ?? .null,
        ]
    }
}

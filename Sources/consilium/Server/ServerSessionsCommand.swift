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
        let sessions = try ServerSession.open(home).sessions
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "sessions": .array(sessions.map(Self.json)),
            ])
        }
        guard !sessions.isEmpty else { return Console.print("no session yet") }
        var table = TextTable([
            ("session", .left), ("hospitals see", .left), ("state", .left), ("round", .right), ("answered", .left),
            ("missing", .left),
            ("deadline", .left), ("paused because", .left),
        ])
        for session in sessions {
            let rounds =
                session.plan.map { "\(min(session.round?.number ?? session.history.count, $0.rounds))/\($0.rounds)" }
                ?? "-"
            table.add([
                session.name, session.id.short, session.state.rawValue, rounds,
                list(session.isOver ? [] : session.answered),
                list(session.isOver ? [] : session.missing),
                session.isOver ? "" : session.round?.deadline.rfc3339 ?? "", session.pauseReason ?? "",
            ])
        }
        Console.print(table.text)
    }

    private func list(_ names: [PartyName]) -> String { names.map(\.text).joined(separator: ", ") }

    static func json(_ session: Session) -> JSONValue {
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
            "version": session.version.map { .integer(Int64($0)) } ?? .null,
        ]
    }
}

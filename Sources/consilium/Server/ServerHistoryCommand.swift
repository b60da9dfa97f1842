import ArgumentParser
import Federation
import Reports
import Server
import Wire

struct ServerHistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "The rounds of a session: scores with their support, weights, the missing.",
        discussion: """
            'global' scores the model that the round began with, 'trained' the hospitals' own models after training, each on its \
            hospital's validation pictures, pooled.

            EXAMPLES:
              consilium server history --home /srv/ministry
              consilium server history spring --json --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name (default: all).") var session: String?

    func run() throws {
        let run = try ServerSession.open(home)
        let sessions = try session.map { [try run.session(named: $0)] } ?? run.sessions
        if output.json {
            return Console.print(json: [
                "schema_version": 1,
                "sessions": .array(
                    sessions.map { session in
                        [
                            "name": .string(session.name), "id": .string(session.id.hex),
                            "rounds": .array(session.history.map(RoundTable.json)),
                        ]
                    }),
            ])
        }
        guard !sessions.isEmpty else { return Console.print("no session yet") }
        for session in sessions {
            Console.print("session \(session.name), \(session.state.rawValue)")
            Console.print(session.history.isEmpty ? "no round has closed yet" : RoundTable.text(session.history))
        }
    }
}

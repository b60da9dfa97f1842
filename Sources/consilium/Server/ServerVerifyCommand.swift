import ArgumentParser
import Reports
import Server
import Wire

struct ServerVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Average a session's rounds again from the signed updates and compare the bytes.",
        discussion: """
            Aggregation is reproducible to the byte on any machine. Exit status 65 when a round differs.

            EXAMPLES:
              consilium server verify spring --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String

    func run() throws {
        let run = try ServerSession.open(home)
        let rounds = try run.verify(try run.session(named: session))
        if output.json {
            Console.print(json: [
                "schema_version": 1,
                "rounds": .array(
                    rounds.map {
                        [
                            "round": .integer(Int64($0.round)), "recorded": .string($0.recorded.hex),
                            "recomputed": $0.recomputed.map { .string($0.hex) } ?? .null, "proven": .bool($0.isProven),
                        ]
                    }),
            ])
        } else {
            var table = TextTable([("round", .right), ("model", .left), ("verdict", .left)])
            for round in rounds {
                let verdict =
                    round.isProven
                    ? "the same bytes" : round.recomputed == nil ? "an update is not in the archive" : "DIFFERS"
                table.add(["\(round.round)", round.recorded.short, verdict])
            }
            Console.print(rounds.isEmpty ? "no round has closed yet" : table.text)
        }
        if rounds.contains(where: { !$0.isProven }) { throw SilentExit(status: .badData) }
    }
}

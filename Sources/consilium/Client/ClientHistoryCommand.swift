import ArgumentParser
import Client
import Federation
import Files
import Mailbox
import Reports
import Wire

struct ClientHistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "The rounds that this hospital trained, with its own scores.",
        discussion: """
            EXAMPLES:
              consilium client history --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let lines = try ClientHistory.load(from: try home.open(.client))
        if output.json {
            return Console.print(json: ["schema_version": 1, "rounds": .array(lines.map(\.json))])
        }
        guard !lines.isEmpty else { return Console.print("no round was trained yet") }
        var table = TextTable([
            ("trained", .left), ("session", .left), ("round", .right), ("epochs", .right), ("examples", .right),
            ("loss", .right), ("global", .right), ("own model", .right),
        ])
        for line in lines {
            let metrics = line.metrics
            table.add([
                line.time.rfc3339, line.session.short, "\(metrics.round)",
                "\(metrics.epochsDone)/\(metrics.epochsPlanned)",
                "\(metrics.examples)", metrics.lossPerEpoch.last.map { Numbers.fixed($0, digits: 3) } ?? "-",
                metrics.global.map { Numbers.percent($0.accuracy) } ?? "-",
                metrics.trained.map { Numbers.percent($0.accuracy) } ?? "-",
            ])
        }
        Console.print(table.text)
    }
}

import ArgumentParser
import Federation
import Mailbox
import Reports
import Server
import Wire

struct ServerVersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions", abstract: "List the kept global models, with lineage and scores.",
        discussion: """
            The accuracy is the last one that the hospitals measured: of the model that the last round began with.

            EXAMPLES:
              consilium server versions --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let records = try VersionStore(home: try home.open(.server)).records()
        if output.json {
            return Console.print(json: ["schema_version": 1, "versions": .array(records.map(\.json))])
        }
        guard !records.isEmpty else { return Console.print("no version yet") }
        var table = TextTable([
            ("version", .right), ("saved", .left), ("from", .left), ("architecture", .left), ("rounds", .right),
            ("hospitals", .right), ("accuracy", .right), ("pictures", .right),
        ])
        for record in records {
            let scores = record.metrics?.global ?? record.metrics?.trained
            table.add([
                "\(record.number)", record.created.rfc3339,
                record.origin == .session
                    ? "\(record.sessionName), version \(record.base ?? 0)" + (record.isBranch ? " (branch)" : "")
                    : record.origin.rawValue,
                record.architecture, record.origin == .session ? "\(record.rounds)" : "",
                record.origin == .session ? "\(record.contributions.count)" : "",
                scores.map { Numbers.percent($0.accuracy) } ?? "", scores.map { "\($0.support)" } ?? "",
            ])
        }
        Console.print(table.text)
    }
}

import ArgumentParser
import Mailbox
import Reports
import Wire

struct ServerAuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check the audit log's chain and show its newest entries.",
        discussion: """
            EXAMPLES:
              consilium server audit --last 20 --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "How many entries to show.") var last = 50

    func run() throws {
        let log = AuditLog(try home.open(.server))
        let count = try log.verify()
        let entries = try log.entries(limit: max(0, last))
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "entries": .integer(count),
                "newest": .array(
                    entries.map {
                        [
                            "number": .integer($0.number), "at": .string($0.at.rfc3339), "actor": .string($0.actor),
                            "event": .string($0.event), "subject": .string($0.subject), "detail": .string($0.detail),
                        ]
                    }),
            ])
        }
        var table = TextTable([
            ("", .right), ("when", .left), ("who", .left), ("what", .left), ("subject", .left), ("detail", .left),
        ])
        for entry in entries {
            table.add([
                "\(entry.number)", entry.at.rfc3339, entry.actor, entry.event, String(entry.subject.prefix(12)),
                entry.detail,
            ])
        }
        Console.print(table.text)
        if !output.quiet { Console.print("the chain of \(count) entries is whole") }
    }
}

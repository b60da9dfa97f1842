import ArgumentParser
import Federation
import Mailbox
import Reports
import Server
import Wire

struct ServerVersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Show one version: its model card.",
        discussion: """
            EXAMPLES:
              consilium server version 1 --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The version's number.") var number: Int

    func run() throws {
        let record = try VersionStore(home: try home.open(.server)).record(number)
        if output.json { return Console.print(json: ["schema_version": 1, "version": record.json]) }
        Console.print(ModelCard.text(record))
    }
}

import ArgumentParser
import Server

struct ServerExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Send a version to an enrolled client, which decides on its updates desk.",
        discussion: """
            'consilium model export' writes a version to a file instead.

            EXAMPLES:
              consilium server export 1 --to hospital-c --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The version's number.") var number: Int
    @Option(help: "The client's name.") var to: String

    func run() throws {
        let client = try partyName(to)
        try ServerSession.change(home, output) {
            try $0.export(version: number, to: client, actor: HomeOption.actor)
        }
    }
}

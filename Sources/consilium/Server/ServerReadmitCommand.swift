import ArgumentParser
import Server

struct ServerReadmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readmit", abstract: "Let a client go on that was excluded for two bundles with one number.",
        discussion: """
            EXAMPLES:
              consilium server readmit spring hospital-b --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Argument(help: "The client's name.") var client: String

    func run() throws {
        let client = try partyName(client)
        try ServerSession.change(home, output) { try $0.readmit(client, to: session, actor: HomeOption.actor) }
    }
}

import ArgumentParser
import Server

struct ServerReissueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reissue", abstract: "Send the current global once more, whole, to a client that lost it.",
        discussion: """
            EXAMPLES:
              consilium server reissue spring hospital-b --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Argument(help: "The client's name.") var client: String

    func run() throws {
        let client = try partyName(client)
        try ServerSession.change(home, output) { try $0.reissue(client, in: session, actor: HomeOption.actor) }
    }
}

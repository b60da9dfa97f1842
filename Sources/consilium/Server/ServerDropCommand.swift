import ArgumentParser
import Server

struct ServerDropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Take a client out of a session; the others go on.",
        discussion: """
            EXAMPLES:
              consilium server drop spring hospital-c --reason "machine broken" \\
                  --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Argument(help: "The client's name.") var client: String
    @Option(help: "Why, for the hospital.") var reason = ""

    func run() throws {
        let client = try partyName(client)
        try ServerSession.change(home, output) {
            try $0.drop(client, from: session, reason: reason, actor: HomeOption.actor)
        }
    }
}

import ArgumentParser
import Server

struct ServerRejectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reject", abstract: "Reject a request, or take a hospital out of a session that has begun.",
        discussion: """
            The next 'server run' sends the reason to the hospital, in a signed decision.

            EXAMPLES:
              consilium server reject REQ-2 --reason "no ethics approval yet" \\
                  --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The request, such as REQ-2.")
    var request: String
    @Option(help: "Why, for the hospital.")
    var reason = ""

    func run() throws {
        try ServerSession.move(home, output) { try $0.reject(request, reason: reason, actor: HomeOption.actor) }
    }
}

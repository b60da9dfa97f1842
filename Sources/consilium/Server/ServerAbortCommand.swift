import ArgumentParser
import Server

struct ServerAbortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "End a session for good; its clients are told.",
        discussion: """
            EXAMPLES:
              consilium server abort spring --home /srv/ministry \\
                  --reason "wrong labels in two hospitals"
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Option(help: "Why, for the hospitals.") var reason = ""

    func run() throws {
        try ServerSession.change(home, output) { try $0.abort(session, reason: reason, actor: HomeOption.actor) }
    }
}

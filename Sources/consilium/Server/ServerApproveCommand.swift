import ArgumentParser
import Server

struct ServerApproveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Approve a request: moves its file to approved/ or approved/SESSION/.",
        discussion: """
            The next 'server run' starts or joins the session and answers the hospital.

            EXAMPLES:
              consilium server approve REQ-1 --home /srv/ministry # trains alone
              consilium server approve REQ-1 --session spring \\
                  --home /srv/ministry # trains together with others there
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The request, such as REQ-1.")
    var request: String
    @Option(help: "The session in which several requests train together.")
    var session: String?

    func run() throws {
        try ServerSession.move(home, output) {
            try $0.approve(request, session: session, actor: HomeOption.actor)
        }
    }
}

import ArgumentParser
import Server

struct ServerExtendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend", abstract: "Give a session's open round more days.",
        discussion: """
            Counted from the deadline, or from now where it has passed.

            EXAMPLES:
              consilium server extend spring 7 --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Argument(help: "How many days, 1 to 730.") var days: Int64

    func validate() throws {
        guard (1...730).contains(days) else {
            throw ValidationError("a round is extended by 1 to 730 days, not by \(days)")
        }
    }

    func run() throws {
        try ServerSession.change(home, output) { try $0.extend(session, days: days, actor: HomeOption.actor) }
    }
}

import ArgumentParser
import Server
import Wire

/// A client's name from the command line.
func partyName(_ text: String) throws -> PartyName {
    guard let name = PartyName(text) else { throw CommandFailure(.usage, "'\(text)' is not the name of a party") }
    return name
}

struct ServerDropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Take a client out of a session; the others go on.",
        discussion: """
            EXAMPLES:
              consilium server drop spring hospital-c --reason "machine broken" --home /srv/ministry
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

    func run() throws {
        try ServerSession.change(home, output) { try $0.extend(session, days: days, actor: HomeOption.actor) }
    }
}

struct ServerAbortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "End a session for good; its clients are told.",
        discussion: """
            EXAMPLES:
              consilium server abort spring --reason "wrong labels in two hospitals" --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The session's name.") var session: String
    @Option(help: "Why, for the hospitals.") var reason = ""

    func run() throws {
        try ServerSession.change(home, output) { try $0.abort(session, reason: reason, actor: HomeOption.actor) }
    }
}

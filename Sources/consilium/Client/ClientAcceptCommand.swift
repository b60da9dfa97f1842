import ArgumentParser
import Client

struct ClientAcceptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Install a finished model, for 'predict'.",
        discussion: """
            Where the session trained BatchNorm, its statistics are taken anew on this hospital's training pictures: the \
            hospitals' average fits none of them. 'consilium client updates' shows what that is worth here. \
            While the pictures' folder is away nothing is installed, unless as it was sent.

            EXAMPLES:
              consilium client accept 1 --home /srv/hospital-a
              consilium client accept 1 --as-sent
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The version's number.") var version: Int
    @Flag(help: "Install the model exactly as it came.") var asSent = false

    func run() throws {
        try ClientHold.change(home, output) { try $0.accept(version: version, asSent: asSent, actor: HomeOption.actor) }
    }
}

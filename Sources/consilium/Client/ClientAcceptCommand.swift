import ArgumentParser
import Client

struct ClientAcceptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Install a finished model, for 'predict'.",
        discussion: """
            EXAMPLES:
              consilium client accept 1 --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The version's number.") var version: Int

    func run() throws {
        try ClientHold.change(home, output) { try $0.accept(version: version, actor: HomeOption.actor) }
    }
}

import ArgumentParser
import Client

struct ClientRejectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reject", abstract: "Refuse a finished model, or take an accepted one out of use.",
        discussion: """
            The model of an accepted version goes to models/rejected/, where nothing uses it, and 'predict' takes the accepted version \
            before it. 'client accept' undoes that.

            EXAMPLES:
              consilium client reject 1 --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The version's number.") var version: Int

    func run() throws {
        try ClientHold.change(home, output) { try $0.reject(version: version, actor: HomeOption.actor) }
    }
}

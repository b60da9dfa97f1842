import ArgumentParser
import Client
import Mailbox

struct KeyDistrustCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "distrust",
        abstract: "At a hospital: believe a key of the server no more, at once.",
        discussion: """
            Nothing that the key signed is taken from now on, whenever it says that it was made; what was accepted before stays. \
            Nothing is sent either while no other key of the server is believed. Needs nobody's bundle: a telephone call is \
            enough.

            EXAMPLES:
              consilium key distrust --home /srv/hospital-a \\
                  SHA256:cDPgk2QdELwyPFQPOjTtaNNnzP/Mt2lEFGkgo1ceFN4
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The key's fingerprint, as 'consilium key show --verbose' prints it.") var fingerprint: String
    @Option(help: "Why, for the audit.") var reason = ""

    func run() throws {
        // Not a change that has to be signed for: it must be possible while the own key is away.
        let run = try ClientHold.open(home)
        try run.distrust(fingerprint, reason: reason.printable, actor: HomeOption.actor)
        TickOutput(options: output).show(
            attention: run.report.attention + (output.quiet ? [] : run.report.details), details: [])
        // The next run signs the audit where an agent is away now, or another's key lies in the own one's place.
        do { try run.mailbox.finish() } catch  where [.temporary, .foreignKey].contains(error.kind) {}
    }
}

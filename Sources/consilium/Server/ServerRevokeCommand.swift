import ArgumentParser
import Server

struct ServerRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Believe a hospital's key no more; its sessions go on without it.",
        discussion: """
            Counts from now on, whenever a bundle says that it was made; what was accepted before stays, but \
            for an update in an open round, requests that wait, and enrolments that the key signed or vouches for. A hospital \
            without another key is excluded from its sessions, as after two bundles with one number, and told. It comes back with a \
            new enrolment that you approve, and 'server readmit'.

            EXAMPLES:
              consilium server revoke hospital-b --reason "laptop stolen" \\
                  --home /srv/ministry
              consilium server revoke --home /srv/ministry \\
                  SHA256:KVn7xf9g7OIHeYcPTUmvPPCF+TKhAookyLYbJS5OKA0
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The hospital's name, for all its keys, or one key's fingerprint.") var who: String
    @Option(help: "Why, for the hospital and the audit.") var reason = ""

    func run() throws {
        try ServerSession.change(home, output) {
            try $0.revoke(who, reason: reason.printable, actor: HomeOption.actor)
        }
    }
}

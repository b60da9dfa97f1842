import ArgumentParser
import Client
import Files

struct KeyTrustCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "At a hospital: believe the server's new key from an invite, compared by telephone.",
        discussion: """
            For when the key before is lost or in foreign hands, so that it cannot introduce the new one. The fingerprint is what \
            the server's admin reads out on the telephone, not what is printed anywhere beside the invite.

            EXAMPLES:
              consilium key trust invite.tar --only --home A \\
                  --fingerprint SHA256:KVn7xf9g7OIHeYcPTUmvPPCF+TKhAookyLYbJS5OKA0
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The server's new invite.", completion: .file()) var invite: String
    @Option(help: "The new key's fingerprint, heard on the telephone.") var fingerprint: String

    @Flag(help: "Revoke every other key of the server here: whoever stole the old one may have introduced more.")
    var only = false

    func run() throws {
        let checked = try ClientHome.check(
            Environment.path(invite), now: try Environment.now(), files: LocalFileSystem())
        try ClientHold.change(home, output) {
            try $0.accept(checked, fingerprint: fingerprint, only: only, actor: HomeOption.actor)
        }
    }
}

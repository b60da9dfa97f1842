import ArgumentParser
import Bundles
import Client
import Federation
import Files
import Images
import Mailbox
import SystemPackage
import Wire

struct ClientInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a hospital's home from a server's invite, with keys and an enrolment.",
        discussion: """
            Compare the printed server fingerprint with the server's admin by telephone: the invite itself proves nothing. The \
            enrolment lies in the outbox afterwards.

            EXAMPLES:
              consilium client init --home /srv/hospital-a --name hospital-a \\
                  --invite invite.tar --data /data/mri
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "The hospital's name, [a-z0-9][a-z0-9-]{0,39}.") var name: String
    @Option(help: "The server's invite.", completion: .file(extensions: ["tar"])) var invite: String
    @Option(
        help: "The folder of class folders with pictures (can be set later in consilium.yaml).", completion: .directory)
    var data: String?
    @Option(help: "Whom the server's admin can call to compare the fingerprint.") var contact = ""

    func run() throws {
        let name = try newPartyName(name)
        let files = LocalFileSystem()
        let now = try Environment.now()
        let checked = try ClientHome.check(Environment.path(invite), now: now, files: files)
        guard name != checked.invitation.server else {
            throw CommandFailure(.usage, "--name: \(name) is the server's own name", hint: "choose another one")
        }
        let pictures = data.map { Environment.path($0) }
        if let pictures, try files.status(pictures) == nil {
            throw CommandFailure(.missingInput, "--data: there is no \(pictures)")
        }
        let folder = try home.folder()
        if let pictures, pictures.starts(with: folder) || folder.starts(with: pictures) {
            throw CommandFailure(
                .usage, "--home and --data: \(folder) and \(pictures) lie in each other",
                hint: "keep the pictures and the home in folders of their own")
        }
        let made = try ClientHome.create(
            at: folder, name: name, invite: checked, data: pictures, contact: contact, now: now, files: files
        )
        if let pictures, !output.quiet {
            // The home is made all the same: the pictures may come later, but not without a word.
            do throws(ImageError) {
                _ = try Dataset.scan(pictures, classes: checked.invitation.classes, files: files)
            } catch {
                Console.warn("--data: \(error)")
            }
        }
        let server = checked.invitation.server
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "home": .string(made.home.root.string), "name": .string(name.text),
                "fingerprint": .string(made.fingerprint), "server": .string(server.text),
                "server_fingerprint": .string(checked.key.fingerprint),
            ])
        }
        guard !output.quiet else { return }
        Console.print("hospital \(name) is ready in \(made.home.root)")
        Console.print("compare both by telephone before anything else:")
        Console.print("  key of \(server): \(checked.key.fingerprint)")
        Console.print("  key of \(name): \(made.fingerprint)")
        Console.print("next: carry outbox/* to the server, then 'consilium client request'")
    }
}

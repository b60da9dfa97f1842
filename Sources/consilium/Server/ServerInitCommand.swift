import ArgumentParser
import Files
import Mailbox
import Server
import SystemPackage
import Wire

struct ServerInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a server's home: folders, keys, a commented consilium.yaml.",
        discussion: """
            EXAMPLES:
              consilium server init --home /srv/ministry --name ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "The server's name, [a-z0-9][a-z0-9-]{0,39}; others know it by this.")
    var name: String

    func run() throws {
        let name = try newPartyName(name)
        var generator = SystemRandomNumberGenerator()
        let made = try ServerHome.create(
            at: try home.folder(), name: name, federation: RandomID(using: &generator), now: try Environment.now(),
            files: LocalFileSystem())
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "home": .string(made.home.root.string), "name": .string(name.text),
                "fingerprint": .string(made.fingerprint), "federation": .string(made.home.federation.hex),
            ])
        }
        guard !output.quiet else { return }
        Console.print("server \(name) is ready in \(made.home.root)")
        Console.print("key fingerprint: \(made.fingerprint)")
        Console.print(
            "next: give it a model ('consilium model import' or 'model init'), then 'consilium server invite'")
    }
}

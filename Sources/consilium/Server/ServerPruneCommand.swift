import ArgumentParser
import Server
import Wire

struct ServerPruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove all but the newest versions.",
        discussion: """
            The newest version, and any from which a session is training, is always kept.

            EXAMPLES:
              consilium server prune --keep 5 --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "How many versions to keep (default: keep_versions of consilium.yaml).") var keep: Int?

    func validate() throws {
        if let keep, keep < 1 { throw ValidationError("--keep must be 1 or more") }
    }

    func run() throws {
        let run = try ServerSession.open(home)
        let removed = try run.prune(keep: keep ?? run.keepVersions, actor: HomeOption.actor)
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "removed": .array(removed.map { .integer(Int64($0)) }),
            ])
        }
        guard !output.quiet else { return }
        let list = removed.map { "\($0)" }.joined(separator: ", ")
        Console.print(removed.isEmpty ? "nothing to remove" : "removed versions: \(list)")
    }
}

import ArgumentParser

struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Looks at bundles and checks them; needs no home.",
        discussion: """
            A bundle is a tar archive: manifest.json, its signature by an SSH key, and files that the manifest lists. Nothing \
            here changes a file.

            EXAMPLES:
              consilium bundle inspect update.tar
              consilium bundle verify --home S update.tar.age
            """,
        subcommands: [BundleInspectCommand.self, BundleVerifyCommand.self])
}

import ArgumentParser

struct BundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Looks at bundles, checks them, cuts and joins them; needs no home.",
        discussion: """
            A bundle is a tar archive: manifest.json, its signature by an SSH key, and files that the manifest lists. Nothing \
            here changes a bundle; split and join carry one over a medium that does not take it whole.

            EXAMPLES:
              consilium bundle inspect update.tar
              consilium bundle verify --home S update.tar.age
              consilium bundle split update.tar.age --size 2GiB --out /media/stick
            """,
        subcommands: [
            BundleInspectCommand.self, BundleVerifyCommand.self, BundleSplitCommand.self, BundleJoinCommand.self,
        ])
}

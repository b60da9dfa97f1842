import ArgumentParser

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Shows a home's keys, makes new ones, replaces them.",
        discussion: """
            Keys are OpenSSH's: ssh-keygen reads what consilium makes, and consilium uses what 'ssh-keygen -t ed25519' makes.

            EXAMPLES:
              consilium key show --home A
              consilium key generate new-key
              consilium key rotate --home S
            """,
        subcommands: [
            KeyShowCommand.self, KeyGenerateCommand.self, KeyRotateCommand.self, KeyDistrustCommand.self,
            KeyTrustCommand.self,
        ])
}

import ArgumentParser

/// `consilium exchange`: bundles to and from a share, a mount or a stick, by hand.
struct ExchangeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange", abstract: "Move bundles to and from a share, a mount or a stick.",
        discussion: """
            The folders of an exchange are named from the server's side: 'inbox' is on its way to the server, 'outbox' comes \
            from it; either EXCHANGE/<client>/inbox and /outbox, or EXCHANGE/inbox and /outbox for all.

            EXAMPLES:
              consilium exchange sync --home /srv/ministry \\
                  --share /media/stick --for hospital-a
              consilium exchange verify-media --home /srv/ministry \\
                  --share /media/stick --for hospital-a
            """,
        subcommands: [ExchangeSyncCommand.self, ExchangeVerifyMediaCommand.self])
}

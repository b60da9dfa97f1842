import ArgumentParser
import Mailbox
import SystemPackage
import Wire

/// `consilium exchange`: bundles to and from a share, a mount or a stick, by hand.
struct ExchangeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange", abstract: "Move bundles to and from a share, a mount or a stick.",
        discussion: """
            The folders of an exchange are named from the server's side: 'inbox' is on its way to the server, 'outbox' comes \
            from it; either EXCHANGE/<client>/inbox and /outbox, or EXCHANGE/inbox and /outbox for all.
            """,
        subcommands: [ExchangeSyncCommand.self])
}

struct ExchangeSyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync", abstract: "Collect what came and deliver what goes, once.",
        discussion: """
            Only what names the other side is copied; what is read back differently is not delivered. Nothing is decided or \
            trained: that is for 'server run' and 'client run'.

            EXAMPLES:
              consilium exchange sync --home /srv/ministry --share /media/stick --for hospital-a
              consilium exchange sync --home /srv/hospital-a --share /mnt/sftp
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "The share's, mount's or stick's folder.") var share: String
    @Option(name: .customLong("for"), help: "On a server: only this client.") var client: String?

    func run() throws {
        let only = try client.map { try partyName($0) }
        guard let mailbox = try Mailbox.open(try home.open(), now: try Environment.now()) else {
            throw CommandFailure.busy
        }
        let exchange = try Exchange.detect(Environment.path(share), home: mailbox.home)
        let collected = try mailbox.collect(from: exchange, only: only)
        let delivered = try mailbox.deliver(to: exchange, only: only, byHand: true)
        try mailbox.finish()
        if output.json {
            Console.print(json: [
                "schema_version": 1, "collected": list(collected.copied), "delivered": list(delivered.copied),
                "problems": list(collected.problems + delivered.problems),
            ])
        } else if !output.quiet {
            for name in collected.copied { Console.print("collected \(name)") }
            for name in delivered.copied { Console.print("delivered \(name)") }
            if collected.copied.isEmpty, delivered.copied.isEmpty { Console.print("nothing to carry") }
        }
        let problems = collected.problems + delivered.problems
        for problem in problems { Console.warn(problem) }
        if !problems.isEmpty {
            throw SilentExit(status: collected.mayRetry || delivered.mayRetry ? .temporary : .inputOutput)
        }
    }

    private func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
}

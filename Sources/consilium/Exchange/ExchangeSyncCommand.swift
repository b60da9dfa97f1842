import ArgumentParser
import Mailbox
import SystemPackage
import Wire

/// `consilium exchange sync`: collects and delivers once.
struct ExchangeSyncCommand: ParsableCommand, UsesShares {
    static let configuration = CommandConfiguration(
        commandName: "sync", abstract: "Collect what came and deliver what goes, once.",
        discussion: """
            Only what names the other side is copied; what is read back differently is not delivered. Nothing is decided or \
            trained: that is for 'server run' and 'client run'. It looks at the share at once, and lays there again what somebody \
            removed and nobody acknowledged; runs do that after a day. Exit status 65 where a bundle there is damaged, 75 where the share is away or does not answer within \
            'exchange_timeout' of consilium.yaml.

            EXAMPLES:
              consilium exchange sync --home /srv/ministry \\
                  --share /media/stick --for hospital-a
              consilium exchange sync --home /srv/hospital-a --share /mnt/sftp
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @OptionGroup var share: ShareOptions

    func touchesShare() -> Bool { true }

    func run() throws {
        let (mailbox, exchange, only) = try share.open(home)
        try mailbox.requireOwnKey()
        let collected = try mailbox.collect(from: exchange, only: only)
        // In a folder that all share, who is not enrolled yet is known by what came.
        if let only, collected.copied.isEmpty, collected.problems.isEmpty {
            try mailbox.requireKnown(only, in: exchange)
        }
        let delivered = try mailbox.deliver(to: exchange, only: only, byHand: true)
        try mailbox.finish()
        // No reason to fail: what is to be carried was carried.
        let oddities = exchange.oddity.map { [$0] } ?? []
        if output.json {
            Console.print(json: [
                "schema_version": 1, "collected": list(collected.copied), "delivered": list(delivered.copied),
                "problems": list(oddities + collected.problems + delivered.problems),
            ])
        } else if !output.quiet {
            for name in collected.copied { Console.print("collected \(name)") }
            for name in delivered.copied { Console.print("delivered \(name)") }
            let hasTrouble = !collected.problems.isEmpty || !delivered.problems.isEmpty
            if collected.copied.isEmpty, delivered.copied.isEmpty, !hasTrouble { Console.print("nothing to carry") }
        }
        // A share that does not answer says so on the way in and on the way out.
        let problems = collected.problems + delivered.problems.filter { !collected.problems.contains($0) }
        for problem in oddities + problems { Console.warn(problem) }
        // What does not belong there keeps nothing back.
        if !problems.allSatisfy(collected.remarks.contains) {
            throw SilentExit(status: collected.mayRetry || delivered.mayRetry ? .temporary : .inputOutput)
        }
        if collected.hasBadBundle { throw SilentExit(status: .badData) }
    }

    private func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
}

import ArgumentParser
import Mailbox
import Server

struct ServerRunCommand: ParsableCommand, UsesShares {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "The cron tick: desks, inbox, sessions, outbox.",
        discussion: """
            Silent unless a person has to act. Killed at any moment and run again, it goes on where it was; run twice, it does \
            nothing twice. Exit status 69, once, when a session pauses for want of a quorum.

            EXAMPLES:
              consilium server run --home /srv/ministry
              */15 * * * * consilium server run --home /srv/ministry # in a crontab
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func touchesShare() throws -> Bool { try home.open(.server).exchange() != nil }

    func run() throws {
        let printer = TickOutput(options: output)
        let report = try ServerRun.tick(try home.openOwn(.server), now: try Environment.now()) { unfinished in
            printer.show(attention: unfinished.attention, details: unfinished.details)
        }
        guard let report else { return printer.busy() }
        printer.show(attention: report.attention, details: report.details)
        if report.isShortOfQuorum { throw SilentExit(status: .unavailable) }
    }
}

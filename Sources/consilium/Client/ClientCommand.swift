import ArgumentParser
import Client
import Mailbox

/// `consilium client`: everything of a hospital.
struct ClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client", abstract: "Take part in a federation: a hospital's commands, and the cron tick.",
        discussion: """
            Pictures are read where they are and never leave. Plans that this hospital did not ask for, and finished models, wait \
            on its own desks: plans/PENDING.txt and updates/PENDING.txt have the exact lines.
            """,
        subcommands: [
            ClientInitCommand.self, ClientRequestCommand.self, ClientWithdrawCommand.self, ClientRunCommand.self,
            ClientStatusCommand.self, ClientPlansCommand.self, ClientUpdatesCommand.self, ClientAcceptCommand.self,
            ClientRejectCommand.self, ClientHistoryCommand.self,
        ])
}

/// The lock and state of a hospital's home.
enum ClientHold {
    static func open(_ home: HomeOption) throws -> ClientRun {
        guard
            let run = try ClientRun.open(
                try home.openOwn(.client), now: try Environment.now(), instructionSet: try Environment.instructionSet())
        else { throw CommandFailure.busy }
        return run
    }

    static func change(_ home: HomeOption, _ output: OutputOptions, _ body: (ClientRun) throws -> Void) throws {
        let run = try open(home)
        try run.mailbox.requireSigning()
        try body(run)
        try run.settle()
        TickOutput(options: output).show(
            attention: run.report.attention + (output.quiet ? [] : run.report.details), details: [])
    }
}

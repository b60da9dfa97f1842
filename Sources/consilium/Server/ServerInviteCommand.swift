import ArgumentParser
import Mailbox
import Server
import SystemPackage
import Wire

struct ServerInviteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invite", abstract: "Write an invite for hospitals to the outbox.",
        discussion: """
            The invite is not secret. Read the fingerprint out on the telephone: it is what makes the invite yours.

            EXAMPLES:
              consilium server invite --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let run = try ServerSession.open(home)
        try run.mailbox.requireSigning()
        let invite = try run.invite()
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "path": .string(invite.path.string), "fingerprint": .string(invite.fingerprint),
            ])
        }
        Console.print(invite.path.string)
        if !output.quiet { Console.print("key fingerprint, to be read out on the telephone: \(invite.fingerprint)") }
    }
}

/// The lock and state of a server's home, for the admin's commands.
enum ServerSession {
    static func open(_ home: HomeOption) throws -> ServerRun {
        guard let run = try ServerRun.open(try home.openOwn(.server), now: try Environment.now()) else {
            throw CommandFailure.busy
        }
        return run
    }

    /// Opens the home and moves a file on the request desk; what follows from it is for the next tick.
    static func move(_ home: HomeOption, _ output: OutputOptions, _ body: (ServerRun) throws -> Void) throws {
        let run = try open(home)
        try run.mailbox.requireSigning()
        try body(run)
        try run.noteMove()
        TickOutput(options: output).show(
            attention: run.report.attention + (output.quiet ? [] : run.report.details), details: [])
    }

    /// Opens the home, makes a change, sends the answers and says what came of it.
    static func change(_ home: HomeOption, _ output: OutputOptions, _ body: (ServerRun) throws -> Void) throws {
        let run = try open(home)
        try run.mailbox.requireSigning()
        // After a failure too: what is marked as said is not said again.
        defer {
            TickOutput(options: output).show(
                attention: run.report.attention + (output.quiet ? [] : run.report.details), details: [])
        }
        try body(run)
        try run.settle()
    }
}

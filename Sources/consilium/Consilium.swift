import ArgumentParser
import Glibc
import Logging

/// The root of all commands.
struct Consilium: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consilium",
        abstract: "Hospitals train one brain-tumour classifier together; no picture leaves any of them.",
        discussion: """
            Everything that passes between a server and its clients is a signed tar bundle in a folder, carried by a \
            share, an SFTP mount or a USB stick. The two commands for cron are 'server run' and 'client run'.

            EXAMPLES:
              consilium server init --home /srv/ministry --name ministry
              consilium client run --home /srv/hospital-a
              consilium simulate pictures/ --clients 3 --rounds 5
            """,
        version: "0.1.0",
        subcommands: [
            ServerCommand.self, ClientCommand.self, PredictCommand.self, EvaluateCommand.self, DataCommand.self,
            ModelCommand.self, BundleCommand.self, ExchangeCommand.self, SimulateCommand.self, KeyCommand.self,
            DoctorCommand.self, BenchCommand.self,
        ]
    )
}

@main
enum Main {
    static func main() {
        // A vanished reader must end a pipe, not the program with half a file written.
        signal(SIGPIPE, SIG_IGN)
        // A limit on the size of files is an error like that of a full disk, and no reason to die.
        signal(SIGXFSZ, SIG_IGN)
        if Supervision.isChild { Supervision.followParent() }
        let status = run()
        if Supervision.isChild { Supervision.report(status) }
        exit(status)
    }

    private static func run() -> Int32 {
        do {
            try Environment.startLogging()
            try CommandWords.checkEncoding()
            try CommandWords.check(Array(CommandLine.arguments.dropFirst()))
            var command = try Consilium.parseAsRoot()
            if let user = command as? any UsesShares, !Supervision.isChild, try user.touchesShare() {
                return try Supervision.run()
            }
            try command.run()
            if let lost = Console.lostOutput { throw lost }
            return ExitStatus.done.rawValue
        } catch {
            return report(error)
        }
    }
}

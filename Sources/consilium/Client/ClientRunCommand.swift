import ArgumentParser
import Client
import Mailbox
import Tensors

struct ClientRunCommand: ParsableCommand, UsesShares {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "The cron tick: inbox, desks, training within the time budget, outbox.",
        discussion: """
            Silent unless a person has to act. Killed at any moment and run again, it goes on where it was. On a terminal it shows \
            the training with the time left; Ctrl-C saves the place. What cannot be trained is said when that begins; the exit \
            status says it every time: 65 where the pictures or their folders are not in order, 66 where they are away, 77 where \
            the memory or the configuration forbids it.

            EXAMPLES:
              consilium client run --home /srv/hospital-a
              0 22 * * * consilium client run --home /srv/hospital-a # in a crontab
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func touchesShare() throws -> Bool { try home.open(.client).exchange() != nil }

    func run() throws {
        let printer = TickOutput(options: output)
        StopSignal.install()
        let line = TrainingProgressLine(options: output)
        var watch = TrainingWatch(
            shouldStop: { StopSignal.isReceived },
            progress: { line.update(round: $0, rounds: $1, $2) })
        watch.found = { printer.showSoFar(attention: $0.attention) }
        watch.planned = { line.announce($0) }
        watch.features = { line.update(features: $0, of: $1) }
        let report = try ClientRun.tick(
            try home.openOwn(.client), now: try Environment.now(), watch: watch,
            instructionSet: try Environment.instructionSet()
        ) { unfinished in
            line.finish()
            printer.show(attention: unfinished.attention, details: unfinished.details)
        }
        line.finish()
        guard let report else { return printer.busy() }
        printer.show(attention: report.attention, details: report.details)
        if !output.verbose { line.stopped(report.stopped) }
        if let reason = report.untrained.first { throw SilentExit(status: .of(reason)) }
    }
}

extension Environment {
    /// `CONSILIUM_ISA` forces a path of the kernels (`scalar`, `avx2`, `avx512`), to reproduce another machine's bytes.
    static func instructionSet() throws -> InstructionSet? {
        guard let text = value("CONSILIUM_ISA") else { return nil }
        guard let set = InstructionSet(rawValue: text), set.isSupported else {
            let known = InstructionSet.allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.usage, "CONSILIUM_ISA: this machine has no '\(text)'", hint: "it has \(known)")
        }
        return set
    }
}

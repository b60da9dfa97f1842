import Client
import Files
import Glibc
import NeuralNetworks
import Reports
import Server
import Wire

/// What a run says: under cron only what a person has to know, with `--verbose` everything, with `--json` one document.
struct TickOutput {
    let options: OutputOptions

    func show(attention: [String], details: [String]) {
        if options.json {
            Console.print(json: [
                "schema_version": 1, "attention": .array(attention.map { .string($0) }),
                "details": .array(details.map { .string($0) }),
            ])
            return
        }
        for line in attention { Console.print(line) }
        if options.verbose {
            for line in details { Console.print(line) }
        }
    }

    /// A cron run that finds another one at work has nothing to do.
    func busy() {
        if options.verbose { Console.print("another run is at work here; nothing was done") }
    }
}

/// Training progress on a terminal: one line that is drawn over itself, with the time left. Nothing under cron.
final class TrainingProgressLine {
    private let isShown: Bool
    private var began: Double?
    private var beganAt = 0.0
    private var lastDrawn = 0.0

    init(options: OutputOptions) {
        isShown = Console.errorIsTerminal && !options.quiet && !options.json
    }

    /// A line that stays, before the memory is taken.
    func announce(_ work: PlannedWork) {
        guard isShown else { return }
        finish()
        let what =
            switch work.stage {
            case .features: "the frozen layers of \(work.pictures) pictures"
            case .training: "training on \(work.pictures) pictures"
            }
        Console.writeProgress(
            "round \(work.round)/\(work.rounds): \(what) will take \(Numbers.bytes(Int64(work.bytes))) of memory, "
                + "\(Numbers.bytes(Int64(work.allowed))) allowed\n")
    }

    func update(round: Int, rounds: Int, _ progress: TrainingProgress) {
        guard isShown else { return }
        let now = MonotonicClock.seconds()
        if began == nil || progress.fraction < beganAt {
            began = now
            beganAt = progress.fraction
        }
        guard now - lastDrawn >= 0.2 || progress.fraction >= 1 else { return }
        lastDrawn = now
        let done = progress.fraction - beganAt
        let elapsed = now - (began ?? now)
        let left = done > 0 ? elapsed / done * (1 - progress.fraction) : 0
        let width = 24
        let filled = Int(progress.fraction * Double(width))
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        Console.writeProgress(
            "\r\u{1b}[Kround \(round)/\(rounds) [\(bar)] epoch \(min(progress.epoch + 1, progress.epochs))/\(progress.epochs)"
                + "  loss \(Numbers.fixed(progress.loss, digits: 3))"
                + (elapsed > 1 ? "  \(Numbers.duration(Int64(left.rounded()))) left" : ""))
    }

    /// Pictures that have passed the frozen layers.
    func update(features done: Int, of count: Int) {
        guard isShown else { return }
        if began == nil { began = MonotonicClock.seconds() }
        Console.writeProgress("\r\u{1b}[Kfrozen layers: \(done) of \(count) pictures")
    }

    func finish() {
        if isShown, began != nil { Console.writeProgress("\r\u{1b}[K") }
    }
}

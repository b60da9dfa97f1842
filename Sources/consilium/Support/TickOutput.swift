import Client
import Files
import Glibc
import NeuralNetworks
import Reports
import Server
import Wire

/// What a run says: under cron only what a person has to know, with `--verbose` everything, with `--json` one document.
final class TickOutput {
    private let options: OutputOptions
    /// How many lines are printed already.
    private var shown = 0

    init(options: OutputOptions) { self.options = options }

    /// What a person has to know so far: the rest follows at the end, which a kill may prevent.
    func showSoFar(attention: [String]) {
        guard !options.json else { return }
        for line in attention.dropFirst(shown) { Console.print(line) }
        shown = attention.count
    }

    func show(attention: [String], details: [String]) {
        if options.json { return printJSON(attention: attention, details: details, isBusy: false) }
        showSoFar(attention: attention)
        if options.verbose {
            for line in details { Console.print(line) }
        }
    }

    /// A cron run that finds another one at work has nothing to do.
    func busy() {
        let line = "another run is at work here; nothing was done"
        if options.json { return printJSON(attention: [], details: [line], isBusy: true) }
        if options.verbose { Console.print(line) }
    }

    private func printJSON(attention: [String], details: [String], isBusy: Bool) {
        Console.print(json: [
            "schema_version": 1, "attention": .texts(attention), "details": .texts(details), "busy": .bool(isBusy),
        ])
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
        draw(
            "round \(round)/\(rounds) [\(bar)] epoch \(min(progress.epoch + 1, progress.epochs))/\(progress.epochs)"
                + "  loss \(Numbers.fixed(progress.loss, digits: 3))"
                + (elapsed > 1 ? "  \(Numbers.duration(Int64(left.rounded()))) left" : ""))
    }

    /// Pictures that have passed the frozen layers.
    func update(features done: Int, of count: Int) {
        guard isShown else { return }
        if began == nil { began = MonotonicClock.seconds() }
        draw("frozen layers: \(done) of \(count) pictures")
    }

    /// What no line has room for is left out: a line that wraps is not drawn over, but left standing at every step.
    private func draw(_ line: String) {
        Console.writeProgress("\r\u{1b}[K" + line.prefix(Console.errorColumns.map { max($0 - 1, 0) } ?? line.count))
    }

    /// What a run that was stopped leaves to the next one.
    func stopped(_ lines: [String]) {
        guard isShown else { return }
        finish()
        for line in lines { Console.writeProgress(line + "\n") }
    }

    func finish() {
        if isShown, began != nil { Console.writeProgress("\r\u{1b}[K") }
    }
}

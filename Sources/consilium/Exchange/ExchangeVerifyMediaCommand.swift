import ArgumentParser
import Mailbox
import SystemPackage
import Wire

struct ExchangeVerifyMediaCommand: ParsableCommand, UsesShares {
    static let configuration = CommandConfiguration(
        commandName: "verify-media", abstract: "Read back what this home put on a stick or share; changes nothing.",
        discussion: """
            Pull the stick out and put it in again first: only then the bytes surely come from the stick. Every bundle that \
            'exchange sync' or a tick delivered there is read and compared with the digest that was written down then. Exit \
            status 65 if one is missing or damaged.

            EXAMPLES:
              consilium exchange verify-media --home /srv/ministry \\
                  --share /media/stick --for hospital-a
              consilium exchange verify-media --home /srv/hospital-a \\
                  --share /media/stick --json
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @OptionGroup var share: ShareOptions

    func touchesShare() -> Bool { true }

    func run() throws {
        let (mailbox, exchange, only) = try share.open(home)
        if let only { try mailbox.requireKnown(only, in: exchange) }
        let report = try mailbox.verifyMedia(exchange, only: only)
        if output.json { Console.print(json: json(report)) } else { show(report, exchange.root) }
        guard report.isGood else { throw SilentExit(status: .badData) }
    }

    private func show(_ report: MediaReport, _ root: FilePath) {
        for item in report.items where item.verdict != .intact || output.verbose {
            let mark = item.verdict.rawValue + String(repeating: " ", count: 10 - item.verdict.rawValue.count)
            Console.print(
                "\(mark)  \(item.path.string.printable)" + (item.detail.isEmpty ? "" : ": \(item.detail.printable)"))
        }
        guard !output.quiet else { return }
        let counts = MediaReport.Verdict.allCases.map { ($0, report.count($0)) }.filter { $1 > 0 }
        let text = counts.map { "\($1) \($0.rawValue)" }.joined(separator: ", ")
        Console.print(text.isEmpty ? "nothing from this home is due on \(root)" : "\(root): \(text)")
    }

    private func json(_ report: MediaReport) -> JSONValue {
        [
            "schema_version": 1, "ok": .bool(report.isGood),
            "files": .array(
                report.items.map {
                    [
                        "path": .string($0.path.string), "verdict": .string($0.verdict.rawValue),
                        "detail": .string($0.detail),
                    ]
                }),
        ]
    }
}

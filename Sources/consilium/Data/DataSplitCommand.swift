import ArgumentParser
import Images
import Reports
import SystemPackage
import Wire

struct DataSplitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Copies a data folder into parts for clients and a test set.",
        discussion: """
            Makes OUT/client-1/CLASS/..., OUT/client-2/..., and OUT/test/CLASS/... . Each part gets its share of every class. \
            Near-duplicates stay together, and with them whatever --groups says belongs together (one patient's pictures, say). The \
            same seed gives the same parts. OUT must be new or empty, and appears whole or not at all.

            EXAMPLES:
              consilium data split pictures/ parts/ --clients 3 --test 0.2 --seed 1
              consilium data split pictures/ parts/ --clients 3 --groups groups.csv
            """)

    @Argument(help: "Folder of class folders; only read.", completion: .directory)
    var source: String

    @Argument(help: "Folder to make.", completion: .directory)
    var out: String

    @Option(help: "Number of clients.")
    var clients: Int

    @Option(help: "Share of every class that goes to the test set, 0 to below 1; 0 makes none.")
    var test = 0.2

    @Option(help: "Seed of the draw.")
    var seed: UInt64 = 1

    @Option(
        help: "CSV file with the columns path and group: pictures of one group stay together.",
        completion: .file(extensions: ["csv"]))
    var groups: String?

    @Option(help: "0 to 1: 0 gives all clients the same mixture, 1 gives each class to one client.")
    var skew = 0.0

    @OptionGroup var output: OutputOptions

    func run() throws {
        let table = try groups.map { try GroupTable(reading: try InputFile.file($0)) }
        let target = Environment.path(out)
        let split = try FolderSplit.run(
            try InputFile.path(source), to: target,
            options: Splitter.Options(clients: clients, test: test, skew: skew, seed: seed), table: table)
        for line in split.skipped.map(\.description) + split.warnings { Console.warn(line.printable) }
        if output.json {
            Console.print(json: split.json(folder: target.string))
        } else if !output.quiet {
            Console.print(split.text)
        }
    }
}

extension FolderSplit {
    var text: String {
        var table = TextTable([("part", .left)] + classes.map { ($0.printable, .right) } + [("all", .right)])
        for part in parts {
            table.add([part.name] + part.counts.map { "\($0)" } + ["\(part.counts.reduce(0, +))"])
        }
        let together =
            switch groups {
            case 0: "no pictures had to stay together"
            case 1: "1 group of more than one picture stays together"
            default: "\(groups) groups of more than one picture stay together"
            }
        return table.text + "\n\n" + together
    }

    fileprivate func json(folder: String) -> JSONValue {
        [
            "schema_version": 1, "folder": .string(folder), "groups": .count(groups),
            "parts": .array(
                parts.map { part in
                    let counts = zip(classes, part.counts).map { ($0, JSONValue.count($1)) }
                    return [
                        "name": .string(part.name), "pictures": .count(part.counts.reduce(0, +)),
                        "classes": .object(Dictionary(counts, uniquingKeysWith: { first, _ in first })),
                    ]
                }),
            "skipped": .array(
                skipped.map { ["path": .path($0.path), "reason": .string($0.error.description)] }),
            "warnings": .texts(warnings),
        ]
    }
}

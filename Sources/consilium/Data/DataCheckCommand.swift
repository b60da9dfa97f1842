import ArgumentParser
import Images

struct DataCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Looks for what would disturb training: unreadable, doubled and contradictory pictures.",
        discussion: """
            Reads every picture. Near-duplicates (copies, mirror images, other sizes and compressions) are kept together when \
            a folder is split; those in different classes mean that a label is wrong. What it prints names files: it is for \
            the hospital's own eyes. Problems are told, not mended, and the exit status is 0 as long as any picture can be \
            used.

            EXAMPLES:
              consilium data check pictures/
              consilium data check pictures/ --json > check.json
            """)

    @Argument(help: "Folder of class folders.", completion: .directory)
    var folder: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        let scan = try Dataset.scan(try InputFile.path(folder))
        let check = DataCheck(scan)
        let report = DataReport(check)
        if output.json {
            Console.print(json: check.json)
        } else if output.quiet {
            for warning in check.warnings { Console.print("warning: \(warning.printable)") }
        } else {
            Console.print(report.checkText(verbose: output.verbose))
        }
        try report.requirePictures(in: folder)
    }
}

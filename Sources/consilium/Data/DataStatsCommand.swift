import ArgumentParser
import Images

struct DataStatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Counts the pictures and measures their gray values.",
        discussion: """
            Gray values are of each picture shrunk to 64 x 64 pixels, so that large pictures count no more than small ones, \
            and run from 0 (black) to 1 (white).

            EXAMPLES:
              consilium data stats pictures/
              consilium data stats pictures/ --json
            """)

    @Argument(help: "Folder of class folders.", completion: .directory)
    var folder: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        let check = DataCheck(try Dataset.scan(try InputFile.path(folder), minimumClasses: 0))
        let report = DataReport(check)
        try report.requirePictures(in: folder)
        if output.json {
            Console.print(json: report.statsJSON)
        } else {
            Console.print(report.statsText(verbose: output.verbose))
        }
    }
}

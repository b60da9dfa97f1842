import ArgumentParser
import Files

struct ModelInfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Describes a model.",
        discussion: """
            Shows what a model is and whether it is complete; --verbose lists its tensors. Any safetensors file can be looked \
            at.

            EXAMPLES:
              consilium model info weights.safetensors
              consilium model info --home S 3
            """)

    @Argument(
        help: "Safetensors file, or the number of a home's version; the home's newest if left out.",
        completion: .file(extensions: ["safetensors"]))
    var model: String?

    @OptionGroup var home: HomeOption

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if home.home != nil, let model, Int(model) == nil {
            throw ValidationError("'\(model.printable)' is no version number; leave --home out to look at a file")
        }
    }

    func run() throws {
        let number = model.flatMap { Int($0) }
        let location =
            if let model, number == nil {
                ModelLocation(path: try InputFile.file(model), home: nil, version: nil)
            } else {
                try ModelLocation.find(in: try home.open(), version: number)
            }
        let report = try ModelReport(location)
        if output.json { Console.print(json: report.json) } else { Console.print(report.text(verbose: output.verbose)) }
        if let problem = report.problem { throw problem }
    }
}

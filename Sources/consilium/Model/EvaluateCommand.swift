import ArgumentParser
import Client
import Images
import NeuralNetworks
import Tensors

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measures a model on pictures whose classes are known.",
        discussion: """
            The folder must hold a folder for each of the model's classes, which may be empty. Pictures that the model was \
            trained on flatter it: keep a test set that no training sees. Pictures that cannot be read are told and left out.

            EXAMPLES:
              consilium evaluate --home A parts/test
              consilium evaluate --model weights.safetensors parts/test --json
            """)

    @Argument(help: "Folder of class folders.", completion: .directory)
    var folder: String

    @OptionGroup var home: HomeOption

    @Option(help: "Model file to use instead of a home's.", completion: .file(extensions: ["safetensors"]))
    var model: String?

    @Flag(help: "Average over each picture and its mirror image: steadier, and twice the time.") var mirror = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let location = try ModelLocation.find(home: home, model: model)
        let file = try location.open()
        let (model, context) = (try file.model(), ComputeContext(instructionSet: try Environment.instructionSet()))
        let scan = try Dataset.scan(
            try InputFile.path(folder), classes: model.specification.classes, minimumClasses: 0)
        let pictures = LoadedDataset(
            scan, preprocessing: try Preprocessing(for: model.specification), context: context)
        for line in scan.warnings + pictures.skipped.map(\.description) { Console.warn(line.printable) }
        guard pictures.count > 0 else {
            let what =
                scan.items.isEmpty ? "there are no pictures" : "none of the \(scan.items.count) files can be used"
            throw CommandFailure(.badData, "\(folder.printable): \(what)")
        }
        let predictor = try Predictor(model: model, context: context)
        var rows = try predictor.probabilities(of: pictures)
        if mirror { rows = averages(rows, try predictor.probabilities(of: pictures.mirrored())) }
        let report = EvaluationReport(
            probabilities: rows.map(file.calibration.apply), labels: pictures.labels,
            classes: model.specification.classes, model: location, skipped: pictures.skipped.count)
        if output.json { Console.print(json: report.json) } else { Console.print(report.text) }
    }
}

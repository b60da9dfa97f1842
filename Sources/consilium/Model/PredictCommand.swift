import ArgumentParser
import NeuralNetworks
import Tensors
import Wire

struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Says what a model sees in pictures.",
        discussion: """
            Prints the most likely class of each picture and its probability; --verbose prints all classes. In a hospital's \
            home the newest accepted model is used, in a server's home the newest version. A picture that cannot be read gets \
            one line, the others go on, and the exit status is 65 then. A research tool, not a medical device.

            EXAMPLES:
              consilium predict --home A scan.jpg
              consilium predict --model weights.safetensors scans/*.png --json
            """)

    @Argument(help: "JPEG and PNG pictures.", completion: .file(extensions: ["jpg", "jpeg", "png"]))
    var images: [String]

    @OptionGroup var home: HomeOption

    @Option(help: "Model file to use instead of a home's.", completion: .file(extensions: ["safetensors"]))
    var model: String?

    @Flag(help: "Average over each picture and its mirror image: steadier, and twice the time.") var mirror = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let location = try ModelLocation.find(home: home, model: model)
        let file = try location.open()
        let context = ComputeContext(instructionSet: try Environment.instructionSet())
        let predictor = try Predictor(model: file.model(), context: context)
        var predictions: [PicturePrediction] = []
        while predictions.count < images.count {
            let names = Array(images[predictions.count...].prefix(PicturePrediction.batch))
            let batch = try PicturePrediction.predict(
                names, with: predictor, calibration: file.calibration, mirror: mirror, context: context)
            for prediction in batch where !prediction.isUsable {
                Console.warn(prediction.text(verbose: output.verbose))
            }
            if !output.json {
                for prediction in batch where prediction.isUsable {
                    Console.print(prediction.text(verbose: output.verbose))
                }
            }
            predictions += batch
        }
        if output.json {
            Console.print(json: [
                "schema_version": 1, "model": location.json, "pictures": .array(predictions.map(\.json)),
            ])
        }
        if predictions.contains(where: { !$0.isUsable }) { throw SilentExit(status: .badData) }
    }
}

import ArgumentParser
import Federation
import NeuralNetworks
import Tensors

struct ModelInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Makes a model with random weights.",
        discussion: """
            The same seed gives the same weights on every machine. In a server's home the model becomes the next version; \
            repeating the command adds no second one.

            EXAMPLES:
              consilium model init --home S --arch smallcnn --classes glioma,notumor
              consilium model init --arch smallcnn --classes a,b --output start.safetensors
            """)

    @Option(help: "Architecture: \(Architecture.backboneNames); +mlp behind it for the larger head.")
    var arch: String

    @Option(help: "Class names, separated by commas, in the order of the outputs.")
    var classes: String

    @Option(help: "Side of the square pictures that the model sees, in pixels (128; 224 for a ResNet).")
    var size: Int?

    @Flag(help: "Let the model see the head alone, without the dark border around it.") var crop = false

    @Option(help: "Seed of the random weights.")
    var seed: UInt64 = 1

    @OptionGroup var destination: ModelDestination
    @OptionGroup var output: OutputOptions

    func run() throws {
        let choice = ModelChoice(
            architecture: arch, classes: ModelChoice.classes(classes),
            size: size ?? ModelChoice.usualSize(of: arch), crop: crop ? .head : .none)
        let model = try Model(initializing: try choice.specification(), seed: seed)
        try destination.keep(model, origin: .initialized, note: "seed \(seed)").print(output)
    }
}

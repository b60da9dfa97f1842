import ArgumentParser
import Federation
import NeuralNetworks
import SystemPackage
import Tensors

struct ModelImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Takes in a model from a safetensors file.",
        discussion: """
            The file must hold exactly the architecture's tensors, under torchvision's names and in F32, F16, BF16 or F64; the \
            first one that is missing, unexpected, misshapen or not finite is named, and nothing is kept then. A file that \
            consilium wrote says itself what it is, and --arch, --classes and --size may be left out.

            Pretrained weights of other programs answer other classes (ImageNet's thousand): their head is made anew for \
            --classes, which is said. For a file that consilium wrote, --new-head asks for it.

            EXAMPLES:
              consilium model import --home S --arch resnet50 \\
                  --classes glioma,meningioma,notumor,pituitary resnet50.safetensors
              consilium model import --home S --arch resnet50+mlp --classes a,b \\
                  --size 160 resnet50.safetensors
              consilium model import --home S exported.safetensors
            """)

    @Argument(help: "Safetensors file.", completion: .file(extensions: ["safetensors"]))
    var file: String

    @Option(help: "Architecture: \(Architecture.backboneNames); +mlp behind it for the larger head.")
    var arch: String?

    @Option(help: "Class names, separated by commas, in the order of the outputs.")
    var classes: String?

    @Option(help: "Side of the square pictures that the model sees, in pixels.")
    var size: Int?

    @Flag(help: "Let the model see the head of a patient alone, without the dark border around it.") var crop = false
    @Flag(help: "Make the head anew, for the given architecture and classes.") var newHead = false
    @Option(help: "Seed of a new head's weights.") var seed: UInt64 = 1

    @Option(help: "Where the model comes from, for the version's card; the file's name if left out.")
    var note: String?

    @OptionGroup var destination: ModelDestination
    @OptionGroup var output: OutputOptions

    func run() throws {
        let source = try ModelFile(reading: try InputFile.file(file))
        let specification = try choice(newHead ? nil : source.metadata)
            .specification(from: arch == nil || classes == nil ? source.path : nil)
        let model = try source.model(as: specification, newHead: newHead, seed: seed)
        var origin = note ?? source.path.lastComponent?.string ?? ""
        if let old = model.replacedHead, !output.quiet, !output.json {
            Console.print("the head is new, with random weights of seed \(seed): \(old)")
        }
        if model.replacedHead != nil { origin += ", head new with seed \(seed)" }
        try destination.keep(model.model, origin: .imported, note: origin.printable).print(output)
    }

    /// What the flags say, and what the file says where they say nothing.
    ///
    /// - Throws: ``CommandFailure`` where something is said by neither, or differently by both: classes in another order
    ///   would turn every diagnosis into another one.
    private func choice(_ metadata: ModelMetadata?) throws(CommandFailure) -> ModelChoice {
        func agree<Value: Equatable>(
            _ flag: String, _ given: Value?, _ own: Value?, default fallback: Value? = nil,
            words: (Value) -> String = { "\($0)" }
        ) throws(CommandFailure) -> Value {
            if let given, let own, given != own {
                throw CommandFailure(
                    .badData, "\(flag) says \(words(given).printable), but the file says \(words(own).printable)",
                    hint: "leave \(flag) out to take the file's own")
            }
            guard let value = given ?? own ?? fallback else {
                throw CommandFailure(.usage, "the file does not say what it is", hint: "add \(flag)")
            }
            return value
        }
        let architecture = try agree("--arch", arch, metadata?.architecture)
        return ModelChoice(
            architecture: architecture,
            classes: try agree("--classes", classes.map(ModelChoice.classes), metadata?.classes) {
                $0.joined(separator: ",")
            },
            size: try agree(
                "--size", size, metadata?.imageSize, default: ModelChoice.usualSize(of: architecture)),
            crop: crop ? .head : metadata?.crop ?? .none)
    }
}

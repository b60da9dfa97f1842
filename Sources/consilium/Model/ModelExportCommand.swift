import ArgumentParser
import SystemPackage

/// What `model export` writes.
enum ModelFormat: String, CaseIterable, ExpressibleByArgument { case safetensors, onnx }

struct ModelExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Writes a model to a file for other programs.",
        discussion: """
            Writes safetensors with torchvision's tensor names, and architecture, classes and image size in the metadata. A \
            file that is there with other content is not overwritten. ONNX is not available yet.

            EXAMPLES:
              consilium model export --home S 3 version3.safetensors
              consilium model export --home A newest.safetensors
            """)

    @Argument(
        help: ArgumentHelp(
            "Number of the version, the newest if left out, and the file to write.", valueName: "[n] out"))
    var arguments: [String]

    @OptionGroup var home: HomeOption

    @Option(help: "Model file to use instead of a home's.", completion: .file(extensions: ["safetensors"]))
    var model: String?

    @Option(help: "Format: safetensors.")
    var format = ModelFormat.safetensors

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...2).contains(arguments.count) else {
            throw ValidationError("name the file to write, and before it at most the version's number")
        }
        if arguments.count == 2, Int(arguments[0]) == nil {
            throw ValidationError("'\(arguments[0].printable)' is no version number")
        }
        if arguments.count == 2, model != nil { throw ValidationError("a model file has no version numbers") }
    }

    func run() throws {
        guard format == .safetensors else {
            throw CommandFailure(
                .usage, "export to ONNX is not available yet", hint: "leave --format out to write safetensors")
        }
        let number = arguments.count == 2 ? Int(arguments[0]) : nil
        let source = try ModelLocation.find(home: home, model: model, version: number)
        let file = try source.open()
        let checked = try file.model()
        let target = Environment.path(arguments[arguments.count - 1])
        let isNew = try OutputFile.write(file.content, to: target)
        KeptModel(checked, path: target, digest: file.digest, version: source.version, isNew: isNew)
            .print(output, as: target.string)
    }
}

import ArgumentParser

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Makes, takes in, gives out and describes models.",
        discussion: """
            Models are safetensors files with torchvision's tensor names. A server's home keeps them as numbered versions; a \
            hospital's home keeps those that it accepted.

            EXAMPLES:
              consilium model init --home S --arch smallcnn --classes glioma,notumor
              consilium model info --home S
            """,
        subcommands: [
            ModelInitCommand.self, ModelImportCommand.self, ModelExportCommand.self, ModelInfoCommand.self,
        ])
}

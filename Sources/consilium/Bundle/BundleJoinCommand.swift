import ArgumentParser
import Bundles
import Configuration
import Files
import SystemPackage
import Wire

struct BundleJoinCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Puts the parts that 'bundle split' made together again.",
        discussion: """
            Parts may be renamed, copied twice and named in any order. The file is made only if every part is there and whole, \
            and the result has the SHA-256 of the file that was split; exit status 65 otherwise, with the parts at fault. \
            Nothing is overwritten, and the parts stay.

            EXAMPLES:
              consilium bundle join /media/stick --out inbox
              consilium bundle join update.tar.age.*-of-003
            """)

    @Argument(help: "Parts, or a folder that holds the parts of one file.", completion: .file())
    var parts: [String]

    @Option(help: "The folder for the file (default: where the first part lies).", completion: .directory)
    var out: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        let sources = try parts.map { try InputFile.path($0) }
        let folder = try out.map { try InputFile.folder($0) }
        let joined = try FileJoiner.join(sources, into: folder, files: LocalFileSystem())
        if output.json {
            Console.print(json: [
                "schema_version": 1, "file": .string(joined.path.string), "size": .integer(joined.size),
                "sha256": .string(joined.digest.hex), "parts": .integer(Int64(joined.parts.count)),
                "new": .bool(joined.isNew),
            ])
        } else if !output.quiet {
            let size = ByteSize.text(joined.size)
            Console.print(
                "\(joined.path): \(size), \(joined.parts.count) parts, sha256 \(joined.digest.hex)"
                    + (joined.isNew ? "" : "; it was there already"))
        }
    }
}

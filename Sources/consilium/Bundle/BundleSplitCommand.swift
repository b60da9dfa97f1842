import ArgumentParser
import Bundles
import Configuration
import Files
import SystemPackage
import Wire

struct BundleSplitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Cuts a file into parts for a medium that does not take it whole, as FAT32 from 4 GiB on.",
        discussion: """
            The parts are called FILE.001-of-003 and so on, in lower case. Each begins with 512 bytes that say what it is, with \
            SHA-256 of itself and of the whole; 'bundle join' needs nothing else, whatever they are called by then. Without \
            consilium: for p in FILE.*-of-*; do tail -c +513 "$p"; done > FILE. Nothing is overwritten; run again after a stop, \
            it keeps the parts that are whole.

            EXAMPLES:
              consilium bundle split outbox/update.tar.age --out /media/stick
              consilium bundle split update.tar.age --size 700MiB
            """)

    @Argument(help: "File to cut.", completion: .file())
    var file: String

    @Option(help: "The most that one part may have, with a unit: 2GiB, 700MiB.")
    var size: String = "2GiB"

    @Option(help: "The folder for the parts (default: beside the file).", completion: .directory)
    var out: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        let source = try InputFile.file(file)
        let folder = try out.map { try InputFile.folder($0) } ?? source.removingLastComponent()
        let parts = try FileSplitter.split(source, into: folder, partSize: try partSize(), files: LocalFileSystem())
        if output.json {
            Console.print(json: ["schema_version": 1, "parts": .array(parts.map { .string($0.string) })])
        } else if !output.quiet {
            for part in parts { Console.print(part.string) }
        }
    }

    private func partSize() throws -> Int64 {
        let range = FileSplitter.smallestPartSize...Volume.largestFATFile
        guard let bytes = ByteSize.parse(size), range.contains(bytes) else {
            throw CommandFailure(
                .usage,
                "--size \(size.printable): must be a size such as 2GiB or 700MiB, from 1KiB to 4GiB less one byte")
        }
        return bytes
    }
}

import ArgumentParser
import Images
import SystemPackage
import Wire

struct DataSynthesizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "synthesize",
        abstract: "Draws brain phantoms of four classes, for trying things out.",
        discussion: """
            Makes OUT/CLASS/phantom-00001.png or .jpg for the classes \(PhantomClass.names). A network can learn them; their \
            mean brightness says nothing. The same seed gives the same pictures on every machine. OUT must be new or empty, \
            and appears whole or not at all.

            EXAMPLES:
              consilium data synthesize phantoms/ --per-class 60 --size 64 --seed 1
            """)

    @Argument(help: "Folder to make.", completion: .directory)
    var out: String

    @Option(help: "Pictures of each class.")
    var perClass = 60

    @Option(help: "Side of the pictures, in pixels.")
    var size = 128

    @Option(help: "Seed of the drawing.")
    var seed: UInt64 = 1

    @OptionGroup var output: OutputOptions

    func run() throws {
        let target = Environment.path(out)
        let options = Synthesis.Options(perClass: perClass, size: size, seed: seed)
        let count = try Synthesis.write(to: target, options: options)
        if output.json {
            Console.print(json: [
                "schema_version": 1, "folder": .path(target), "pictures": .count(count), "per_class": .count(perClass),
                "size": .count(size), "classes": .texts(PhantomClass.allCases.map(\.rawValue)),
            ])
        } else if !output.quiet {
            let each = "\(perClass) each of \(PhantomClass.names)"
            Console.print("\(count) pictures of \(size) x \(size) pixels in \(target): \(each)")
        }
    }
}

extension PhantomClass {
    fileprivate static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

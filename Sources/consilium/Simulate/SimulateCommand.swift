import ArgumentParser
import Client
import Configuration
import Federation
import Files
import Images
import NeuralNetworks
import Reports
import SystemPackage
import Tensors
import Wire

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "A whole federation on this machine: real homes, real bundles, real ticks.",
        discussion: """
            Splits DATA (class folders) into hospitals and a test set, with near-duplicates on one side, and lets them train \
            together. Every round's model is scored on the test set.

            EXAMPLES:
              consilium data synthesize phantoms --per-class 60 --size 64 --seed 1
              consilium simulate phantoms --clients 3 --rounds 5
              consilium simulate pictures --clients 3 --rounds 10 --size 128 \\
                  --baselines --json
              consilium model import --arch resnet50 --classes a,b \\
                  resnet50.safetensors --output start.safetensors
              consilium simulate pictures --model start.safetensors \\
                  --plan plan.yaml --skew 0.8
            """)

    @OptionGroup var output: OutputOptions
    @Argument(help: "The folder of class folders.", completion: .directory) var data: String
    @Option(help: "Hospitals.") var clients = 3
    @Option(help: "Rounds (default: 5).") var rounds: Int64?
    @Option(help: "Local epochs in each round (default: 2).") var localEpochs: Int64?
    @Option(help: "The network (default: smallcnn).") var arch: String?
    @Option(help: "Edge of the pictures, in pixels (default: 64).") var size: Int?
    @Option(
        help: "The first model, a file of 'model import --output' or 'model init --output', instead of random weights.",
        completion: .file(extensions: ["safetensors"]))
    var model: String?
    @Option(help: "Learning rate (default: 0.001).") var learningRate: Double?
    @Option(help: "Pictures in a step (default: 32).") var batchSize: Int64?
    @Option(help: "fedavg or fedprox (default: fedprox).") var strategy: String?
    @Option(help: "fedprox's mu.") var mu: Double?
    @Option(help: "The part of the pictures kept for the test.") var test = 0.2
    @Option(help: "0: every hospital has all classes alike; towards 1: each has mostly its own.") var skew = 0.0
    @Option(help: "Seed of split, weights and training.") var seed: UInt64 = 1
    @Option(
        help: "Groups that stay together, a CSV with the columns path,group.", completion: .file(extensions: ["csv"]))
    var groups: String?
    @Flag(help: "Score the average over each test picture and its mirror image.") var mirror = false
    @Flag(help: "Also train each hospital alone, and all pictures in one place.") var baselines = false
    @Option(
        help: "More keys of the plan, a YAML file as requests/approved/NAME/plan.yaml; the options here win.",
        completion: .file(extensions: ["yaml", "yml"]))
    var plan: String?
    @Option(help: "Keep everything in this new folder (default: a temporary one, removed at the end).") var keep:
        String?

    func validate() throws {
        if !(1...100).contains(clients) { throw ValidationError("--clients must be 1 to 100") }
        if model != nil, arch != nil || size != nil { throw ValidationError("--model says --arch and --size itself") }
        if seed > UInt64(Int64.max) { throw ValidationError("--seed must be below 2^63") }
    }

    func run() throws {
        let initial = try model.map { try ModelFile(reading: try InputFile.file($0)).model() }
        let arch = arch ?? "smallcnn"
        guard let architecture = initial?.specification.architecture ?? Architecture(rawValue: arch) else {
            let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.usage, "--arch: '\(arch)' is not known", hint: "there are: \(known)")
        }
        let size = initial?.specification.imageSize ?? size ?? 64
        guard architecture.imageSizes.contains(size) else {
            let sizes = architecture.imageSizes
            throw CommandFailure(
                .usage, "image size \(size) does not suit \(architecture.rawValue)",
                hint: "write --size with \(sizes.lowerBound) to \(sizes.upperBound)")
        }
        let pictures = try InputFile.path(data)
        let planKeys = try planKeys()
        let files = LocalFileSystem()
        let root = try keep.map { Environment.path($0) } ?? TemporaryFolder.make(hint: "name one with --keep")
        if keep != nil {
            guard try !files.exists(root) else { throw CommandFailure(.cannotCreate, "\(root) is there already") }
            try files.makeDirectories(root)
        }
        defer { if keep == nil { try? files.removeTree(root) } }
        StopSignal.install()
        let line = TrainingProgressLine(options: output)
        var watch = TrainingWatch(
            shouldStop: { StopSignal.isReceived }, progress: { line.update(round: $0, rounds: $1, $2) })
        watch.planned = { line.announce($0) }
        watch.features = { line.update(features: $0, of: $1) }
        let simulation = Simulation(
            data: pictures, root: root,
            options: Simulation.Options(
                clients: clients, architecture: architecture, imageSize: size,
                test: test, skew: skew, seed: seed,
                plan: planKeys, groups: groups.map { Environment.path($0) }, initial: initial, mirror: mirror),
            context: ComputeContext(instructionSet: try Environment.instructionSet()),
            watch: watch,
            say: { text in
                line.finish()
                if !output.quiet, !output.json { Console.warn(text) }
            })
        let outcome = try simulation.run(start: try Environment.now())
        let curves = baselines ? try Baselines(simulation: simulation, outcome: outcome).run() : []
        line.finish()
        let report = SimulationReport(outcome: outcome, baselines: curves, root: keep == nil ? nil : root)
        if output.json { Console.print(json: report.json) } else { Console.print(report.text) }
    }

    /// The plan's keys: what a simulation is by default, over that the file's, over that the options'.
    private func planKeys() throws -> JSONValue {
        var keys: [String: JSONValue] = ["rounds": 5, "local_epochs": 2, "learning_rate": 0.001]
        if let plan {
            let path = try InputFile.path(plan)
            let bytes = try LocalFileSystem().readFile(path, limit: StrictYAML.maximumBytes)
            let layer = try StrictYAML.parse(bytes, name: plan.printable)
            // Said now, and not by a simulated server that waits for a better plan.
            try PlanDefaults.check(layer: layer, context: plan.printable)
            if case .object(let fields) = layer { keys.merge(fields) { $1 } }
        }
        let options: [String: JSONValue?] = [
            "rounds": rounds.map { .integer($0) }, "local_epochs": localEpochs.map { .integer($0) },
            "batch_size": batchSize.map { .integer($0) }, "learning_rate": learningRate.map { .number($0) },
            "seed": .integer(Int64(seed)),
        ]
        keys.merge(options.compactMapValues { $0 }) { $1 }
        if strategy != nil || mu != nil {
            var fields: [String: JSONValue] = ["name": .string(strategy ?? "fedprox")]
            fields["mu"] = mu.map { .number($0) }
            keys["strategy"] = .object(fields)
        }
        return .object(keys)
    }
}

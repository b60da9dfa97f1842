import ArgumentParser
import NeuralNetworks
import Tensors
import Wire

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "How fast this machine trains, and what a peer program takes for the same.",
        discussion: """
            Prints medians and rates. With --peer another program does the same work in turn, run by run, and the table gives \
            the ratio; 'Scripts/bench.sh' sets PyTorch up as a peer. Let nothing else run meanwhile.

            EXAMPLES:
              consilium bench
              consilium bench --only kernels,convolutions --batch 8
              consilium bench --only networks --arch resnet18 \\
                  --peer pytorch='python3 Scripts/bench_torch.py'
              consilium bench --only job --job train --test test --repeats 1 \\
                  --model start.safetensors
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var job: JobOptions
    @Option(help: "Groups of benchmarks: kernels, convolutions, networks, transfer, bundles, job (default: all).")
    var only: String?
    @Option(help: "Only benchmarks whose name contains this.") var name: String?
    @Option(help: "The network.") var arch = "resnet50"
    @Option(help: "Pictures in a batch.") var batch = 32
    @Option(help: "Edge of the pictures, in pixels.") var size = 224
    @Option(help: "Numbers of clients whose updates are averaged.") var updates = "3,30"
    @Option(help: "How often each is timed.") var repeats = 5
    @Option(name: .customLong("peer"), help: "NAME=COMMAND of a peer; may be given several times.") var peers:
        [String] = []

    func validate() throws {
        if !(1...1_000).contains(repeats) { throw ValidationError("--repeats must be 1 to 1000") }
        if !(2...512).contains(batch) { throw ValidationError("--batch must be 2 to 512") }
        if !(32...512).contains(size) { throw ValidationError("--size must be 32 to 512") }
        for peer in peers where peer.split(separator: "=", maxSplits: 1).count != 2 {
            throw ValidationError("--peer must be NAME=COMMAND")
        }
    }

    func run() throws {
        guard let architecture = Architecture(rawValue: arch) else {
            let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.usage, "--arch: '\(arch)' is not known", hint: "there are: \(known)")
        }
        let groups = try groups()
        let context = ComputeContext(instructionSet: try Environment.instructionSet())
        var benchmarks: [Benchmark] = []
        if groups.contains(.kernels) { benchmarks += KernelBenchmarks.kernels(context) }
        if groups.contains(.convolutions) {
            benchmarks += try KernelBenchmarks.convolutions(architecture, batch: batch, size: size, context)
        }
        if groups.contains(.networks) {
            benchmarks += try NetworkBenchmarks.networks([architecture], batch: batch, size: size, context)
        }
        if groups.contains(.transfer) {
            benchmarks += try NetworkBenchmarks.transfer(architecture, batch: batch, size: size, context)
        }
        if groups.contains(.bundles) {
            benchmarks += try BundleBenchmarks(architecture: architecture, size: size, clients: try counts())
                .benchmarks()
        }
        if groups.contains(.job) {
            benchmarks += try JobBenchmarks(job, batch: batch, context: context)?.benchmarks() ?? []
        }
        if let name { benchmarks.removeAll { !$0.name.contains(name) } }
        guard !benchmarks.isEmpty else { throw CommandFailure(.usage, "no benchmark is called so") }
        let isTold = Console.errorIsTerminal && !output.quiet && !output.json
        let run = BenchmarkRun(
            repeats: repeats,
            peers: peers.map {
                let parts = $0.split(separator: "=", maxSplits: 1)
                return (String(parts[0]), String(parts[1]))
            }, context: context, say: { if isTold { Console.writeProgress("\r\u{1b}[K\($0)") } })
        let results = try run.results(benchmarks)
        if isTold { Console.writeProgress("\r\u{1b}[K") }
        let report = BenchmarkReport(results: results, context: context)
        if output.json { Console.print(json: report.json) } else { Console.print(report.text) }
    }

    private func counts() throws -> [Int] {
        try updates.split(separator: ",").map { text in
            guard let count = Int(text), (1...1_000).contains(count) else {
                throw CommandFailure(.usage, "--updates: '\(text)' is not a number from 1 to 1000")
            }
            return count
        }
    }

    private func groups() throws -> [Benchmark.Group] {
        guard let only else { return Benchmark.Group.allCases }
        return try only.split(separator: ",").map { text in
            guard let group = Benchmark.Group(rawValue: String(text)) else {
                let known = Benchmark.Group.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandFailure(.usage, "--only: '\(text)' is not known", hint: "there are: \(known)")
            }
            return group
        }
    }
}

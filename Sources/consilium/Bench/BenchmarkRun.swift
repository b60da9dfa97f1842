import Files
import Glibc
import Tensors
import Wire

/// Runs benchmarks, ours and the peers' in turn, so that all of them see the same machine.
struct BenchmarkRun {
    let repeats: Int
    /// Name and shell command of each peer.
    let peers: [(name: String, command: String)]
    let context: ComputeContext
    /// Told before each benchmark.
    let say: (String) -> Void

    /// A peer's worker threads wait actively for a while after their work; that must not be ours to pay for.
    private static let pauseMicroseconds: UInt32 = 300_000

    func results(_ benchmarks: [Benchmark]) throws -> [BenchmarkResult] {
        var results: [BenchmarkResult] = []
        for group in Benchmark.Group.allCases {
            let members = benchmarks.filter { $0.group == group }
            guard !members.isEmpty else { continue }
            // One process for a group: starting one takes seconds. Networks have one each, for their memory's sake.
            var running: [Peer] = []
            for benchmark in members {
                if running.isEmpty || group == .networks {
                    running = try peers.map {
                        try Peer(name: $0.name, command: $0.command, workers: context.workers)
                    }
                }
                say("\(group.rawValue): \(benchmark.name)")
                results.append(try result(benchmark, running))
            }
        }
        return results
    }

    private func result(_ benchmark: Benchmark, _ all: [Peer]) throws -> BenchmarkResult {
        var able: [Peer] = []
        if let request = benchmark.request {
            for peer in all {
                peer.restartPeak()
                if try peer.prepare(request) { able.append(peer) }
            }
        }
        ProcessMemory.restart(of: getpid())
        let planned = try benchmark.plannedBytes?()
        let body = try benchmark.prepare()
        if benchmark.isWarmedUp {
            try body()
            for peer in able { _ = try peer.run(1) }
        }
        var ours = BenchmarkResult.Series(name: "consilium", seconds: [])
        var others = able.map { BenchmarkResult.Series(name: $0.name, seconds: []) }
        for _ in 0..<repeats {
            let start = MonotonicClock.seconds()
            for _ in 0..<benchmark.runs { try body() }
            ours.seconds.append((MonotonicClock.seconds() - start) / Double(benchmark.runs))
            for (index, peer) in able.enumerated() {
                let answer = try peer.run(benchmark.runs)
                others[index].seconds.append(answer.seconds)
                others[index].accuracy = answer.accuracy
                usleep(Self.pauseMicroseconds)
            }
        }
        ours.peakBytes = ProcessMemory.peak(of: getpid())
        ours.accuracy = try benchmark.score?()
        for (index, peer) in able.enumerated() { others[index].peakBytes = peer.peakBytes }
        return BenchmarkResult(benchmark: benchmark, plannedBytes: planned, ours: ours, peers: others)
    }
}

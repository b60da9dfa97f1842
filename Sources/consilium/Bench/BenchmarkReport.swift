import Reports
import Tensors
import Wire

/// What came of all benchmarks, as tables and as JSON.
struct BenchmarkReport {
    let results: [BenchmarkResult]
    let context: ComputeContext

    var text: String {
        var parts = ["\(context.workers) cores, \(context.instructionSet.rawValue); medians, fastest run in brackets"]
        for group in Benchmark.Group.allCases {
            let members = results.filter { $0.benchmark.group == group }
            guard !members.isEmpty else { continue }
            parts += ["", table(members)]
            if group == .kernels, let share = innerKernelShare {
                parts.append("the inner kernel reaches \(Numbers.percent(share)) of the peak")
            }
            if group == .convolutions { parts += sums(members) }
            parts += members.compactMap(accuracies)
        }
        return parts.joined(separator: "\n")
    }

    private func table(_ members: [BenchmarkResult]) -> String {
        let peers = peerNames(members)
        let hasMemory = members.contains { $0.plannedBytes != nil || $0.benchmark.group == .bundles }
        var table = TextTable(
            [(members.first?.benchmark.group.rawValue ?? "", .left), ("time", .right), ("", .right), ("rate", .right)]
                + (hasMemory ? [("planned", .right), ("held", .right)] : [])
                + peers.flatMap { [($0, .right), ("times faster", .right)] + (hasMemory ? [("held", .right)] : []) })
        for member in members {
            var cells = [
                member.benchmark.name, Self.time(member.ours.median), "(\(Self.time(member.ours.minimum)))",
                Numbers.fixed(member.rate, digits: 1) + " " + member.benchmark.unit.rate.name,
            ]
            if hasMemory { cells += [bytes(member.plannedBytes), bytes(member.ours.peakBytes)] }
            for name in peers {
                if let peer = member.peers.first(where: { $0.name == name }) {
                    cells += [Self.time(peer.median), Numbers.fixed(member.ratio(to: peer), digits: 2)]
                    if hasMemory { cells.append(bytes(peer.peakBytes)) }
                } else {
                    cells += ["", ""] + (hasMemory ? [""] : [])
                }
            }
            table.add(cells)
        }
        return table.text
    }

    /// How good the models are that came of a job.
    private func accuracies(_ result: BenchmarkResult) -> String? {
        let scored = ([result.ours] + result.peers).compactMap { series in
            series.accuracy.map { "\(series.name) \(Numbers.percent($0))" }
        }
        return scored.isEmpty ? nil : "accuracy after \(result.benchmark.name): " + scored.joined(separator: ", ")
    }

    /// Times of all convolutions of the network, as often as it has each.
    private func sums(_ members: [BenchmarkResult]) -> [String] {
        let work = members.reduce(0) { $0 + $1.benchmark.work * Double($1.benchmark.count) }
        func total(_ seconds: (BenchmarkResult) -> Double?) -> Double? {
            members.reduce(0 as Double?) { sum, member in
                guard let sum, let one = seconds(member) else { return nil }
                return sum + one * Double(member.benchmark.count)
            }
        }
        guard let ours = total({ $0.ours.median }) else { return [] }
        var line =
            "the whole network's convolutions: \(Self.time(ours)), \(Numbers.fixed(work / ours / 1e9, digits: 1)) GFLOP/s"
        if let peak {
            line += ", \(Numbers.percent(work / ours / peak)) of what direct convolutions could reach at most"
        }
        return [line]
            + peerNames(members).compactMap { name in
                total { member in member.peers.first { $0.name == name }?.median }
                    .map {
                        "the same with \(name): \(Self.time($0)), \(Numbers.fixed($0 / ours, digits: 2)) times as long"
                    }
            }
    }

    private func rate(_ name: String) -> Double? {
        results.first { $0.benchmark.name == name }.map { $0.benchmark.work / $0.ours.minimum }
    }

    /// Operations a second, all cores together.
    private var peak: Double? { rate("multiply-adds, all cores") }

    private var innerKernelShare: Double? {
        guard let peak = rate("multiply-adds, one core"), let kernel = rate("inner kernel, one core") else {
            return nil
        }
        return kernel / peak
    }

    private func peerNames(_ members: [BenchmarkResult]) -> [String] {
        members.flatMap { $0.peers.map(\.name) }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private func bytes(_ count: Int?) -> String { count.map { Numbers.bytes(Int64($0)) } ?? "" }

    private static func time(_ seconds: Double) -> String {
        seconds >= 1 ? Numbers.fixed(seconds, digits: 2) + " s" : Numbers.fixed(seconds * 1_000, digits: 2) + " ms"
    }

    var json: JSONValue {
        [
            "schema_version": 1, "cores": .integer(Int64(context.workers)),
            "instruction_set": .string(context.instructionSet.rawValue),
            "inner_kernel_share": innerKernelShare.map { .number($0) } ?? .null,
            "results": .array(
                results.map { result in
                    [
                        "group": .string(result.benchmark.group.rawValue), "name": .string(result.benchmark.name),
                        "count": .integer(Int64(result.benchmark.count)), "work": .number(result.benchmark.work),
                        "unit": .string(result.benchmark.unit.rawValue),
                        "planned_bytes": result.plannedBytes.map { .integer(Int64($0)) } ?? .null,
                        "consilium": series(result.ours, ratio: nil),
                        "peers": .object(
                            Dictionary(
                                result.peers.map { ($0.name, series($0, ratio: result.ratio(to: $0))) },
                                uniquingKeysWith: { $1 })),
                    ]
                }),
        ]
    }

    private func series(_ series: BenchmarkResult.Series, ratio: Double?) -> JSONValue {
        var fields: [String: JSONValue] = [
            "median_seconds": .number(series.median), "minimum_seconds": .number(series.minimum),
            "seconds": .array(series.seconds.map { .number($0) }),
            "peak_bytes": series.peakBytes.map { .integer(Int64($0)) } ?? .null,
        ]
        if let accuracy = series.accuracy { fields["accuracy"] = .number(accuracy) }
        if let ratio { fields["times_as_long"] = .number(ratio) }
        return .object(fields)
    }
}

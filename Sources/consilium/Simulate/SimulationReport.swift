import Federation
import Images
import NeuralNetworks
import Reports
import SystemPackage
import Wire

/// The figures of a simulation, as text and as JSON.
struct SimulationReport {
    let outcome: Simulation.Outcome
    let baselines: [Simulation.Curve]
    /// The folder that was kept.
    let root: FilePath?

    var text: String {
        var parts = TextTable([("part", .left)] + outcome.classes.map { ($0, .right) })
        for part in outcome.split.parts { parts.add([part.name] + part.counts.map { "\($0)" }) }

        let curves =
            [Simulation.Curve(name: "federation", test: outcome.test)] + outcome.installed + baselines
        var rounds = TextTable([("round", .right)] + curves.map { ($0.name, .right) })
        for round in outcome.test.indices {
            rounds.add(
                ["\(round)"]
                    + curves.map { $0.test.indices.contains(round) ? Numbers.percent($0.test[round].accuracy) : "" })
        }
        var lines = [
            parts.text, "", "test accuracy after each round (0: the model that everybody began with)", rounds.text,
        ]
        if let last = outcome.test.last {
            lines += [
                "",
                "balanced accuracy at the end: \(Numbers.percent(last.balancedAccuracy)) on \(last.support) pictures",
            ]
        }
        var ticks = TextTable([("tick of", .left), ("ticks", .right), ("mean", .right), ("longest", .right)])
        for party in tickParties {
            let seconds = outcome.ticks.filter { $0.party == party }.map(\.seconds)
            ticks.add([
                party, "\(seconds.count)",
                Numbers.fixed(seconds.reduce(0, +) / Double(max(seconds.count, 1)), digits: 2) + " s",
                Numbers.fixed(seconds.max() ?? 0, digits: 2) + " s",
            ])
        }
        lines += ["", ticks.text]
        if let root { lines += ["", "everything is kept in \(root)"] }
        return lines.joined(separator: "\n")
    }

    private var tickParties: [String] {
        outcome.ticks.map(\.party).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    var json: JSONValue {
        [
            "schema_version": 1, "classes": .array(outcome.classes.map { .string($0) }),
            "parts": .array(
                outcome.split.parts.map { part in
                    [
                        "name": .string(part.name), "pictures": .array(part.counts.map { .integer(Int64($0)) }),
                    ]
                }),
            "rounds": .array(outcome.session.history.map(RoundTable.json)),
            "test": curve(outcome.test),
            "installed": .array(outcome.installed.map { ["name": .string($0.name), "test": curve($0.test)] }),
            "baselines": .array(baselines.map { ["name": .string($0.name), "test": curve($0.test)] }),
            "ticks": .array(
                outcome.ticks.map { ["party": .string($0.party), "seconds": .number($0.seconds)] }),
            "version": outcome.session.version.map { .integer(Int64($0)) } ?? .null,
            "final_accuracy": outcome.test.last.map { .number($0.accuracy) } ?? .null,
        ]
    }

    private func curve(_ figures: [ClassificationMetrics]) -> JSONValue {
        .array(
            figures.map {
                [
                    "accuracy": .number($0.accuracy), "balanced_accuracy": .number($0.balancedAccuracy),
                    "loss": .number($0.loss), "support": .integer(Int64($0.support)),
                ]
            })
    }
}

import ArgumentParser
import Client
import Federation
import NeuralNetworks
import Reports
import Tensors
import Wire

struct ClientUpdatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "updates", abstract: "Finished models that were offered: what changed, and how they score here.",
        discussion: """
            Each is scored on this hospital's own validation pictures, which no session trains on.

            EXAMPLES:
              consilium client updates --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let run = try ClientHold.open(home)
        let context = ComputeContext(instructionSet: try Environment.instructionSet())
        var rows: [(offer: Offer, metrics: ClassificationMetrics)] = []
        for offer in run.state.offers {
            rows.append((offer, try run.score(try run.offeredModel(offer), context: context)))
        }
        if output.json {
            return Console.print(json: [
                "schema_version": 1,
                "updates": .array(
                    rows.map {
                        [
                            "version": .integer(Int64($0.offer.version)), "status": .string($0.offer.status.rawValue),
                            "session": .string($0.offer.session.hex), "accuracy": .number($0.metrics.accuracy),
                            "balanced_accuracy": .number($0.metrics.balancedAccuracy),
                            "support": .integer(Int64($0.metrics.support)),
                        ]
                    }),
            ])
        }
        guard !rows.isEmpty else { return Console.print("no finished model was offered yet") }
        var table = TextTable([
            ("version", .right), ("status", .left), ("session", .left), ("rounds", .right), ("accuracy", .right),
            ("balanced", .right), ("own pictures", .right),
        ])
        for row in rows {
            table.add([
                "\(row.offer.version)", row.offer.status.rawValue, row.offer.session.short,
                run.state.session(row.offer.session).map { "\($0.plan.rounds)" } ?? "",
                Numbers.percent(row.metrics.accuracy), Numbers.percent(row.metrics.balancedAccuracy),
                "\(row.metrics.support)",
            ])
        }
        Console.print(table.text)
    }
}

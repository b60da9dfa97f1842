import ArgumentParser
import Client
import Federation
import Mailbox
import NeuralNetworks
import Reports
import Tensors
import Wire

struct ClientUpdatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "updates", abstract: "Finished models that were offered: what changed, and how they score here.",
        discussion: """
            Each is scored on this hospital's own validation pictures, which no session trains on: as it was sent, and as \
            'client accept' installs it, with the BatchNorm statistics of this hospital's training pictures.

            EXAMPLES:
              consilium client updates --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let view = try ClientView(try home.open(.client), instructionSet: try Environment.instructionSet())
        let rows = try view.state.offers.map { ($0, try view.score($0)) }
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "updates": .array(rows.map(json)),
            ])
        }
        guard !rows.isEmpty else { return Console.print("no finished model was offered yet") }
        var table = TextTable([
            ("version", .right), ("status", .left), ("session", .left), ("rounds", .right), ("as sent", .right),
            ("balanced", .right), ("installed", .right), ("balanced", .right), ("own pictures", .right),
        ])
        for (offer, scores) in rows {
            let installed = scores.fitted ?? scores.asSent
            table.add([
                "\(offer.version)", offer.status.rawValue, offer.session.short,
                view.state.session(offer.session).map { "\($0.plan.rounds)" } ?? "",
                Numbers.percent(scores.asSent.accuracy), Numbers.percent(scores.asSent.balancedAccuracy),
                Numbers.percent(installed.accuracy), Numbers.percent(installed.balancedAccuracy),
                "\(installed.support)",
            ])
        }
        Console.print(table.text)
    }

    private func json(_ offer: Offer, _ scores: OfferScores) -> JSONValue {
        func figures(_ metrics: ClassificationMetrics) -> JSONValue {
            [
                "accuracy": .number(metrics.accuracy), "balanced_accuracy": .number(metrics.balancedAccuracy),
                "support": .integer(Int64(metrics.support)),
            ]
        }
        return [
            "version": .integer(Int64(offer.version)), "status": .string(offer.status.rawValue),
            "session": .string(offer.session.hex), "as_sent": figures(scores.asSent),
            "installed": figures(scores.fitted ?? scores.asSent), "fitted": .bool(scores.fitted != nil),
        ]
    }
}

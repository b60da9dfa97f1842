package import Federation
package import Wire

/// The closed rounds of a session, for a terminal and as JSON.
package enum RoundTable {
    package static func text(_ rounds: [ClosedRound]) -> String {
        var table = TextTable([
            ("round", .right), ("closed", .left), ("counted", .left), ("not counted", .left), ("global", .right),
            ("trained", .right), ("balanced", .right), ("pictures", .right), ("loss", .right),
        ])
        for round in rounds {
            let counted = round.participants.compactMap { line in line.counted.map { "\(line.client) \($0.weight)" } }
            let others = round.participants.filter { $0.counted == nil }.map { "\($0.client) \(fate($0.fate))" }
            let scores = round.metrics.trained
            table.add([
                "\(round.number)", round.closed.rfc3339, counted.joined(separator: ", "),
                others.joined(separator: ", "),
                round.metrics.global.map { Numbers.percent($0.accuracy) } ?? "-",
                scores.map { Numbers.percent($0.accuracy) } ?? "-",
                scores?.balancedAccuracy.map { Numbers.percent($0) } ?? "-",
                scores.map { "\($0.support)" } ?? "-",
                round.metrics.trainingLoss.map { Numbers.fixed($0, digits: 3) } ?? "-",
            ])
        }
        return table.text
    }

    package static func json(_ round: ClosedRound) -> JSONValue {
        [
            "round": .integer(Int64(round.number)), "opened": .string(round.opened.rfc3339),
            "closed": .string(round.closed.rfc3339), "model": .string(round.model.hex),
            "participants": .array(round.participants.map(\.json)), "metrics": round.metrics.json,
            "accuracy": round.metrics.trained.map { .number($0.accuracy) } ?? .null,
            "global_accuracy": round.metrics.global.map { .number($0.accuracy) } ?? .null,
        ]
    }

    private static func fate(_ fate: ParticipantLine.Fate) -> String {
        switch fate {
        case .counted: "counted"
        case .late: "late"
        case .rejected(let reason): "rejected (\(reason))"
        case .missing: "missing"
        }
    }
}

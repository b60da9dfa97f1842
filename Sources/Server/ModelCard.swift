package import Federation
import Tensors
import Wire

/// `card.md`: what a model is, where it comes from and how it scored, for whoever finds the file years later.
package enum ModelCard {
    /// Four digits: no hospital has so many validation pictures that more would mean anything.
    private static func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

    package static func text(_ record: VersionRecord) -> String {
        var lines = [
            "# Model version \(record.number)", "",
            "- Architecture: \(record.architecture), pictures of \(record.imageSize) x \(record.imageSize) pixels"
                + (record.crop == .head ? ", cropped to the head" : ""),
            "- Classes, in the order of the outputs: \(record.classes.joined(separator: ", "))",
            "- SHA-256 of model.safetensors: `\(record.model)`",
            "- Saved: \(record.created.rfc3339)",
        ]
        switch record.origin {
        case .imported: lines.append("- Origin: imported")
        case .initialized: lines.append("- Origin: random weights")
        case .session:
            let base = record.base.map { "version \($0)" } ?? "an unknown version"
            lines.append("- Origin: session \(record.sessionName), \(counted(record.rounds, "round")) from \(base)")
            if record.isBranch {
                lines.append("- A branch: another version was saved while this one's session trained")
            }
            if record.stoppedEarly { lines.append("- Stopped early; this is the model of round \(record.modelRound)") }
        }
        if let strategy = record.strategy {
            lines.append("- Aggregation: \(strategy.name)" + (strategy.mu > 0 ? ", mu \(strategy.mu)" : ""))
        }
        if !record.note.isEmpty { lines.append("- Note: \(record.note)") }
        if !record.contributions.isEmpty {
            lines += [
                "", "## Who contributed", "", "| hospital | rounds counted | weight (examples) |", "|---|---|---|",
            ]
            lines += record.contributions.map { "| \($0.client) | \($0.rounds.count) | \($0.weight) |" }
        }
        if let best = record.best {
            let value = best.estimated ? "estimated" : "measured"
            lines += ["", "Best round: \(best.round), \(best.metric.rawValue) \(rounded(best.value)) (\(value))."]
        }
        if let scores = record.metrics?.global ?? record.metrics?.trained {
            let isGlobal = record.metrics?.global != nil
            let whose = isGlobal ? "global that the last round began with" : "hospitals' own models"
            let balanced = scores.balancedAccuracy.map { ", balanced accuracy \(rounded($0))" } ?? ""
            lines += [
                "", "## Scores", "",
                "The \(whose), on the hospitals' validation pictures, pooled over \(scores.support) pictures: accuracy "
                    + "\(rounded(scores.accuracy))\(balanced).",
            ]
            if let metrics = record.metrics, !metrics.withheld.isEmpty {
                lines.append("Withheld by: \(metrics.withheld.map(\.text).joined(separator: ", ")).")
            }
        }
        lines += ["", "Not a medical device. Check it on your own pictures before anybody relies on it.", ""]
        return lines.joined(separator: "\n")
    }
}

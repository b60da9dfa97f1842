import NeuralNetworks
import Reports
import Wire

/// What `evaluate` says of a model.
struct EvaluationReport {
    let metrics: ClassificationMetrics
    /// Expected calibration error.
    let calibrationError: Double?
    let model: ModelLocation
    /// Pictures that could not be read.
    let skipped: Int

    init(probabilities: [[Float]], labels: [Int], classes: [String], model: ModelLocation, skipped: Int) {
        metrics = ClassificationMetrics(probabilities: probabilities, labels: labels, classes: classes)
        calibrationError = ClassificationMetrics.calibrationError(probabilities: probabilities, labels: labels)
        self.model = model
        self.skipped = skipped
    }

    var text: String {
        let pictures = "\(metrics.support)" + (skipped > 0 ? ", \(skipped) more could not be used" : "")
        let facts = FactList([
            ("pictures", pictures),
            ("accuracy", Numbers.percent(metrics.accuracy)),
            ("balanced accuracy", Numbers.percent(metrics.balancedAccuracy)),
            ("loss", Numbers.fixed(metrics.loss, digits: 4)),
            ("calibration error", calibrationError.map(Numbers.percent) ?? "-"),
        ])
        return [facts.text, classTable, "actual class by predicted class:\n" + confusionTable].joined(separator: "\n\n")
    }

    private var classTable: String {
        var table = TextTable([
            ("class", .left), ("precision", .right), ("recall", .right), ("F1", .right), ("AUROC", .right),
            ("pictures", .right),
        ])
        /// What is 0/0 is a dash.
        func percent(_ value: Double?) -> String { value.map(Numbers.percent) ?? "-" }
        for score in metrics.perClass {
            table.add([
                score.name, percent(score.precision), percent(score.recall), percent(score.f1),
                score.auroc.map { Numbers.fixed($0, digits: 3) } ?? "-", "\(score.support)",
            ])
        }
        return table.text
    }

    private var confusionTable: String {
        let names = metrics.perClass.map(\.name)
        var table = TextTable([("", .left)] + names.map { ($0, .right) })
        for (name, row) in zip(names, metrics.confusion) { table.add([name] + row.map { "\($0)" }) }
        return table.text
    }

    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue { .optional(value) { .number($0) } }
        return [
            "schema_version": 1, "model": model.json, "pictures": .count(metrics.support), "skipped": .count(skipped),
            "accuracy": .number(metrics.accuracy), "balanced_accuracy": .number(metrics.balancedAccuracy),
            "loss": .number(metrics.loss), "calibration_error": number(calibrationError),
            "per_class": .array(
                metrics.perClass.map { score in
                    [
                        "name": .string(score.name), "precision": number(score.precision),
                        "recall": number(score.recall), "f1": number(score.f1), "auroc": number(score.auroc),
                        "support": .count(score.support),
                    ]
                }),
            "classes": .texts(metrics.perClass.map(\.name)),
            "confusion": .array(metrics.confusion.map { .array($0.map { .count($0) }) }),
        ]
    }
}

package import Wire

/// How a model scores on a set of labelled pictures, as counts and sums, so that several sites' scores add up exactly.
///
/// Ratios are derived, never stated: two figures in one message cannot contradict each other.
package struct Scores: Equatable, Sendable {
    package struct ClassScore: Equatable, Sendable {
        package var name: String
        /// Pictures of this class.
        package var support: Int
        /// Of these, how many were recognised.
        package var correct: Int
        /// Pictures of any class that were taken for this one.
        package var predicted: Int
        /// Area under the one-against-rest ROC curve; nil where a site has pictures of only one side.
        package var auroc: Double?

        package init(name: String, support: Int, correct: Int, predicted: Int, auroc: Double?) {
            self.name = name
            self.support = support
            self.correct = correct
            self.predicted = predicted
            self.auroc = auroc
        }

        package var recall: Double? { support > 0 ? Double(correct) / Double(support) : nil }
        package var precision: Double? { predicted > 0 ? Double(correct) / Double(predicted) : nil }
        /// Harmonic mean of precision and recall: 2 correct / (support + predicted).
        package var f1: Double? {
            support + predicted > 0 ? 2 * Double(correct) / Double(support + predicted) : nil
        }
    }

    package var support: Int
    package var correct: Int
    /// Mean cross-entropy over the pictures, natural logarithm, no class weights.
    package var loss: Double
    /// Empty where it is withheld: a class has fewer than ``FederationLimits/minimumClassSupport`` pictures.
    package var classes: [ClassScore]

    package init(support: Int, correct: Int, loss: Double, classes: [ClassScore]) {
        self.support = support
        self.correct = correct
        self.loss = loss
        self.classes = classes
    }

    package var accuracy: Double { Double(correct) / Double(max(support, 1)) }

    /// Mean recall over the classes that have pictures; nil where the breakdown is withheld.
    package var balancedAccuracy: Double? {
        let recalls = classes.compactMap(\.recall)
        return recalls.isEmpty ? nil : recalls.reduce(0, +) / Double(recalls.count)
    }

    /// Mean over the classes that have one; nil where none has.
    package var macroAUROC: Double? {
        let areas = classes.compactMap(\.auroc)
        return areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count)
    }

    package func value(of metric: Metric) -> Double? {
        switch metric {
        case .accuracy: accuracy
        case .balancedAccuracy: balancedAccuracy
        case .auroc: macroAUROC
        case .loss: loss
        }
    }

    /// What may leave the hospital: nil under ``FederationLimits/minimumSupport`` pictures, and no breakdown by class
    /// where a class has too few. (One class left out of a full breakdown could be computed from the total.)
    package var shareable: Scores? {
        guard support >= FederationLimits.minimumSupport else { return nil }
        var shared = self
        let small = classes.contains { (1..<FederationLimits.minimumClassSupport).contains($0.support) }
        if small { shared.classes = [] }
        return shared
    }
}

extension Scores {
    /// Several sites' scores as one: counts are added; the loss is weighted by support, a class's AUROC by the class's
    /// support.
    ///
    /// - Parameter sites: in a fixed order, since floating-point sums depend on it.
    /// - Returns: nil if there are none.
    package init?(pooling sites: [Scores]) {
        guard !sites.isEmpty else { return nil }
        support = sites.reduce(0) { $0 + $1.support }
        correct = sites.reduce(0) { $0 + $1.correct }
        // Means are held to their bounds, over which rounding could carry them: what is written must be readable.
        loss = min(sites.reduce(0) { $0 + $1.loss * Double($1.support) } / Double(max(support, 1)), 1e6)
        var names: [String] = []
        for name in sites.flatMap({ $0.classes.map(\.name) }) where !names.contains(name) { names.append(name) }
        classes = names.map { name in
            let parts = sites.flatMap(\.classes).filter { $0.name == name }
            let scored = parts.filter { $0.auroc != nil && $0.support > 0 }
            let weight = scored.reduce(0) { $0 + $1.support }
            let area = scored.reduce(0) { $0 + ($1.auroc ?? 0) * Double($1.support) }
            return ClassScore(
                name: name, support: parts.reduce(0) { $0 + $1.support }, correct: parts.reduce(0) { $0 + $1.correct },
                predicted: parts.reduce(0) { $0 + $1.predicted },
                auroc: weight > 0 ? min(area / Double(weight), 1) : nil)
        }
    }
}

/// The figures by which models are ranked.
package enum Metric: String, Sendable, CaseIterable {
    case accuracy, auroc, loss
    case balancedAccuracy = "balanced_accuracy"

    package func isBetter(_ value: Double, than other: Double) -> Bool { self == .loss ? value < other : value > other }
}

extension Scores {
    package var json: JSONValue {
        [
            "support": JSONValue(support), "correct": JSONValue(correct), "loss": .number(loss),
            "classes": .array(
                classes.map { score in
                    JSONValue(fields: [
                        "class": .string(score.name), "support": JSONValue(score.support),
                        "correct": JSONValue(score.correct), "predicted": JSONValue(score.predicted),
                        "auroc": score.auroc.map { .number($0) },
                    ])
                }),
        ]
    }

    /// One site's scores. Requires counts that fit together: the classes' sums are the totals.
    package init(reading object: inout ObjectReader) throws {
        try self.init(reading: &object, pooled: false)
    }

    /// Several sites' scores: the classes' sums may stay below the totals, since a site may withhold its breakdown.
    package init(pooledReading object: inout ObjectReader) throws {
        try self.init(reading: &object, pooled: true)
    }

    private init(reading object: inout ObjectReader, pooled: Bool) throws {
        // Bounded so that the counts of as many sites as a session may have add up without overflow.
        let counts = 0...FederationLimits.pictures.upperBound * (pooled ? Int64(FederationLimits.participants) : 1)
        support = try object.count("support", in: counts)
        correct = try object.count("correct", in: counts)
        loss = try object.number("loss", in: 0...1e6)
        let total = support
        classes = try object.list("classes", maximumCount: FederationLimits.classes.upperBound) { entry in
            let score = ClassScore(
                name: try entry.text("class", maximumLength: FederationLimits.classNameBytes),
                support: try entry.count("support", in: counts), correct: try entry.count("correct", in: counts),
                predicted: try entry.count("predicted", in: counts), auroc: try entry.optionalNumber("auroc", in: 0...1)
            )
            guard score.correct <= min(score.support, score.predicted), max(score.support, score.predicted) <= total
            else {
                throw entry.problem("correct", "must not exceed support and predicted, nor these the total")
            }
            return score
        }
        guard support >= FederationLimits.minimumSupport, correct <= support else {
            throw object.problem("support", "must be at least \(FederationLimits.minimumSupport) and not below correct")
        }
        guard Set(classes.map(\.name)).count == classes.count else {
            throw object.problem("classes", "names a class twice")
        }
        let sums = [\ClassScore.support, \.predicted, \.correct].map { path in
            classes.reduce(0) { $0 + $1[keyPath: path] }
        }
        let fits =
            pooled
            ? sums[0] <= support && sums[1] <= support && sums[2] <= correct : sums == [support, support, correct]
        guard classes.isEmpty || fits else { throw object.problem("classes", "must add up to support and correct") }
    }
}

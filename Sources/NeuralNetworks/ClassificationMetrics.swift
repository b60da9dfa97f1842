import Glibc

/// How well probabilities agree with labels. The prediction is the first class of highest probability.
///
/// Rules: 1. precision is nil for a class that was never predicted, recall nil for one without examples; 2. F1 is
/// 2 TP / (2 TP + FP + FN), nil where that is 0/0 and so 0 for a class that is present but never hit; 3. balanced
/// accuracy is the mean recall of the classes present; 4. AUROC is one class against the rest, nil where either side is
/// empty; 5. everything is 0 or nil for no examples at all.
package struct ClassificationMetrics: Equatable, Sendable {
    package struct PerClass: Equatable, Sendable {
        package let name: String
        package let precision: Double?
        package let recall: Double?
        package let f1: Double?
        package let auroc: Double?
        /// Examples of this class.
        package let support: Int
    }

    package let accuracy: Double
    package let balancedAccuracy: Double
    /// Mean cross-entropy, unweighted; probabilities are cut off below at 1e-12.
    package let loss: Double
    package let perClass: [PerClass]
    /// `confusion[actual][predicted]`, counts.
    package let confusion: [[Int]]

    package var support: Int { perClass.reduce(0) { $0 + $1.support } }
    package var correct: Int { confusion.indices.reduce(0) { $0 + confusion[$1][$1] } }

    /// - Parameters:
    ///   - probabilities: one row an example, one value a class.
    ///   - labels: class indices, as many as rows.
    /// - Precondition: rows are as long as `classes`, labels are below its count.
    package init(probabilities: [[Float]], labels: [Int], classes: [String]) {
        precondition(probabilities.count == labels.count, "every row of probabilities needs a label")
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        var lossSum = 0.0
        for (row, label) in zip(probabilities, labels) {
            confusion[label][Self.predictedClass(row)] += 1
            lossSum -= log(max(Double(row[label]), 1e-12))
        }
        let perClass = classes.enumerated().map { index, name in
            Self.metrics(of: index, name: name, confusion: confusion, probabilities: probabilities, labels: labels)
        }
        let recalls = perClass.compactMap(\.recall)
        let correct = classes.indices.reduce(0) { $0 + confusion[$1][$1] }
        self.confusion = confusion
        self.perClass = perClass
        accuracy = labels.isEmpty ? 0 : Double(correct) / Double(labels.count)
        balancedAccuracy = recalls.isEmpty ? 0 : recalls.reduce(0, +) / Double(recalls.count)
        loss = labels.isEmpty ? 0 : lossSum / Double(labels.count)
    }

    /// The index of the first highest probability.
    package static func predictedClass(_ row: [Float]) -> Int {
        var best = 0
        for index in row.indices where row[index] > row[best] { best = index }
        return best
    }

    private static func metrics(
        of index: Int, name: String, confusion: [[Int]], probabilities: [[Float]], labels: [Int]
    ) -> PerClass {
        let hits = confusion[index][index]
        let support = confusion[index].reduce(0, +)
        let predicted = confusion.reduce(0) { $0 + $1[index] }
        func ratio(_ part: Int, _ whole: Int) -> Double? { whole == 0 ? nil : Double(part) / Double(whole) }
        return PerClass(
            name: name, precision: ratio(hits, predicted), recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted),
            auroc: auroc(scores: probabilities.map { $0[index] }, isPositive: labels.map { $0 == index }),
            support: support)
    }

    /// The probability that a positive outranks a negative, ties counting half: the Mann-Whitney statistic over the
    /// number of pairs (Hanley and McNeil 1982), by mid-ranks.
    ///
    /// - Returns: nil unless there is a positive and a negative.
    package static func auroc(scores: [Float], isPositive: [Bool]) -> Double? {
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var positives = 0
        var rankSum = 0.0
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
            // Ranks start+1 ... end share their mean.
            let rank = Double(start + 1 + end) / 2
            for position in start..<end where isPositive[order[position]] {
                positives += 1
                rankSum += rank
            }
            start = end
        }
        let negatives = scores.count - positives
        guard positives > 0, negatives > 0 else { return nil }
        let statistic = rankSum - Double(positives) * Double(positives + 1) / 2
        return statistic / (Double(positives) * Double(negatives))
    }
}

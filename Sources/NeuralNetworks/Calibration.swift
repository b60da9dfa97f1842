import Glibc

/// Temperature scaling: probabilities that mean what they say. Guo et al. 2017 ("On Calibration of Modern Neural Networks",
/// arXiv 1706.04599), section 4.2: softmax(logits / T). The class that is predicted stays the same.
package struct Calibration: Equatable, Sendable {
    /// T: above 1 for a network that is surer than it is right.
    package let temperature: Double

    package static let none = Calibration(temperature: 1)
    package static let temperatures = 0.05...20.0
    /// Fewer pictures than this say too little of how sure a network may be.
    package static let minimumSupport = 20

    package init(temperature: Double) { self.temperature = temperature }

    /// The temperature that makes the labels most likely: the least mean cross-entropy, by golden-section search over log T,
    /// of which it is a unimodal function (the loss is convex in 1/T).
    ///
    /// - Parameters:
    ///   - probabilities: of pictures that the network was not trained on, one row each.
    ///   - labels: class indices, as many as rows.
    /// - Returns: nil for fewer than ``minimumSupport`` pictures.
    package init?(fitting probabilities: [[Float]], labels: [Int]) {
        guard labels.count >= Self.minimumSupport, probabilities.count == labels.count else { return nil }
        func loss(_ logT: Double) -> Double {
            let calibration = Calibration(temperature: exp(logT))
            return zip(probabilities, labels).reduce(0) { $0 - calibration.logProbability($1.0, $1.1) }
        }
        let ratio = (5.0.squareRoot() - 1) / 2
        var (low, high) = (log(Self.temperatures.lowerBound), log(Self.temperatures.upperBound))
        var (left, right) = (high - ratio * (high - low), low + ratio * (high - low))
        var (lossLeft, lossRight) = (loss(left), loss(right))
        while high - low > 1e-4 {
            if lossLeft <= lossRight {
                (high, right, lossRight) = (right, left, lossLeft)
                left = high - ratio * (high - low)
                lossLeft = loss(left)
            } else {
                (low, left, lossLeft) = (left, right, lossRight)
                right = low + ratio * (high - low)
                lossRight = loss(right)
            }
        }
        temperature = exp((low + high) / 2)
    }

    /// Logits are the logarithms of probabilities but for a constant, so rows of probabilities are all that is needed.
    package func apply(_ row: [Float]) -> [Float] {
        guard temperature != 1 else { return row }
        let powers = scaled(row).map { exp($0) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }

    private func logProbability(_ row: [Float], _ label: Int) -> Double {
        let scaled = scaled(row)
        return scaled[label] - log(scaled.reduce(0) { $0 + exp($1) })
    }

    /// log p / T, the greatest of them 0.
    private func scaled(_ row: [Float]) -> [Double] {
        let logs = row.map { log(max(Double($0), 1e-30)) / temperature }
        let top = logs.max() ?? 0
        return logs.map { $0 - top }
    }
}

extension ClassificationMetrics {
    /// How far confidence is from accuracy: the expected calibration error (Guo et al. 2017, equation 3) over 15 bins of
    /// equal width of the predicted class's probability. 0 is perfect; nil for no examples.
    package static func calibrationError(probabilities: [[Float]], labels: [Int]) -> Double? {
        guard !labels.isEmpty, labels.count == probabilities.count else { return nil }
        let count = 15
        var bins = [(count: Int, confidence: Double, correct: Int)](repeating: (0, 0, 0), count: count)
        for (row, label) in zip(probabilities, labels) {
            let predicted = predictedClass(row)
            let confidence = Double(row[predicted])
            // Bins are open below: a confidence of exactly 1/15 belongs to the first.
            let bin = min(max(Int((confidence * Double(count)).rounded(.up)) - 1, 0), count - 1)
            bins[bin].count += 1
            bins[bin].confidence += confidence
            bins[bin].correct += predicted == label ? 1 : 0
        }
        return bins.reduce(0) { $0 + abs(Double($1.correct) - $1.confidence) } / Double(labels.count)
    }
}

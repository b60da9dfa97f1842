import Glibc

/// The loss of a batch as two sums, so that batches of different sizes add up to an exact mean.
struct LossSums: Equatable, Sendable {
    /// Sum of weighted losses.
    var loss = 0.0
    /// Sum of the weights.
    var weight = 0.0

    /// The weighted mean, 0 where every weight is 0.
    var mean: Double { weight > 0 ? loss / weight : 0 }

    static func += (left: inout LossSums, right: LossSums) {
        left.loss += right.loss
        left.weight += right.weight
    }
}

/// Softmax and cross-entropy, in Double within a row: rows are few and short.
enum SoftmaxCrossEntropy {
    /// Writes `probabilities` `[rows, classes]`; may not overlap `logits`.
    static func probabilities(
        logits: UnsafePointer<Float>, rows: Int, classes: Int, probabilities: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let source = logits + row * classes
            let normalizer = logSumExp(source, classes)
            for column in 0..<classes {
                probabilities[row * classes + column] = Float(exp(Double(source[column]) - normalizer))
            }
        }
    }

    /// The weighted mean of the cross-entropies, sum(w_y loss) / sum(w_y) as `torch.nn.CrossEntropyLoss(weight:)`, and
    /// its gradient by the logits, w_y (p - onehot) / sum(w). Where all weights of the batch are 0, so is the gradient.
    ///
    /// - Parameters:
    ///   - offsets: added to each row's logits first; see ``TrainingOptions/logitOffsets``.
    ///   - batchWeight: sum(w) of the batch that these rows are a part of; nil where they are all of it.
    /// - Returns: the sums of these rows.
    static func loss(
        logits: UnsafePointer<Float>, labels: [Int], classes: Int, classWeights: [Float]?, offsets: [Float]? = nil,
        batchWeight: Double? = nil, gradient: UnsafeMutablePointer<Float>
    ) -> LossSums {
        let offsets = offsets.map { $0.map(Double.init) } ?? [Double](repeating: 0, count: classes)
        var sums = LossSums()
        sums.weight = weight(of: labels, classWeights)
        let total = batchWeight ?? sums.weight
        let scale = total > 0 ? 1 / total : 0
        for (row, label) in labels.enumerated() {
            let source = logits + row * classes
            let normalizer = logSumExp(source, classes, offsets)
            let weight = Double(classWeights?[label] ?? 1)
            sums.loss += weight * (normalizer - Double(source[label]) - offsets[label])
            for column in 0..<classes {
                let probability = exp(Double(source[column]) + offsets[column] - normalizer)
                let error = column == label ? probability - 1 : probability
                gradient[row * classes + column] = Float(weight * scale * error)
            }
        }
        return sums
    }

    /// sum(w_y)
    static func weight(of labels: [Int], _ classWeights: [Float]?) -> Double {
        labels.reduce(0) { $0 + Double(classWeights?[$1] ?? 1) }
    }

    /// log(sum(exp(x + offset))), shifted by the maximum so that nothing overflows.
    private static func logSumExp(_ row: UnsafePointer<Float>, _ count: Int, _ offsets: [Double]? = nil) -> Double {
        func value(_ column: Int) -> Double { Double(row[column]) + (offsets?[column] ?? 0) }
        var maximum = -Double.infinity
        for column in 0..<count { maximum = max(maximum, value(column)) }
        var sum = 0.0
        for column in 0..<count { sum += exp(value(column) - maximum) }
        return maximum + log(sum)
    }
}

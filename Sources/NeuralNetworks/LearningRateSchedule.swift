import Glibc

/// How the learning rate changes over a whole session. Time is counted in epochs, fractions included, so that hospitals
/// with few and with many pictures are at the same place of the curve in each round.
package struct LearningRateSchedule: Equatable, Sendable {
    package enum Shape: Equatable, Sendable {
        case constant
        /// From 1 down to `floor` along half a cosine: Loshchilov and Hutter 2017 (arXiv 1608.03983), equation 5, without
        /// restarts.
        case cosine(floor: Double)
        /// Times `factor` after every `every` epochs, as `torch.optim.lr_scheduler.StepLR`.
        case step(every: Int, factor: Double)
    }

    package var shape: Shape
    /// Epochs over which the rate rises from 0, in a straight line; the shape begins where they end.
    package var warmup: Double
    /// Epochs of the whole session, all rounds together: where the cosine reaches its floor.
    package var total: Int

    package static let constant = LearningRateSchedule(.constant)

    package init(_ shape: Shape, warmup: Double = 0, total: Int = 1) {
        self.shape = shape
        self.warmup = warmup
        self.total = total
    }

    /// What the learning rate is multiplied with in a step. 0 < factor <= 1, but for a cosine that ends at 0.
    ///
    /// - Parameters:
    ///   - epoch: whole epochs of the session before this one.
    ///   - step: of the epoch, from 0.
    package func factor(epoch: Int, step: Int, stepsPerEpoch: Int) -> Double {
        let position = Double(epoch) + Double(step) / Double(stepsPerEpoch)
        if position < warmup {
            // The first step moves already: its rate is that of its end.
            return min(1, (position + 1 / Double(stepsPerEpoch)) / warmup)
        }
        switch shape {
        case .constant: return 1
        case .cosine(let floor):
            let progress = min(1, (position - warmup) / max(Double(total) - warmup, .leastNormalMagnitude))
            return floor + (1 - floor) * 0.5 * (1 + cos(.pi * progress))
        case .step(let every, let factor): return pow(factor, ((position - warmup) / Double(every)).rounded(.down))
        }
    }

    func check() throws(NetworkError) {
        let shapeHolds =
            switch shape {
            case .constant: true
            case .cosine(let floor): floor >= 0 && floor <= 1
            case .step(let every, let factor): every > 0 && factor > 0 && factor <= 1
            }
        guard shapeHolds, warmup >= 0, total > 0 else {
            throw NetworkError(.invalidOptions, "the learning rate's schedule is out of range")
        }
    }

    func add(to fingerprint: inout Fingerprint) {
        switch shape {
        case .constant: fingerprint.add("constant")
        case .cosine(let floor):
            fingerprint.add("cosine")
            fingerprint.add(floor.bitPattern)
        case .step(let every, let factor):
            fingerprint.add("step")
            fingerprint.add(UInt64(every))
            fingerprint.add(factor.bitPattern)
        }
        fingerprint.add(warmup.bitPattern)
        fingerprint.add(UInt64(total))
    }
}

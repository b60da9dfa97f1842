import CKernels

extension Kernels {
    /// One step of SGD, as `torch.optim.SGD`: `g = gradient + weightDecay*w + proximalMu*(w - anchor)`,
    /// `velocity = momentum*velocity + g`, `w -= learningRate * velocity`. Weight decay is coupled (an L2 term of the
    /// loss); the proximal term is FedProx's (arXiv 1812.06127, equation 2). Velocity starts at zero.
    /// - Parameters:
    ///   - anchor: the global model's weights, or nil for no proximal term.
    ///   - velocity: nil for plain SGD, where `momentum` has no part.
    package static func sgdMomentumUpdate(
        weight: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, velocity: UnsafeMutablePointer<Float>?,
        anchor: UnsafePointer<Float>?, count: Int, learningRate: Float, momentum: Float, weightDecay: Float,
        proximalMu: Float, context: ComputeContext
    ) {
        var sweep = ck_update()
        sweep.weight = weight
        sweep.gradient = gradient
        sweep.anchor = anchor
        sweep.first = velocity
        sweep.count = count
        sweep.weight_decay = weightDecay
        sweep.mu = proximalMu
        sweep.step = learningRate
        sweep.beta1 = momentum
        let table = context.instructionSet.table
        update(sweep, context: context) { table.sgd($0) }
    }

    /// One step of Adam (arXiv 1412.6980, algorithm 1), as `torch.optim.Adam`: `g` as in
    /// ``sgdMomentumUpdate(weight:gradient:velocity:anchor:count:learningRate:momentum:weightDecay:proximalMu:context:)``,
    /// `m = beta1*m + (1 - beta1)*g`, `v = beta2*v + (1 - beta2)*g*g`,
    /// `w -= learningRate/(1 - beta1^step) * m / (sqrt(v)/sqrt(1 - beta2^step) + epsilon)`. Both moments start at zero.
    /// - Parameter step: counts from 1.
    package static func adamUpdate(
        weight: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>, firstMoment: UnsafeMutablePointer<Float>,
        secondMoment: UnsafeMutablePointer<Float>, anchor: UnsafePointer<Float>?, count: Int, step: Int,
        learningRate: Float, beta1: Float, beta2: Float, epsilon: Float, weightDecay: Float, proximalMu: Float,
        context: ComputeContext
    ) {
        precondition(step > 0, "Adam's steps count from 1")
        var sweep = ck_update()
        sweep.weight = weight
        sweep.gradient = gradient
        sweep.anchor = anchor
        sweep.first = firstMoment
        sweep.second = secondMoment
        sweep.count = count
        sweep.weight_decay = weightDecay
        sweep.mu = proximalMu
        sweep.step = Float(Double(learningRate) / (1 - power(Double(beta1), step)))
        sweep.beta1 = beta1
        sweep.beta2 = beta2
        sweep.second_scale = Float(1 / (1 - power(Double(beta2), step)).squareRoot())
        sweep.epsilon = epsilon
        let table = context.instructionSet.table
        update(sweep, context: context) { table.adam($0) }
    }

    /// `base` to a positive whole power, by squaring: the C library's `pow` may differ in the last bit between systems.
    private static func power(_ base: Double, _ exponent: Int) -> Double {
        var (result, square, rest) = (1.0, base, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result *= square }
            square *= square
            rest >>= 1
        }
        return result
    }

    private static func update(
        _ sweep: ck_update, context: ComputeContext, _ kernel: @Sendable (UnsafePointer<ck_update>) -> Void
    ) {
        let shared = SharedSweep(sweep: sweep)
        context.parallel(count: sweep.count, grain: grain / 4) { range in
            var part = shared.sweep
            part.weight += range.lowerBound
            part.gradient += range.lowerBound
            if let anchor = part.anchor { part.anchor = anchor + range.lowerBound }
            if let first = part.first { part.first = first + range.lowerBound }
            if let second = part.second { part.second = second + range.lowerBound }
            part.count = range.count
            kernel(&part)
        }
    }

    /// Parallel tasks work on disjoint ranges of the sweep's arrays.
    private struct SharedSweep: @unchecked Sendable {
        let sweep: ck_update
    }
}

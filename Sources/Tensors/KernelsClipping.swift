extension Kernels {
    /// Limits the length of a whole gradient, as `torch.nn.utils.clip_grad_norm_` (Pascanu et al. 2013, arXiv 1211.5063,
    /// algorithm 1): where the Euclidean norm exceeds `limit`, every element is scaled by `limit / (norm + 1e-6)`.
    ///
    /// FedProx's term belongs to the objective, so it is added first: `g += proximalMu * (w - anchor)`.
    ///
    /// - Parameter anchor: the global model's weights, or nil for no proximal term.
    /// - Returns: the norm before, summed in float64 in fixed blocks: the same on any number of workers.
    @discardableResult
    package static func clipNorm(
        gradient: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, anchor: UnsafePointer<Float>?, count: Int,
        proximalMu: Float, limit: Float, context: ComputeContext
    ) -> Double {
        let block = 1 << 15
        let blocks = (count + block - 1) / block
        let sums = UnsafeMutablePointer<Double>.allocate(capacity: max(1, blocks))
        defer { sums.deallocate() }
        let sweep = ClippingSweep(gradient: gradient, weight: weight, anchor: anchor, sums: sums)
        context.parallel(tasks: blocks, flops: count >= grain ? .max : 0) { task, _ in
            let range = task * block..<min(count, (task + 1) * block)
            if let anchor = sweep.anchor {
                for index in range {
                    sweep.gradient[index] += proximalMu * (sweep.weight[index] - anchor[index])
                }
            }
            sweep.sums[task] = squares(sweep.gradient + range.lowerBound, count: range.count)
        }
        let norm = (0..<blocks).reduce(0.0) { $0 + sums[$1] }.squareRoot()
        // Not finite: the loss's own check speaks, and nothing is hidden by scaling.
        guard norm.isFinite, norm > Double(limit) else { return norm }
        let scale = Float(Double(limit) / (norm + 1e-6))
        context.parallel(count: count, grain: grain) { range in
            for index in range { sweep.gradient[index] *= scale }
        }
        return norm
    }

    /// Eight running sums side by side, added in order at the end.
    private static func squares(_ values: UnsafePointer<Float>, count: Int) -> Double {
        var sums = SIMD8<Double>.zero
        let whole = count / 8 * 8
        for start in stride(from: 0, to: whole, by: 8) {
            let lane = SIMD8<Double>(UnsafeRawPointer(values + start).loadUnaligned(as: SIMD8<Float>.self))
            sums += lane * lane
        }
        var total = 0.0
        for lane in 0..<8 { total += sums[lane] }
        for index in whole..<count { total += Double(values[index]) * Double(values[index]) }
        return total
    }

    /// Parallel tasks work on disjoint blocks of the arrays.
    private struct ClippingSweep: @unchecked Sendable {
        let gradient: UnsafeMutablePointer<Float>
        let weight: UnsafePointer<Float>
        let anchor: UnsafePointer<Float>?
        let sums: UnsafeMutablePointer<Double>
    }
}

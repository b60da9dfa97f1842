import CKernels

extension Kernels {
    /// Mean and biased variance (divided by `rows`) of every column of `x` `[rows][channels]`, summed in float64.
    /// For a batch of NHWC activations, `rows` is batch * height * width.
    /// - Parameters:
    ///   - mean, variance: `[channels]`, overwritten; zero where there are no rows.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func channelMoments(
        x: UnsafePointer<Float>, rows: Int, channels: Int, mean: UnsafeMutablePointer<Float>,
        variance: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let x = SharedInput(x)
        let sums = reduce(
            rows: rows, width: 2 * channels, elements: rows * channels, context: context, workspace: workspace
        ) { first, count, sums in
            table.moments(x.pointer + first * channels, count, channels, sums)
        }
        let scale = rows > 0 ? 1 / Double(rows) : 0
        for c in 0..<channels {
            let average = sums[c] * scale
            mean[c] = Float(average)
            // Rounding may leave a constant column a hair below zero.
            variance[c] = Float(max(0, sums[channels + c] * scale - average * average))
        }
    }

    /// `output = x * scale + shift`, then `+ residual` where given, then ReLU where asked; scale and shift are
    /// `[channels]`, the others `[rows][channels]`. NaN passes through ReLU. `output` may be `x` or `residual`.
    package static func scaleShift(
        x: UnsafePointer<Float>, rows: Int, channels: Int, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
        relu: Bool, residual: UnsafePointer<Float>? = nil, output: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, scale, shift, output) = (SharedInput(x), SharedInput(scale), SharedInput(shift), SharedPointer(output))
        let residual = residual.map { SharedInput($0) }
        parallelRows(rows, channels: channels, context: context) { first, count in
            let at = first * channels
            table.scale_shift(
                x.pointer + at, count, channels, scale.pointer, shift.pointer, residual.map { $0.pointer + at },
                relu ? 1 : 0, output.pointer + at)
        }
    }

    /// The two sums of BatchNorm's backward pass, in float64, per channel of `[rows][channels]`:
    /// `sumDy = sum of dy` (the gradient by the shift beta) and
    /// `sumDyXhat = sum of dy * (x - mean) * invStd` (the gradient by the scale gamma).
    /// - Parameters:
    ///   - activation: where a ReLU follows, its output: `dy` is then the gradient behind the ReLU and counts only where
    ///     the activation is positive, which saves a pass of ``reluBackward(y:dy:count:dx:context:)``.
    ///   - masked: takes `dy` as it counts, for whoever else needs it; may be `dy`.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func channelGradientSums(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, activation: UnsafePointer<Float>? = nil, rows: Int,
        channels: Int, mean: UnsafePointer<Float>, invStd: UnsafePointer<Float>,
        masked: UnsafeMutablePointer<Float>? = nil, sumDy: UnsafeMutablePointer<Float>,
        sumDyXhat: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, dy, mean, invStd) = (SharedInput(x), SharedInput(dy), SharedInput(mean), SharedInput(invStd))
        let activation = activation.map { SharedInput($0) }
        let masked = masked.map { SharedPointer($0) }
        let sums = reduce(
            rows: rows, width: 2 * channels, elements: rows * channels, context: context, workspace: workspace
        ) { first, count, sums in
            let at = first * channels
            table.gradient_sums(
                x.pointer + at, dy.pointer + at, activation.map { $0.pointer + at }, count, channels, mean.pointer,
                invStd.pointer, masked.map { $0.pointer + at }, sums)
        }
        for c in 0..<channels {
            sumDy[c] = Float(sums[c])
            sumDyXhat[c] = Float(sums[channels + c])
        }
    }

    /// BatchNorm's input gradient where the batch's own statistics were used (Ioffe and Szegedy, arXiv 1502.03167,
    /// section 3): `dx = gamma * invStd * (dy - sumDy/rows - xhat * sumDyXhat/rows)`.
    /// With fixed statistics use ``scaleGradient(dy:activation:rows:channels:scale:dx:workspace:context:)``.
    /// - Parameters:
    ///   - activation: as for the sums, or nil.
    ///   - dx: `[rows][channels]`; may be `dy`, `x` or `activation`.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func batchNormInputGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, activation: UnsafePointer<Float>? = nil, rows: Int,
        channels: Int, mean: UnsafePointer<Float>,
        invStd: UnsafePointer<Float>, gamma: UnsafePointer<Float>, sumDy: UnsafePointer<Float>,
        sumDyXhat: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        guard rows > 0 else { return }
        let (factor, shift, slope) = (workspace, workspace + channels, workspace + 2 * channels)
        for c in 0..<channels {
            factor[c] = gamma[c] * invStd[c]
            shift[c] = sumDy[c] / Float(rows)
            slope[c] = invStd[c] * sumDyXhat[c] / Float(rows)
        }
        let table = context.instructionSet.table
        let (x, dy, dx, mean) = (SharedInput(x), SharedInput(dy), SharedPointer(dx), SharedInput(mean))
        let activation = activation.map { SharedInput($0) }
        let values = SharedPointer(workspace)
        parallelRows(rows, channels: channels, context: context) { first, count in
            let at = first * channels
            table.normal_gradient(
                x.pointer + at, dy.pointer + at, activation.map { $0.pointer + at }, count, channels, mean.pointer,
                values.pointer, values.pointer + channels, values.pointer + 2 * channels, dx.pointer + at)
        }
    }

    /// BatchNorm's input gradient where the statistics are constants: `dx = scale * dy`, per channel of `[rows][channels]`.
    /// - Parameters:
    ///   - activation: where a ReLU follows, its output, as in the sums; or nil.
    ///   - dx: may be `dy` or `activation`.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func scaleGradient(
        dy: UnsafePointer<Float>, activation: UnsafePointer<Float>? = nil, rows: Int, channels: Int,
        scale: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let zeros = workspace
        zeros.update(repeating: 0, count: channels)
        let table = context.instructionSet.table
        let (dy, dx, scale, none) = (SharedInput(dy), SharedPointer(dx), SharedInput(scale), SharedInput(zeros))
        let activation = activation.map { SharedInput($0) }
        parallelRows(rows, channels: channels, context: context) { first, count in
            let at = first * channels
            // The general gradient with mean, shift and slope of nothing; dy stands in for an input that has no weight.
            table.normal_gradient(
                dy.pointer + at, dy.pointer + at, activation.map { $0.pointer + at }, count, channels, none.pointer,
                scale.pointer, none.pointer, none.pointer, dx.pointer + at)
        }
    }

    /// `output[c] = sum over rows of dy[row][c]`, in float64: the gradient by a bias, or by any value added to all rows.
    /// - Parameter workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func biasGradient(
        dy: UnsafePointer<Float>, rows: Int, channels: Int, output: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let dy = SharedInput(dy)
        let sums = reduce(
            rows: rows, width: channels, elements: rows * channels, context: context, workspace: workspace
        ) { first, count, sums in
            table.column_sums(dy.pointer + first * channels, count, channels, sums)
        }
        for c in 0..<channels { output[c] = Float(sums[c]) }
    }

    /// Cuts rows for work that is the same wherever it is cut; blocks small enough to stay in a core's cache.
    static func parallelRows(
        _ rows: Int, channels: Int, context: ComputeContext, _ body: @Sendable (_ first: Int, _ count: Int) -> Void
    ) {
        guard rows > 0 else { return }
        if rows * channels < grain || context.workers == 1 {
            return body(0, rows)
        }
        let size = max(1, (rows + 4 * context.workers - 1) / (4 * context.workers))
        context.parallel(tasks: (rows + size - 1) / size) { block, _ in
            body(block * size, min(size, rows - block * size))
        }
    }
}

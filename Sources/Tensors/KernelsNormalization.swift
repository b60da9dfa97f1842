import CKernels

/// How the ReLU behind a BatchNorm is undone: what it let pass.
package enum PassedReLU: @unchecked Sendable {
    /// There is no ReLU.
    case everything
    /// Where its output, `[rows][channels]`, is positive.
    case positive(UnsafePointer<Float>)
    /// Where `x * scale + shift`, as ``Kernels/scaleShift(x:rows:channels:scale:shift:relu:residual:output:context:)`` computes
    /// it, is positive, both `[channels]`: x is read anyhow, and the output need not be.
    case positiveScaled(scale: UnsafePointer<Float>, shift: UnsafePointer<Float>)

    /// For rows from `first` element on.
    func kernelArgument(from first: Int) -> ck_active {
        switch self {
        case .everything: ck_active(y: nil, scale: nil, shift: nil)
        case .positive(let output): ck_active(y: output + first, scale: nil, shift: nil)
        case .positiveScaled(let scale, let shift): ck_active(y: nil, scale: scale, shift: shift)
        }
    }
}

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
            sums.update(repeating: 0, count: 2 * channels)
            table.moments(x.pointer + first * channels, count, channels, sums)
        }
        moments(of: sums, rows: rows, channels: channels, mean: mean, variance: variance)
    }

    /// The same, bit for bit, where ``Convolution/forward(input:weight:bias:epilogue:output:moments:workspace:)`` has left the
    /// sums in `workspace` while the values were in the cache.
    package static func channelMoments(
        rows: Int, channels: Int, mean: UnsafeMutablePointer<Float>, variance: UnsafeMutablePointer<Float>,
        summedIn workspace: UnsafeMutablePointer<Float>
    ) {
        let sums = RowBlocks(rows).total(alignedDoubles(workspace), width: 2 * channels)
        moments(of: sums, rows: rows, channels: channels, mean: mean, variance: variance)
    }

    private static func moments(
        of sums: UnsafePointer<Double>, rows: Int, channels: Int, mean: UnsafeMutablePointer<Float>,
        variance: UnsafeMutablePointer<Float>
    ) {
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
    ///   - passed: where a ReLU follows, `dy` is the gradient behind it and counts only where it let something pass, which
    ///     saves a pass of ``reluBackward(y:dy:count:dx:context:)``.
    ///   - masked: takes `dy` as it counts, for whoever else needs it; may be `dy`.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func channelGradientSums(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, passed: PassedReLU = .everything, rows: Int,
        channels: Int, mean: UnsafePointer<Float>, invStd: UnsafePointer<Float>,
        masked: UnsafeMutablePointer<Float>? = nil, sumDy: UnsafeMutablePointer<Float>,
        sumDyXhat: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, dy, mean, invStd) = (SharedInput(x), SharedInput(dy), SharedInput(mean), SharedInput(invStd))
        let masked = masked.map { SharedPointer($0) }
        let sums = reduce(
            rows: rows, width: 2 * channels, elements: rows * channels, context: context, workspace: workspace
        ) { first, count, sums in
            let at = first * channels
            var active = passed.kernelArgument(from: at)
            table.gradient_sums(
                x.pointer + at, dy.pointer + at, &active, count, channels, mean.pointer,
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
    ///   - passed: as for the sums.
    ///   - dx: `[rows][channels]`; may be `dy`, `x` or the ReLU's output.
    ///   - workspace: ``reductionWorkspaceCount(channels:)`` floats.
    package static func batchNormInputGradient(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, passed: PassedReLU = .everything, rows: Int,
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
        let values = SharedPointer(workspace)
        parallelRows(rows, channels: channels, context: context) { first, count in
            let at = first * channels
            var active = passed.kernelArgument(from: at)
            table.normal_gradient(
                x.pointer + at, dy.pointer + at, &active, count, channels, mean.pointer,
                values.pointer, values.pointer + channels, values.pointer + 2 * channels, dx.pointer + at)
        }
    }

    /// BatchNorm's input gradient where the statistics are constants: `dx = scale * dy`, per channel of `[rows][channels]`.
    /// - Parameters:
    ///   - activation: where a ReLU follows, its output, or nil.
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
        let passed = activation.map { PassedReLU.positive($0) } ?? .everything
        parallelRows(rows, channels: channels, context: context) { first, count in
            let at = first * channels
            // The general gradient with mean, offset and slope of nothing; dy stands in for an input that has no weight.
            var active = passed.kernelArgument(from: at)
            table.normal_gradient(
                dy.pointer + at, dy.pointer + at, &active, count, channels, none.pointer,
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

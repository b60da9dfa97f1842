/// One convolution of fixed shape: forward pass and both gradients. Nothing is allocated by a pass; every pass may use
/// `workspaceCount` floats of scratch memory, whose contents before and after have no meaning.
///
/// Any channel counts, strides and paddings work. A 1x1 convolution of stride 1 is a plain matrix product on the tensors
/// as they lie (``MatrixProduct``); a 3x3 convolution of stride 1 and enough channels runs by Winograd's F(4x4, 3x3)
/// (``WinogradProduct``, ``WinogradWeightGradient``; the rule: ``ConvolutionMethod``); the others run as ``StagedProduct``,
/// the weight gradient as ``WeightGradient``.
///
/// NaN and infinity in an operand reach every output that depends on them by the definition. By Winograd's way they reach
/// further: the neighbours in the same tiles of 4 x 4 as well, and an infinity may arrive as NaN.
///
/// Pointers need only Float's alignment (64 bytes is faster); outputs may not overlap inputs or the workspace.
/// Shapes of all tensors: ``ConvolutionShape``.
package struct Convolution: Sendable {
    package let shape: ConvolutionShape
    package let context: ComputeContext

    private let table: KernelTable
    private let forwardProduct: StagedProduct
    private let inputProduct: StagedProduct
    private let weightSums: WeightGradient
    /// Where the context's method and the shape allow it.
    private let winogradForward, winogradInput: WinogradProduct?
    private let winogradSums: WinogradWeightGradient?

    /// Plans all three passes; keep the value for as long as the shape stays.
    package init(_ shape: ConvolutionShape, context: ComputeContext) {
        self.shape = shape
        self.context = context
        table = KernelTable(context.instructionSet)
        forwardProduct = StagedProduct(forwardOf: shape, table: table, workers: context.workers)
        inputProduct = StagedProduct(inputGradientOf: shape, table: table, workers: context.workers)
        weightSums = WeightGradient(shape, table: table, workers: context.workers)
        winogradForward = WinogradProduct(forwardOf: shape, table: table, context: context)
        winogradInput = WinogradProduct(inputGradientOf: shape, table: table, context: context)
        winogradSums = WinogradWeightGradient(shape, table: table, context: context)
    }

    /// Floats of workspace that any of the passes needs at most.
    package var workspaceCount: Int {
        var forward: Int
        var input: Int
        if isPlainProduct {
            forward = productWorkspaceCount(columns: shape.outputChannels, depth: shape.inputChannels)
            input = productWorkspaceCount(columns: shape.inputChannels, depth: shape.outputChannels)
        } else {
            forward = biasCount + roundUp(forwardProduct.packedCount) + context.workers * forwardProduct.stageCount
            input = roundUp(inputProduct.packedCount) + context.workers * inputProduct.stageCount
        }
        if let winogradForward { forward = biasCount + winogradForward.workspaceCount }
        if let winogradInput { input = winogradInput.workspaceCount }
        return max(forward, input, winogradSums?.workspaceCount ?? weightSums.workspaceCount)
    }

    /// Whether ``forward(input:weight:bias:epilogue:output:moments:workspace:)`` can leave the sums of its output's moments, with
    /// no less to do for each worker.
    package var sumsMoments: Bool { isPlainProduct && RowBlocks(pixels).count >= 3 * context.workers }

    /// `output = input * weight + bias`, see ``Reference/convolution(_:input:weight:bias:output:)``.
    /// - Parameters:
    ///   - bias: `[outputChannels]`, or nil for none.
    ///   - epilogue: what is done to the sums; a residual has the output's shape and does not overlap it.
    ///   - moments: takes sums for ``Kernels/channelMoments(rows:channels:mean:variance:summedIn:)``,
    ///     ``Kernels/reductionWorkspaceCount(channels:)`` floats; needs ``sumsMoments``. Nil for none.
    ///   - workspace: ``workspaceCount`` floats.
    package func forward(
        input: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        epilogue: Epilogue = .none, output: UnsafeMutablePointer<Float>, moments: UnsafeMutablePointer<Float>? = nil,
        workspace: UnsafeMutablePointer<Float>
    ) {
        precondition(moments == nil || sumsMoments, "this convolution cannot sum its output")
        guard shape.batch > 0 else { return }
        if isPlainProduct {
            return Kernels.matrixMultiply(
                m: pixels, n: shape.outputChannels, k: shape.inputChannels, a: input, b: weight, transposeB: true,
                bias: bias, c: output, epilogue: epilogue, moments: moments, workspace: workspace, context: context)
        }
        if let bias {
            for c in 0..<biasCount { workspace[c] = c < shape.outputChannels ? bias[c] : 0 }
        }
        let packed = workspace + biasCount
        if let winogradForward {
            return winogradForward.run(
                source: input, weight: weight, bias: bias == nil ? nil : UnsafePointer(workspace), epilogue: epilogue,
                output: output, workspace: packed, context: context)
        }
        packForward(weight, into: packed)
        forwardProduct.run(
            source: input, packed: packed, bias: bias == nil ? nil : UnsafePointer(workspace),
            epilogue: epilogue, output: output,
            stages: packed + roundUp(forwardProduct.packedCount), context: context)
    }

    /// Whether ``inputGradient(outputGradient:weight:inputGradient:accumulate:workspace:)`` can add.
    package var accumulatesInputGradient: Bool { isPlainProduct || winogradInput != nil }

    /// Overwrites `inputGradient` (shape of the input) with the gradient of the loss by the input, or adds it.
    /// - Precondition: adding needs ``accumulatesInputGradient``.
    package func inputGradient(
        outputGradient: UnsafePointer<Float>, weight: UnsafePointer<Float>,
        inputGradient: UnsafeMutablePointer<Float>, accumulate: Bool = false, workspace: UnsafeMutablePointer<Float>
    ) {
        precondition(!accumulate || accumulatesInputGradient, "this convolution cannot add to a gradient")
        guard shape.batch > 0 else { return }
        if isPlainProduct {
            return Kernels.matrixMultiply(
                m: pixels, n: shape.inputChannels, k: shape.outputChannels, a: outputGradient, b: weight,
                c: inputGradient, accumulate: accumulate, workspace: workspace, context: context)
        }
        if let winogradInput {
            // Each output is read and written once, at the very end.
            let sum = Epilogue(residual: accumulate ? UnsafePointer(inputGradient) : nil, relu: false)
            return winogradInput.run(
                source: outputGradient, weight: weight, bias: nil, epilogue: sum, output: inputGradient,
                workspace: workspace, context: context)
        }
        packInputGradient(weight, into: workspace)
        inputProduct.run(
            source: outputGradient, packed: workspace, bias: nil, output: inputGradient,
            stages: workspace + roundUp(inputProduct.packedCount), context: context)
    }

    /// Overwrites `weightGradient` (shape of the weight) with the gradient of the loss by the weight.
    package func weightGradient(
        input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>,
        weightGradient: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
    ) {
        if let winogradSums {
            return winogradSums.run(
                input: input, outputGradient: outputGradient, weightGradient: weightGradient, workspace: workspace,
                context: context)
        }
        weightSums.run(
            input: input, outputGradient: outputGradient, weightGradient: weightGradient, workspace: workspace,
            context: context)
    }

    // MARK: - Packing

    private var isPlainProduct: Bool {
        shape.kernelHeight == 1 && shape.kernelWidth == 1 && shape.stride == 1
            && max(shape.padTop, shape.padBottom, shape.padLeft, shape.padRight) == 0
    }

    private var pixels: Int { shape.batch * shape.outputHeight * shape.outputWidth }

    private var biasCount: Int { panels(shape.outputChannels) * table.width }

    private func panels(_ channels: Int) -> Int { (channels + table.width - 1) / table.width }

    private func productWorkspaceCount(columns: Int, depth: Int) -> Int {
        Kernels.matrixMultiplyWorkspaceCount(n: columns, k: depth, context: context)
    }

    /// `[panel of output channels][kernelHeight][kernelWidth * inputChannels][width]`.
    private func packForward(_ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
        let (weight, packed) = (SharedInput(weight), SharedPointer(packed))
        let depth = shape.kernelHeight * shape.kernelWidth * shape.inputChannels
        context.parallel(tasks: panels(shape.outputChannels), flops: 8 * shape.weightCount) { panel, _ in
            let first = panel * table.width
            table.packTransposed(
                weight.pointer + first * depth, stride: depth, depth: depth,
                columns: min(table.width, shape.outputChannels - first), panel: packed.pointer + first * depth)
        }
    }

    /// For every phase `[panel of input channels][kernel rows, last first][kernel columns, last first]
    /// [outputChannels][width]`: the kernel turned by 180 degrees.
    private func packInputGradient(_ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
        let (weight, packed) = (SharedInput(weight), SharedPointer(packed))
        let kernelCount = shape.kernelHeight * shape.kernelWidth * shape.inputChannels
        context.parallel(tasks: panels(shape.inputChannels), flops: 8 * shape.weightCount) { panel, _ in
            let first = panel * table.width
            for (index, phase) in inputProduct.phases.enumerated() {
                let rowResidue = index / shape.stride
                let columnResidue = index % shape.stride
                let tapColumns = phase.depth / shape.outputChannels
                var target = packed.pointer + phase.packedOffset + panel * inputProduct.panelCount(phase)
                for row in (0..<phase.taps).reversed() {
                    for column in (0..<tapColumns).reversed() {
                        let tap =
                            (rowResidue + row * shape.stride) * shape.kernelWidth + columnResidue
                            + column * shape.stride
                        table.packRows(
                            weight.pointer + tap * shape.inputChannels + first, stride: kernelCount,
                            depth: shape.outputChannels, columns: min(table.width, shape.inputChannels - first),
                            panel: target)
                        target += shape.outputChannels * table.width
                    }
                }
            }
        }
    }
}

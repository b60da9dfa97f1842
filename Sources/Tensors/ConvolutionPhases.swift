extension StagedProduct {
    /// The forward pass: one phase over the padded input.
    init(forwardOf shape: ConvolutionShape, table: KernelTable, workers: Int) {
        // A kernel of one row or column skips the rows and columns between its steps already when they are staged.
        let sampleRows = shape.kernelHeight == 1
        let sampleColumns = shape.kernelWidth == 1
        let columnStep = sampleColumns ? 1 : shape.stride
        let stage = ConvolutionStage(
            sourceHeight: shape.inputHeight, sourceWidth: shape.inputWidth, channels: shape.inputChannels,
            rowOrigin: -shape.padTop, rowSample: sampleRows ? shape.stride : 1, columnOrigin: -shape.padLeft,
            columnSample: sampleColumns ? shape.stride : 1,
            width: (shape.outputWidth - 1) * columnStep + shape.kernelWidth,
            pitch: sampleColumns ? StagedProduct.pitch(shape.inputChannels) : shape.inputChannels)
        let phase = Phase(
            rows: 0..<shape.outputHeight, columns: 0..<shape.outputWidth, origin: 0,
            rowStride: shape.outputWidth * shape.outputChannels, columnStride: shape.outputChannels,
            taps: shape.kernelHeight, depth: shape.kernelWidth * shape.inputChannels, stageRow: 0, stageColumn: 0,
            packedOffset: 0)
        self.init(
            table: table, workers: workers, pictures: shape.batch, stage: stage,
            rowStep: sampleRows ? 1 : shape.stride, columnStep: columnStep, halo: shape.kernelHeight,
            outputRows: shape.outputHeight, outputChannels: shape.outputChannels,
            outputCount: shape.outputHeight * shape.outputWidth * shape.outputChannels, phases: [phase],
            flops: shape.flops)
    }

    /// The input gradient: a phase for each pair of residues of the padded input row and column by the stride.
    ///
    /// Input row `h` with `h + padTop = stride*q + r` receives from output row `q - j` through kernel row `r + j*stride`.
    init(inputGradientOf shape: ConvolutionShape, table: KernelTable, workers: Int) {
        let stride = shape.stride
        let maximumRows = (shape.kernelHeight + stride - 1) / stride
        let maximumColumns = (shape.kernelWidth + stride - 1) / stride
        let quotientRows = (shape.inputHeight + shape.padTop + stride - 1) / stride
        let quotientColumns = (shape.inputWidth + shape.padLeft + stride - 1) / stride
        let stage = ConvolutionStage(
            sourceHeight: shape.outputHeight, sourceWidth: shape.outputWidth, channels: shape.outputChannels,
            rowOrigin: 1 - maximumRows, rowSample: 1, columnOrigin: 1 - maximumColumns, columnSample: 1,
            width: quotientColumns + maximumColumns - 1,
            pitch: maximumColumns == 1 ? StagedProduct.pitch(shape.outputChannels) : shape.outputChannels)
        let panels = (shape.inputChannels + table.width - 1) / table.width
        var phases: [Phase] = []
        var packed = 0
        for rowResidue in 0..<stride {
            for columnResidue in 0..<stride {
                let taps = StagedProduct.taps(shape.kernelHeight, stride, rowResidue)
                let tapColumns = StagedProduct.taps(shape.kernelWidth, stride, columnResidue)
                let (rowOrigin, columnOrigin) = (rowResidue - shape.padTop, columnResidue - shape.padLeft)
                let phase = Phase(
                    rows: PoolShape.valid(rowOrigin, stride: stride, extent: shape.inputHeight, outputs: quotientRows),
                    columns: PoolShape.valid(
                        columnOrigin, stride: stride, extent: shape.inputWidth, outputs: quotientColumns),
                    origin: (rowOrigin * shape.inputWidth + columnOrigin) * shape.inputChannels,
                    rowStride: stride * shape.inputWidth * shape.inputChannels,
                    columnStride: stride * shape.inputChannels, taps: taps, depth: tapColumns * shape.outputChannels,
                    stageRow: maximumRows - taps, stageColumn: maximumColumns - tapColumns, packedOffset: packed)
                packed += panels * taps * phase.depth * table.width
                phases.append(phase)
            }
        }
        self.init(
            table: table, workers: workers, pictures: shape.batch, stage: stage, rowStep: 1, columnStep: 1,
            halo: maximumRows, outputRows: quotientRows, outputChannels: shape.inputChannels,
            outputCount: shape.inputHeight * shape.inputWidth * shape.inputChannels, phases: phases,
            flops: shape.flops)
    }

    /// Kernel rows (or columns) of one residue: `residue, residue + stride, ...` below `extent`.
    private static func taps(_ extent: Int, _ stride: Int, _ residue: Int) -> Int {
        residue < extent ? (extent - residue + stride - 1) / stride : 0
    }

    /// Pixels that are a large power of two apart would fall into few sets of the first cache.
    private static func pitch(_ channels: Int) -> Int { channels % 256 == 0 ? channels + 16 : channels }
}

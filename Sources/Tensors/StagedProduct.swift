import CKernels

/// A convolution as products over staged bands: no im2col, accumulators in registers over all taps and channels.
/// Kernel columns and channels are contiguous in a staged row, so they fold into one depth; a tap is a kernel row.
///
/// The forward pass is one phase. The input gradient of stride S is S*S phases, one for each residue of an input pixel's
/// position: each is a convolution of stride 1 over the output gradient with every S-th kernel row and column, so no
/// zeros are inserted and multiplied.
struct StagedProduct: Sendable {
    /// Output pixels that share taps: row `q`, column `p` of the phase lie at
    /// `origin + q*rowStride + p*columnStride` floats of an output picture.
    struct Phase: Sendable {
        var rows, columns: Range<Int>
        var origin, rowStride, columnStride: Int
        /// Kernel rows, and kernel columns * source channels.
        var taps, depth: Int
        /// First staged row and column of pixel (0, 0).
        var stageRow, stageColumn: Int
        /// Where the phase's packed weights begin.
        var packedOffset: Int
    }

    let table: KernelTable
    let workers: Int
    let pictures: Int
    let stage: ConvolutionStage
    /// Staged rows and columns from one output row or column to the next.
    let rowStep, columnStep: Int
    /// Staged rows that one output row reads.
    let halo: Int
    let outputRows: Int
    let outputChannels: Int
    let outputCount: Int
    let phases: [Phase]
    let flops: Int

    /// Floats of all phases' packed weights.
    let packedCount: Int
    /// Output rows of a band, and pictures that share a pass over the weights.
    let bandRows, groupPictures: Int

    /// Staged floats that leave room for a weight panel in a second cache of 1 MiB.
    private static let bandCount = 72 << 10
    private static let groupCount = 168 << 10
    /// Packed weights beyond this do not stay in the second cache: several small pictures share each panel.
    private static let residentCount = 128 << 10
    /// Panels beyond this are passed tap by tap.
    private static let panelCount = 64 << 10

    init(
        table: KernelTable, workers: Int, pictures: Int, stage: ConvolutionStage, rowStep: Int, columnStep: Int,
        halo: Int, outputRows: Int, outputChannels: Int, outputCount: Int, phases: [Phase], flops: Int
    ) {
        self.table = table
        self.workers = workers
        self.pictures = pictures
        self.stage = stage
        self.rowStep = rowStep
        self.columnStep = columnStep
        self.halo = halo
        self.outputRows = outputRows
        self.outputChannels = outputChannels
        self.outputCount = outputCount
        self.phases = phases
        self.flops = flops
        let width = table.width
        let panels = (outputChannels + width - 1) / width
        packedCount = phases.reduce(0) { $0 + $1.taps * $1.depth * panels * width }

        let rowCount = rowStep * stage.rowCount
        let fitting = max(1, (StagedProduct.bandCount - (halo - rowStep) * stage.rowCount) / rowCount)
        // Few pictures: enough bands for every worker.
        let bandsWanted = (4 * workers + pictures) / max(1, pictures)
        bandRows = min(fitting, max(4, (outputRows + bandsWanted - 1) / bandsWanted), outputRows)
        var group = 1
        if packedCount > StagedProduct.residentCount, bandRows == outputRows {
            let pixels = max(1, outputRows * stage.width / columnStep)
            let picture = (outputRows * rowStep + halo) * stage.rowCount
            group = min((196 + pixels - 1) / pixels, StagedProduct.groupCount / picture, pictures / workers)
        }
        groupPictures = max(1, group)
    }

    /// Floats of one worker's staging buffer.
    var stageCount: Int { roundUp(groupPictures * bandCount) }

    private var bandCount: Int { ((bandRows - 1) * rowStep + halo) * stage.rowCount }

    func panelCount(_ phase: Phase) -> Int { phase.taps * phase.depth * table.width }

    /// - Parameters:
    ///   - packed: the weights of all phases, `[panel][tap][depth][width]` each.
    ///   - bias: padded to whole panels, or nil.
    ///   - stages: `workers * stageCount` floats.
    func run(
        source: UnsafePointer<Float>, packed: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        epilogue: Epilogue = .none, output: UnsafeMutablePointer<Float>, stages: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let buffers = Buffers(
            source: source, packed: packed, bias: bias, epilogue: epilogue, output: output, stages: stages)
        let bands = (outputRows + bandRows - 1) / bandRows
        let groups = (pictures + groupPictures - 1) / groupPictures
        context.parallel(tasks: groups * bands, flops: flops) { task, worker in
            let first = task / bands * groupPictures
            let row = task % bands * bandRows
            run(
                first..<min(pictures, first + groupPictures), rows: row..<min(outputRows, row + bandRows),
                stage: buffers.stages + worker * stageCount, buffers)
        }
    }

    private struct Buffers: @unchecked Sendable {
        let source, packed: UnsafePointer<Float>
        let bias: UnsafePointer<Float>?
        let epilogue: Epilogue
        let output, stages: UnsafeMutablePointer<Float>
    }

    private func run(
        _ group: Range<Int>, rows: Range<Int>, stage staged: UnsafeMutablePointer<Float>, _ buffers: Buffers
    ) {
        let firstStaged = rows.lowerBound * rowStep
        let stagedRows = firstStaged..<firstStaged + (rows.count - 1) * rowStep + halo
        let sourceCount = stage.sourceHeight * stage.sourceWidth * stage.channels
        for picture in group {
            stage.fill(
                stagedRows, from: buffers.source + picture * sourceCount,
                to: staged + (picture - group.lowerBound) * bandCount)
        }
        for phase in phases {
            let band = rows.clamped(to: phase.rows)
            guard !band.isEmpty, !phase.columns.isEmpty else { continue }
            let panelCount = panelCount(phase)
            let tapsAtOnce = panelCount > StagedProduct.panelCount ? 1 : max(1, phase.taps)
            for panel in 0..<(outputChannels + table.width - 1) / table.width {
                let weights = buffers.packed + phase.packedOffset + panel * panelCount
                var tap = 0
                repeat {
                    let taps = min(tapsAtOnce, phase.taps - tap)
                    for picture in group {
                        multiply(
                            phase, rows: band, firstRow: rows.lowerBound, panel: panel, weights: weights,
                            taps: tap..<tap + taps,
                            stage: staged + (picture - group.lowerBound) * bandCount,
                            outputOffset: picture * outputCount, buffers)
                    }
                    tap += max(1, taps)
                } while tap < phase.taps
            }
        }
    }

    /// One panel of output channels for the rows of one band of one picture.
    private func multiply(
        _ phase: Phase, rows: Range<Int>, firstRow: Int, panel: Int, weights: UnsafePointer<Float>, taps: Range<Int>,
        stage staged: UnsafePointer<Float>, outputOffset: Int, _ buffers: Buffers
    ) {
        var strip = ck_multiply()
        strip.row_stride = columnStep * stage.pitch
        strip.rows = phase.columns.count
        strip.taps = taps.count
        strip.tap_stride = stage.rowCount
        strip.depth = phase.depth
        strip.depth_stride = 1
        strip.panel = weights + taps.lowerBound * phase.depth * table.width
        strip.accumulate = taps.lowerBound > 0 ? 1 : 0
        strip.bias = buffers.bias.map { $0 + panel * table.width }
        let isLast = taps.upperBound == phase.taps
        strip.relu = isLast && buffers.epilogue.relu ? 1 : 0
        strip.c_stride = phase.columnStride
        strip.columns = min(table.width, outputChannels - panel * table.width)
        let column = (phase.columns.lowerBound * columnStep + phase.stageColumn) * stage.pitch
        let target = outputOffset + phase.origin + phase.columns.lowerBound * phase.columnStride + panel * table.width
        for row in rows {
            let stagedRow = (row - firstRow) * rowStep + phase.stageRow + taps.lowerBound
            strip.a = staged + stagedRow * stage.rowCount + column
            strip.c = buffers.output + target + row * phase.rowStride
            if isLast { strip.residual = buffers.epilogue.residual.map { $0 + target + row * phase.rowStride } }
            table.multiply(&strip)
        }
    }
}

/// Whole cache lines of floats.
func roundUp(_ count: Int) -> Int { count.roundedUp(to: 16) }

extension Int {
    /// The next multiple of `unit`.
    func roundedUp(to unit: Int) -> Int { (self + unit - 1) / unit * unit }
}

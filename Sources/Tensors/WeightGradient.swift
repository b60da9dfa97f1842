import CKernels

/// The weight gradient of a convolution: for every tap, input channel and output channel the sum over all pixels of
/// input * output gradient, in tiles of `gradientRows` input channels x one panel of output channels.
///
/// Rules that make the result independent of workers and scheduling:
/// 1. The pictures are cut into slots by the shape alone; a slot's sums run in the order of its pictures and bands.
/// 2. The slots are added in their order.
/// 3. Where slots are few, channels are cut into groups, one a task. A tile's sum does not depend on its group.
///
/// Few input channels (a first layer) are folded with the kernel's columns, as in ``StagedProduct``.
struct WeightGradient: Sendable {
    let shape: ConvolutionShape
    let table: KernelTable
    let workers: Int

    let isFolded: Bool
    let stage: ConvolutionStage
    let rowStep, columnStep: Int
    let taps: Int
    /// Blocks of `gradientRows` rows per tap, over `depth` rows in all; panels of output channels.
    let depth, blocks, panels: Int
    let slots: Int
    let blockGroups, panelGroups: Int
    /// Output rows that are staged together, and whole pictures where one is small.
    let bandRows, groupPictures: Int

    /// Floats of all slots together, and slots that a machine of many cores can share.
    private static let slotsCount = 1 << 20
    private static let slotsWanted = 16
    private static let tasksPerWorker = 4
    /// Pixels whose panel of output gradients stays in the first cache.
    private static let pixelsAtOnce = 192
    private static let stageLimit = 64 << 10

    init(_ shape: ConvolutionShape, table: KernelTable, workers: Int) {
        self.shape = shape
        self.table = table
        self.workers = workers
        isFolded = shape.inputChannels < table.gradientRows
        let sampleRows = shape.kernelHeight == 1
        let sampleColumns = shape.kernelWidth == 1
        rowStep = sampleRows ? 1 : shape.stride
        columnStep = sampleColumns ? 1 : shape.stride
        stage = ConvolutionStage(
            sourceHeight: shape.inputHeight, sourceWidth: shape.inputWidth, channels: shape.inputChannels,
            rowOrigin: -shape.padTop, rowSample: sampleRows ? shape.stride : 1, columnOrigin: -shape.padLeft,
            columnSample: sampleColumns ? shape.stride : 1,
            width: (shape.outputWidth - 1) * columnStep + shape.kernelWidth, pitch: shape.inputChannels)
        taps = isFolded ? shape.kernelHeight : shape.kernelHeight * shape.kernelWidth
        depth = isFolded ? shape.kernelWidth * shape.inputChannels : shape.inputChannels
        blocks = (depth + table.gradientRows - 1) / table.gradientRows
        panels = (shape.outputChannels + table.width - 1) / table.width

        let slotCount = taps * blocks * panels * table.gradientRows * table.width
        slots = max(1, min(WeightGradient.slotsCount / slotCount, WeightGradient.slotsWanted, shape.batch))
        (blockGroups, panelGroups) = WeightGradient.groups(
            wanted: (WeightGradient.tasksPerWorker * workers + slots - 1) / slots, blocks: isFolded ? 1 : blocks,
            panels: panels, inputCost: depth * rowStep * columnStep, gradientCost: shape.outputChannels)

        bandRows = max(1, min(shape.outputHeight, WeightGradient.pixelsAtOnce / shape.outputWidth))
        let pixels = shape.outputHeight * shape.outputWidth
        let pictureCount = (bandRows * rowStep + shape.kernelHeight) * stage.width * depth
        groupPictures =
            bandRows < shape.outputHeight
            ? 1
            : max(1, min(WeightGradient.pixelsAtOnce / pixels, WeightGradient.stageLimit / pictureCount, shape.batch))
    }

    /// Cuts the channels into `wanted` groups or so. Every group of panels lays out the input for itself, and every group of
    /// blocks the output gradient: the cheapest cut is taken.
    private static func groups(
        wanted: Int, blocks: Int, panels: Int, inputCost: Int, gradientCost: Int
    ) -> (blocks: Int, panels: Int) {
        let cuts = (1...max(1, min(blocks, wanted))).map { (blocks: $0, panels: min(panels, (wanted + $0 - 1) / $0)) }
        let most = cuts.map { min(wanted, $0.blocks * $0.panels) }.max() ?? 1
        return cuts.filter { $0.blocks * $0.panels >= most }
            .min { $0.panels * inputCost + $0.blocks * gradientCost < $1.panels * inputCost + $1.blocks * gradientCost }
            ?? (1, 1)
    }

    /// Floats of scratch memory.
    var workspaceCount: Int { slots * slotCount + workers * (inputStageCount + gradientStageCount) }

    private var tileCount: Int { table.gradientRows * table.width }
    private var slotCount: Int { taps * blocks * panels * tileCount }
    private var stagedRows: Int { (bandRows - 1) * rowStep + shape.kernelHeight }
    private var bandPixels: Int { bandRows * shape.outputWidth }
    /// Floats of one block of one staged picture, and of the picture.
    private var blockCount: Int { stagedRows * stage.width * table.gradientRows }
    private var pictureCount: Int { isFolded ? stagedRows * stage.rowCount : blockCount * blocks }
    private var inputStageCount: Int { roundUp(groupPictures * pictureCount) }
    private var gradientStageCount: Int { groupPictures * panels * bandPixels * table.width }

    func run(
        input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>,
        weightGradient: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        let buffers = Buffers(
            input: input, outputGradient: outputGradient, weightGradient: weightGradient, slots: workspace,
            stages: workspace + slots * slotCount)
        let groups = panelGroups * blockGroups
        context.parallel(tasks: slots * groups, flops: shape.flops) { task, worker in
            let slot = task / groups
            let panelGroup = task % groups / blockGroups
            let blockGroup = task % blockGroups
            let inputs = buffers.stages + worker * (inputStageCount + gradientStageCount)
            let part = Part(
                slot: buffers.slots + slot * slotCount,
                pictures: shape.batch * slot / slots..<shape.batch * (slot + 1) / slots,
                panels: panels * panelGroup / panelGroups..<panels * (panelGroup + 1) / panelGroups,
                blocks: blocks * blockGroup / blockGroups..<blocks * (blockGroup + 1) / blockGroups, inputs: inputs,
                gradients: inputs + inputStageCount)
            sum(part, buffers)
        }
        context.parallel(tasks: panels * taps, flops: 2 * slots * slotCount) { task, _ in
            reduce(panel: task / taps, tap: task % taps, buffers)
        }
    }

    private struct Buffers: @unchecked Sendable {
        let input, outputGradient: UnsafePointer<Float>
        let weightGradient, slots, stages: UnsafeMutablePointer<Float>
    }

    /// What one task sums: some pictures, some channels, and its worker's staging buffers.
    private struct Part {
        let slot: UnsafeMutablePointer<Float>
        let pictures, panels, blocks: Range<Int>
        let inputs, gradients: UnsafeMutablePointer<Float>
    }

    /// A tile's place in a slot: `[panel][tap][block]`.
    private func tile(panel: Int, tap: Int, block: Int) -> Int { ((panel * taps + tap) * blocks + block) * tileCount }

    private func sum(_ part: Part, _ buffers: Buffers) {
        for panel in part.panels {
            for tap in 0..<taps {
                let first = part.slot + tile(panel: panel, tap: tap, block: part.blocks.lowerBound)
                first.update(repeating: 0, count: part.blocks.count * tileCount)
            }
        }
        var first = part.pictures.lowerBound
        while first < part.pictures.upperBound {
            let group = first..<min(part.pictures.upperBound, first + groupPictures)
            var row = 0
            while row < shape.outputHeight {
                let rows = row..<min(shape.outputHeight, row + bandRows)
                for picture in group {
                    stageInput(part, picture: picture, index: picture - first, rows: rows, buffers)
                    stageGradient(part, picture: picture, index: picture - first, rows: rows, buffers)
                }
                correlate(part, pictures: group.count, rows: rows.count)
                row = rows.upperBound
            }
            first = group.upperBound
        }
    }

    /// Folded: `[row][column][channel]`. Otherwise `[block][row][column][gradientRows]`, only the part's blocks.
    private func stageInput(_ part: Part, picture: Int, index: Int, rows: Range<Int>, _ buffers: Buffers) {
        let source = buffers.input + picture * shape.inputHeight * shape.inputWidth * shape.inputChannels
        let target = part.inputs + index * pictureCount
        let firstRow = rows.lowerBound * rowStep
        let staged = firstRow..<firstRow + (rows.count - 1) * rowStep + shape.kernelHeight
        if isFolded { return stage.fill(staged, from: source, to: target) }

        let inside = stage.inside
        let rowCount = stage.width * table.gradientRows
        let firstChannel = part.blocks.lowerBound * table.gradientRows
        let channels = min(shape.inputChannels, part.blocks.upperBound * table.gradientRows) - firstChannel
        for row in staged {
            let line = target + part.blocks.lowerBound * blockCount + (row - firstRow) * rowCount
            let sourceRow = inside.isEmpty ? nil : stage.sourceRow(row)
            let (before, after) = sourceRow == nil ? (stage.width, stage.width) : (inside.lowerBound, inside.upperBound)
            for block in 0..<part.blocks.count {
                let edge = line + block * blockCount
                edge.update(repeating: 0, count: before * table.gradientRows)
                (edge + after * table.gradientRows).update(
                    repeating: 0, count: (stage.width - after) * table.gradientRows)
            }
            guard let sourceRow else { continue }
            let column = stage.columnOrigin + inside.lowerBound * stage.columnSample
            table.stageBlocks(
                source + (sourceRow * shape.inputWidth + column) * shape.inputChannels + firstChannel,
                stride: stage.columnSample * shape.inputChannels, pixels: inside.count, channels: channels,
                block: table.gradientRows, to: line + inside.lowerBound * table.gradientRows, blockStride: blockCount)
        }
    }

    /// `[panel][row][column][width]`, only the part's panels.
    private func stageGradient(_ part: Part, picture: Int, index: Int, rows: Range<Int>, _ buffers: Buffers) {
        let firstChannel = part.panels.lowerBound * table.width
        let channels = min(shape.outputChannels, part.panels.upperBound * table.width) - firstChannel
        let pixel = (picture * shape.outputHeight + rows.lowerBound) * shape.outputWidth
        let panelCount = groupPictures * bandPixels * table.width
        table.stageBlocks(
            buffers.outputGradient + pixel * shape.outputChannels + firstChannel, stride: shape.outputChannels,
            pixels: rows.count * shape.outputWidth, channels: channels, block: table.width,
            to: part.gradients + part.panels.lowerBound * panelCount + index * bandPixels * table.width,
            blockStride: panelCount)
    }

    /// Adds one staged band to all tiles of the part.
    private func correlate(_ part: Part, pictures: Int, rows: Int) {
        var call = ck_correlate()
        let pixelPitch = isFolded ? shape.inputChannels : table.gradientRows
        let rowCount = stage.width * pixelPitch
        call.x_stride = columnStep * pixelPitch
        call.x_row_stride = rowStep * rowCount
        call.rows = rows
        call.pixels = shape.outputWidth
        for panel in part.panels {
            call.columns = min(table.width, shape.outputChannels - panel * table.width)
            let gradients = part.gradients + panel * groupPictures * bandPixels * table.width
            for tap in 0..<taps {
                let tapOffset =
                    isFolded
                    ? tap * rowCount : tap / shape.kernelWidth * rowCount + tap % shape.kernelWidth * pixelPitch
                for block in part.blocks {
                    let blockOffset = block * (isFolded ? table.gradientRows : blockCount)
                    call.height = min(table.gradientRows, depth - block * table.gradientRows)
                    call.tile = part.slot + tile(panel: panel, tap: tap, block: block)
                    for picture in 0..<pictures {
                        call.x = UnsafePointer(part.inputs + picture * pictureCount + tapOffset + blockOffset)
                        call.dy = UnsafePointer(gradients + picture * bandPixels * table.width)
                        table.correlate(&call)
                    }
                }
            }
        }
    }

    /// Adds up the slots of one panel and tap, and turns the tiles to the weight's order.
    private func reduce(panel: Int, tap: Int, _ buffers: Buffers) {
        let kernelCount = shape.kernelHeight * shape.kernelWidth * shape.inputChannels
        let firstChannel = panel * table.width
        for block in 0..<blocks {
            let row = block * table.gradientRows
            table.reduceTile(
                buffers.slots + tile(panel: panel, tap: tap, block: block), slots: slots, slotStride: slotCount,
                height: min(table.gradientRows, depth - row),
                columns: min(table.width, shape.outputChannels - firstChannel),
                to: buffers.weightGradient + firstChannel * kernelCount + tap * depth + row, stride: kernelCount)
        }
    }
}

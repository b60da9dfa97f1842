import CKernels

/// The weight gradient of a 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3): the gradient of the transformed
/// product. For each of 36 points the transformed input `[tile][inputChannel]` and the transformed output gradient
/// `[tile][outputChannel]` are multiplied over all tiles; the 36 sums of a pair of channels are transformed back to
/// nine taps.
///
/// The sums are kept in cells of one panel of output channels x one group of input channels. Two orders of work, chosen
/// by the shape alone:
/// - *by tiles*, where the sums are small: the tiles are cut into slots, each with all sums of its own; a task runs
///   through its slot in blocks that stay in a core's second cache. The slots are added in their order.
/// - *by cells*, where the sums are large: a block of tiles is transformed by all workers, then each cell, a task,
///   takes all of it.
///
/// Slots and blocks depend on the shape alone, and every sum runs in the order of the tiles: workers do not matter.
struct WinogradWeightGradient: Sendable {
    let shape: ConvolutionShape
    let tiles: WinogradTiles
    let table: KernelTable
    let workers: Int

    let isByCells: Bool
    let slots: Int
    let blockTiles: Int

    /// Input channels of a cell: with a panel of output channels and 36 points it fills part of a second cache.
    private static let groupWidth = 64
    /// By tiles: floats of all slots together at most (20 MiB), and slots that a machine of many cores can share; by
    /// cells, where there would be few slots.
    private static let slotsCount = 5 << 20
    private static let usualSlots = 16
    private static let fewSlots = 8
    /// Tiles of a block, whose points stay in the second cache; by cells in the third.
    private static let usualBlock = 28
    private static let largeBlock = 128

    /// Nil where it is not to run by Winograd's way.
    init?(_ shape: ConvolutionShape, table: KernelTable, context: ComputeContext) {
        tiles = WinogradTiles(shape)
        guard context.convolutionMethod.usesWinograd(shape, tiles: tiles) else { return nil }
        self.shape = shape
        self.table = table
        workers = context.workers
        let sums =
            WinogradTiles.points * shape.inputChannels.roundedUp(to: WinogradWeightGradient.groupWidth)
            * shape.outputChannels.roundedUp(to: table.width)
        let fitting = min(
            WinogradWeightGradient.usualSlots, WinogradWeightGradient.slotsCount / sums,
            tiles.count / WinogradWeightGradient.usualBlock)
        isByCells = fitting < WinogradWeightGradient.fewSlots
        slots = isByCells ? 1 : fitting
        let block = isByCells ? WinogradWeightGradient.largeBlock : WinogradWeightGradient.usualBlock
        blockTiles = max(1, min(tiles.count, block))
    }

    private var panels: Int { (shape.outputChannels + table.width - 1) / table.width }
    private var groups: Int {
        (shape.inputChannels + WinogradWeightGradient.groupWidth - 1) / WinogradWeightGradient.groupWidth
    }
    private var cells: Int { panels * groups }
    private var blocks: Int { (tiles.count + blockTiles - 1) / blockTiles }

    /// Input channels of a group.
    private func rows(_ group: Int) -> Int {
        min(WinogradWeightGradient.groupWidth, shape.inputChannels - group * WinogradWeightGradient.groupWidth)
    }

    /// Cache lines that a cell's product reads ahead.
    private func linesAhead(_ cell: Int, tiles: Int) -> Int {
        (rows(cell % groups) + table.rows - 1) / table.rows * tiles
    }

    /// Floats of one point of one cell, and of a cell.
    private var cellPointCount: Int { WinogradWeightGradient.groupWidth * table.width }
    private var cellCount: Int { WinogradTiles.points * cellPointCount }
    /// Floats of one point of one group's or panel's transformed tiles, and of all points of a block.
    private var inputPointCount: Int { blockTiles * WinogradWeightGradient.groupWidth + 16 }
    private var gradientPointCount: Int { blockTiles * table.width + 16 }
    private var inputCount: Int { groups * WinogradTiles.points * inputPointCount }
    private var gradientCount: Int { panels * WinogradTiles.points * gradientPointCount }
    private var scratchCount: Int { 9 * table.gradientRows * table.width }

    private var sumsCount: Int { isByCells && blocks == 1 ? workers * cellCount : slots * cells * cellCount }
    private var blockCount: Int { inputCount + gradientCount }

    /// Floats of scratch memory, for any batch: the slots' sums (20 MiB at most) and 28 transformed tiles for each
    /// worker; or 36 sums for a pair of channels (a cell for each worker, where 128 tiles are all) and 128 transformed
    /// tiles.
    var workspaceCount: Int { sumsCount + (isByCells ? 1 : workers) * blockCount + workers * scratchCount }

    private var flops: Int { 2 * WinogradTiles.points * tiles.count * shape.inputChannels * shape.outputChannels }

    private struct Buffers: @unchecked Sendable {
        let input, outputGradient: UnsafePointer<Float>
        let weightGradient, sums, blocks, scratch: UnsafeMutablePointer<Float>
    }

    func run(
        input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>,
        weightGradient: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        guard tiles.count > 0 else { return weightGradient.update(repeating: 0, count: shape.weightCount) }
        let transformed = workspace + sumsCount
        let buffers = Buffers(
            input: input, outputGradient: outputGradient, weightGradient: weightGradient, sums: workspace,
            blocks: transformed, scratch: transformed + (isByCells ? 1 : workers) * blockCount)
        if isByCells {
            runByCells(buffers, context)
        } else {
            runByTiles(buffers, context)
        }
    }

    private func runByTiles(_ buffers: Buffers, _ context: ComputeContext) {
        context.parallel(tasks: slots, flops: flops) { slot, worker in
            let inputs = buffers.blocks + worker * blockCount
            let sums = buffers.sums + slot * cells * cellCount
            let (start, end) = (tiles.count * slot / slots, tiles.count * (slot + 1) / slots)
            for first in stride(from: start, to: end, by: blockTiles) {
                let block = first..<min(end, first + blockTiles)
                transform(block, at: 0, inputs: inputs, buffers)
                let next = block.upperBound..<min(end, block.upperBound + blockTiles)
                var ahead = ReadAhead(
                    buffers.input, pixels: tiles.newSourcePixels(next), channels: shape.inputChannels,
                    then: buffers.outputGradient, pixels: tiles.newOutputPixels(next), channels: shape.outputChannels)
                for point in 0..<WinogradTiles.points {
                    for cell in 0..<cells {
                        accumulate(
                            cell, point, tiles: block.count, isFirst: first == start, inputs: inputs,
                            sums: sums + cell * cellCount,
                            ahead: ahead.take(lines: linesAhead(cell, tiles: block.count)))
                    }
                }
            }
        }
        context.parallel(tasks: cells, flops: 4 * slots * cells * cellCount) { cell, worker in
            finish(
                cell, sums: buffers.sums + cell * cellCount, scratch: buffers.scratch + worker * scratchCount, buffers)
        }
    }

    private func runByCells(_ buffers: Buffers, _ context: ComputeContext) {
        for first in stride(from: 0, to: tiles.count, by: blockTiles) {
            let block = first..<min(tiles.count, first + blockTiles)
            tiles.parallel(block, channels: shape.inputChannels + shape.outputChannels, context) { some in
                transform(some, at: some.lowerBound - first, inputs: buffers.blocks, buffers)
            }
            context.parallel(tasks: cells, flops: flops / blocks) { cell, worker in
                let sums = buffers.sums + (blocks == 1 ? worker : cell) * cellCount
                for point in 0..<WinogradTiles.points {
                    accumulate(
                        cell, point, tiles: block.count, isFirst: first == 0, inputs: buffers.blocks, sums: sums)
                }
                if block.upperBound == tiles.count {
                    finish(cell, sums: sums, scratch: buffers.scratch + worker * scratchCount, buffers)
                }
            }
        }
    }

    /// Transforms a range of tiles of the input, to `[group][point][tile][groupWidth]`, and of the output gradient, to
    /// `[panel][point][tile][width]`; the first becomes tile `first` of the block.
    private func transform(
        _ range: Range<Int>, at first: Int, inputs: UnsafeMutablePointer<Float>, _ buffers: Buffers
    ) {
        let gradients = inputs + inputCount
        tiles.forEach(range) { index, picture, row, column in
            var (tile, offset) = tiles.sourceTile(
                picture: picture, row: row, column: column, channels: shape.inputChannels)
            tile.x = buffers.input + offset
            tile.out = inputs + (first + index) * WinogradWeightGradient.groupWidth
            tile.point_stride = inputPointCount
            tile.block = WinogradWeightGradient.groupWidth
            tile.block_stride = WinogradTiles.points * inputPointCount
            table.winogradInput(&tile)
        }
        tiles.forEach(range) { index, picture, row, column in
            var (tile, offset) = tiles.outputTile(
                picture: picture, row: row, column: column, channels: shape.outputChannels)
            tile.x = buffers.outputGradient + offset
            tile.out = gradients + (first + index) * table.width
            tile.point_stride = gradientPointCount
            tile.block = table.width
            tile.block_stride = WinogradTiles.points * gradientPointCount
            table.winogradGradient(&tile)
        }
    }

    /// Adds one block's product of one point to a cell.
    private func accumulate(
        _ cell: Int, _ point: Int, tiles: Int, isFirst: Bool, inputs: UnsafePointer<Float>,
        sums: UnsafeMutablePointer<Float>, ahead: UnsafePointer<Float>? = nil
    ) {
        let (panel, group) = (cell / groups, cell % groups)
        var strip = ck_multiply()
        strip.a = inputs + (group * WinogradTiles.points + point) * inputPointCount
        strip.row_stride = 1
        strip.rows = rows(group)
        strip.taps = 1
        strip.depth = tiles
        strip.depth_stride = WinogradWeightGradient.groupWidth
        strip.panel = inputs + inputCount + (panel * WinogradTiles.points + point) * gradientPointCount
        strip.accumulate = isFirst ? 0 : 1
        strip.c = sums + point * cellPointCount
        strip.c_stride = table.width
        strip.columns = table.wholeVectors(shape.outputChannels - panel * table.width)
        // Sums that are added to travel from afar; those that begin do not.
        strip.prefetch_stride = 16
        strip.prefetch = ahead ?? (isFirst ? strip.a + inputPointCount : UnsafePointer(strip.c + cellPointCount))
        table.multiply(&strip)
    }

    /// Adds up a cell's slots, transforms the sums back and puts the taps to their places in the weight gradient.
    private func finish(
        _ cell: Int, sums: UnsafePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ buffers: Buffers
    ) {
        let (panel, group) = (cell / groups, cell % groups)
        let firstOutput = panel * table.width
        let firstInput = group * WinogradWeightGradient.groupWidth
        let rows = rows(group)
        for row in stride(from: 0, to: rows, by: table.gradientRows) {
            let height = min(table.gradientRows, rows - row)
            table.winogradWeightGradient(
                sums + row * table.width, pointStride: cellPointCount, slots: slots, slotStride: cells * cellCount,
                count: height * table.width, to: scratch, tapStride: table.gradientRows * table.width)
            for tap in 0..<9 {
                let place = (firstOutput * 9 + tap) * shape.inputChannels + firstInput + row
                table.reduceTile(
                    scratch + tap * table.gradientRows * table.width, slots: 1, slotStride: 0, height: height,
                    columns: min(table.width, shape.outputChannels - firstOutput),
                    to: buffers.weightGradient + place, stride: 9 * shape.inputChannels)
            }
        }
    }
}

import CKernels

/// The forward pass or the input gradient of a 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray
/// 2016, arXiv 1509.09308, sections 4.1 and 4.3): 2.25 multiplications for an output and channel where the direct way
/// takes 9.
///
/// Source tiles are transformed to 36 points, each point's matrix `[tile][channel]` is multiplied with the transformed
/// weights, and the products are transformed back. Two orders of work, chosen by the shape alone:
/// - *tiles first*: all weights are transformed once, then blocks of tiles run through all three steps, small enough
///   for a core's second cache;
/// - *weights first*, where tiles are few or the transformed weights larger than a third cache: all tiles are
///   transformed, then each panel of output channels transforms its weights for itself and uses them at once.
///
/// Every element is summed over the channels in their order, whatever the cuts, so that workers do not matter.
struct WinogradProduct: Sendable {
    let tiles: WinogradTiles
    let weights: WinogradWeights
    let table: KernelTable
    let workers: Int

    let isWeightsFirst: Bool
    /// Tiles of a block, and panels whose products a block makes before they are transformed back.
    let blockTiles, groupPanels: Int

    /// Tiles whose points fill half of a second cache of 1 MiB at 128 channels; half of them where blocks are few.
    private static let usualBlock = 28
    private static let fewBlocks = 16
    /// Channels of products that a block holds at once.
    private static let groupChannels = 128
    /// Weights first: up to so many tiles in all, or where the transformed weights take more floats than this (16 MiB);
    /// in blocks of so many tiles.
    private static let fewTiles = 64
    private static let largeWeights = 4 << 20
    private static let largeBlock = 128

    /// The forward pass, or nil where it is not to run by Winograd's way.
    init?(forwardOf shape: ConvolutionShape, table: KernelTable, context: ComputeContext) {
        self.init(
            shape, tiles: WinogradTiles(shape),
            weights: WinogradWeights(
                table: table, depth: shape.inputChannels, columns: shape.outputChannels, isTurned: false),
            context: context)
    }

    /// The input gradient: a convolution of the output gradient with the kernel turned by 180 degrees, or nil as above.
    init?(inputGradientOf shape: ConvolutionShape, table: KernelTable, context: ComputeContext) {
        self.init(
            shape, tiles: WinogradTiles(inputGradientOf: shape),
            weights: WinogradWeights(
                table: table, depth: shape.outputChannels, columns: shape.inputChannels, isTurned: true),
            context: context)
    }

    private init?(
        _ shape: ConvolutionShape, tiles: WinogradTiles, weights: WinogradWeights, context: ComputeContext
    ) {
        guard context.convolutionMethod.usesWinograd(shape, tiles: tiles) else { return nil }
        self.tiles = tiles
        self.weights = weights
        workers = context.workers
        table = weights.table
        isWeightsFirst =
            tiles.count <= WinogradProduct.fewTiles
            || weights.panels * weights.panelCount > WinogradProduct.largeWeights
        if isWeightsFirst {
            blockTiles = max(1, min(tiles.count, WinogradProduct.largeBlock))
            groupPanels = 1
        } else {
            let usual = WinogradProduct.usualBlock
            blockTiles = tiles.count < WinogradProduct.fewBlocks * usual ? usual / 2 : usual
            groupPanels = min(weights.panels, max(1, WinogradProduct.groupChannels / table.width))
        }
    }

    /// Floats of scratch memory, for any batch: the transformed weights (36 for a pair of channels) and 28 tiles with
    /// their products for each worker; or 128 tiles (36 floats for a tile and channel) and one panel of weights with
    /// its products for each worker.
    var workspaceCount: Int {
        isWeightsFirst
            ? blockCount + workers * (weights.panelCount + productCount + weights.scratchCount)
            : weights.panels * weights.panelCount + workers * (blockCount + productCount + weights.scratchCount)
    }

    /// Floats from one tile to the next: channels filled up to whole vectors, and apart from large powers of two, which
    /// would meet in few sets of the first cache.
    private var pitch: Int {
        let whole = weights.depth.roundedUp(to: table.width)
        return whole % 256 == 0 ? whole + 16 : whole
    }
    private var productPitch: Int { groupPanels * table.width }
    /// Floats from one point to the next; a transform writes to all 36 at once.
    private var pointStride: Int { blockTiles * pitch + 16 }
    private var productStride: Int { blockTiles * productPitch + 16 }
    private var blockCount: Int { WinogradTiles.points * pointStride }
    private var productCount: Int { WinogradTiles.points * productStride }

    private var flops: Int { 2 * WinogradTiles.points * tiles.count * weights.depth * weights.columns }

    private struct Buffers: @unchecked Sendable {
        let source, weight: UnsafePointer<Float>
        let bias: UnsafePointer<Float>?
        let epilogue: Epilogue
        let output, workspace: UnsafeMutablePointer<Float>
    }

    /// - Parameters:
    ///   - source: the input, or for the input gradient the output gradient, NHWC.
    ///   - weight: `[outputChannels][3][3][inputChannels]` of the convolution.
    ///   - bias: filled up to whole panels, or nil.
    ///   - workspace: ``workspaceCount`` floats.
    func run(
        source: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        epilogue: Epilogue = .none, output: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let buffers = Buffers(
            source: source, weight: weight, bias: bias, epilogue: epilogue, output: output, workspace: workspace)
        if isWeightsFirst {
            runWeightsFirst(buffers, context)
        } else {
            runTilesFirst(buffers, context)
        }
    }

    private func runTilesFirst(_ buffers: Buffers, _ context: ComputeContext) {
        let packed = SharedPointer(buffers.workspace)
        let locals = weights.panels * weights.panelCount
        let localCount = blockCount + productCount + weights.scratchCount
        context.parallel(tasks: weights.panels, flops: 8 * weights.panels * weights.panelCount) { panel, worker in
            weights.transform(
                panel: panel, weight: buffers.weight, into: packed.pointer + panel * weights.panelCount,
                scratch: packed.pointer + locals + worker * localCount)
        }
        context.parallel(tasks: (tiles.count + blockTiles - 1) / blockTiles, flops: flops) { task, worker in
            let block = task * blockTiles..<min(tiles.count, (task + 1) * blockTiles)
            let transformed = packed.pointer + locals + worker * localCount
            transformSource(block, at: 0, to: transformed, buffers)
            multiply(block, transformed, products: transformed + blockCount, buffers)
        }
    }

    private func runWeightsFirst(_ buffers: Buffers, _ context: ComputeContext) {
        let transformed = SharedPointer(buffers.workspace)
        let localCount = weights.panelCount + productCount + weights.scratchCount
        for first in stride(from: 0, to: tiles.count, by: blockTiles) {
            let block = first..<min(tiles.count, first + blockTiles)
            tiles.parallel(block, channels: weights.depth, context) { some in
                transformSource(some, at: some.lowerBound - first, to: transformed.pointer, buffers)
            }
            context.parallel(tasks: weights.panels, flops: flops) { panel, worker in
                let packed = transformed.pointer + blockCount + worker * localCount
                let products = packed + weights.panelCount
                weights.transform(
                    panel: panel, weight: buffers.weight, into: packed, scratch: products + productCount)
                for point in 0..<WinogradTiles.points {
                    let weight = packed + point * weights.pointCount
                    multiply(
                        point, panel: panel, tiles: block.count, transformed.pointer, weight: weight, products,
                        ahead: transformed.pointer + (point + 1) * pointStride)
                }
                transformProducts(block, panels: panel..<panel + 1, products, buffers)
            }
        }
    }

    // MARK: - Steps

    /// Transforms a range of source tiles; the first becomes tile `first` of the block.
    private func transformSource(
        _ range: Range<Int>, at first: Int, to transformed: UnsafeMutablePointer<Float>, _ buffers: Buffers
    ) {
        tiles.forEach(range) { index, picture, row, column in
            var (tile, offset) = tiles.sourceTile(
                picture: picture, row: row, column: column, channels: weights.depth)
            tile.x = buffers.source + offset
            tile.out = transformed + (first + index) * pitch
            tile.point_stride = pointStride
            tile.block = pitch
            table.winogradInput(&tile)
        }
    }

    /// A block's products with all weights, and their way back. They read ahead what the transforms after them touch:
    /// the block's output, where all of it is written at once, and the next block's source.
    private func multiply(
        _ block: Range<Int>, _ transformed: UnsafeMutablePointer<Float>, products: UnsafeMutablePointer<Float>,
        _ buffers: Buffers
    ) {
        let packed = UnsafePointer(buffers.workspace)
        let own = groupPanels == weights.panels ? tiles.newOutputPixels(block) : 0..<0
        let next = tiles.newSourcePixels(block.upperBound..<min(tiles.count, block.upperBound + blockTiles))
        var ahead = ReadAhead(
            buffers.output, pixels: own, channels: weights.columns, then: buffers.source, pixels: next,
            channels: weights.depth)
        let lines = (block.count + table.rows - 1) / table.rows * weights.depth
        for first in stride(from: 0, to: weights.panels, by: groupPanels) {
            let group = first..<min(weights.panels, first + groupPanels)
            for point in 0..<WinogradTiles.points {
                for panel in group {
                    let weight = packed + panel * weights.panelCount + point * weights.pointCount
                    multiply(
                        point, panel: panel, tiles: block.count, transformed, weight: weight,
                        products + (panel - first) * table.width,
                        ahead: ahead.take(lines: lines) ?? weight + weights.pointCount)
                }
            }
            transformProducts(block, panels: group, products, buffers)
        }
    }

    /// One point's product with one panel.
    private func multiply(
        _ point: Int, panel: Int, tiles: Int, _ transformed: UnsafePointer<Float>, weight: UnsafePointer<Float>,
        _ products: UnsafeMutablePointer<Float>, ahead: UnsafePointer<Float>
    ) {
        var strip = ck_multiply()
        strip.a = transformed + point * pointStride
        strip.row_stride = pitch
        strip.rows = tiles
        strip.taps = 1
        strip.depth = weights.depth
        strip.depth_stride = 1
        strip.panel = weight
        strip.c = products + point * productStride
        strip.c_stride = productPitch
        strip.columns = table.wholeVectors(weights.columns - panel * table.width)
        strip.prefetch_stride = 16
        strip.prefetch = ahead
        table.multiply(&strip)
    }

    private func transformProducts(
        _ block: Range<Int>, panels: Range<Int>, _ products: UnsafePointer<Float>, _ buffers: Buffers
    ) {
        let first = panels.lowerBound * table.width
        var result = ck_winograd_result()
        result.point_stride = productStride
        result.channels = min(weights.columns, panels.upperBound * table.width) - first
        result.bias = buffers.bias.map { $0 + first }
        result.relu = buffers.epilogue.relu ? 1 : 0
        result.row_stride = tiles.outputWidth * weights.columns
        result.pixel_stride = weights.columns
        tiles.forEach(block) { index, picture, row, column in
            let pixel = (picture * tiles.outputHeight + row) * tiles.outputWidth + column
            let place = pixel * weights.columns + first
            result.products = products + index * productPitch
            result.rows = min(WinogradTiles.outputs, tiles.outputHeight - row)
            result.columns = min(WinogradTiles.outputs, tiles.outputWidth - column)
            result.residual = buffers.epilogue.residual.map { $0 + place }
            result.y = buffers.output + place
            table.winogradOutput(&result)
        }
    }
}

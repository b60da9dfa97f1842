import CKernels

/// How Winograd's F(4x4, 3x3) cuts the output planes of a batch: into tiles of 4 x 4 pixels, each with the 6 x 6 source
/// pixels under it. Tiles are numbered `[picture][row][column]`, so that a block of them may span pictures; tiles at
/// the right and lower edge may reach beyond the plane.
struct WinogradTiles: Sendable {
    let pictures: Int
    /// Source and output planes, and the zeros before the source's first row and column.
    let sourceHeight, sourceWidth, outputHeight, outputWidth: Int
    let padTop, padLeft: Int

    /// Points that a tile is transformed to.
    static let points = 36
    /// Output rows and columns of a tile, and source rows and columns under it.
    static let outputs = 4, inputs = 6

    var rows: Int { (outputHeight + WinogradTiles.outputs - 1) / WinogradTiles.outputs }
    var columns: Int { (outputWidth + WinogradTiles.outputs - 1) / WinogradTiles.outputs }
    var count: Int { pictures * rows * columns }

    /// Tiles of the forward pass.
    init(_ shape: ConvolutionShape) {
        pictures = shape.batch
        (sourceHeight, sourceWidth) = (shape.inputHeight, shape.inputWidth)
        (outputHeight, outputWidth) = (shape.outputHeight, shape.outputWidth)
        (padTop, padLeft) = (shape.padTop, shape.padLeft)
    }

    /// Tiles of the input gradient: the output gradient is the source, padded to what the kernel reached over the edge.
    init(inputGradientOf shape: ConvolutionShape) {
        pictures = shape.batch
        (sourceHeight, sourceWidth) = (shape.outputHeight, shape.outputWidth)
        (outputHeight, outputWidth) = (shape.inputHeight, shape.inputWidth)
        (padTop, padLeft) = (shape.kernelHeight - 1 - shape.padTop, shape.kernelWidth - 1 - shape.padLeft)
    }

    /// Runs `body` for the tiles of a range, in order, with each tile's picture and its first output row and column.
    @inline(__always)
    func forEach(_ tiles: Range<Int>, _ body: (_ index: Int, _ picture: Int, _ row: Int, _ column: Int) -> Void) {
        var picture = tiles.lowerBound / (rows * columns)
        var row = tiles.lowerBound / columns % rows
        var column = tiles.lowerBound % columns
        for index in 0..<tiles.count {
            body(index, picture, WinogradTiles.outputs * row, WinogradTiles.outputs * column)
            column += 1
            if column == columns { (row, column) = (row + 1, 0) }
            if row == rows { (picture, row) = (picture + 1, 0) }
        }
    }

    /// Runs `body` on a block of tiles, a few at a time, in parallel where that is worth it.
    func parallel(
        _ block: Range<Int>, channels: Int, _ context: ComputeContext, _ body: @Sendable (_ some: Range<Int>) -> Void
    ) {
        let few = 8
        // A transform is about 16 operations for a point and channel, bound by memory.
        let flops = 16 * WinogradTiles.points * block.count * channels
        context.parallel(tasks: (block.count + few - 1) / few, flops: flops) { task, _ in
            let first = block.lowerBound + task * few
            body(first..<min(block.upperBound, first + few))
        }
    }

    // MARK: - Pixels of a tile

    /// The source pixels under a tile, but for `x` and where the points go; and the offset of the first pixel inside, in
    /// floats from the tensor's beginning.
    func sourceTile(picture: Int, row: Int, column: Int, channels: Int) -> (tile: ck_winograd_tile, offset: Int) {
        tile(
            picture: picture, row: row - padTop, column: column - padLeft, extent: WinogradTiles.inputs,
            height: sourceHeight, width: sourceWidth, channels: channels)
    }

    /// The output pixels of a tile, likewise: for an output gradient that is to be transformed.
    func outputTile(picture: Int, row: Int, column: Int, channels: Int) -> (tile: ck_winograd_tile, offset: Int) {
        tile(
            picture: picture, row: row, column: column, extent: WinogradTiles.outputs, height: outputHeight,
            width: outputWidth, channels: channels)
    }

    private func tile(
        picture: Int, row: Int, column: Int, extent: Int, height: Int, width: Int, channels: Int
    ) -> (tile: ck_winograd_tile, offset: Int) {
        var tile = ck_winograd_tile()
        tile.first_row = min(extent, max(0, -row))
        tile.row_end = max(tile.first_row, min(extent, height - row))
        tile.first_column = min(extent, max(0, -column))
        tile.column_end = max(tile.first_column, min(extent, width - column))
        tile.row_stride = width * channels
        tile.pixel_stride = channels
        tile.channels = channels
        // A tile all in the padding reads nothing; its place is kept inside of the tensor all the same.
        let first = (row: min(height - 1, row + tile.first_row), column: min(width - 1, column + tile.first_column))
        return (tile, ((picture * height + first.row) * width + first.column) * channels)
    }

    // MARK: - Reading ahead

    /// Source pixels that a range of tiles needs and the tiles before it do not, numbered from the tensor's beginning
    /// and rounded to whole rows of the plane.
    func newSourcePixels(_ tiles: Range<Int>) -> Range<Int> {
        newPixels(tiles, height: sourceHeight, width: sourceWidth, reach: WinogradTiles.inputs - padTop)
    }

    /// Output pixels of a range of tiles, likewise.
    func newOutputPixels(_ tiles: Range<Int>) -> Range<Int> {
        newPixels(tiles, height: outputHeight, width: outputWidth, reach: WinogradTiles.outputs)
    }

    private func newPixels(_ tiles: Range<Int>, height: Int, width: Int, reach: Int) -> Range<Int> {
        func end(_ tile: Int) -> Int {
            let row = tile % (rows * columns) / columns
            let rowsReached = min(height, max(0, WinogradTiles.outputs * row + reach))
            return (tile / (rows * columns) * height + rowsReached) * width
        }
        guard !tiles.isEmpty else { return 0..<0 }
        let start = tiles.lowerBound == 0 ? 0 : end(tiles.lowerBound - 1)
        return start..<max(start, end(tiles.upperBound - 1))
    }
}

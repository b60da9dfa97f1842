import CKernels
import Glibc

/// The kernels of one instruction set, with the calls that Swift makes on them.
/// Sound to share: the table is a constant.
struct KernelTable: @unchecked Sendable {
    private let functions: UnsafePointer<ck_kernels>
    /// Columns of a weight panel.
    let width: Int
    /// Rows of the largest tile of a product, and of a weight gradient.
    let rows, gradientRows: Int

    /// - Precondition: the processor supports it.
    init(_ instructionSet: InstructionSet) {
        functions = instructionSet.kernels
        width = functions.pointee.width
        rows = functions.pointee.rows
        gradientRows = functions.pointee.gradient_rows
    }

    /// Columns of a panel that a product has to make for the last `columns` of a matrix: one vector, or both.
    func wholeVectors(_ columns: Int) -> Int { columns <= width / 2 ? width / 2 : width }

    @inline(__always)
    func multiply(_ strip: inout ck_multiply) { functions.pointee.multiply(&strip) }

    @inline(__always)
    func correlate(_ tile: inout ck_correlate) { functions.pointee.correlate(&tile) }

    /// `panel[k][j] = source[j*stride + k]`, filled up with zero columns.
    func packTransposed(
        _ source: UnsafePointer<Float>, stride: Int, depth: Int, columns: Int, panel: UnsafeMutablePointer<Float>
    ) {
        functions.pointee.pack_transposed(source, stride, depth, columns, panel)
    }

    /// `panel[k][j] = source[k*stride + j]`, filled up with zero columns.
    func packRows(
        _ source: UnsafePointer<Float>, stride: Int, depth: Int, columns: Int, panel: UnsafeMutablePointer<Float>
    ) {
        for k in 0..<depth {
            let row = panel + k * width
            memcpy(row, source + k * stride, columns * MemoryLayout<Float>.stride)
            for j in columns..<width { row[j] = 0 }
        }
    }

    /// Adds to the sums of columns and of their squares, see `ck_kernels.moments`.
    func moments(_ x: UnsafePointer<Float>, rows: Int, channels: Int, sums: UnsafeMutablePointer<Double>) {
        functions.pointee.moments(x, rows, channels, sums)
    }

    /// Splits the channels of `pixels` into blocks, see `ck_kernels.stage_blocks`.
    func stageBlocks(
        _ source: UnsafePointer<Float>, stride: Int, pixels: Int, channels: Int, block: Int,
        to target: UnsafeMutablePointer<Float>, blockStride: Int
    ) {
        functions.pointee.stage_blocks(source, stride, pixels, channels, block, target, blockStride)
    }

    /// Adds a tile's slots and turns it, see `ck_kernels.reduce_tile`.
    func reduceTile(
        _ tile: UnsafePointer<Float>, slots: Int, slotStride: Int, height: Int, columns: Int,
        to target: UnsafeMutablePointer<Float>, stride: Int
    ) {
        functions.pointee.reduce_tile(tile, slots, slotStride, height, columns, target, stride)
    }

    // Winograd's transforms, see `ck_kernels`.

    @inline(__always)
    func winogradInput(_ tile: inout ck_winograd_tile) { functions.pointee.winograd_input(&tile) }

    @inline(__always)
    func winogradGradient(_ tile: inout ck_winograd_tile) { functions.pointee.winograd_gradient(&tile) }

    @inline(__always)
    func winogradOutput(_ tile: inout ck_winograd_result) { functions.pointee.winograd_output(&tile) }

    func winogradWeight(
        _ taps: UnsafePointer<Float>, tapStride: Int, count: Int, to target: UnsafeMutablePointer<Float>,
        pointStride: Int
    ) {
        functions.pointee.winograd_weight(taps, tapStride, count, target, pointStride)
    }

    func winogradWeightGradient(
        _ sums: UnsafePointer<Float>, pointStride: Int, slots: Int, slotStride: Int, count: Int,
        to taps: UnsafeMutablePointer<Float>, tapStride: Int
    ) {
        functions.pointee.winograd_weight_gradient(sums, pointStride, slots, slotStride, count, taps, tapStride)
    }
}

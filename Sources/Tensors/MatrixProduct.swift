import CKernels
import Glibc

/// What a product does to its finished sums, on their way to memory: adds a residual of the output's shape, then
/// max(0, .).
package struct Epilogue: @unchecked Sendable {
    package var residual: UnsafePointer<Float>?
    package var relu: Bool

    package static let none = Epilogue(residual: nil, relu: false)

    package init(residual: UnsafePointer<Float>?, relu: Bool) {
        self.residual = residual
        self.relu = relu
    }
}

/// One matrix product `c = a * b`, cut into panels of `b` (packed first) and strips of rows (the parallel tasks).
/// Every element is summed in the order of the depth, wherever the cuts lie. See `Kernels.matrixMultiply` for shapes.
struct MatrixProduct: @unchecked Sendable {
    let table: KernelTable
    let m, n, k: Int
    let a: UnsafePointer<Float>
    let aRowStride, aDepthStride: Int
    let b: UnsafePointer<Float>
    let transposeB: Bool
    let bias: UnsafePointer<Float>?
    let c: UnsafeMutablePointer<Float>
    let accumulate: Bool
    let epilogue: Epilogue
    /// Where the sums of each column and of its squares go, `2 * n` for each of ``RowBlocks``; or nil.
    let moments: UnsafeMutablePointer<Double>?
    /// Scratch: `b` in panels `[panel][k][width]`; a strip of `a` for each worker.
    let packed, strips: UnsafeMutablePointer<Float>

    /// Depth of one pass: a panel of this depth stays in the second cache while the strip's tiles pass over it.
    private static let depthBlock = 384
    /// Tiles of rows in a strip: their rows of `a` stay in the second cache while all panels pass over them.
    private static let stripTiles = 4
    /// Floats of all panels that stay in a second cache of 1 MiB beside the strip.
    private static let residentCount = 128 << 10
    /// Copied rows lie this much further apart, so that they do not compete for one set of the first cache.
    private static let skew = 16

    /// Floats of one worker's copy of a strip.
    static func stripCount(_ table: KernelTable) -> Int { stripTiles * table.rows * (depthBlock + skew) }

    private var panels: Int { (n + table.width - 1) / table.width }

    /// Rows a multiple of 2 KiB apart meet in two sets of the first cache.
    private var copiesRows: Bool { aDepthStride == 1 && k % 512 == 0 && n > table.width }

    func run(_ context: ComputeContext) {
        let flops = 2 * m * n * k
        context.parallel(tasks: panels, flops: flops / 4) { panel, _ in pack(panel) }
        if let moments = moments.map({ SharedPointer($0) }) {
            let blocks = RowBlocks(m)
            return context.parallel(tasks: blocks.count, flops: flops) { block, worker in
                let sums = moments.pointer + block * 2 * n
                sums.update(repeating: 0, count: 2 * n)
                multiply(blocks[block], worker: worker, sums: sums)
            }
        }
        let strips = (m + stripRows - 1) / stripRows
        // Several strips a task, so that a strip can read ahead for the next.
        let stripsPerTask = max(1, min(8, strips / (4 * context.workers)))
        let rows = stripsPerTask * stripRows
        context.parallel(tasks: (m + rows - 1) / rows, flops: flops) { task, worker in
            multiply(task * rows..<min(m, (task + 1) * rows), worker: worker, sums: nil)
        }
    }

    private var stripRows: Int { MatrixProduct.stripTiles * table.rows }

    /// Rows strip by strip; a strip is summed while it lies in the second cache.
    private func multiply(_ rows: Range<Int>, worker: Int, sums: UnsafeMutablePointer<Double>?) {
        var first = rows.lowerBound
        while first < rows.upperBound {
            let next = min(rows.upperBound, first + stripRows)
            multiply(first..<next, next: next < rows.upperBound ? next : nil, worker: worker)
            if let sums { table.moments(c + first * n, rows: next - first, channels: n, sums: sums) }
            first = next
        }
    }

    /// The last panel is filled up with zeros.
    private func pack(_ panel: Int) {
        let first = panel * table.width
        let columns = min(table.width, n - first)
        let target = packed + first * k
        if transposeB {
            table.packTransposed(b + first * k, stride: k, depth: k, columns: columns, panel: target)
        } else {
            table.packRows(b + first, stride: n, depth: k, columns: columns, panel: target)
        }
    }

    private func multiply(_ rows: Range<Int>, next: Int?, worker: Int) {
        var strip = ck_multiply()
        strip.rows = rows.count
        strip.taps = 1
        strip.c_stride = n
        var depth = 0
        repeat {
            strip.depth = min(MatrixProduct.depthBlock, k - depth)
            strip.accumulate = accumulate || depth > 0 ? 1 : 0
            strip.a = a + rows.lowerBound * aRowStride + depth * aDepthStride
            strip.row_stride = aRowStride
            strip.depth_stride = aDepthStride
            if copiesRows {
                let copy = strips + worker * MatrixProduct.stripCount(table)
                strip.row_stride = MatrixProduct.depthBlock + MatrixProduct.skew
                for row in 0..<rows.count {
                    memcpy(
                        copy + row * strip.row_stride, strip.a + row * aRowStride,
                        strip.depth * MemoryLayout<Float>.stride)
                }
                strip.a = UnsafePointer(copy)
            }
            for panel in 0..<panels {
                let first = panel * table.width
                strip.columns = min(table.width, n - first)
                strip.panel = UnsafePointer(packed + first * k + depth * table.width)
                strip.c = c + rows.lowerBound * n + first
                if depth + strip.depth >= k {
                    strip.residual = epilogue.residual.map { $0 + rows.lowerBound * n + first }
                    strip.relu = epilogue.relu ? 1 : 0
                }
                readAhead(&strip, panel: panel, depth: depth, nextStrip: next)
                multiply(&strip, bias: bias.map { $0 + first })
            }
            depth += strip.depth
        } while depth < k
    }

    /// What a pass reads ahead: the next strip, as far as it lies in one piece, or the panel of the next pass. Panels that stay
    /// in the second cache need it less than the strip, which all passes then share; of large ones only the first pass does.
    private func readAhead(_ strip: inout ck_multiply, panel: Int, depth: Int, nextStrip next: Int?) {
        strip.prefetch_stride = 16
        let isSpread = panels * table.width * k <= MatrixProduct.residentCount
        if let next, aDepthStride == 1, !copiesRows, depth == 0, isSpread || panel == 0 {
            if isSpread { strip.prefetch_stride = (table.rows + panels - 1) / panels }
            let tiles = (strip.rows + table.rows - 1) / table.rows
            strip.prefetch = a + next * aRowStride + panel * strip.prefetch_stride * tiles * strip.depth
        } else if panel + 1 < panels {
            strip.prefetch = UnsafePointer(packed + (panel + 1) * table.width * k + depth * table.width)
        } else {
            let end = depth + strip.depth
            strip.prefetch = end < k ? UnsafePointer(packed + end * table.width) : nil
        }
    }

    /// A panel at the right edge needs its bias filled up to the panel's width.
    private func multiply(_ strip: inout ck_multiply, bias: UnsafePointer<Float>?) {
        strip.bias = bias
        guard let bias, strip.columns < table.width else { return table.multiply(&strip) }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: table.width) { whole in
            for j in 0..<table.width { whole[j] = j < strip.columns ? bias[j] : 0 }
            strip.bias = UnsafePointer(whole.baseAddress)
            table.multiply(&strip)
        }
        strip.bias = nil
    }
}

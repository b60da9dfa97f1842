import CKernels

extension Kernels {
    /// Floats of workspace for a matrix product: the packed copy of `b`.
    package static func matrixMultiplyWorkspaceCount(n: Int, k: Int, context: ComputeContext) -> Int {
        let width = context.instructionSet.table.width
        return (n + width - 1) / width * width * k
    }

    /// `c = op(a) * op(b)`, or `c += ...` where `accumulate` is set; row-major, without gaps.
    /// - Parameters:
    ///   - m, n, k: `c` is `[m][n]`, `op(a)` is `[m][k]`, `op(b)` is `[k][n]`.
    ///   - a: `[m][k]`, or `[k][m]` with `transposeA`.
    ///   - b: `[k][n]`, or `[n][k]` with `transposeB`.
    ///   - bias: `[n]`, added to every row (not together with `accumulate`).
    ///   - workspace: ``matrixMultiplyWorkspaceCount(n:k:context:)`` floats.
    package static func matrixMultiply(
        m: Int, n: Int, k: Int, a: UnsafePointer<Float>, transposeA: Bool = false, b: UnsafePointer<Float>,
        transposeB: Bool = false, bias: UnsafePointer<Float>? = nil, c: UnsafeMutablePointer<Float>,
        accumulate: Bool = false, workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        precondition(bias == nil || !accumulate, "a bias starts a sum; it cannot be added to one")
        guard m > 0, n > 0 else { return }
        let product = MatrixProduct(
            table: KernelTable(context.instructionSet), m: m, n: n, k: k, a: a,
            aRowStride: transposeA ? 1 : k, aDepthStride: transposeA ? m : 1, b: b, transposeB: transposeB,
            bias: bias, c: c, accumulate: accumulate, packed: workspace)
        product.run(context)
    }
}

/// One matrix product, cut into panels of `b` (packed first) and strips of rows (the parallel tasks).
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
    let packed: UnsafeMutablePointer<Float>

    /// Depth of one pass: a panel of this depth (32 KiB at width 32) stays in the first or second cache.
    private static let depthBlock = 256

    private var width: Int { table.width }
    private var panels: Int { (n + width - 1) / width }

    func run(_ context: ComputeContext) {
        let flops = 2 * m * n * k
        context.parallel(tasks: panels, flops: flops / 4) { panel, _ in pack(panel) }
        // Strips of whole tiles, few enough for their rows of `a` to stay in the second cache.
        let tiles = (m + table.rows - 1) / table.rows
        let tilesPerStrip = max(1, min(8, tiles / (4 * context.workers)))
        let rows = tilesPerStrip * table.rows
        context.parallel(tasks: (m + rows - 1) / rows, flops: flops) { strip, _ in
            multiply(firstRow: strip * rows, rows: min(rows, m - strip * rows))
        }
    }

    /// Panel layout: `[panel][k][width]`, the last panel filled up with zeros.
    private func pack(_ panel: Int) {
        let first = panel * width
        let columns = min(width, n - first)
        let target = packed + first * k
        if transposeB {
            table.packTransposed(b + first * k, stride: k, depth: k, columns: columns, panel: target)
        } else {
            table.packRows(b + first, stride: n, depth: k, columns: columns, panel: target)
        }
    }

    private func multiply(firstRow: Int, rows: Int) {
        var strip = ck_multiply()
        strip.row_stride = aRowStride
        strip.depth_stride = aDepthStride
        strip.rows = rows
        strip.taps = 1
        strip.c_stride = n
        withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { panelBias in
            var depth = 0
            repeat {
                strip.depth = min(MatrixProduct.depthBlock, k - depth)
                strip.a = a + firstRow * aRowStride + depth * aDepthStride
                strip.accumulate = accumulate || depth > 0 ? 1 : 0
                for panel in 0..<panels {
                    let first = panel * width
                    strip.columns = min(width, n - first)
                    strip.panel = UnsafePointer(packed + first * k + depth * width)
                    strip.c = c + firstRow * n + first
                    strip.bias = nil
                    if let bias {
                        for j in 0..<width { panelBias[j] = j < strip.columns ? bias[first + j] : 0 }
                        strip.bias = UnsafePointer(panelBias.baseAddress)
                    }
                    table.multiply(&strip)
                }
                depth += strip.depth
            } while depth < k
        }
    }
}

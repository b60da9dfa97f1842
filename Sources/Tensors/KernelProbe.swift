import CKernels

/// What one core reaches at most, and what the product's inner kernel reaches of it: the scale that benchmarks are read on.
package struct KernelProbe {
    private let table: KernelTable
    private let arena: AlignedArena
    private let depth: Int

    /// - Parameter depth: of the tile's product. 14 rows and a panel of this depth must fit the first cache.
    package init(_ context: ComputeContext, depth: Int = 128) {
        table = KernelTable(context.instructionSet)
        self.depth = depth
        arena = AlignedArena(count: depth * (table.width + table.rows) + table.rows * table.width)
    }

    /// Multiply-adds in registers.
    /// - Returns: the operations that were done; a multiply-add is two.
    package static func multiplyAdds(steps: Int, _ context: ComputeContext) -> Int {
        let kernels = context.instructionSet.kernels.pointee
        // NaN cannot come out; the comparison keeps the call.
        return kernels.probe(steps).isNaN ? 0 : steps * Int(kernels.probe_flops)
    }

    /// One full tile, again and again, with all operands in the first cache.
    /// - Returns: the operations that were done.
    package func tiles(repetitions: Int) -> Int {
        let panel = arena.base
        let rows = panel + depth * table.width
        let output = rows + depth * table.rows
        var strip = ck_multiply(
            a: UnsafePointer(rows), row_stride: depth, rows: table.rows, taps: 1, tap_stride: 0, depth: depth,
            depth_stride: 1, panel: UnsafePointer(panel), accumulate: 0, bias: nil, c: output,
            c_stride: table.width, columns: table.width, residual: nil, relu: 0, prefetch: nil)
        for _ in 0..<repetitions { table.multiply(&strip) }
        return repetitions * 2 * table.rows * table.width * depth
    }
}

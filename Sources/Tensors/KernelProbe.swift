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
    package static func multiplyAdds(steps: Int, _ context: ComputeContext) {
        _ = context.instructionSet.kernels.pointee.probe(steps)
    }

    /// The operations of so many steps; a multiply-add is two.
    package static func multiplyAddOperations(steps: Int, _ context: ComputeContext) -> Int {
        steps * Int(context.instructionSet.kernels.pointee.probe_flops)
    }

    /// One full tile, again and again, with all operands in the first cache.
    package func tiles(repetitions: Int) {
        let panel = arena.base
        let rows = panel + depth * table.width
        let output = rows + depth * table.rows
        var strip = ck_multiply(
            a: UnsafePointer(rows), row_stride: depth, rows: table.rows, taps: 1, tap_stride: 0, depth: depth,
            depth_stride: 1, panel: UnsafePointer(panel), accumulate: 0, bias: nil, c: output,
            c_stride: table.width, columns: table.width, residual: nil, relu: 0, prefetch: nil,
            prefetch_stride: 0)
        for _ in 0..<repetitions { table.multiply(&strip) }
    }

    /// The operations of one tile.
    package var tileOperations: Int { 2 * table.rows * table.width * depth }
}

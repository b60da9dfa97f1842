import CKernels

/// Everything of a network that is not a convolution, on raw row-major floats. Nothing allocates; every result is the
/// same for any number of workers, because sums run over fixed blocks in a fixed order.
///
/// - `KernelsMatrixMultiply.swift`: dense layers and their gradients.
/// - `KernelsNormalization.swift`: channel statistics, BatchNorm's two passes, bias gradients.
/// - `KernelsElementwise.swift`: ReLU's gradient, sums.
/// - `KernelsPooling.swift`: max, average and global average pooling.
/// - `KernelsUpdate.swift`: SGD and Adam.
package enum Kernels {
    /// Elements below which waking a second core costs more than it saves (about 200 microseconds of streaming).
    static let grain = 1 << 17

    /// Scratch floats that the channel reductions of this file family need: `channelMoments`, `channelGradientSums`,
    /// `biasGradient`.
    package static func reductionWorkspaceCount(channels: Int) -> Int {
        // Two float64 sums per channel and block, and room to align them.
        2 * 2 * channels * maximumBlocks + 2
    }

    static let maximumBlocks = 32

    /// Sums `width` float64 values over `rows`: `partial` fills one block's sums, which are then added up. Returns the
    /// totals, which lie in `workspace`.
    static func reduce(
        rows: Int, width: Int, elements: Int, context: ComputeContext, workspace: UnsafeMutablePointer<Float>,
        partial: @Sendable (_ first: Int, _ count: Int, _ sums: UnsafeMutablePointer<Double>) -> Void
    ) -> UnsafeMutablePointer<Double> {
        let sums = SharedPointer(alignedDoubles(workspace))
        let blocks = RowBlocks(rows)
        context.parallel(tasks: blocks.count, flops: elements >= grain ? .max : 0) { block, _ in
            let range = blocks[block]
            partial(range.lowerBound, range.count, sums.pointer + block * width)
        }
        return blocks.total(sums.pointer, width: width)
    }

    static func alignedDoubles(_ workspace: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
        let raw = UnsafeMutableRawPointer(workspace).alignedUp(for: Double.self)
        return raw.assumingMemoryBound(to: Double.self)
    }
}

/// How the rows of a reduction are cut: by their number only. Each block has sums of its own, which are added in the order of
/// the blocks: workers do not matter.
struct RowBlocks: Sendable {
    private let rows, size: Int

    init(_ rows: Int) {
        self.rows = rows
        size = max(256, (rows + Kernels.maximumBlocks - 1) / Kernels.maximumBlocks)
    }

    var count: Int { max(1, (rows + size - 1) / size) }

    subscript(block: Int) -> Range<Int> { block * size..<min(rows, (block + 1) * size) }

    /// Adds all blocks' sums, `width` each, to the first one's, and returns those.
    func total(_ sums: UnsafeMutablePointer<Double>, width: Int) -> UnsafeMutablePointer<Double> {
        for block in 1..<count {
            let part = sums + block * width
            for i in 0..<width { sums[i] += part[i] }
        }
        return sums
    }
}

/// A pointer that parallel tasks share. Sound because every use writes disjoint elements, or reads only.
struct SharedPointer<Pointee>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Pointee>

    init(_ pointer: UnsafeMutablePointer<Pointee>) { self.pointer = pointer }
}

/// A read-only pointer that parallel tasks share.
struct SharedInput<Pointee>: @unchecked Sendable {
    let pointer: UnsafePointer<Pointee>

    init(_ pointer: UnsafePointer<Pointee>) { self.pointer = pointer }
}

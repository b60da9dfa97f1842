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

    private static let maximumBlocks = 32

    /// How the rows of a reduction are cut: by their number only.
    private static func blockRows(_ rows: Int) -> Int { max(256, (rows + maximumBlocks - 1) / maximumBlocks) }

    /// Sums `width` float64 values over `rows`: `partial` fills one block's sums, which are then added in the order of
    /// the blocks into the first block. Returns the totals, which lie in `workspace`.
    static func reduce(
        rows: Int, width: Int, elements: Int, context: ComputeContext, workspace: UnsafeMutablePointer<Float>,
        partial: @Sendable (_ first: Int, _ count: Int, _ sums: UnsafeMutablePointer<Double>) -> Void
    ) -> UnsafeMutablePointer<Double> {
        let sums = SharedPointer(alignedDoubles(workspace))
        let size = blockRows(rows)
        let blocks = max(1, (rows + size - 1) / size)
        context.parallel(tasks: blocks, flops: elements >= grain ? .max : 0) { block, _ in
            let first = block * size
            partial(first, min(size, rows - first), sums.pointer + block * width)
        }
        let total = sums.pointer
        for block in 1..<max(1, blocks) {
            let part = total + block * width
            for i in 0..<width { total[i] += part[i] }
        }
        return total
    }

    private static func alignedDoubles(_ workspace: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
        let raw = UnsafeMutableRawPointer(workspace).alignedUp(for: Double.self)
        return raw.assumingMemoryBound(to: Double.self)
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

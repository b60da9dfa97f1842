import CKernels

/// The kernels of a convolution, transformed for Winograd's F(4x4, 3x3): 36 matrices `[depth][columns]`, in panels as
/// the matrix product wants them, `[panel][point][depth][width]`.
///
/// In training the weights change with every step, so they are transformed in every pass: 9 floats read and 36 written
/// for each pair of channels.
struct WinogradWeights: Sendable {
    let table: KernelTable
    /// Channels that are summed over, and channels of the result.
    let depth, columns: Int
    /// For the input gradient the kernel is turned by 180 degrees, and its two channel axes change places.
    let isTurned: Bool

    /// Rows of the depth that are transformed at once: their nine taps stay in the first cache.
    private static let chunk = 16

    var panels: Int { (columns + table.width - 1) / table.width }
    /// Floats of one point of one panel, and of a panel.
    var pointCount: Int { depth * table.width }
    var panelCount: Int { WinogradTiles.points * pointCount }
    /// Floats of one worker's scratch.
    var scratchCount: Int { 9 * WinogradWeights.chunk * table.width }

    /// Transforms one panel.
    /// - Parameters:
    ///   - weight: `[outputChannels][3][3][inputChannels]`.
    ///   - packed: ``panelCount`` floats, `[point][depth][width]`.
    ///   - scratch: ``scratchCount`` floats.
    func transform(
        panel: Int, weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let first = panel * table.width
        let count = min(table.width, columns - first)
        for row in stride(from: 0, to: depth, by: WinogradWeights.chunk) {
            let rows = min(WinogradWeights.chunk, depth - row)
            for tap in 0..<9 {
                let target = scratch + tap * rows * table.width
                if isTurned {
                    // [depth][3][3][columns], last tap first.
                    table.packRows(
                        weight + (row * 9 + 8 - tap) * columns + first, stride: 9 * columns, depth: rows,
                        columns: count, panel: target)
                } else {
                    // [columns][3][3][depth].
                    table.packTransposed(
                        weight + (first * 9 + tap) * depth + row, stride: 9 * depth, depth: rows, columns: count,
                        panel: target)
                }
            }
            table.winogradWeight(
                scratch, tapStride: rows * table.width, count: rows * table.width, to: packed + row * table.width,
                pointStride: pointCount)
        }
    }
}

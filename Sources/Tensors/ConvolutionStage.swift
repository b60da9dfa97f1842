import Glibc

/// How a band of one picture is copied, with its zero padding, into a small buffer that stays in a core's second cache.
/// Kernels then read every tap at a fixed distance and need no test for the picture's edge.
///
/// Staged row `r` and column `x` hold the source's row `rowOrigin + r*rowSample` and column
/// `columnOrigin + x*columnSample`, zeros where that lies outside.
struct ConvolutionStage: Sendable {
    let sourceHeight, sourceWidth, channels: Int
    let rowOrigin, rowSample: Int
    let columnOrigin, columnSample: Int
    /// Staged columns.
    let width: Int
    /// Floats from one staged pixel to the next, at least `channels`.
    let pitch: Int

    /// Floats of one staged row.
    var rowCount: Int { width * pitch }

    /// Staged columns `x` whose source column exists.
    var inside: Range<Int> {
        PoolShape.valid(columnOrigin, stride: columnSample, extent: sourceWidth, outputs: width)
    }

    /// The source row of a staged row, or nil for padding.
    func sourceRow(_ row: Int) -> Int? {
        let source = rowOrigin + row * rowSample
        return source >= 0 && source < sourceHeight ? source : nil
    }

    /// Copies staged rows `rows` of the picture at `source` to `target`, `[rows.count][width][pitch]`.
    /// Floats between `channels` and `pitch` are left as they are; nothing reads them.
    func fill(_ rows: Range<Int>, from source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
        let inside = inside
        for row in rows {
            let line = target + (row - rows.lowerBound) * rowCount
            guard let sourceRow = sourceRow(row), !inside.isEmpty else {
                line.update(repeating: 0, count: rowCount)
                continue
            }
            let column = columnOrigin + inside.lowerBound * columnSample
            let from = source + (sourceRow * sourceWidth + column) * channels
            (line).update(repeating: 0, count: inside.lowerBound * pitch)
            let end = inside.upperBound * pitch
            (line + end).update(repeating: 0, count: rowCount - end)
            if columnSample == 1 && pitch == channels {
                memcpy(line + inside.lowerBound * pitch, from, inside.count * channels * MemoryLayout<Float>.stride)
            } else {
                for x in 0..<inside.count {
                    memcpy(
                        line + (inside.lowerBound + x) * pitch, from + x * columnSample * channels,
                        channels * MemoryLayout<Float>.stride)
                }
            }
        }
    }
}

import CKernels
import Glibc

extension Kernels {
    /// Maximum over every window, and where it was: `argmax` holds the tap `ky * kernelWidth + kx`. The first maximum wins
    /// a tie and NaN wins over everything, as in PyTorch.
    /// - Parameters:
    ///   - x: `[batch][inputHeight][inputWidth][channels]`.
    ///   - y, argmax: `[batch][outputHeight][outputWidth][channels]`, overwritten.
    package static func maxPool2D(
        _ shape: PoolShape, x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>,
        argmax: UnsafeMutablePointer<UInt8>, context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, y, argmax) = (SharedInput(x), SharedPointer(y), SharedPointer(argmax))
        parallelRows(shape.batch * shape.outputHeight, channels: shape.outputWidth * shape.channels, context: context) {
            first, count in
            var row = ck_pool()
            row.height = shape.inputHeight
            row.width = shape.inputWidth
            row.channels = shape.channels
            row.first_column = -shape.padLeft
            row.kernel_height = shape.kernelHeight
            row.kernel_width = shape.kernelWidth
            row.stride = shape.stride
            row.pixels = shape.outputWidth
            for line in first..<first + count {
                let (n, oy) = (line / shape.outputHeight, line % shape.outputHeight)
                row.x = x.pointer + n * shape.inputHeight * shape.inputWidth * shape.channels
                row.first_row = oy * shape.stride - shape.padTop
                row.y = y.pointer + line * shape.outputWidth * shape.channels
                row.index = argmax.pointer + line * shape.outputWidth * shape.channels
                table.max_pool(&row)
            }
        }
    }

    /// Sends every output's gradient to the pixel that was the maximum. Overwrites `dx`.
    package static func maxPool2DBackward(
        _ shape: PoolShape, dy: UnsafePointer<Float>, argmax: UnsafePointer<UInt8>, dx: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (dy, argmax) = (SharedInput(dy), SharedInput(argmax))
        gather(shape, dx: dx, context: context) { n, oy, tap, columns, to in
            let from = ((n * shape.outputHeight + oy) * shape.outputWidth + columns.lowerBound) * shape.channels
            table.select_add(
                dy.pointer + from, argmax.pointer + from, UInt8(tap), columns.count, shape.channels, to,
                shape.stride * shape.channels)
        }
    }

    /// Mean over every window: divided by the number of taps, or, without `countIncludePad`, by the number of taps
    /// inside of the input. (PyTorch's names and default.)
    package static func averagePool2D(
        _ shape: PoolShape, countIncludePad: Bool = true, x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, y) = (SharedInput(x), SharedPointer(y))
        parallelRows(shape.batch * shape.outputHeight, channels: shape.outputWidth * shape.channels, context: context) {
            first, count in
            let rowCount = shape.outputWidth * shape.channels
            for line in first..<first + count {
                let (n, oy) = (line / shape.outputHeight, line % shape.outputHeight)
                let sums = y.pointer + line * rowCount
                sums.update(repeating: 0, count: rowCount)
                for ky in 0..<shape.kernelHeight {
                    let row = oy * shape.stride + ky - shape.padTop
                    guard row >= 0, row < shape.inputHeight else { continue }
                    for kx in 0..<shape.kernelWidth {
                        forEachWeight(shape, oy, shape.columns(tap: kx), countIncludePad) { columns, weight in
                            let column = columns.lowerBound * shape.stride + kx - shape.padLeft
                            let from = ((n * shape.inputHeight + row) * shape.inputWidth + column) * shape.channels
                            table.add_scaled(
                                weight, x.pointer + from, shape.stride * shape.channels, columns.count,
                                shape.channels, sums + columns.lowerBound * shape.channels, shape.channels)
                        }
                    }
                }
            }
        }
    }

    /// The gradient of ``averagePool2D(_:countIncludePad:x:y:context:)`` by its input. Overwrites `dx`.
    package static func averagePool2DBackward(
        _ shape: PoolShape, countIncludePad: Bool = true, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let dy = SharedInput(dy)
        gather(shape, dx: dx, context: context) { n, oy, _, all, target in
            forEachWeight(shape, oy, all, countIncludePad) { columns, weight in
                let from = ((n * shape.outputHeight + oy) * shape.outputWidth + columns.lowerBound) * shape.channels
                let skipped = (columns.lowerBound - all.lowerBound) * shape.stride * shape.channels
                table.add_scaled(
                    weight, dy.pointer + from, shape.channels, columns.count, shape.channels, target + skipped,
                    shape.stride * shape.channels)
            }
        }
    }

    /// `y[n][c]` = mean of `x[n][...][c]` over `pixels` = height * width, summed in float64.
    package static func globalAveragePool(
        x: UnsafePointer<Float>, batch: Int, pixels: Int, channels: Int, y: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let table = context.instructionSet.table
        let (x, y) = (SharedInput(x), SharedPointer(y))
        parallelRows(batch, channels: pixels * channels, context: context) { first, count in
            for n in first..<first + count {
                table.column_means(
                    x.pointer + n * pixels * channels, pixels, channels, 1 / Double(pixels),
                    y.pointer + n * channels)
            }
        }
    }

    /// `dx[n][p][c] = dy[n][c] / pixels`.
    package static func globalAveragePoolBackward(
        dy: UnsafePointer<Float>, batch: Int, pixels: Int, channels: Int, dx: UnsafeMutablePointer<Float>,
        context: ComputeContext
    ) {
        let (dy, dx) = (SharedInput(dy), SharedPointer(dx))
        parallelRows(batch, channels: pixels * channels, context: context) { first, count in
            for n in first..<first + count {
                let row = dx.pointer + n * pixels * channels
                for c in 0..<channels { row[c] = dy.pointer[n * channels + c] / Float(pixels) }
                for p in 1..<max(1, pixels) { memcpy(row + p * channels, row, channels * MemoryLayout<Float>.stride) }
            }
        }
    }

    /// Walks a pooling's gradient from the input's side, so that every row of `dx` has one writer and one order of sums:
    /// zeroes the row, then calls `body` for each tap with the output row, the output columns that read through the tap,
    /// and the address of the first input pixel that they read.
    private static func gather(
        _ shape: PoolShape, dx: UnsafeMutablePointer<Float>, context: ComputeContext,
        _ body:
            @Sendable (
                _ n: Int, _ oy: Int, _ tap: Int, _ columns: Range<Int>, _ target: UnsafeMutablePointer<Float>
            ) -> Void
    ) {
        let dx = SharedPointer(dx)
        parallelRows(shape.batch * shape.inputHeight, channels: shape.inputWidth * shape.channels, context: context) {
            first, count in
            for line in first..<first + count {
                let (n, row) = (line / shape.inputHeight, line % shape.inputHeight)
                let target = dx.pointer + line * shape.inputWidth * shape.channels
                target.update(repeating: 0, count: shape.inputWidth * shape.channels)
                for ky in 0..<shape.kernelHeight {
                    let from = row + shape.padTop - ky
                    guard from >= 0, from % shape.stride == 0, from / shape.stride < shape.outputHeight else {
                        continue
                    }
                    for kx in 0..<shape.kernelWidth {
                        let columns = shape.columns(tap: kx)
                        guard !columns.isEmpty else { continue }
                        let column = columns.lowerBound * shape.stride + kx - shape.padLeft
                        body(
                            n, from / shape.stride, ky * shape.kernelWidth + kx, columns,
                            target + column * shape.channels)
                    }
                }
            }
        }
    }

    /// Cuts `columns` of output row `oy` into runs of one weight: all of them where padding counts, pixel by pixel
    /// where the windows at the edges are smaller.
    private static func forEachWeight(
        _ shape: PoolShape, _ oy: Int, _ columns: Range<Int>, _ countIncludePad: Bool,
        _ body: (_ columns: Range<Int>, _ weight: Float) -> Void
    ) {
        guard !columns.isEmpty else { return }
        if countIncludePad || max(shape.padTop, shape.padBottom, shape.padLeft, shape.padRight) == 0 {
            return body(columns, 1 / Float(shape.kernelHeight * shape.kernelWidth))
        }
        let top = oy * shape.stride - shape.padTop
        let height = min(shape.inputHeight, top + shape.kernelHeight) - max(0, top)
        for ox in columns {
            let left = ox * shape.stride - shape.padLeft
            let width = min(shape.inputWidth, left + shape.kernelWidth) - max(0, left)
            body(ox..<ox + 1, 1 / Float(height * width))
        }
    }
}

import SeededNumbers
import Tensors
import Testing

/// Rules of the poolings:
/// 1. Values and gradients are those of the definition, for windows that overlap, leave gaps, or hang over the edge.
/// 2. The first maximum wins a tie; NaN wins over everything; padding never wins, not even over minus infinity.
/// 3. The gradient of a pooling sums to the gradient that came in (average pooling: where padding does not count).
/// 4. The number of workers does not change a bit.
@Suite struct PoolingTests {
    static let shapes = [
        PoolShape(batch: 2, inputHeight: 8, inputWidth: 6, channels: 5, kernel: 2, stride: 2),
        PoolShape(batch: 2, inputHeight: 9, inputWidth: 12, channels: 33, kernel: 3, stride: 2, padding: 1),
        PoolShape(batch: 1, inputHeight: 7, inputWidth: 5, channels: 16, kernel: 3, stride: 1, padding: 1),
        PoolShape(batch: 1, inputHeight: 11, inputWidth: 10, channels: 2, kernel: 2, stride: 3),
        PoolShape(batch: 3, inputHeight: 1, inputWidth: 1, channels: 7, kernel: 1, stride: 1),
        PoolShape(
            batch: 2, inputHeight: 6, inputWidth: 7, channels: 4, kernelHeight: 3, kernelWidth: 2, stride: 2, padTop: 0,
            padLeft: 1, padBottom: 2, padRight: 0),
        PoolShape(batch: 8, inputHeight: 40, inputWidth: 41, channels: 24, kernel: 3, stride: 2, padding: 1),
    ]

    @Test("maximum, its place and its gradient", arguments: shapes)
    func maximum(shape: PoolShape) {
        var generator = SplitMix64(seed: 8)
        // Few distinct values: many ties.
        let x = (0..<shape.inputCount).map { _ in Float(generator.integer(-2...2)) }
        let dy = generator.floats(shape.outputCount)
        var (values, taps) = ([Float](), [UInt8]())
        var dx = [Double](repeating: 0, count: shape.inputCount)
        forEachOutput(shape) { output, window in
            let best = window.max { x[$0.input] < x[$1.input] || (x[$0.input] == x[$1.input] && $0.tap > $1.tap) }
            guard let best else { return }
            values.append(x[best.input])
            taps.append(UInt8(best.tap))
            dx[best.input] += Double(dy[output])
        }
        for context in contexts() {
            let (y, gradient) = (GuardedBuffer(shape.outputCount), GuardedBuffer(shape.inputCount))
            var argmax = [UInt8](repeating: 255, count: shape.outputCount)
            Kernels.maxPool2D(shape, x: x, y: y.base, argmax: &argmax, context: context)
            Kernels.maxPool2DBackward(shape, dy: dy, argmax: argmax, dx: gradient.base, context: context)
            #expect(y.isSound && gradient.isSound)
            #expect(y.values == values)
            #expect(argmax == taps)
            #expect(relativeRMS(gradient.values, dx) < 1e-6)
        }
    }

    @Test("NaN wins, padding does not", arguments: supportedInstructionSets)
    func specialValues(instructionSet: InstructionSet) {
        let context = ComputeContext(workers: 1, instructionSet: instructionSet)
        let shape = PoolShape(batch: 1, inputHeight: 2, inputWidth: 4, channels: 1, kernel: 3, stride: 2, padding: 1)
        let low = -Float.infinity
        let x: [Float] = [low, low, 1, .nan, low, low, 2, 3]
        let y = GuardedBuffer(shape.outputCount)
        var argmax = [UInt8](repeating: 255, count: shape.outputCount)
        Kernels.maxPool2D(shape, x: x, y: y.base, argmax: &argmax, context: context)
        #expect(y.values[0] == low && y.values[1].isNaN)
        // The first pixel inside of the window; the middle row's last column.
        #expect(argmax == [4, 5])
    }

    @Test("average and its gradient", arguments: shapes, [true, false])
    func average(shape: PoolShape, countIncludePad: Bool) {
        var generator = SplitMix64(seed: 9)
        let (x, dy) = (generator.floats(shape.inputCount), generator.floats(shape.outputCount))
        var values = [Double]()
        var dx = [Double](repeating: 0, count: shape.inputCount)
        forEachOutput(shape) { output, window in
            let divisor = Double(countIncludePad ? shape.kernelHeight * shape.kernelWidth : window.count)
            values.append(window.reduce(0) { $0 + Double(x[$1.input]) } / divisor)
            for element in window { dx[element.input] += Double(dy[output]) / divisor }
        }
        for context in contexts() {
            let (y, gradient) = (GuardedBuffer(shape.outputCount), GuardedBuffer(shape.inputCount))
            Kernels.averagePool2D(shape, countIncludePad: countIncludePad, x: x, y: y.base, context: context)
            Kernels.averagePool2DBackward(
                shape, countIncludePad: countIncludePad, dy: dy, dx: gradient.base, context: context)
            #expect(y.isSound && gradient.isSound)
            #expect(relativeRMS(y.values, values) < 1e-6)
            #expect(relativeRMS(gradient.values, dx) < 1e-6)
        }
    }

    @Test("global average", arguments: [(1, 1, 1), (3, 49, 33), (5, 64, 512)])
    func globalAverage(batch: Int, pixels: Int, channels: Int) {
        var generator = SplitMix64(seed: 10)
        let (x, dy) = (generator.floats(batch * pixels * channels), generator.floats(batch * channels))
        var expected = [Double](repeating: 0, count: batch * channels)
        for i in x.indices {
            expected[i / (pixels * channels) * channels + i % channels] += Double(x[i]) / Double(pixels)
        }
        for context in contexts() {
            let (y, dx) = (GuardedBuffer(batch * channels), GuardedBuffer(x.count))
            Kernels.globalAveragePool(
                x: x, batch: batch, pixels: pixels, channels: channels, y: y.base, context: context)
            Kernels.globalAveragePoolBackward(
                dy: dy, batch: batch, pixels: pixels, channels: channels, dx: dx.base, context: context)
            #expect(y.isSound && dx.isSound)
            #expect(relativeRMS(y.values, expected) < 1e-6)
            let sent = (0..<x.count).map { dy[$0 / (pixels * channels) * channels + $0 % channels] / Float(pixels) }
            #expect(dx.values == sent)
        }
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) throws {
        let shape = try #require(PoolingTests.shapes.last)
        var generator = SplitMix64(seed: 11)
        let (x, dy) = (generator.floats(shape.inputCount), generator.floats(shape.outputCount))
        let results = (1...3).map { workers in
            let context = ComputeContext(workers: workers, instructionSet: instructionSet)
            let (y, dx, average) = (
                GuardedBuffer(shape.outputCount), GuardedBuffer(shape.inputCount), GuardedBuffer(shape.inputCount)
            )
            var argmax = [UInt8](repeating: 255, count: shape.outputCount)
            Kernels.maxPool2D(shape, x: x, y: y.base, argmax: &argmax, context: context)
            Kernels.maxPool2DBackward(shape, dy: dy, argmax: argmax, dx: dx.base, context: context)
            Kernels.averagePool2DBackward(shape, dy: dy, dx: average.base, context: context)
            return y.bits + dx.bits + average.bits
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    /// Every output element with the input elements (and taps) of its window, in the order of the taps.
    private func forEachOutput(_ shape: PoolShape, _ body: (Int, [(input: Int, tap: Int)]) -> Void) {
        for output in 0..<shape.outputCount {
            let c = output % shape.channels
            let pixel = output / shape.channels
            let ox = pixel % shape.outputWidth
            let oy = pixel / shape.outputWidth % shape.outputHeight
            let n = pixel / shape.outputWidth / shape.outputHeight
            var window: [(input: Int, tap: Int)] = []
            for ky in 0..<shape.kernelHeight {
                for kx in 0..<shape.kernelWidth {
                    let (row, column) = (oy * shape.stride + ky - shape.padTop, ox * shape.stride + kx - shape.padLeft)
                    guard row >= 0, row < shape.inputHeight, column >= 0, column < shape.inputWidth else { continue }
                    let input = ((n * shape.inputHeight + row) * shape.inputWidth + column) * shape.channels + c
                    window.append((input, ky * shape.kernelWidth + kx))
                }
            }
            body(output, window)
        }
    }

    private func contexts() -> [ComputeContext] {
        supportedInstructionSets.map { ComputeContext(workers: 2, instructionSet: $0) }
    }
}

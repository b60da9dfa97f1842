import SeededNumbers
import Tensors
import Testing

/// Rules of the channel kernels:
/// 1. Moments, gradient sums and bias gradients are those of Double arithmetic to Float's last bits, even where the mean is
///    a thousand times the deviation.
/// 2. In-place use gives what separate buffers give.
/// 3. NaN passes through ReLU.
/// 4. The number of workers does not change a bit.
@Suite struct NormalizationTests {
    struct Extents: CustomTestStringConvertible {
        let rows, channels: Int
        var testDescription: String { "\(rows) rows, \(channels) channels" }
    }

    static let extents = [(1, 1), (7, 3), (300, 16), (1000, 33), (70, 96), (9000, 20)].map {
        Extents(rows: $0.0, channels: $0.1)
    }

    @Test("moments", arguments: extents)
    func moments(extents: Extents) {
        let (rows, channels) = (extents.rows, extents.channels)
        var generator = SplitMix64(seed: 3)
        let x = generator.floats(rows * channels).map { 1000 + $0 }
        for context in contexts() {
            let (mean, variance) = (GuardedBuffer(channels), GuardedBuffer(channels))
            let workspace = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
            Kernels.channelMoments(
                x: x, rows: rows, channels: channels, mean: mean.base, variance: variance.base,
                workspace: workspace.base, context: context)
            #expect(mean.isSound && variance.isSound && workspace.guardsAreIntact)
            let columns = (0..<channels).map { c in (0..<rows).map { Double(x[$0 * channels + c]) } }
            let means = columns.map { $0.reduce(0, +) / Double(rows) }
            let variances = zip(columns, means).map { column, mean in
                column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
            }
            #expect(relativeRMS(mean.values, means) < 1e-7)
            #expect(relativeMaximum(variance.values, variances) < 1e-7)
        }
    }

    @Test("scale, shift, residual and ReLU", arguments: extents)
    func scaleShift(extents: Extents) {
        let (rows, channels) = (extents.rows, extents.channels)
        let count = rows * channels
        var generator = SplitMix64(seed: 4)
        let (x, residual) = (generator.floats(count), generator.floats(count))
        let (scale, shift) = (generator.floats(channels), generator.floats(channels))
        for context in contexts() {
            for relu in [false, true] {
                let plain = x.indices.map {
                    Double(x[$0]) * Double(scale[$0 % channels]) + Double(shift[$0 % channels])
                }
                let expected = zip(plain, residual).map { relu ? max(0, $0 + Double($1)) : $0 + Double($1) }
                let (separate, inPlace) = (GuardedBuffer(count), GuardedBuffer(x))
                let (source, added) = (GuardedBuffer(x), GuardedBuffer(residual))
                for (from, target) in [(source, separate), (inPlace, inPlace), (source, added)] {
                    Kernels.scaleShift(
                        x: from.base, rows: rows, channels: channels, scale: scale, shift: shift, relu: relu,
                        residual: added.base, output: target.base, context: context)
                    #expect(from.isSound && target.isSound && added.isSound)
                    #expect(relativeRMS(target.values, expected) < 1e-6)
                }
                let without = GuardedBuffer(count)
                Kernels.scaleShift(
                    x: x, rows: rows, channels: channels, scale: scale, shift: shift, relu: relu,
                    output: without.base, context: context)
                #expect(relativeRMS(without.values, plain.map { relu ? max(0, $0) : $0 }) < 1e-6)
            }
        }
    }

    @Test("NaN is not hidden by ReLU", arguments: supportedInstructionSets)
    func notANumber(instructionSet: InstructionSet) {
        let output = GuardedBuffer(35)
        var x = [Float](repeating: -1, count: 35)
        (x[3], x[34]) = (.nan, .nan)
        Kernels.scaleShift(
            x: x, rows: 1, channels: 35, scale: [Float](repeating: 1, count: 35),
            shift: [Float](repeating: 0, count: 35), relu: true, output: output.base,
            context: ComputeContext(workers: 1, instructionSet: instructionSet))
        let values = output.values
        #expect(values.indices.filter { values[$0].isNaN } == [3, 34])
        #expect(values.filter { $0 == 0 }.count == 33)
    }

    @Test("BatchNorm's backward pass", arguments: extents)
    func backward(extents: Extents) {
        let (rows, channels) = (extents.rows, extents.channels)
        let count = rows * channels
        var generator = SplitMix64(seed: 5)
        let (x, dy) = (generator.floats(count), generator.floats(count))
        let (mean, gamma) = (generator.floats(channels), generator.floats(channels))
        let invStd = generator.floats(channels).map { 1.5 + $0 }
        var (sumDy, sumDyXhat) = ([Double](repeating: 0, count: channels), [Double](repeating: 0, count: channels))
        func xhat(_ i: Int) -> Double { (Double(x[i]) - Double(mean[i % channels])) * Double(invStd[i % channels]) }
        for i in 0..<count {
            sumDy[i % channels] += Double(dy[i])
            sumDyXhat[i % channels] += Double(dy[i]) * xhat(i)
        }
        let dx = (0..<count).map { i in
            let c = i % channels
            return Double(gamma[c]) * Double(invStd[c])
                * (Double(dy[i]) - sumDy[c] / Double(rows) - xhat(i) * sumDyXhat[c] / Double(rows))
        }
        for context in contexts() {
            let workspace = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
            let (first, second) = (GuardedBuffer(channels), GuardedBuffer(channels))
            Kernels.channelGradientSums(
                x: x, dy: dy, rows: rows, channels: channels, mean: mean, invStd: invStd, sumDy: first.base,
                sumDyXhat: second.base, workspace: workspace.base, context: context)
            #expect(first.isSound && second.isSound)
            #expect(relativeRMS(first.values, sumDy) < 1e-6)
            #expect(relativeRMS(second.values, sumDyXhat) < 1e-6)

            let (separate, inPlace, source) = (GuardedBuffer(count), GuardedBuffer(dy), GuardedBuffer(dy))
            for (from, target) in [(source, separate), (inPlace, inPlace)] {
                Kernels.batchNormInputGradient(
                    x: x, dy: from.base, rows: rows, channels: channels, mean: mean, invStd: invStd, gamma: gamma,
                    sumDy: first.base,
                    sumDyXhat: second.base, dx: target.base, workspace: workspace.base, context: context)
                #expect(from.isSound && target.isSound && workspace.guardsAreIntact)
                // One row is its own mean: dx is zero but for rounding.
                #expect(rows == 1 || relativeRMS(target.values, dx) < 2e-6)
            }

            let bias = GuardedBuffer(channels)
            Kernels.biasGradient(
                dy: dy, rows: rows, channels: channels, output: bias.base, workspace: workspace.base, context: context)
            #expect(bias.bits == first.bits)
        }
    }

    @Test("a ReLU's mask folds into BatchNorm's backward pass", arguments: extents)
    func foldedMask(extents: Extents) {
        let (rows, channels) = (extents.rows, extents.channels)
        var generator = SplitMix64(seed: 15)
        let (x, dy, y) = (
            generator.floats(rows * channels), generator.floats(rows * channels), generator.floats(rows * channels)
        )
        let (mean, invStd) = (generator.floats(channels), generator.floats(channels))
        for context in contexts() {
            func run(_ dy: UnsafePointer<Float>, _ passed: PassedReLU) -> [UInt32] {
                let (first, second, dx) = (
                    GuardedBuffer(channels), GuardedBuffer(channels), GuardedBuffer(rows * channels)
                )
                let workspace = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
                Kernels.channelGradientSums(
                    x: x, dy: dy, passed: passed, rows: rows, channels: channels, mean: mean, invStd: invStd,
                    sumDy: first.base, sumDyXhat: second.base, workspace: workspace.base, context: context)
                Kernels.batchNormInputGradient(
                    x: x, dy: dy, passed: passed, rows: rows, channels: channels, mean: mean, invStd: invStd,
                    gamma: mean, sumDy: first.base, sumDyXhat: second.base, dx: dx.base, workspace: workspace.base,
                    context: context)
                #expect(first.isSound && second.isSound && dx.isSound && workspace.guardsAreIntact)
                return first.bits + second.bits + dx.bits
            }
            let output = GuardedBuffer(y)
            let positive = PassedReLU.positive(output.base)
            let masked = GuardedBuffer(rows * channels)
            Kernels.reluBackward(y: y, dy: dy, count: rows * channels, dx: masked.base, context: context)
            #expect(run(dy, positive) == run(masked.base, .everything))
            #expect(masked.isSound)

            // The sums' pass leaves the masked gradient in place on demand, and its sums are the same.
            let inPlace = GuardedBuffer(dy)
            let (first, second) = (GuardedBuffer(channels), GuardedBuffer(channels))
            let workspace = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
            Kernels.channelGradientSums(
                x: x, dy: inPlace.base, passed: positive, rows: rows, channels: channels, mean: mean,
                invStd: invStd,
                masked: inPlace.base, sumDy: first.base, sumDyXhat: second.base, workspace: workspace.base,
                context: context)
            #expect(inPlace.isSound && inPlace.bits == masked.bits)
            #expect(run(dy, positive).starts(with: first.bits + second.bits))

            // Whether the output is read or made again from the input, the bits are the same: also where the sum is next to zero.
            let nearZero = mean.indices.map { -x[$0] * invStd[$0] }
            for scales in [generator.floats(channels), invStd] {
                let (scale, shift) = (GuardedBuffer(scales), GuardedBuffer(nearZero))
                Kernels.scaleShift(
                    x: x, rows: rows, channels: channels, scale: scale.base, shift: shift.base, relu: true,
                    output: output.base, context: context)
                #expect(run(dy, .positiveScaled(scale: scale.base, shift: shift.base)) == run(dy, positive))
                #expect(scale.isSound && shift.isSound)
            }

            // With constant statistics only the scale is left.
            let scaled = GuardedBuffer(dy)
            Kernels.scaleGradient(
                dy: scaled.base, activation: y, rows: rows, channels: channels, scale: invStd, dx: scaled.base,
                workspace: workspace.base, context: context)
            #expect(scaled.isSound && workspace.guardsAreIntact)
            #expect(scaled.values == masked.values.enumerated().map { $1 * invStd[$0 % channels] })
        }
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) {
        let (rows, channels) = (20_011, 19)
        var generator = SplitMix64(seed: 6)
        let (x, dy) = (generator.floats(rows * channels), generator.floats(rows * channels))
        let (mean, invStd) = (generator.floats(channels), generator.floats(channels))
        let results = (1...3).map { workers in
            let context = ComputeContext(workers: workers, instructionSet: instructionSet)
            let workspace = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
            let outputs = (0..<4).map { _ in GuardedBuffer(channels) }
            let dx = GuardedBuffer(rows * channels)
            Kernels.channelMoments(
                x: x, rows: rows, channels: channels, mean: outputs[0].base, variance: outputs[1].base,
                workspace: workspace.base, context: context)
            Kernels.channelGradientSums(
                x: x, dy: dy, rows: rows, channels: channels, mean: mean, invStd: invStd, sumDy: outputs[2].base,
                sumDyXhat: outputs[3].base, workspace: workspace.base, context: context)
            Kernels.batchNormInputGradient(
                x: x, dy: dy, rows: rows, channels: channels, mean: mean, invStd: invStd, gamma: mean,
                sumDy: outputs[2].base, sumDyXhat: outputs[3].base, dx: dx.base, workspace: workspace.base,
                context: context)
            #expect(workspace.guardsAreIntact)
            return outputs.flatMap(\.bits) + dx.bits
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    private func contexts() -> [ComputeContext] {
        supportedInstructionSets.map { ComputeContext(workers: 2, instructionSet: $0) }
    }
}

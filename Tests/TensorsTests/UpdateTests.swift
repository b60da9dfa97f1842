import SeededNumbers
import Tensors
import Testing

/// Rules of the optimiser sweeps:
/// 1. They follow PyTorch's formulas, with weight decay and FedProx's term added to the gradient, over several steps.
/// 2. Without an anchor there is no proximal term; without velocity no momentum.
/// 3. FedProx pulls to the anchor: with no gradient the distance shrinks by `1 - learningRate * mu` a step.
/// 4. The number of workers does not change a bit.
@Suite struct UpdateTests {
    private static let count = 1003

    @Test("SGD with momentum, weight decay and a proximal term", arguments: [true, false], [true, false])
    func sgd(momentum: Bool, anchored: Bool) {
        var generator = SplitMix64(seed: 12)
        let start = generator.floats(UpdateTests.count)
        let anchor = generator.floats(UpdateTests.count)
        let anchorBuffer = GuardedBuffer(anchor)
        let gradients = (0..<4).map { _ in generator.floats(UpdateTests.count) }
        for context in contexts() {
            let (weight, velocity) = (GuardedBuffer(start), GuardedBuffer([Float](repeating: 0, count: start.count)))
            var (w, v) = (start.map(Double.init), [Double](repeating: 0, count: start.count))
            for gradient in gradients {
                Kernels.sgdMomentumUpdate(
                    weight: weight.base, gradient: gradient, velocity: momentum ? velocity.base : nil,
                    anchor: anchored ? UnsafePointer(anchorBuffer.base) : nil, count: start.count,
                    learningRate: 0.125, momentum: 0.875, weightDecay: 0.25, proximalMu: 0.5, context: context)
                for i in w.indices {
                    var g = Double(gradient[i]) + 0.25 * w[i]
                    if anchored { g += 0.5 * (w[i] - Double(anchor[i])) }
                    v[i] = momentum ? 0.875 * v[i] + g : g
                    w[i] -= 0.125 * v[i]
                }
            }
            #expect(weight.isSound && velocity.isSound && anchorBuffer.isSound)
            #expect(relativeRMS(weight.values, w) < 1e-6)
            #expect(!momentum || relativeRMS(velocity.values, v) < 1e-6)
        }
    }

    @Test("Adam with weight decay and a proximal term", arguments: [true, false])
    func adam(anchored: Bool) {
        var generator = SplitMix64(seed: 13)
        let start = generator.floats(UpdateTests.count)
        let anchor = generator.floats(UpdateTests.count)
        let anchorBuffer = GuardedBuffer(anchor)
        let gradients = (0..<5).map { _ in generator.floats(UpdateTests.count) }
        for context in contexts() {
            let zeros = [Float](repeating: 0, count: start.count)
            let (weight, first, second) = (GuardedBuffer(start), GuardedBuffer(zeros), GuardedBuffer(zeros))
            var w = start.map(Double.init)
            var (m, v) = ([Double](repeating: 0, count: start.count), [Double](repeating: 0, count: start.count))
            var (power1, power2) = (1.0, 1.0)
            for (step, gradient) in gradients.enumerated() {
                Kernels.adamUpdate(
                    weight: weight.base, gradient: gradient, firstMoment: first.base, secondMoment: second.base,
                    anchor: anchored ? UnsafePointer(anchorBuffer.base) : nil, count: start.count,
                    step: step + 1, learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.25,
                    proximalMu: 0.5, context: context)
                power1 *= Double(Float(0.9))
                power2 *= Double(Float(0.999))
                for i in w.indices {
                    var g = Double(gradient[i]) + 0.25 * w[i]
                    if anchored { g += 0.5 * (w[i] - Double(anchor[i])) }
                    m[i] = Double(Float(0.9)) * m[i] + (1 - Double(Float(0.9))) * g
                    v[i] = Double(Float(0.999)) * v[i] + (1 - Double(Float(0.999))) * g * g
                    let scaled = (v[i] / (1 - power2)).squareRoot() + 1e-8
                    w[i] -= Double(Float(0.01)) * m[i] / (1 - power1) / scaled
                }
            }
            #expect(weight.isSound && first.isSound && second.isSound && anchorBuffer.isSound)
            #expect(relativeRMS(weight.values, w) < 2e-6)
        }
    }

    @Test("FedProx shrinks the distance to the anchor", arguments: supportedInstructionSets)
    func proximal(instructionSet: InstructionSet) {
        let (weight, anchor) = (GuardedBuffer([Float](repeating: 3, count: 40)), GuardedBuffer(40))
        for i in 0..<40 { anchor.base[i] = 1 }
        Kernels.sgdMomentumUpdate(
            weight: weight.base, gradient: [Float](repeating: 0, count: 40), velocity: nil, anchor: anchor.base,
            count: 40, learningRate: 0.5, momentum: 0, weightDecay: 0, proximalMu: 0.5,
            context: ComputeContext(workers: 1, instructionSet: instructionSet))
        #expect(weight.values.allSatisfy { $0 == 2.5 })
        #expect(anchor.values.allSatisfy { $0 == 1 })
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) {
        var generator = SplitMix64(seed: 14)
        let (start, gradient) = (generator.floats(200_003), generator.floats(200_003))
        let results = (1...3).map { workers in
            let context = ComputeContext(workers: workers, instructionSet: instructionSet)
            let weight = GuardedBuffer(start)
            let (first, second) = (GuardedBuffer(gradient), GuardedBuffer(start.map { abs($0) }))
            Kernels.adamUpdate(
                weight: weight.base, gradient: gradient, firstMoment: first.base, secondMoment: second.base,
                anchor: gradient, count: start.count, step: 3, learningRate: 0.01, beta1: 0.9, beta2: 0.999,
                epsilon: 1e-8, weightDecay: 0.1, proximalMu: 0.01, context: context)
            Kernels.reluBackward(
                y: weight.base, dy: gradient, count: start.count, dx: first.base, context: context)
            Kernels.addInPlace(first.base, count: start.count, to: weight.base, context: context)
            Kernels.scaleInPlace(weight.base, count: start.count, by: 0.3, context: context)
            return weight.bits + first.bits + second.bits
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    @Test("ReLU's gradient, sums and factors", arguments: supportedInstructionSets)
    func elementwise(instructionSet: InstructionSet) {
        let context = ComputeContext(workers: 2, instructionSet: instructionSet)
        let count = 77
        let y = (0..<count).map { Float($0 % 3) - 1 }
        let dy = (0..<count).map { Float($0) + 1 }
        let dx = GuardedBuffer(count)
        Kernels.reluBackward(y: y, dy: dy, count: count, dx: dx.base, context: context)
        #expect(dx.isSound && dx.values == zip(y, dy).map { $0 > 0 ? $1 : 0 })
        Kernels.addInPlace(dy, count: count, to: dx.base, context: context)
        #expect(dx.isSound && dx.values == zip(y, dy).map { $0 > 0 ? 2 * $1 : $1 })
        Kernels.scaleInPlace(dx.base, count: count, by: 0.5, context: context)
        #expect(dx.isSound && dx.values == zip(y, dy).map { $0 > 0 ? $1 : 0.5 * $1 })
    }

    private func contexts() -> [ComputeContext] {
        supportedInstructionSets.map { ComputeContext(workers: 2, instructionSet: $0) }
    }

    /// `torch.nn.utils.clip_grad_norm_`, with FedProx's term in the norm; below the limit nothing but that term is added.
    @Test("Clipping scales the whole gradient to the limit", arguments: [true, false], [0.5, 1e5] as [Float])
    func clipping(anchored: Bool, limit: Float) {
        var generator = SplitMix64(seed: 14)
        let count = 70_001
        let (weight, anchor) = (generator.floats(count), generator.floats(count))
        let gradient = generator.floats(count)
        let wanted = gradient.indices.map {
            Double(gradient[$0]) + (anchored ? 0.5 * (Double(weight[$0]) - Double(anchor[$0])) : 0)
        }
        let norm = wanted.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let scale = norm > Double(limit) ? Double(limit) / norm : 1
        var results: Set<[Float]> = []
        for context in contexts() {
            let (buffer, anchorBuffer) = (GuardedBuffer(gradient), GuardedBuffer(anchor))
            let found = Kernels.clipNorm(
                gradient: buffer.base, weight: weight, anchor: anchored ? UnsafePointer(anchorBuffer.base) : nil,
                count: count, proximalMu: 0.5, limit: limit, context: context)
            #expect(abs(found / norm - 1) < 1e-6)
            #expect(buffer.isSound && anchorBuffer.isSound)
            #expect(relativeRMS(buffer.values, wanted.map { $0 * scale }) < 1e-6)
            results.insert(buffer.values)
        }
        #expect(results.count == 1, "neither workers nor instruction set change a bit")
    }
}

import SeededNumbers
import Tensors
import Testing

/// Rules of Winograd's F(4x4, 3x3), wherever it is defined (3x3, stride 1, padding up to 2), at any extent and channel
/// count:
/// 1. It agrees with the naive kernels in Double: forward and input gradient within 8e-6 relative RMS, the weight
///    gradient within 1e-4 of its largest element; on every instruction set.
/// 2. Every output element is written; nothing outside of the outputs and the stated workspace is.
/// 3. 1, 2 and 3 workers give the same bytes.
/// 4. The epilogue is that of the direct way.
/// 5. What is not finite reaches all outputs that depend on it, and none outside of the tiles that do.
/// 6. `direct` never uses it, `automatic` by the stated rule, and a shape it is not defined for is computed directly.
/// 7. A picture's output and input gradient do not depend on the pictures beside it, to the last bit.
@Suite struct WinogradTests {
    /// Shapes that take every way through the code.
    static let usual = [
        // Tiles of several pictures in a block; weights first.
        shape(5, 7, 7, 64, 64, padding: 1),
        // More tiles than a few: tiles first. Rows and columns that are no multiples of 4, ragged channels.
        shape(2, 23, 26, 33, 37, padding: 1),
        // Slots of the weight gradient, several blocks in each.
        shape(5, 29, 31, 20, 24, padding: 1),
        // Several groups of panels and of input channels.
        shape(70, 2, 1, 70, 150, padding: 1),
        // Weights too large for tiles first, several large blocks of tiles that hold little.
        shape(130, 1, 1, 384, 320, padding: 1),
        // Planes of one pixel, and larger padding: whole tiles of zeros.
        shape(3, 1, 1, 5, 3, padding: 1),
        shape(2, 1, 2, 17, 9, padding: 2),
        shape(2, 3, 3, 32, 32, padding: 0),
        shape(2, 14, 15, 48, 16, padding: 0),
        shape(2, 13, 11, 1, 1, padding: 2),
    ]

    /// Odd shapes with padding of its own on every side.
    static let random: [ConvolutionShape] = {
        var generator = SplitMix64(seed: 49)
        return (0..<40).map { _ in
            ConvolutionShape(
                batch: generator.integer(1...5), inputHeight: generator.integer(3...19),
                inputWidth: generator.integer(3...17), inputChannels: generator.integer(1...71),
                outputChannels: generator.integer(1...75), kernelHeight: 3, kernelWidth: 3,
                padTop: generator.integer(0...2), padLeft: generator.integer(0...2),
                padBottom: generator.integer(0...2), padRight: generator.integer(0...2))
        }
    }()

    static func shape(
        _ batch: Int, _ height: Int, _ width: Int, _ channels: Int, _ outputs: Int, padding: Int
    ) -> ConvolutionShape {
        ConvolutionShape(
            batch: batch, inputHeight: height, inputWidth: width, inputChannels: channels, outputChannels: outputs,
            kernel: 3, padding: padding)
    }

    static func context(
        _ instructionSet: InstructionSet = .best, workers: Int = 2, _ method: ConvolutionMethod = .winograd
    ) -> ComputeContext {
        ComputeContext(workers: workers, instructionSet: instructionSet, convolutionMethod: method)
    }

    @Test("agrees with the naive kernels in Double", arguments: usual + random)
    func agreesWithReference(shape: ConvolutionShape) {
        let material = ConvolutionTests.Material(shape)
        for instructionSet in supportedInstructionSets {
            let result = ConvolutionTests.Passes(material, WinogradTests.context(instructionSet))
            let name = instructionSet.rawValue
            #expect(result.isSound, "\(name) left elements out or wrote outside")
            let (forward, input) = (
                relativeRMS(result.output.values, material.output),
                relativeRMS(result.inputGradient.values, material.inputGradient)
            )
            #expect(forward <= 8e-6, "\(name) forward")
            #expect(input <= 8e-6, "\(name) input gradient")
            #expect(max(forward, input) <= 3e-6, "\(name) is worse than its sums and points explain")
            let error = relativeMaximum(result.weightGradient.values, material.weightGradient)
            #expect(error <= 1e-4, "\(name) weight gradient")
            #expect(error <= 2e-5, "\(name) weight gradient is worse than its sums explain")
        }
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) {
        for shape in WinogradTests.usual + WinogradTests.random.prefix(5) {
            let material = ConvolutionTests.Material(shape, reference: false)
            let one = ConvolutionTests.Passes(material, WinogradTests.context(instructionSet, workers: 1))
            for workers in 2...3 {
                let many = ConvolutionTests.Passes(material, WinogradTests.context(instructionSet, workers: workers))
                #expect(one.output.bits == many.output.bits)
                #expect(one.inputGradient.bits == many.inputGradient.bits)
                #expect(one.weightGradient.bits == many.weightGradient.bits)
            }
        }
    }

    @Test("adds the residual to the finished sums, then clips", arguments: usual.prefix(5), [true, false])
    func epilogue(shape: ConvolutionShape, relu: Bool) {
        let material = ConvolutionTests.Material(shape)
        var generator = SplitMix64(seed: 77)
        let residual = generator.floats(shape.outputCount)
        let wanted = zip(material.output, residual).map { relu ? max(0, $0 + Double($1)) : $0 + Double($1) }
        for instructionSet in supportedInstructionSets {
            let convolution = Convolution(shape, context: WinogradTests.context(instructionSet))
            let output = GuardedBuffer(shape.outputCount)
            let workspace = GuardedBuffer(convolution.workspaceCount)
            let added = GuardedBuffer(residual)
            convolution.forward(
                input: material.input, weight: material.weight, bias: material.bias,
                epilogue: Epilogue(residual: UnsafePointer(added.base), relu: relu), output: output.base,
                workspace: workspace.base)
            #expect(output.isSound && workspace.guardsAreIntact && added.isSound)
            #expect(added.bits == residual.map(\.bitPattern))
            #expect(relativeRMS(output.values, wanted) < 8e-6, "\(instructionSet.rawValue)")
        }
    }

    @Test(
        "lets NaN and infinity of the input through to the outputs of their tiles", arguments: [Float.nan, .infinity])
    func nonFinite(value: Float) {
        let shape = WinogradTests.shape(1, 12, 13, 32, 40, padding: 1)
        var material = ConvolutionTests.Material(shape, reference: false)
        // Pixel (4, 6) lies under the tiles of rows 0 to 7 and columns 4 to 7; its kernel reaches rows 3 to 5.
        material.input[(4 * 13 + 6) * 32 + 11] = value
        for instructionSet in supportedInstructionSets {
            let output = ConvolutionTests.Passes(material, WinogradTests.context(instructionSet)).output.values
            for row in 0..<12 {
                for column in 0..<13 {
                    let pixel = output[(row * 13 + column) * 40..<(row * 13 + column + 1) * 40]
                    let finite = pixel.count { $0.isFinite }
                    if (3...5).contains(row), (5...7).contains(column) {
                        #expect(finite == 0)
                    } else if !(0...7).contains(row) || !(4...7).contains(column) {
                        #expect(finite == 40)
                    }
                }
            }
        }
    }

    @Test("is used by the method and the shape alone")
    func rule() {
        let method = { (shape: ConvolutionShape, one: ConvolutionMethod, other: ConvolutionMethod) -> Bool in
            let material = ConvolutionTests.Material(shape, reference: false)
            let passes = [one, other].map { ConvolutionTests.Passes(material, WinogradTests.context(.best, $0)) }
            let same = [
                passes[0].output.bits == passes[1].output.bits,
                passes[0].inputGradient.bits == passes[1].inputGradient.bits,
                passes[0].weightGradient.bits == passes[1].weightGradient.bits,
            ]
            #expect(Set(same).count == 1, "\(shape.testDescription): the passes differ")
            return same[0]
        }
        // Enough channels, and pixels in the tiles; then one of each too few.
        for enough in [
            WinogradTests.shape(4, 7, 7, 32, 32, padding: 1), WinogradTests.shape(1, 3, 3, 32, 33, padding: 1),
        ] {
            #expect(method(enough, .automatic, .winograd))
            #expect(!method(enough, .direct, .winograd))
        }
        for few in [
            WinogradTests.shape(4, 7, 7, 31, 32, padding: 1), WinogradTests.shape(4, 7, 7, 32, 31, padding: 1),
            WinogradTests.shape(9, 5, 6, 32, 32, padding: 1),
        ] {
            #expect(method(few, .automatic, .direct))
            #expect(!method(few, .automatic, .winograd))
        }
        for undefined in [
            ConvolutionShape(
                batch: 4, inputHeight: 8, inputWidth: 8, inputChannels: 32, outputChannels: 32, kernel: 3, stride: 2,
                padding: 1),
            ConvolutionShape(
                batch: 4, inputHeight: 8, inputWidth: 8, inputChannels: 32, outputChannels: 32, kernel: 5, padding: 2),
            WinogradTests.shape(4, 8, 8, 32, 32, padding: 3),
        ] {
            #expect(method(undefined, .winograd, .direct))
        }
    }

    @Test("computes a picture the same in any batch", arguments: ConvolutionMethod.allCases)
    func batchDoesNotMatter(method: ConvolutionMethod) {
        // One picture: weights first; six: tiles first.
        let shape = WinogradTests.shape(6, 15, 14, 40, 36, padding: 1)
        let whole = ConvolutionTests.Material(shape, reference: false)
        var one = ConvolutionTests.Material(WinogradTests.shape(1, 15, 14, 40, 36, padding: 1), reference: false)
        (one.weight, one.bias) = (whole.weight, whole.bias)
        one.input = Array(whole.input.suffix(one.input.count))
        one.outputGradient = Array(whole.outputGradient.suffix(one.outputGradient.count))
        for instructionSet in supportedInstructionSets {
            let context = WinogradTests.context(instructionSet, method)
            let (all, last) = (ConvolutionTests.Passes(whole, context), ConvolutionTests.Passes(one, context))
            #expect(Array(all.output.bits.suffix(last.output.count)) == last.output.bits)
            #expect(Array(all.inputGradient.bits.suffix(last.inputGradient.count)) == last.inputGradient.bits)
        }
    }

    @Test("takes an empty batch", arguments: supportedInstructionSets)
    func emptyBatch(instructionSet: InstructionSet) {
        let shape = WinogradTests.shape(0, 8, 8, 32, 32, padding: 1)
        let result = ConvolutionTests.Passes(
            ConvolutionTests.Material(shape, reference: false), WinogradTests.context(instructionSet))
        #expect(result.isSound)
        #expect(result.weightGradient.values.allSatisfy { $0 == 0 })
    }
}

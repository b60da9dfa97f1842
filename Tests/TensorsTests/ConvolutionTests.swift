import SeededNumbers
import Tensors
import Testing

/// Rules of ``Convolution`` computed directly (``WinogradTests`` has the other way):
/// 1. Every pass agrees with the naive kernels in Double: forward and input gradient within 2e-6 relative RMS, weight
///    gradient within 1e-4 of its largest element; for any shape and every instruction set.
/// 2. Every output element is written; nothing outside of the outputs and the stated workspace is.
/// 3. 1, 2 and 3 workers give the same bytes.
/// 4. A batch of none gives nothing, and a weight gradient of zero.
@Suite struct ConvolutionTests {
    /// Named shapes that networks use, with their tails: width and height differ, channels are no multiples of a tile.
    static let usual = [
        ConvolutionShape(
            batch: 2, inputHeight: 17, inputWidth: 19, inputChannels: 1, outputChannels: 32, kernel: 3, stride: 2,
            padding: 1),
        ConvolutionShape(
            batch: 2, inputHeight: 23, inputWidth: 20, inputChannels: 3, outputChannels: 64, kernel: 7, stride: 2,
            padding: 3),
        ConvolutionShape(
            batch: 3, inputHeight: 16, inputWidth: 14, inputChannels: 32, outputChannels: 48, kernel: 3, padding: 1),
        ConvolutionShape(
            batch: 5, inputHeight: 7, inputWidth: 7, inputChannels: 64, outputChannels: 64, kernel: 3, padding: 1),
        ConvolutionShape(
            batch: 2, inputHeight: 14, inputWidth: 15, inputChannels: 40, outputChannels: 72, kernel: 3, stride: 2,
            padding: 1),
        ConvolutionShape(batch: 3, inputHeight: 9, inputWidth: 7, inputChannels: 64, outputChannels: 100, kernel: 1),
        ConvolutionShape(
            batch: 2, inputHeight: 9, inputWidth: 12, inputChannels: 256, outputChannels: 33, kernel: 1, stride: 2),
        ConvolutionShape(
            batch: 1, inputHeight: 30, inputWidth: 31, inputChannels: 5, outputChannels: 16, kernel: 5, padding: 2),
        ConvolutionShape(
            batch: 2, inputHeight: 12, inputWidth: 13, inputChannels: 3, outputChannels: 17, kernelHeight: 3,
            kernelWidth: 3,
            stride: 2, padTop: 0, padLeft: 0, padBottom: 1, padRight: 1),
        // Weights beyond the caches: pictures in groups, panels tap by tap, channel groups instead of slots.
        ConvolutionShape(
            batch: 9, inputHeight: 5, inputWidth: 4, inputChannels: 160, outputChannels: 150, kernel: 3, padding: 1),
        ConvolutionShape(
            batch: 1, inputHeight: 3, inputWidth: 3, inputChannels: 800, outputChannels: 40, kernel: 3, padding: 1),
        // Many rows per picture: several bands.
        ConvolutionShape(
            batch: 1, inputHeight: 70, inputWidth: 66, inputChannels: 33, outputChannels: 8, kernel: 3, padding: 1),
    ]

    /// Odd shapes: any kernel from 1 to 7 in either direction, strides to 3, padding different on every side.
    static let random: [ConvolutionShape] = {
        var generator = SplitMix64(seed: 7)
        return (0..<40).map { _ in
            let (kernelHeight, kernelWidth) = (generator.integer(1...7), generator.integer(1...7))
            return ConvolutionShape(
                batch: generator.integer(1...4), inputHeight: generator.integer(kernelHeight...11),
                inputWidth: generator.integer(kernelWidth...14), inputChannels: generator.integer(1...41),
                outputChannels: generator.integer(1...44), kernelHeight: kernelHeight, kernelWidth: kernelWidth,
                stride: generator.integer(1...3), padTop: generator.integer(0...3), padLeft: generator.integer(0...3),
                padBottom: generator.integer(0...3), padRight: generator.integer(0...3))
        }
    }()

    @Test("agrees with the naive kernels in Double", arguments: usual + random)
    func agreesWithReference(shape: ConvolutionShape) {
        let material = Material(shape)
        for instructionSet in supportedInstructionSets {
            let result = Passes(
                material, ComputeContext(workers: 2, instructionSet: instructionSet, convolutionMethod: .direct))
            let name = instructionSet.rawValue
            #expect(result.isSound, "\(name) left elements out or wrote outside")
            #expect(relativeRMS(result.output.values, material.output) <= 2e-6, "\(name) forward")
            #expect(relativeRMS(result.inputGradient.values, material.inputGradient) <= 2e-6, "\(name) input gradient")
            let error = relativeMaximum(result.weightGradient.values, material.weightGradient)
            #expect(error <= 1e-4, "\(name) weight gradient")
            #expect(error <= 5e-6, "\(name) weight gradient is worse than its sums explain")
        }
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) {
        let large = ConvolutionShape(
            batch: 6, inputHeight: 33, inputWidth: 31, inputChannels: 24, outputChannels: 40, kernel: 3, padding: 1)
        for shape in ConvolutionTests.usual + [large] {
            let material = Material(shape, reference: false)
            let one = Passes(
                material, ComputeContext(workers: 1, instructionSet: instructionSet, convolutionMethod: .direct))
            for workers in 2...3 {
                let many = Passes(
                    material,
                    ComputeContext(workers: workers, instructionSet: instructionSet, convolutionMethod: .direct))
                #expect(one.output.bits == many.output.bits)
                #expect(one.inputGradient.bits == many.inputGradient.bits)
                #expect(one.weightGradient.bits == many.weightGradient.bits)
            }
        }
    }

    @Test("takes an empty batch", arguments: supportedInstructionSets)
    func emptyBatch(instructionSet: InstructionSet) {
        let shape = ConvolutionShape(
            batch: 0, inputHeight: 5, inputWidth: 5, inputChannels: 3, outputChannels: 4, kernel: 3, padding: 1)
        let result = Passes(
            Material(shape, reference: false),
            ComputeContext(workers: 2, instructionSet: instructionSet, convolutionMethod: .direct))
        #expect(result.isSound)
        #expect(result.weightGradient.values.allSatisfy { $0 == 0 })
    }

    @Test("lets NaN and infinity of the input through to the output")
    func nonFinite() {
        let shape = ConvolutionShape(
            batch: 1, inputHeight: 8, inputWidth: 8, inputChannels: 16, outputChannels: 16, kernel: 3, padding: 1)
        var material = Material(shape, reference: false)
        material.input[16 * (3 * 8 + 3)] = .nan
        let convolution = Convolution(shape, context: ComputeContext(workers: 1, convolutionMethod: .direct))
        let output = GuardedBuffer(shape.outputCount)
        let workspace = GuardedBuffer(convolution.workspaceCount)
        convolution.forward(
            input: material.input, weight: material.weight, bias: nil, output: output.base, workspace: workspace.base)
        #expect(output.values.filter(\.isNaN).count == 9 * 16)
        #expect(workspace.guardsAreIntact)
    }

    /// Random tensors of one shape, and what the naive kernels make of them.
    struct Material {
        let shape: ConvolutionShape
        var input, weight, bias, outputGradient: [Float]
        var output, inputGradient, weightGradient: [Double]

        init(_ shape: ConvolutionShape, reference: Bool = true) {
            self.shape = shape
            var generator = SplitMix64(seed: UInt64(shape.flops &+ shape.inputCount))
            input = generator.floats(shape.inputCount)
            weight = generator.floats(shape.weightCount)
            bias = generator.floats(shape.outputChannels)
            outputGradient = generator.floats(shape.outputCount)
            output = [Double](repeating: 0, count: shape.outputCount)
            inputGradient = [Double](repeating: 0, count: shape.inputCount)
            weightGradient = [Double](repeating: 0, count: shape.weightCount)
            guard reference else { return }
            let (x, w, dy) = (input.map(Double.init), weight.map(Double.init), outputGradient.map(Double.init))
            Reference.convolution(shape, input: x, weight: w, bias: bias.map(Double.init), output: &output)
            Reference.convolutionInputGradient(shape, outputGradient: dy, weight: w, inputGradient: &inputGradient)
            Reference.convolutionWeightGradient(shape, input: x, outputGradient: dy, weightGradient: &weightGradient)
        }
    }

    /// The three passes of one context, with guards around outputs and workspace.
    struct Passes {
        let output, inputGradient, weightGradient, workspace: GuardedBuffer

        init(_ material: Material, _ context: ComputeContext) {
            let shape = material.shape
            let convolution = Convolution(shape, context: context)
            output = GuardedBuffer(shape.outputCount)
            inputGradient = GuardedBuffer(shape.inputCount)
            weightGradient = GuardedBuffer(shape.weightCount)
            workspace = GuardedBuffer(convolution.workspaceCount)
            convolution.forward(
                input: material.input, weight: material.weight, bias: material.bias, output: output.base,
                workspace: workspace.base)
            convolution.inputGradient(
                outputGradient: material.outputGradient, weight: material.weight, inputGradient: inputGradient.base,
                workspace: workspace.base)
            convolution.weightGradient(
                input: material.input, outputGradient: material.outputGradient,
                weightGradient: weightGradient.base, workspace: workspace.base)
        }

        var isSound: Bool {
            output.isSound && inputGradient.isSound && weightGradient.isSound && workspace.guardsAreIntact
        }
    }
}

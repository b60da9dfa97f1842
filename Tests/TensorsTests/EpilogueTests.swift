import SeededNumbers
import Tensors
import Testing

/// The epilogue of a convolution computed directly: the residual is added to the finished sums, once, and max(0, .)
/// comes last. Held against the naive kernels in float64, on shapes that take every way through the engine: plain
/// products in one and in several passes over the depth, ragged panels, staged bands, taps one by one.
@Suite struct EpilogueTests {
    static let shapes = [
        ConvolutionShape(batch: 2, inputHeight: 5, inputWidth: 7, inputChannels: 13, outputChannels: 37, kernel: 1),
        ConvolutionShape(batch: 1, inputHeight: 6, inputWidth: 5, inputChannels: 1024, outputChannels: 70, kernel: 1),
        ConvolutionShape(
            batch: 3, inputHeight: 9, inputWidth: 8, inputChannels: 20, outputChannels: 33, kernel: 3, padding: 1),
        ConvolutionShape(
            batch: 2, inputHeight: 9, inputWidth: 9, inputChannels: 16, outputChannels: 48, kernel: 1, stride: 2),
        ConvolutionShape(
            batch: 2, inputHeight: 7, inputWidth: 7, inputChannels: 800, outputChannels: 40, kernel: 3, padding: 1),
    ]

    @Test("Residual and ReLU follow the sums", arguments: shapes, [true, false])
    func residualAndReLU(shape: ConvolutionShape, relu: Bool) {
        let material = ConvolutionTests.Material(shape)
        var generator = SplitMix64(seed: 77)
        let residual = generator.floats(shape.outputCount)
        let wanted = zip(material.output, residual).map { relu ? max(0, $0 + Double($1)) : $0 + Double($1) }
        for instructionSet in supportedInstructionSets {
            let context = ComputeContext(workers: 2, instructionSet: instructionSet, convolutionMethod: .direct)
            let convolution = Convolution(shape, context: context)
            let output = GuardedBuffer(shape.outputCount)
            let workspace = GuardedBuffer(convolution.workspaceCount)
            let added = GuardedBuffer(residual)
            convolution.forward(
                input: material.input, weight: material.weight, bias: material.bias,
                epilogue: Epilogue(residual: UnsafePointer(added.base), relu: relu), output: output.base,
                workspace: workspace.base)
            #expect(output.isSound && workspace.guardsAreIntact && added.isSound)
            #expect(relativeRMS(output.values, wanted) < 2e-6, "\(instructionSet.rawValue)")
        }
    }

    /// Ragged strips, blocks of rows that end within one, and more blocks than the smallest.
    @Test(
        "the sums of an output's moments are those of a pass over it, bit for bit",
        arguments: [(3, 17), (2, 64), (9, 30)])
    func moments(batch: Int, edge: Int) {
        let shape = ConvolutionShape(
            batch: batch, inputHeight: edge, inputWidth: edge, inputChannels: 20, outputChannels: 37, kernelHeight: 1,
            kernelWidth: 1, stride: 1, padTop: 0, padLeft: 0, padBottom: 0, padRight: 0)
        let material = ConvolutionTests.Material(shape, reference: false)
        let (rows, channels) = (batch * edge * edge, shape.outputChannels)
        for instructionSet in supportedInstructionSets {
            for workers in 1...2 {
                let context = ComputeContext(workers: workers, instructionSet: instructionSet)
                let convolution = Convolution(shape, context: context)
                guard convolution.sumsMoments else { continue }
                let (output, plain) = (GuardedBuffer(shape.outputCount), GuardedBuffer(shape.outputCount))
                let workspace = GuardedBuffer(convolution.workspaceCount)
                let sums = GuardedBuffer(Kernels.reductionWorkspaceCount(channels: channels))
                let results = (0..<4).map { _ in GuardedBuffer(channels) }
                convolution.forward(
                    input: material.input, weight: material.weight, bias: material.bias, output: output.base,
                    moments: sums.base, workspace: workspace.base)
                Kernels.channelMoments(
                    rows: rows, channels: channels, mean: results[0].base, variance: results[1].base,
                    summedIn: sums.base)
                convolution.forward(
                    input: material.input, weight: material.weight, bias: material.bias, output: plain.base,
                    workspace: workspace.base)
                Kernels.channelMoments(
                    x: plain.base, rows: rows, channels: channels, mean: results[2].base, variance: results[3].base,
                    workspace: sums.base, context: context)
                #expect(output.isSound && output.bits == plain.bits)
                #expect(results.allSatisfy(\.isSound) && sums.guardsAreIntact && workspace.guardsAreIntact)
                #expect(results[0].bits + results[1].bits == results[2].bits + results[3].bits)
            }
        }
        let one = ComputeContext(workers: 1)
        #expect(Convolution(shape, context: one).sumsMoments, "nothing was compared")
    }

    @Test("ReLU lets NaN through")
    func nonFinite() {
        var material = ConvolutionTests.Material(Self.shapes[0], reference: false)
        material.input[0] = .nan
        let shape = Self.shapes[0]
        let convolution = Convolution(shape, context: ComputeContext(workers: 1))
        let output = GuardedBuffer(shape.outputCount)
        let workspace = GuardedBuffer(convolution.workspaceCount)
        convolution.forward(
            input: material.input, weight: material.weight, bias: nil, epilogue: Epilogue(residual: nil, relu: true),
            output: output.base, workspace: workspace.base)
        #expect(output.values.count(where: \.isNaN) == shape.outputChannels)
        #expect(output.values.allSatisfy { $0.isNaN || $0 >= 0 })
    }
}

import SeededNumbers
import Tensors
import Testing

/// An input gradient that is added to what another reader of the same value left: the sum of both, in one sweep.
@Suite struct AccumulatedGradientTests {
    @Test("adds to what is there", arguments: ConvolutionTests.usual + WinogradTests.usual)
    func adds(shape: ConvolutionShape) {
        let material = ConvolutionTests.Material(shape)
        var generator = SplitMix64(seed: 31)
        let start = generator.floats(shape.inputCount)
        let expected = zip(start, material.inputGradient).map { Double($0) + $1 }
        for instructionSet in supportedInstructionSets {
            var bits: [[UInt32]] = []
            for workers in 1...3 {
                let convolution = Convolution(
                    shape, context: ComputeContext(workers: workers, instructionSet: instructionSet))
                guard convolution.accumulatesInputGradient else { continue }
                let (sum, workspace) = (GuardedBuffer(start), GuardedBuffer(convolution.workspaceCount))
                convolution.inputGradient(
                    outputGradient: material.outputGradient, weight: material.weight, inputGradient: sum.base,
                    accumulate: true, workspace: workspace.base)
                #expect(sum.isSound && workspace.guardsAreIntact)
                #expect(relativeRMS(sum.values, expected) <= 8e-6, "\(instructionSet.rawValue)")
                bits.append(sum.bits)
            }
            #expect(bits.allSatisfy { $0 == bits.first })
        }
    }

    @Test("plain products and Winograd's can, others say so")
    func whoCan() {
        func can(_ kernel: Int, stride: Int, channels: Int) -> Bool {
            Convolution(
                ConvolutionShape(
                    batch: 2, inputHeight: 8, inputWidth: 8, inputChannels: channels, outputChannels: channels,
                    kernel: kernel, stride: stride, padding: kernel / 2), context: ComputeContext()
            ).accumulatesInputGradient
        }
        #expect(can(1, stride: 1, channels: 24))
        #expect(can(3, stride: 1, channels: 64))
        #expect(!can(3, stride: 2, channels: 64))
        #expect(!can(1, stride: 2, channels: 64))
    }
}

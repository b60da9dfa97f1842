import Client
import Glibc
import NeuralNetworks
import Tensors
import Testing

/// Rules: 1. weights and offsets follow from a hospital's own counts, and are finite for any; 2. a model trained with
/// offsets says what pictures are like, not how often the hospital sees such.
@Suite struct ClassBalanceTests {
    @Test func weightsAreInverseToCounts() {
        #expect(LocalTraining.balancedWeights([30, 10, 0]) == [40.0 / 90, 40.0 / 30, 0])
    }

    @Test func offsetsAreLogarithmsOfFrequencies() throws {
        #expect(LocalTraining.logitOffsets([30, 10], tau: 0) == nil)
        let offsets = try #require(LocalTraining.logitOffsets([8, 1, 0], tau: 1))
        for (offset, share) in zip(offsets, [9.0 / 12, 2.0 / 12, 1.0 / 12]) {
            #expect(abs(exp(Double(offset)) - share) < 1e-6)
        }
        let halved = try #require(LocalTraining.logitOffsets([8, 1, 0], tau: 0.5))
        for (half, whole) in zip(halved, offsets) { #expect(abs(2 * half - whole) < 1e-6) }
        #expect(try #require(LocalTraining.logitOffsets([0, 0], tau: 1)).allSatisfy(\.isFinite))
    }

    /// Pictures without any information, three of four of them of the first class.
    private struct Blank: PictureSource {
        let count = 64
        func label(_ index: Int) -> Int { index % 4 == 3 ? 1 : 0 }
        func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
            picture.update(repeating: 1)
        }
    }

    @Test(arguments: [(0.0, 0.75), (1.0, 0.5)])
    func aFrequencyIsLearntWithoutOffsetsOnly(tau: Double, expected: Double) throws {
        let specification = try ModelSpecification(architecture: .smallcnn, classes: ["a", "b"], imageSize: 32)
        let model = try Model(initializing: specification, seed: 2)
        let context = ComputeContext(workers: 2)
        let options = TrainingOptions(
            epochs: 400, batchSize: 64, learningRate: 0.002, trainFrom: "head", frozenBatchNorm: true,
            logitOffsets: LocalTraining.logitOffsets([48, 16], tau: tau), seed: 1)
        let trainer = try Trainer(model: model, options: options, data: Blank(), context: context)
        #expect(try trainer.run(shouldStop: { false }))
        let probability = try predictProbabilities(model: trainer.model, data: Blank(), context: context)[0][0]
        #expect(abs(Double(probability) - expected) < 0.02, "\(probability)")
    }
}

import NeuralNetworks
import Tensors
import Testing

/// Training with Winograd's convolutions follows training with direct ones: the losses of ten steps of a ResNet-18 on
/// pictures of 64 x 64 pixels, where all four stages have convolutions of both kinds.
///
/// The tolerance is what rounding may do, more than ten times what was seen: 1e-7, 6e-7 and 4e-5. With statistics over
/// a batch of eight and a larger step, any two roundings part for good, as PyTorch's float32 does from its float64:
/// there the direct way parts from itself, scalar against vector instructions, as Winograd's does from the direct.
@Suite struct WinogradCurveTests {
    struct Setting: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var trainFrom = "all"
        var frozenBatchNorm = true
        var learningRate: Float
        let tolerance: Double
    }

    static let settings = [
        Setting(testDescription: "from layer3, frozen", trainFrom: "layer3", learningRate: 1e-3, tolerance: 2e-6),
        Setting(testDescription: "all, frozen", learningRate: 5e-4, tolerance: 2e-5),
        Setting(testDescription: "all", frozenBatchNorm: false, learningRate: 1e-4, tolerance: 2e-3),
    ]

    @Test("the losses of ten steps agree", arguments: settings)
    func curves(_ setting: Setting) throws {
        let direct = try losses(setting, .direct)
        let winograd = try losses(setting, .automatic)
        #expect(direct.count == 10 && winograd.count == 10)
        let distance = zip(direct, winograd).map { abs($0 - $1) }.max() ?? .infinity
        #expect(distance < setting.tolerance)
        // Else the two were the same computation, and the test would hold nothing.
        #expect(distance > 0)
    }

    private func losses(_ setting: Setting, _ method: ConvolutionMethod) throws -> [Double] {
        let model = try Model(
            initializing: ModelSpecification(
                architecture: #require(Architecture(rawValue: "resnet18")), classes: ["a", "b", "c", "d"], imageSize: 64
            ),
            seed: 7)
        var options = TrainingOptions(
            epochs: 2, batchSize: 8, optimizer: .sgd(momentum: 0.9),
            schedule: LearningRateSchedule(.constant, warmup: 0, total: 2), seed: 7)
        options.learningRate = setting.learningRate
        options.trainFrom = setting.trainFrom
        options.frozenBatchNorm = setting.frozenBatchNorm
        options.clipNorm = 10
        let trainer = try Trainer(
            model: model, options: options, data: StripedPictures(),
            context: ComputeContext(convolutionMethod: method))
        var losses: [Double] = []
        #expect(try trainer.run(shouldStop: { false }, progress: { losses.append($0.loss) }))
        return losses
    }
}

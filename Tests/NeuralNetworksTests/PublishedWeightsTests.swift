import Glibc
import NeuralNetworks
import Tensors
import Testing

/// ResNet-50 v1 with weights that others trained on ImageNet, against what PyTorch makes of them.
@Suite struct PublishedWeightsTests {
    private static let folder =
        #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/../shared/data/weights"
    private static let weights = "\(folder)/resnet50v1_imagenet_pruned.safetensors"
    /// One picture, `[1, 3, 224, 224]`, with the pooled features and the logits that belong to it.
    private static let check = "\(folder)/resnet50v1_check.safetensors"

    /// The picture, `[H, W, C]`.
    private struct OnePicture: PictureSource {
        let values: [Float]
        let count = 1
        func label(_ index: Int) -> Int { 0 }
        func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
            _ = picture.update(fromContentsOf: values)
        }
    }

    @Test(
        "resnet50v1 with published weights: features, logits and predictions are PyTorch's",
        .enabled(if: access(weights, R_OK) == 0 && access(check, R_OK) == 0, "../shared/data is not here"))
    func logits() throws {
        let specification = try ModelSpecification(
            architecture: Architecture(.resnet50v1), classes: (0..<1_000).map { "class \($0)" }, imageSize: 224)
        let model = try Model(
            specification, tensors: MappedSafetensors(path: Self.weights, profile: .interchange).loaded())
        let wanted = try MappedSafetensors(path: Self.check, profile: .interchange).loaded()
        let input = try #require(wanted["input"]?.tensor)
        #expect(input.shape == [1, 3, 224, 224])
        let plane = 224 * 224
        let picture = OnePicture(values: (0..<plane * 3).map { input.values[$0 % 3 * plane + $0 / 3] })
        let features = try #require(wanted["features"]?.tensor.values)
        let logits = try #require(wanted["logits"]?.tensor.values)

        for set in InstructionSet.allCases where set.isSupported {
            let context = ComputeContext(instructionSet: set)
            let probe = try GraphProbe(
                specification.graph(), tensors: model.tensors, batch: 1,
                mode: PlanMode(trainedParts: [], freezesBatchNorm: true), context: context)
            probe.run(pictures: picture.values, labels: [0])
            // Seen: 2e-6 of features up to 3.6, 2e-5 of logits up to 21.
            #expect(distance(probe.value(of: "avgpool"), features) < 1e-4, "\(set)")
            #expect(distance(probe.value(of: "fc"), logits) < 1e-4, "\(set)")

            // A probe keeps every value; a prediction folds BatchNorm into the convolutions.
            let row = try predictProbabilities(model: model, data: picture, context: context)[0]
            #expect(distance(row.map { log($0) }, logarithms(ofSoftmax: logits)) < 1e-4, "\(set)")
        }
    }

    private func logarithms(ofSoftmax logits: [Float]) -> [Float] {
        let sum = logits.reduce(0) { $0 + exp(Double($1)) }
        return logits.map { Float(Double($0) - log(sum)) }
    }

    /// The greatest difference.
    private func distance(_ actual: [Float]?, _ expected: [Float]) -> Float {
        guard let actual, actual.count == expected.count else { return .infinity }
        return zip(actual, expected).map { abs($0 - $1) }.max() ?? .infinity
    }
}

import NeuralNetworks
import Tensors
import Testing

/// Constant BatchNorm layers are taken into the convolutions before them. Rules: 1. the network answers what it answered;
/// 2. what does not train stays the base model's to the bit, though the engine scaled its own copy; 3. the gradients of
/// what does train are those of the unfolded network.
@Suite struct FoldingTests {
    /// A ResNet whose BatchNorm layers are far from the identity.
    private func model() throws -> Model {
        let specification = try ModelSpecification(
            architecture: Architecture(.resnet18), classes: ["a", "b", "c", "d"], imageSize: 32)
        let plain = try Model(initializing: specification, seed: 3)
        var changed = TensorDictionary()
        for name in plain.tensors.names {
            guard let entry = plain.tensors[name], entry.tensor.shape.count == 1, !name.hasPrefix("fc") else {
                continue
            }
            let random = RandomSource(seed: 11).derived(name)
            let values = entry.tensor.values.indices.map { index -> Float in
                let value = random.normal(UInt64(index))
                if name.hasSuffix("running_var") { return Float(0.5 + abs(value)) }
                return Float(name.hasSuffix(".weight") ? 0.5 + 0.2 * value : 0.3 * value)
            }
            changed[name] = TensorDictionary.Entry(
                tensor: Tensor(shape: entry.tensor.shape, values: values), part: entry.part, role: entry.role)
        }
        return try plain.replacing(changed)
    }

    private func pictures(_ data: SyntheticPictures, size: Int) throws -> [Float] {
        var all: [Float] = []
        for index in 0..<data.count {
            var picture = [Float](repeating: 0, count: size * size * 3)
            try picture.withUnsafeMutableBufferPointer { try data.fill(index, epoch: nil, into: $0) }
            all += picture
        }
        return all
    }

    @Test func theFoldedNetworkAnswersWhatTheUnfoldedOneDoes() throws {
        let model = try model()
        let data = SyntheticPictures(count: 5, size: 32)
        for instructionSet in [InstructionSet.scalar, .best] {
            let context = ComputeContext(instructionSet: instructionSet)
            let folded = try predictProbabilities(model: model, data: data, context: context).flatMap { $0 }
            // A probe keeps every value, so it cannot fold.
            let probe = try GraphProbe(
                model.specification.graph(), tensors: model.tensors, batch: 5,
                mode: PlanMode(trainedParts: [], freezesBatchNorm: true), context: context)
            probe.run(pictures: try pictures(data, size: 32), labels: [])
            #expect(relativeError(folded, probe.probabilities.map(Double.init)) < 1e-5)
            #expect(Set(folded).count > 10, "the pictures are told apart")
        }
    }

    @Test(arguments: ["layer4", "head"]) func whatDoesNotTrainStaysToTheBit(trainFrom: String) throws {
        let model = try model()
        let options = TrainingOptions(
            epochs: 1, batchSize: 4, learningRate: 1e-3, trainFrom: trainFrom, frozenBatchNorm: true, seed: 5)
        let trainer = try Trainer(
            model: model, options: options, data: SyntheticPictures(count: 8, size: 32), context: ComputeContext())
        #expect(try trainer.run(shouldStop: { false }))
        let trainable = try model.trainable(from: trainFrom, frozenBatchNorm: true)
        let trained = trainer.model
        for name in model.tensors.names {
            let isSame = trained.tensors[name] == model.tensors[name]
            #expect(isSame == !trainable.contains(name), "\(name)")
        }
    }

    /// One plain step over a folded prefix, against the gradients of a probe, which folds nothing.
    @Test func gradientsBehindAFoldedPrefixAreTheUnfoldedOnes() throws {
        let model = try model()
        let data = SyntheticPictures(count: 4, size: 32)
        let options = TrainingOptions(
            epochs: 1, batchSize: 4, optimizer: .sgd(momentum: 0), learningRate: 1, trainFrom: "layer4",
            frozenBatchNorm: true, seed: 5)
        let trainer = try Trainer(model: model, options: options, data: data, context: ComputeContext())
        #expect(try trainer.run(shouldStop: { false }))
        let probe = try GraphProbe(
            model.specification.graph(), tensors: model.tensors, batch: 4,
            mode: PlanMode(trainedParts: ["layer4", "head"], freezesBatchNorm: true), context: ComputeContext())
        // Epoch 0's view of each picture, in any order: the gradient is a mean.
        var all: [Float] = []
        for index in 0..<4 {
            var picture = [Float](repeating: 0, count: 32 * 32 * 3)
            try picture.withUnsafeMutableBufferPointer { try data.fill(index, epoch: 0, into: $0) }
            all += picture
        }
        probe.run(pictures: all, labels: (0..<4).map(data.label))
        for name in probe.gradients.names {
            guard let start = model.tensors[name]?.tensor.values, let end = trainer.model.tensors[name]?.tensor.values,
                let gradient = probe.gradients[name]?.tensor.values
            else { continue }
            let step = zip(start, end).map { $0 - $1 }
            // The difference of two weights keeps few digits of a small gradient.
            #expect(relativeError(step, gradient.map(Double.init), floor: 1e-3) < 2e-3, "\(name)")
        }
    }
}

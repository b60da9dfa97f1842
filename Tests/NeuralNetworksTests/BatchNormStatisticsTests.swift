import NeuralNetworks
import Tensors
import Testing

/// The rules of ``Trainer/recomputeBatchNormStatistics()``.
@Suite struct BatchNormStatisticsTests {
    let data = SyntheticPictures(count: 16, size: 32)
    let context = ComputeContext(workers: 2)
    let model: Model

    init() throws {
        let specification = try ModelSpecification(
            architecture: .smallcnn, classes: ["a", "b", "c", "d"], imageSize: 32)
        model = try Model(initializing: specification, seed: 3)
    }

    private func trained(_ change: (inout TrainingOptions) -> Void = { _ in }, workers: Int = 2) throws -> Trainer {
        var options = TrainingOptions(epochs: 3, batchSize: 8, learningRate: 1e-2, seed: 5)
        change(&options)
        let trainer = try Trainer(
            model: model, options: options, data: data, context: ComputeContext(workers: workers))
        #expect(try trainer.run(shouldStop: { false }))
        return trainer
    }

    private func isStatistic(_ name: String) -> Bool { name.contains(".running_") }

    @Test("only running statistics change, and all of them do")
    func onlyStatistics() throws {
        let trainer = try trained()
        let before = trainer.model
        let steps = trainer.statistics
        try trainer.recomputeBatchNormStatistics()
        for name in before.tensors.names {
            let hasChanged = trainer.model.tensors[name] != before.tensors[name]
            #expect(hasChanged == isStatistic(name), "\(name)")
        }
        #expect(trainer.statistics == steps)
    }

    @Test("the result depends on weights and pictures alone: a second time changes nothing, nor do more workers")
    func repetition() throws {
        let trainer = try trained()
        try trainer.recomputeBatchNormStatistics()
        let once = trainer.model
        try trainer.recomputeBatchNormStatistics()
        let isSame = trainer.model == once
        #expect(isSame)
        let alone = try trained(workers: 1)
        try alone.recomputeBatchNormStatistics()
        let isSameAlone = alone.model == once
        #expect(isSameAlone)
    }

    @Test("frozen BatchNorm, and BatchNorm before the first trained part, stay to the bit")
    func frozen() throws {
        let frozen = try trained { $0.frozenBatchNorm = true }
        let before = frozen.model
        try frozen.recomputeBatchNormStatistics()
        let isSame = frozen.model == before
        #expect(isSame)

        let head = try trained { $0.trainFrom = "layer4" }
        try head.recomputeBatchNormStatistics()
        for name in model.tensors.names where isStatistic(name) && !name.hasPrefix("layer4") {
            let isSame = head.model.tensors[name] == model.tensors[name]
            #expect(isSame, "\(name)")
        }
    }

    /// With all pictures in one batch the statistics are that batch's, so inference sees what training saw, but for the
    /// unbiased variance, n / (n - 1) with n at least 16 positions.
    @Test("one batch of all pictures: inference gives the loss that training gave")
    func agreesWithTraining() throws {
        // The rate is so small that the one step leaves the weights where they were.
        let options = TrainingOptions(epochs: 1, batchSize: 16, learningRate: 1e-9, seed: 5)
        let trainer = try Trainer(model: model, options: options, data: data, context: context)
        #expect(try trainer.run(shouldStop: { false }))
        let trainingLoss = try #require(trainer.statistics.lossPerEpoch.first)

        func inferenceLoss() throws -> Double {
            let rows = try predictProbabilities(model: trainer.model, data: data, context: context)
            let labels = (0..<data.count).map { data.label($0) }
            return ClassificationMetrics(
                probabilities: rows, labels: labels, classes: model.specification.classes
            ).loss
        }
        let lagging = abs(try inferenceLoss() - trainingLoss)
        try trainer.recomputeBatchNormStatistics()
        let precise = abs(try inferenceLoss() - trainingLoss)
        #expect(precise < 0.05, "loss differs by \(precise)")
        #expect(precise < lagging)
    }
}

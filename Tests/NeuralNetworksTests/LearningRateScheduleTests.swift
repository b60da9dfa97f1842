import NeuralNetworks
import Tensors
import Testing

/// Rules: 1. the factors are those of PyTorch's `CosineAnnealingLR` and `StepLR` at whole epochs; 2. warm-up is a straight
/// line that ends at 1; 3. only the place in the session counts, not how many steps an epoch has; 4. a training that is
/// cut into rounds takes the same rates as one that is not.
@Suite struct LearningRateScheduleTests {
    private func factors(_ schedule: LearningRateSchedule, epochs: Int, stepsPerEpoch: Int = 1) -> [Double] {
        (0..<epochs).flatMap { epoch in
            (0..<stepsPerEpoch).map { schedule.factor(epoch: epoch, step: $0, stepsPerEpoch: stepsPerEpoch) }
        }
    }

    /// torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8, eta_min=0.1) over a rate of 1, first five values.
    @Test func cosine() {
        let expected = [1.0, 0.9657457896, 0.8681980515, 0.7222075445, 0.55]
        for (factor, wanted) in zip(factors(.init(.cosine(floor: 0.1), total: 8), epochs: 5), expected) {
            #expect(abs(factor - wanted) < 1e-9)
        }
        #expect(factors(.init(.cosine(floor: 0.1), total: 8), epochs: 12).last == 0.1, "the floor stays")
    }

    /// torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5).
    @Test func step() {
        #expect(factors(.init(.step(every: 2, factor: 0.5)), epochs: 6) == [1, 1, 0.5, 0.5, 0.25, 0.25])
        #expect(factors(.constant, epochs: 3) == [1, 1, 1])
    }

    @Test func warmUpRisesInALineAndThenTheShapeBegins() {
        let rising = factors(.init(.step(every: 1, factor: 0.5), warmup: 2), epochs: 4, stepsPerEpoch: 2)
        #expect(rising == [0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5])
        let cosine = factors(.init(.cosine(floor: 0), warmup: 1, total: 3), epochs: 3, stepsPerEpoch: 1)
        #expect(cosine[0] == 1 && cosine[1] == 1 && abs(cosine[2] - 0.5) < 1e-12)
    }

    @Test func onlyThePlaceInTheSessionCounts() {
        let schedule = LearningRateSchedule(.cosine(floor: 0.2), total: 10)
        #expect(
            schedule.factor(epoch: 4, step: 5, stepsPerEpoch: 10)
                == schedule.factor(epoch: 4, step: 40, stepsPerEpoch: 80))
    }

    private func model() throws -> Model {
        try Model(
            initializing: ModelSpecification(
                architecture: .smallcnn, classes: ["a", "b", "c", "d"], imageSize: 32), seed: 3)
    }

    private func train(
        _ start: Model, epochs: Int, first: Int = 0, _ change: (inout TrainingOptions) -> Void
    ) throws -> Model {
        var options = TrainingOptions(
            epochs: epochs, batchSize: 8, optimizer: .sgd(momentum: 0), learningRate: 0.05, seed: 5, firstEpoch: first)
        change(&options)
        let trainer = try Trainer(
            model: start, options: options, data: SyntheticPictures(count: 16, size: 32), context: ComputeContext())
        #expect(try trainer.run(shouldStop: { false }))
        return trainer.model
    }

    /// Plain SGD keeps no state between rounds, so two rounds of one epoch are one of two, to the bit.
    @Test func roundsContinueTheCurve() throws {
        let schedule = LearningRateSchedule(.cosine(floor: 0), warmup: 0.5, total: 2)
        let whole = try train(try model(), epochs: 2) { $0.schedule = schedule }
        let first = try train(try model(), epochs: 1) { $0.schedule = schedule }
        let second = try train(first, epochs: 1, first: 1) { $0.schedule = schedule }
        let isSame = second == whole
        #expect(isSame)
        let constant = try train(try model(), epochs: 2) { _ in }
        let isConstant = constant == whole
        #expect(!isConstant)
    }

    /// With plain SGD at rate 1 a clipped step is no longer than the limit, and has the direction of the free one.
    @Test func aClippedStepIsAsLongAsTheLimit() throws {
        let start = try model()
        let one: (inout TrainingOptions) -> Void = {
            $0.batchSize = 16
            $0.learningRate = 1
        }
        let free = try train(start, epochs: 1, one)
        let clipped = try train(start, epochs: 1) {
            one(&$0)
            $0.clipNorm = 0.01
        }
        func move(_ end: Model) -> [Double] {
            start.tensors.names.filter { start.tensors[$0]?.role != .bnStatistic }.flatMap { name in
                zip(end.tensors[name]?.tensor.values ?? [], start.tensors[name]?.tensor.values ?? []).map {
                    Double($0) - Double($1)
                }
            }
        }
        func length(_ vector: [Double]) -> Double { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let (long, short) = (move(free), move(clipped))
        #expect(length(long) > 0.1)
        #expect(abs(length(short) - 0.01) < 1e-5)
        let cosine = zip(long, short).reduce(0) { $0 + $1.0 * $1.1 } / (length(long) * length(short))
        #expect(cosine > 0.9999)
    }

    @Test func schedulesOutOfRangeAreRefused() throws {
        let wrong: [LearningRateSchedule] = [
            .init(.cosine(floor: 2)), .init(.step(every: 0, factor: 0.5)), .init(.step(every: 1, factor: 0)),
            .init(.constant, warmup: -1), .init(.cosine(floor: 0), total: 0), .init(.constant, warmup: .nan),
        ]
        for schedule in wrong {
            #expect(throws: NetworkError.self) { try train(try model(), epochs: 1) { $0.schedule = schedule } }
        }
        #expect(throws: NetworkError.self) { try train(try model(), epochs: 1) { $0.clipNorm = 0 } }
    }
}

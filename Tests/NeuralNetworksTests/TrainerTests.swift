import NeuralNetworks
import Tensors
import Testing

/// One test for each rule of ``Trainer``.
@Suite struct TrainerTests {
    static let specification = Result {
        try ModelSpecification(architecture: .smallcnn, classes: ["a", "b", "c", "d"], imageSize: 32)
    }
    /// 11 pictures in batches of 4: two usual batches and one of 3.
    let data = SyntheticPictures(count: 11, size: 32)
    let context = ComputeContext(workers: 2)
    let model: Model

    init() throws { model = try Model(initializing: Self.specification.get(), seed: 3) }

    func options(_ change: (inout TrainingOptions) -> Void = { _ in }) -> TrainingOptions {
        var options = TrainingOptions(
            epochs: 2, batchSize: 4, weightDecay: 1e-4, proximalMu: 0.01, dropout: 0.2, seed: 5)
        change(&options)
        return options
    }

    func trained(
        _ options: TrainingOptions, data: SyntheticPictures? = nil, context: ComputeContext? = nil
    ) throws -> Trainer {
        let trainer = try Trainer(
            model: model, options: options, data: data ?? self.data, context: context ?? self.context)
        #expect(try trainer.run(shouldStop: { false }))
        return trainer
    }

    @Test("the same bytes on any number of workers, on every instruction set")
    func determinism() throws {
        for set in InstructionSet.allCases where set.isSupported {
            let single = try trained(options(), context: ComputeContext(workers: 1, instructionSet: set))
            for workers in [2, 3] {
                let several = try trained(options(), context: ComputeContext(workers: workers, instructionSet: set))
                #expect(several.model == single.model)
                #expect(several.statistics == single.statistics)
            }
        }
    }

    @Test("another seed, another first epoch: another result")
    func seeds() throws {
        let base = try trained(options())
        #expect(try trained(options { $0.seed = 6 }).model != base.model)
        #expect(try trained(options { $0.firstEpoch = 2 }).model != base.model)
    }

    @Test(
        "stopped after any step and resumed: the bytes of never having stopped",
        arguments: [Optimizer.adam, .sgd(momentum: 0.9), .sgd(momentum: 0)])
    func resumption(_ optimizer: Optimizer) throws {
        let options = options { $0.optimizer = optimizer }
        let whole = try trained(options)
        for stop in 0...6 {
            let first = try Trainer(model: model, options: options, data: data, context: context)
            var steps = 0
            var during: [UInt8] = first.checkpoint()
            let isDone = try first.run(
                shouldStop: { steps == stop },
                progress: { _ in
                    steps += 1
                    during = first.checkpoint()
                })
            #expect(isDone == (stop == 6))
            let third = try Trainer(
                resuming: during, model: model, options: options, data: data, context: context)
            #expect(try third.run(shouldStop: { false }))
            #expect(third.checkpoint() == whole.checkpoint())
            let second = try Trainer(
                resuming: first.checkpoint(), model: model, options: options, data: data, context: context)
            #expect(second.model == first.model)
            #expect(try second.run(shouldStop: { false }))
            #expect(second.model == whole.model)
            #expect(second.statistics == whole.statistics)
            #expect(second.checkpoint() == whole.checkpoint())
        }
    }

    @Test("stopping and going on in the same trainer changes nothing")
    func pausing() throws {
        let trainer = try Trainer(model: model, options: options(), data: data, context: context)
        var asked = 0
        while try !trainer.run(shouldStop: {
            asked += 1; return asked.isMultiple(of: 2)
        }) {}
        #expect(trainer.model == (try trained(options())).model)
    }

    @Test("a checkpoint of another model, other options or other data is refused, and a damaged one")
    func foreignCheckpoints() throws {
        let trainer = try trained(options())
        let checkpoint = trainer.checkpoint()
        func expectRefusal(
            _ bytes: [UInt8], model other: Model? = nil, options changed: TrainingOptions? = nil,
            data otherData: SyntheticPictures? = nil
        ) {
            do {
                _ = try Trainer(
                    resuming: bytes, model: other ?? model, options: changed ?? options(), data: otherData ?? data,
                    context: context)
                Issue.record("accepted")
            } catch {
                #expect(error.reason == .invalidCheckpoint)
            }
        }
        expectRefusal(checkpoint, model: try Model(initializing: Self.specification.get(), seed: 4))
        let changes: [(inout TrainingOptions) -> Void] = [
            { $0.epochs = 3 }, { $0.learningRate = 0.1 }, { $0.proximalMu = 0.02 }, { $0.trainFrom = "head" },
            { $0.seed = 6 }, { $0.firstEpoch = 2 }, { $0.classWeights = [1, 1, 1, 2] },
            { $0.logitOffsets = [0, -1, 0, 0] }, { $0.headLearningRate = 0.1 }, { $0.dropout = 0.1 },
            { $0.frozenBatchNorm = true }, { $0.optimizer = .sgd(momentum: 0.9) }, { $0.weightDecay = 0 },
            { $0.batchSize = 5 }, { $0.clipNorm = 1 }, { $0.schedule.shape = .cosine(floor: 0) },
            { $0.schedule.warmup = 1 }, { $0.schedule.total = 9 },
        ]
        for change in changes { expectRefusal(checkpoint, options: options(change)) }
        expectRefusal(checkpoint, data: SyntheticPictures(count: 10, size: 32))
        expectRefusal(checkpoint, data: SyntheticPictures(count: 11, size: 32, classes: 3))
        expectRefusal([])
        expectRefusal(Array(checkpoint.dropLast()))
        expectRefusal(checkpoint + [0])
        for position in stride(from: 0, to: checkpoint.count, by: checkpoint.count / 40) {
            var damaged = checkpoint
            damaged[position] ^= 0x10
            expectRefusal(damaged)
        }
    }

    @Test("FedProx: with mu, a step moves by -rate (gradient + mu (w - w_global)), computed by hand")
    func proximalTerm() throws {
        let options = { (epochs: Int, mu: Float) in
            TrainingOptions(
                epochs: epochs, batchSize: 11, optimizer: .sgd(momentum: 0), learningRate: 0.05, proximalMu: mu, seed: 5
            )
        }
        // One step from the anchor: the term is zero.
        let first = try trained(options(1, 0.5)).model
        #expect(first == (try trained(options(1, 0))).model)
        // The second step: both start at `first` with the same gradient, so they differ by -rate mu (w - w_global).
        let with = try trained(options(2, 0.5)).model
        let without = try trained(options(2, 0)).model
        for name in model.tensors.names {
            guard let start = model.tensors[name]?.tensor.values, let middle = first.tensors[name]?.tensor.values,
                let pulled = with.tensors[name]?.tensor.values, let free = without.tensors[name]?.tensor.values
            else {
                Issue.record("no tensor \(name)")
                continue
            }
            if model.tensors[name]?.role == .bnStatistic {
                #expect(pulled == free, "mu never touches \(name)")
                continue
            }
            for index in start.indices {
                let expected = free[index] - 0.05 * 0.5 * (middle[index] - start[index])
                #expect(abs(pulled[index] - expected) <= 1e-6 * max(1, abs(expected)))
            }
        }
    }

    @Test(
        "only trained parts change, with the running statistics of their BatchNorm layers",
        arguments: ["all", "layer2", "layer4", "head"], [false, true])
    func trainedParts(_ trainFrom: String, _ frozen: Bool) throws {
        let result = try trained(
            options {
                $0.trainFrom = trainFrom
                $0.frozenBatchNorm = frozen
            }
        ).model
        let trainable = try model.trainable(from: trainFrom, frozenBatchNorm: frozen)
        for name in model.tensors.names {
            #expect((result.tensors[name] != model.tensors[name]) == trainable.contains(name), "\(name)")
        }
    }

    @Test("steps, examples, epochs and losses are counted; a last batch of one is left out where BatchNorm trains")
    func statistics() throws {
        let usual = try trained(options()).statistics
        #expect(usual.steps == 6 && usual.examples == 22 && usual.epochsCompleted == 2)
        #expect(usual.lossPerEpoch.count == 2)

        let nine = SyntheticPictures(count: 9, size: 32)
        let dropped = try trained(options(), data: nine).statistics
        #expect(dropped.steps == 4 && dropped.examples == 16)
        let frozen = try trained(options { $0.frozenBatchNorm = true }, data: nine).statistics
        #expect(frozen.steps == 6 && frozen.examples == 18)
        let small = try trained(options(), data: SyntheticPictures(count: 3, size: 32)).statistics
        #expect(small.steps == 2 && small.examples == 6)
    }

    @Test("progress is told after each step")
    func progress() throws {
        let trainer = try Trainer(model: model, options: options(), data: data, context: context)
        var told: [TrainingProgress] = []
        _ = try trainer.run(shouldStop: { false }, progress: { told.append($0) })
        #expect(told.map(\.step) == [1, 2, 3, 1, 2, 3])
        #expect(told.map(\.epoch) == [0, 0, 0, 1, 1, 1])
        #expect(told.map(\.examples) == [4, 8, 11, 15, 19, 22])
        #expect(told.last?.fraction == 1)
    }

    @Test("it learns: the loss falls, and predictions on the pictures themselves become right")
    func learning() throws {
        let pictures = SyntheticPictures(count: 48, size: 32)
        let trainer = try trained(options { ($0.epochs, $0.batchSize, $0.dropout) = (6, 8, 0) }, data: pictures)
        let losses = trainer.statistics.lossPerEpoch
        #expect((losses.last ?? 9) < 0.3 * losses[0])
        let probabilities = try predictProbabilities(
            model: trainer.model, data: pictures, batchSize: 10, context: context)
        let metrics = ClassificationMetrics(
            probabilities: probabilities, labels: (0..<48).map(pictures.label), classes: ["a", "b", "c", "d"])
        #expect(metrics.accuracy > 0.9)
    }

    @Test("a prediction does not depend on its batch or on the number of workers, and rows sum to 1")
    func prediction() throws {
        let single = try predictProbabilities(
            model: model, data: data, batchSize: 1, context: ComputeContext(workers: 1))
        for batchSize in [2, 4, 11, 32] {
            let several = try predictProbabilities(model: model, data: data, batchSize: batchSize, context: context)
            #expect(several == single)
        }
        for row in single { #expect(abs(row.reduce(0, +) - 1) < 1e-5) }
        let none = SyntheticPictures(count: 0, size: 32)
        #expect(try predictProbabilities(model: model, data: none, context: context).isEmpty)
    }

    @Test("a predictor that is used again says the same of fewer and of more pictures than before")
    func repeatedPrediction() throws {
        let predictor = try Predictor(model: model, batchSize: 4, context: context)
        for count in [11, 3, 0, 8, 11] {
            let pictures = SyntheticPictures(count: count, size: 32)
            #expect(
                try predictor.probabilities(of: pictures)
                    == predictProbabilities(model: model, data: pictures, batchSize: 1, context: context))
        }
    }

    @Test("a memory limit makes batches smaller, changes no prediction, and refuses what cannot fit")
    func memoryLimit() throws {
        func limited(_ bytes: Int) -> ComputeContext { ComputeContext(workers: 2, memoryLimit: bytes) }
        // The least memory in which a single picture can be predicted.
        let one = SyntheticPictures(count: 1, size: 32)
        var (refused, enough) = (0, 1 << 30)
        while enough - refused > 1 {
            let middle = (refused + enough) / 2
            let fits = (try? predictProbabilities(model: model, data: one, context: limited(middle))) != nil
            if fits { enough = middle } else { refused = middle }
        }
        #expect(
            try predictProbabilities(model: model, data: data, context: limited(enough))
                == predictProbabilities(model: model, data: data, context: context))
        #expect(throws: NetworkError.self) {
            try predictProbabilities(model: model, data: data, context: limited(refused))
        }
        // BatchNorm trains: a batch cannot be cut, and with no memory at all a plan is as small as it gets.
        let needed = try Trainer.plannedPeakBytes(
            model: model, options: options(), pictures: data.count, context: limited(0))
        #expect(throws: NetworkError.self) {
            try Trainer(model: model, options: options(), data: data, context: limited(needed - 1))
        }
        _ = try Trainer(model: model, options: options(), data: data, context: limited(needed))
    }

    @Test(
        "where memory is short and BatchNorm trains, layers are computed twice, and the bytes are the same",
        arguments: [("resnet18", "stem"), ("resnet50", "layer1"), ("smallcnn", "stem"), ("resnet18+mlp", "stem")])
    func recomputation(_ architecture: String, trainFrom: String) throws {
        let specification = try ModelSpecification(
            architecture: try #require(Architecture(rawValue: architecture)), classes: ["a", "b", "c", "d"],
            imageSize: 160)
        let model = try Model(initializing: specification, seed: 3)
        let data = SyntheticPictures(count: 14, size: 160)
        // The larger head's own BatchNorm trains always.
        let options = TrainingOptions(
            epochs: 1, batchSize: 12, trainFrom: trainFrom, frozenBatchNorm: architecture.hasSuffix("+mlp"),
            dropout: 0.2,
            seed: 5)
        let usual = try Trainer(model: model, options: options, data: data, context: context)
        let limit = usual.plannedPeakBytes - 1
        let frugal = try Trainer(
            model: model, options: options, data: data, context: ComputeContext(workers: 2, memoryLimit: limit))
        #expect(frugal.recomputes && !usual.recomputes && frugal.plannedPeakBytes <= limit)
        for trainer in [usual, frugal] { #expect(try trainer.run(shouldStop: { false })) }
        for trainer in [usual, frugal] { try trainer.recomputeBatchNormStatistics() }
        #expect(frugal.model == usual.model && frugal.statistics == usual.statistics)
        #expect(frugal.model != model)
    }

    @Test(
        "the head's own rate moves the head alone, and is the common one where it is the same",
        arguments: [
            Optimizer.adam, .sgd(momentum: 0.9),
        ])
    func headRate(_ optimizer: Optimizer) throws {
        // One step: the gradients are the same whatever the rates are.
        let small = SyntheticPictures(count: 4, size: 32)
        func step(_ change: (inout TrainingOptions) -> Void = { _ in }) throws -> TensorDictionary {
            let options = options {
                ($0.epochs, $0.optimizer, $0.learningRate, $0.proximalMu) = (1, optimizer, 0.01, 0)
                change(&$0)
            }
            return try trained(options, data: small).model.tensors
        }
        let (usual, faster) = (try step(), try step { $0.headLearningRate = 0.03 })
        #expect(try step { $0.headLearningRate = 0.01 } == usual)
        for name in usual.names {
            let entry = try #require(usual[name])
            if entry.part != "head" {
                #expect(faster[name] == entry, "\(name)")
                continue
            }
            let start = try #require(model.tensors[name]).tensor.values
            let moved = zip(start, entry.tensor.values).map { $1 - $0 }
            let moved3 = zip(start, try #require(faster[name]).tensor.values).map { $1 - $0 }
            #expect(relativeError(moved3, moved.map { 3 * Double($0) }) < 1e-4, "\(name)")
        }
    }

    @Test("where memory is short, batches are cut into parts, and what is learnt differs in rounding only")
    func parts() throws {
        let options = options {
            ($0.frozenBatchNorm, $0.classWeights, $0.batchSize, $0.optimizer) = (
                true, [1, 2, 0.5, 1.5], 8, .sgd(momentum: 0.9)
            )
        }
        let whole = try trained(options)
        #expect(whole.picturesAtOnce == 8)
        for limit in [whole.plannedPeakBytes - 1, whole.plannedPeakBytes * 9 / 10] {
            let limited = ComputeContext(workers: 2, memoryLimit: limit)
            let cut = try trained(options, context: limited)
            #expect(cut.picturesAtOnce < 8 && cut.plannedPeakBytes <= limit)
            #expect(
                try Trainer.plannedPeakBytes(model: model, options: options, pictures: data.count, context: limited)
                    == cut.plannedPeakBytes)
            for (ours, theirs) in zip(cut.statistics.lossPerEpoch, whole.statistics.lossPerEpoch) {
                #expect(abs(ours - theirs) < 1e-5)
            }
            for name in whole.model.tensors.names {
                let expected = try #require(whole.model.tensors[name]).tensor.values
                let found = try #require(cut.model.tensors[name]).tensor.values
                #expect(relativeError(found, expected.map(Double.init)) < 1e-5, "\(name)")
            }
            let again = try trained(options, context: ComputeContext(workers: 1, memoryLimit: limit))
            #expect(again.model == cut.model)
        }
    }

    @Test("a picture that cannot be read stops the run with the source's error, and the state stays whole")
    func unreadablePictures() throws {
        var broken = data
        broken.unreadable = [7, 3]
        let trainer = try Trainer(model: model, options: options(), data: broken, context: context)
        #expect(throws: SyntheticPictures.Unreadable.self) { try trainer.run(shouldStop: { false }) }
        let resumed = try Trainer(
            resuming: trainer.checkpoint(), model: model, options: options(), data: data, context: context)
        #expect(try resumed.run(shouldStop: { false }))
        #expect(resumed.model == (try trained(options())).model)
        #expect(throws: SyntheticPictures.Unreadable.self) {
            try predictProbabilities(model: model, data: broken, context: context)
        }
    }

    @Test("a training that diverges says so")
    func divergence() throws {
        let options = options { ($0.optimizer, $0.learningRate, $0.proximalMu) = (.sgd(momentum: 0.9), 100, 100) }
        let trainer = try Trainer(model: model, options: options, data: data, context: context)
        #expect { try trainer.run(shouldStop: { false }) } throws: { ($0 as? NetworkError)?.reason == .diverged }
    }

    @Test("memory is known beforehand")
    func plannedMemory() throws {
        let trainer = try Trainer(model: model, options: options(), data: data, context: context)
        let planned = try Trainer.plannedPeakBytes(model: model, options: options(), pictures: 11, context: context)
        #expect(trainer.plannedPeakBytes == planned)
        let larger = try Trainer.plannedPeakBytes(
            model: model, options: options { $0.batchSize = 11 }, pictures: 11, context: context)
        #expect(larger > planned)
    }

    @Test("options and data out of range are refused before anything is done")
    func refusals() throws {
        func expectRefusal(
            _ reason: NetworkError.Reason, data other: SyntheticPictures? = nil,
            _ change: (inout TrainingOptions) -> Void = { _ in }
        ) {
            do {
                _ = try Trainer(model: model, options: options(change), data: other ?? data, context: context)
                Issue.record("accepted")
            } catch {
                #expect(error.reason == reason)
            }
        }
        expectRefusal(.invalidOptions) { $0.epochs = 0 }
        expectRefusal(.invalidOptions) { $0.batchSize = 0 }
        expectRefusal(.invalidOptions) { $0.batchSize = 1 }
        expectRefusal(.invalidOptions) { $0.learningRate = .nan }
        expectRefusal(.invalidOptions) { $0.learningRate = 0 }
        expectRefusal(.invalidOptions) { $0.headLearningRate = 0 }
        expectRefusal(.invalidOptions) { $0.weightDecay = -1 }
        expectRefusal(.invalidOptions) { $0.proximalMu = .infinity }
        expectRefusal(.invalidOptions) { $0.dropout = 1 }
        expectRefusal(.invalidOptions) { $0.optimizer = .sgd(momentum: 1) }
        expectRefusal(.invalidOptions) { $0.optimizer = .adam(beta1: 0.9, beta2: .nan, epsilon: 1e-8) }
        expectRefusal(.invalidOptions) { $0.classWeights = [1, 1] }
        expectRefusal(.invalidOptions) { $0.logitOffsets = [1, 1] }
        expectRefusal(.invalidOptions) { $0.logitOffsets = [0, 0, .nan, 0] }
        expectRefusal(.invalidOptions) { $0.classWeights = [0, 0, 0, 0] }
        expectRefusal(.invalidOptions) { $0.classWeights = [1, 1, -1, 1] }
        expectRefusal(.invalidSpecification) { $0.trainFrom = "layer9" }
        expectRefusal(.invalidData, data: SyntheticPictures(count: 0, size: 32))
        expectRefusal(.invalidData, data: SyntheticPictures(count: 1, size: 32))
        expectRefusal(.invalidData, data: SyntheticPictures(count: 11, size: 32, classes: 5))
    }
}

import Federation
import SeededNumbers
import Tensors
import Testing
import Wire

private func average(
    _ updates: [(String, Int, TensorDictionary)], base: TensorDictionary = model { _ in 0 },
    strategy: Strategy = .fedAvg
) throws -> [UInt8] {
    var bytes: [UInt8] = []
    let inputs = try updates.map { AggregationInput(client: try party($0.0), weight: $0.1, source: $0.2) }
    try Aggregation.run(base: base, inputs: inputs, strategy: strategy.aggregation) { bytes += $0 }
    return bytes
}

/// An update of one long tensor that counts what is open of it, and of all others that share its book.
private struct CountedSource: TensorSource {
    final class Book {
        /// Values.
        var open = 0
        var most = 0
        var read = 0
    }

    let book: Book
    let count: Int
    var layouts: [TensorLayout] { [.init(name: "long.weight", shape: [count], part: "stem", role: .weight)] }

    func withFloats<Result>(
        _ name: String, in range: Range<Int>?, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        let range = range ?? 0..<count
        book.open += range.count
        book.most = max(book.most, book.open)
        book.read += range.count
        defer { book.open -= range.count }
        return try range.map { Float($0) }.withUnsafeBufferPointer(body)
    }
}

@Suite struct AggregationTests {
    /// Of a tensor that is longer than a block, only one hospital's block is open, and all blocks together are bounded.
    @Test(arguments: [3, 300]) func whatIsReadAtOnceDoesNotGrowWithTheClients(clients: Int) throws {
        let book = CountedSource.Book()
        let source = CountedSource(book: book, count: clients < 10 ? 9_000_001 : 100_001)
        let inputs = try (0..<clients).map {
            AggregationInput(client: try party("h\($0)"), weight: 1 + $0, source: source)
        }
        var bytes: [UInt8] = []
        try Aggregation.run(base: source, inputs: inputs, strategy: FederatedAveraging()) { bytes += $0 }
        #expect(book.most * (clients + 1) * MemoryLayout<Float>.size <= FederationLimits.averagingBytes)
        #expect(book.read == (clients + 1) * source.count)
        let average = try #require(Safetensors.decode(bytes).tensors["long.weight"]).tensor.values
        #expect(average == (0..<source.count).map { Float($0) })
    }

    @Test func theAverageIsWeightedByExamples() throws {
        // (1 x 2 + 3 x 6) / 4 = 5 in every value, BatchNorm's statistics among them.
        let bytes = try average([("b", 3, model { _ in 6 }), ("a", 1, model { _ in 2 })])
        #expect(try Safetensors.decode(bytes).tensors == model { _ in 5 })
    }

    @Test func theResultIsAFileOfTheBaseLayout() throws {
        let bytes = try average([("a", 1, model { Float($0) })])
        #expect(try bytes == Safetensors.encode(model { Float($0) }))
    }

    @Test func fedProxAveragesAlike() throws {
        let updates = [("a", 7, model { Float($0) * 0.1 }), ("b", 9, model { 1 / Float($0 + 1) })]
        #expect(try average(updates, strategy: .fedProx(mu: 0.01)) == average(updates))
    }

    @Test func oneUpdateAloneOrManyEqualOnesAreUnchanged() throws {
        var generator = SplitMix64(seed: 3)
        let values = (0..<3_000).map { _ in Float.random(in: -1e3...1e3, using: &generator) }
        let one = model { abs(values[$0]) }
        let expected = try Safetensors.encode(one)
        #expect(try average([("a", 999_983, one)]) == expected)
        #expect(try average([("a", 17, one), ("b", 999_983, one), ("c", 3, one)]) == expected)
    }

    @Test func theBytesDoNotDependOnTheOrderOfArrival() throws {
        var generator = SplitMix64(seed: 11)
        let updates = ["a", "b", "c", "d"].map { name in
            let scale = Float.random(in: 0.001...1_000, using: &generator)
            return (name, Int.random(in: 1...5_000, using: &generator), model { Float(($0 * 7919) % 1013) * scale })
        }
        let expected = try average(updates)
        for _ in 0..<24 { #expect(try average(updates.shuffled(using: &generator)) == expected) }
    }

    @Test func sumsAreKeptInDoublePrecision() throws {
        // In Float, 2^24 + 1 is 2^24: the small client would vanish.
        let bytes = try average([
            ("a", 1, model { _ in 0x1p24 }), ("b", 1, model { _ in 1 }), ("c", 1, model { _ in -0x1p24 }),
        ])
        #expect(
            try Safetensors.decode(bytes).tensors["fc.bias"]?.tensor.values
                == [Float](repeating: Float(1.0 / 3), count: 4))
    }

    @Test func counterTakesTheMaximum() throws {
        func counted(_ value: Float) -> TensorDictionary {
            var tensors = TensorDictionary()
            tensors["bn1.num_batches_tracked"] = .init(
                tensor: Tensor(shape: [1], values: [value]), part: "stem", role: .bnStatistic)
            return tensors
        }
        let bytes = try average([("a", 1, counted(10)), ("b", 5, counted(4))], base: counted(0))
        #expect(try Safetensors.decode(bytes).tensors == counted(10))
    }

    @Test func whatCannotBeAveragedIsRefused() throws {
        #expect(throws: FederationError.self) { try average([]) }
        #expect(throws: FederationError.self) { try average([("a", 0, model { _ in 1 })]) }
        #expect(throws: FederationError.self) { try average([("a", 1, model { _ in 1 }), ("a", 1, model { _ in 2 })]) }
        #expect(throws: FederationError.self) { try average([("a", 1, TensorDictionary())]) }
    }

    @Test func aModelIsCutAndPutTogether() throws {
        let whole = model { Float($0) }
        let frozenPlan = try plan(["train_from": "head"])
        func part(_ sources: [any TensorSource], _ keep: (TensorLayout) -> Bool) throws -> [UInt8] {
            var bytes: [UInt8] = []
            try ModelParts.write(sources, keeping: keep) { bytes += $0 }
            return bytes
        }
        let trained = try Safetensors.decode(part([whole]) { frozenPlan.trains($0) }).tensors
        let frozen = try Safetensors.decode(part([whole]) { !frozenPlan.trains($0) }).tensors
        #expect(trained.names == ["fc.bias"])
        #expect(frozen.names == ["bn1.running_var", "conv1.weight"])
        #expect(try part([frozen, trained]) { _ in true } == Safetensors.encode(whole))
    }
}

@Suite struct UpdateValidationTests {
    /// Scores of made-up classes would fill the pooled breakdown until the session's state cannot be read any more.
    @Test func scoresAreOfThePlansClassesAndOfPromisedPictures() throws {
        let plan = try plan()
        let good = metrics(round: 1, global: scores(correct: 20), trained: scores(correct: 30))
        try UpdateValidation.checkScores(of: good, plan: plan, pictures: 40)
        try UpdateValidation.checkScores(of: metrics(round: 1), plan: plan, pictures: 1)
        #expect(throws: FederationError.self) { try UpdateValidation.checkScores(of: good, plan: plan, pictures: 39) }
        var strange = good
        strange.trained?.classes[0].name = "invented"
        #expect(throws: FederationError.self) {
            try UpdateValidation.checkScores(of: strange, plan: plan, pictures: 40)
        }
    }

    @Test func anHonestUpdatePassesWithItsNorms() throws {
        // Of the 3,004 weights and biases each moves from 1 to 2; the statistics do not enter.
        let norms = try UpdateValidation.check(model { _ in 2 }, base: model { _ in 1 })
        #expect(norms.distance == 3004.0.squareRoot() && norms.base == norms.distance)
        #expect(norms.relative == 1)
    }

    /// From random weights the variances grow by orders of magnitude in one round.
    @Test func statisticsMoveFurtherThanWeights() throws {
        var grown = model { _ in 1 }
        grown["bn1.running_var"]?.tensor.values[2] = 1e6
        var fresh = model { _ in 1 }
        fresh["bn1.running_var"]?.tensor = Tensor(zeros: [5])
        for base in [model { _ in 1 }, fresh] { _ = try UpdateValidation.check(grown, base: base) }
    }

    @Test func negativeZeroAndSubnormalsPass() throws {
        _ = try UpdateValidation.check(model { $0 == 0 ? -0.0 : .leastNonzeroMagnitude }, base: model { _ in 0 })
    }

    /// What is changed in an update, and the class of the refusal.
    static let attacks: [(String, FederationError.Code, @Sendable (inout TensorDictionary) -> Void)] = [
        ("missing", .tensorMismatch, { $0["fc.bias"] = nil }),
        ("extra", .tensorMismatch, { $0["fc.extra"] = $0["fc.bias"] }),
        (
            "renamed", .tensorMismatch,
            {
                $0["fc.bios"] = $0["fc.bias"]; $0["fc.bias"] = nil
            }
        ),
        ("shape", .tensorMismatch, { $0["fc.bias"]?.tensor = Tensor(zeros: [2, 2]) }),
        ("part", .tensorMismatch, { $0["fc.bias"]?.part = "stem" }),
        ("role", .tensorMismatch, { $0["fc.bias"]?.role = .weight }),
        ("nan", .notFinite, { $0["conv1.weight"]?.tensor.values[2_999] = .nan }),
        ("infinity", .notFinite, { $0["fc.bias"]?.tensor.values[0] = -.infinity }),
        ("statistic", .notFinite, { $0["bn1.running_var"]?.tensor.values[4] = .nan }),
        ("variance", .notFinite, { $0["bn1.running_var"]?.tensor.values[4] = -1e-9 }),
        ("boosted", .normBound, { $0["conv1.weight"]?.tensor.values[7] = 1e30 }),
        ("boosted statistic", .normBound, { $0["bn1.running_var"]?.tensor.values[2] = 1e7 }),
    ]

    @Test(arguments: attacks.indices) func attacksAreRefused(index: Int) {
        let (_, code, change) = Self.attacks[index]
        var changed = model { _ in 1 }
        change(&changed)
        #expect { try UpdateValidation.check(changed, base: model { _ in 1 }) } throws: {
            ($0 as? FederationError)?.code == code
        }
    }

    private func weight(
        round: Int = 1, steps: Int = 4, examples: Int = 80, pictures: Int = 40, done: Int = 2, planned: Int = 2,
        promised: Int = 50
    ) throws -> Int {
        let metrics = UpdateMetrics(
            round: round, steps: steps, examples: examples, pictures: pictures, epochsDone: done,
            epochsPlanned: planned,
            partial: done < planned, lossPerEpoch: [], instructionSet: "scalar", global: nil, trained: nil)
        return try UpdateValidation.weight(of: metrics, round: 1, plan: plan(), pictures: promised)
    }

    @Test func weightIsTheExamplesUpToWhatWasPromised() throws {
        #expect(try weight() == 80)
        #expect(try weight(examples: 60, done: 1) == 60)
        #expect(try weight(steps: 60, examples: 600, pictures: 300) == 100)
    }

    @Test func countsThatContradictArerefused() {
        #expect(throws: FederationError.self) { try weight(round: 2) }
        #expect(throws: FederationError.self) { try weight(planned: 3) }
        #expect(throws: FederationError.self) { try weight(examples: 81) }
        #expect(throws: FederationError.self) { try weight(examples: 81, pictures: 40, done: 1) }
        #expect(throws: FederationError.self) { try weight(steps: 2) }
        #expect(throws: FederationError.self) { try weight(steps: 81) }
        #expect(throws: FederationError.self) { try weight(promised: 0) }
    }
}

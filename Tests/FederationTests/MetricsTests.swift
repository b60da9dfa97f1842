import Federation
import Testing
import Wire

@Suite struct ScoresTests {
    @Test func ratiosAreDerivedFromCounts() {
        let scores = Scores(
            support: 10, correct: 6, loss: 0.7,
            classes: [
                .init(name: "a", support: 8, correct: 4, predicted: 5, auroc: 0.75),
                .init(name: "b", support: 2, correct: 2, predicted: 5, auroc: nil),
            ])
        #expect(scores.accuracy == 0.6)
        #expect(scores.balancedAccuracy == 0.75)
        #expect(scores.macroAUROC == 0.75)
        #expect(scores.classes[0].precision == 0.8 && scores.classes[0].recall == 0.5)
        #expect(scores.classes[0].f1 == 8.0 / 13.0)
    }

    @Test func poolingAddsCountsSoThatASiteWeighsByItsPictures() throws {
        let small = scores(correct: 10, of: 10)
        let large = scores(correct: 45, of: 90)
        let pooled = try #require(Scores(pooling: [small, large]))
        #expect(pooled.support == 100 && pooled.correct == 55 && pooled.accuracy == 0.55)
        // Class glioma: 5 + 45 of 5 + 45; class notumor: 5 + 0 of 5 + 45.
        #expect(pooled.balancedAccuracy == (1.0 + 0.1) / 2)
        #expect(Scores(pooling: []) == nil)
    }

    /// As many sites as a session may have, each with the most that is read from a message, add up and are read again.
    @Test func theLargestCountsPoolWithoutOverflow() throws {
        let most = Int(FederationLimits.pictures.upperBound)
        let large = Scores(
            support: most, correct: most, loss: 1e6,
            classes: [.init(name: "a", support: most, correct: most, predicted: most, auroc: 1)])
        var one = try ObjectReader(large.json, context: "scores")
        #expect(try Scores(reading: &one) == large)
        let pooled = try #require(
            Scores(pooling: Array(repeating: large, count: FederationLimits.participants)))
        var all = try ObjectReader(pooled.json, context: "scores")
        #expect(try Scores(pooledReading: &all) == pooled)
        var larger = large
        larger.support += 1
        var refused = try ObjectReader(larger.json, context: "scores")
        #expect(throws: JSONError.self) { try Scores(reading: &refused) }
    }

    @Test func areasUnderTheCurveAreWeightedByTheClassSupport() throws {
        func site(_ support: Int, _ area: Double?) -> Scores {
            Scores(
                support: support, correct: 0, loss: 1,
                classes: [.init(name: "a", support: support, correct: 0, predicted: support, auroc: area)])
        }
        let pooled = try #require(Scores(pooling: [site(10, 0.5), site(30, 0.9), site(1_000, nil)]))
        #expect(pooled.classes[0].auroc == (10 * 0.5 + 30 * 0.9) / 40)
    }

    /// No figure that leaves a hospital is derived from one picture alone.
    @Test func smallSupportIsWithheld() {
        #expect(scores(correct: 2, of: 4).shareable == nil)
        #expect(metrics(round: 1, global: scores(correct: 2, of: 4)).global == nil)
        var lonely = scores(correct: 6, of: 10)
        lonely.classes[0].support = 1
        #expect(lonely.shareable?.classes.isEmpty == true)
        #expect(lonely.shareable?.balancedAccuracy == nil)
        #expect(lonely.shareable?.accuracy == 0.6)
    }

    @Test func sitesThatWithholdAreNamed() throws {
        let pooled = AggregatedMetrics(pooling: [
            try party("b"): metrics(round: 1),
            try party("a"): metrics(round: 1, examples: 20, global: scores(correct: 20)),
        ])
        #expect(pooled.reporting.map(\.text) == ["a"] && pooled.withheld.map(\.text) == ["b"])
        #expect(pooled.global?.accuracy == 0.5 && pooled.trained == nil)
        #expect(pooled.trainingLoss == 0.5)
    }

    /// Changes to a good `global` object that are refused.
    static let contradictions: [JSONValue] = [
        ["correct": 41], ["support": 4], ["support": 39], ["loss": -1.0], ["loss": "low"], ["classes": .null],
        ["extra": 1],
        ["classes": [["class": "a", "support": 40, "correct": 20, "predicted": 10]]],
        ["classes": [["class": "a", "support": 40, "correct": 20, "predicted": 40, "auroc": 1.5]]],
        [
            "classes": [
                ["class": "a", "support": 20, "correct": 10, "predicted": 20],
                ["class": "a", "support": 20, "correct": 10, "predicted": 20],
            ]
        ],
    ]

    @Test(arguments: contradictions) func countsThatContradictAreRefused(changes: JSONValue) throws {
        let good = metrics(round: 1, global: scores(correct: 20))
        guard case .object(var fields) = good.json, case .object(let inner)? = fields["global"],
            case .object(let changed) = changes
        else { return }
        fields["global"] = .object(inner.merging(changed) { $1 })
        #expect(throws: FederationError.self) { try UpdateMetrics(decoding: StrictJSON.serialize(.object(fields))) }
    }
}

@Suite struct SelectionTests {
    /// A session whose rounds' globals and trained models score as given, in correct answers of 40.
    private func session(globals: [Int], trained: [Int], _ changes: JSONValue) throws -> Session {
        var session = try running(["a"], changes)
        for (index, (global, own)) in zip(globals, trained).enumerated() where session.state == .running {
            let round = index + 1
            let received = try update(
                "a", round: round, global: scores(correct: global), trained: scores(correct: own))
            session.take(.update(received), day(1))
            session.take(.tick, day(1))
            session.take(.aggregated(round: round, model: try digest("model \(round)")), day(1))
        }
        return session
    }

    @Test func theFinalRoundIsACandidateForBest() throws {
        // Model 1 measured 20/40 and model 2 24/40; trained models led by 4/40 in both known rounds, so the last, whose
        // trained models have 36/40, is estimated at 32/40.
        let session = try session(globals: [10, 20, 24], trained: [24, 28, 36], ["rounds": 3])
        let best = try #require(session.best)
        #expect(try best.round == 3 && best.estimated && best.model == (digest("model 3")))
        #expect(abs(best.value - 0.8) < 1e-12)
        #expect(session.versionOrder?.model == (try digest("model 3")))
    }

    @Test func anEarlierRoundStaysBestWhenTheLastIsWorse() throws {
        let session = try session(globals: [10, 30, 24], trained: [32, 26, 22], ["rounds": 3])
        #expect(session.best?.round == 1 && session.best?.value == 0.75 && session.best?.estimated == false)
        // Last and best are both named; a session that ran to its end publishes the last.
        #expect(session.versionOrder?.model == (try digest("model 3")))
        #expect(session.versionOrder?.best?.model == (try digest("model 1")))
    }

    @Test func earlyStopPublishesTheBestRound() throws {
        let session = try session(
            globals: [10, 30, 28, 27, 40], trained: [30, 30, 29, 20, 40],
            ["rounds": 9, "early_stop": ["patience": 2, "metric": "accuracy"]])
        #expect(session.state == .finished && session.stoppedEarly)
        // Best measured is model 1 (seen in round 2); two measurements without improvement: rounds 3 and 4.
        #expect(session.history.count == 4)
        #expect(session.versionOrder?.modelRound == 1)
    }

    @Test func theStartingModelIsTheFirstToBeat() throws {
        let session = try session(
            globals: [30, 20, 20, 20], trained: [20, 20, 20, 20],
            ["rounds": 9, "early_stop": ["patience": 2, "metric": "accuracy"]])
        #expect(session.history.count == 3)
    }

    @Test func lossIsBetterWhenLower() {
        #expect(Metric.loss.isBetter(0.1, than: 0.2) && !Metric.accuracy.isBetter(0.1, than: 0.2))
    }

    @Test func withheldBreakdownsFallBackToAccuracy() throws {
        var session = try running(["a"], ["rounds": 2])
        var plain = scores(correct: 30)
        plain.classes = []
        session.take(.update(try update("a", round: 1, global: plain, trained: plain)), day(1))
        session.take(.tick, day(1))
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(1))
        #expect(session.selectionMetric == .accuracy && session.best?.value == 0.75)
    }

    @Test func withoutAnyScoresThereIsNoBest() throws {
        var session = try running(["a"], ["rounds": 2, "early_stop": ["patience": 1]])
        session.take(.update(try update("a", round: 1)), day(1))
        session.take(.tick, day(1))
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(1))
        #expect(session.best == nil && session.state == .running)
    }
}

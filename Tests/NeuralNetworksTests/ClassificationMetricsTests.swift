import NeuralNetworks
import Testing

@Suite struct ClassificationMetricsTests {
    /// Three examples of a (two hit), one of b (taken for a), none of c.
    let metrics = ClassificationMetrics(
        probabilities: [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]], labels: [0, 0, 0, 1],
        classes: ["a", "b", "c"])

    @Test("accuracy, balanced accuracy over the classes present, confusion")
    func totals() {
        #expect(metrics.accuracy == 0.5)
        #expect(abs(metrics.balancedAccuracy - 1.0 / 3) < 1e-12)
        #expect(metrics.confusion == [[2, 1, 0], [1, 0, 0], [0, 0, 0]])
        #expect(metrics.support == 4 && metrics.correct == 2)
    }

    @Test("per class: nil where a quotient has no meaning")
    func perClass() {
        let (a, b, c) = (metrics.perClass[0], metrics.perClass[1], metrics.perClass[2])
        #expect(a.precision == 2.0 / 3 && a.recall == 2.0 / 3 && a.f1 == 4.0 / 6 && a.support == 3)
        #expect(b.precision == 0 && b.recall == 0 && b.f1 == 0 && b.support == 1)
        #expect(c.precision == nil && c.recall == nil && c.f1 == nil && c.auroc == nil && c.support == 0)
    }

    @Test("AUROC: pairs in order, ties half, nil without both sides")
    func auroc() {
        let auroc = ClassificationMetrics.auroc
        #expect(auroc([0.1, 0.2, 0.8, 0.9], [false, false, true, true]) == 1)
        #expect(auroc([0.9, 0.8, 0.2, 0.1], [false, false, true, true]) == 0)
        #expect(auroc([0.5, 0.5, 0.5], [true, false, false]) == 0.5)
        #expect(auroc([0.1, 0.4, 0.35, 0.8], [false, false, true, true]) == 0.75)
        #expect(auroc([0.3, 0.3, 0.7], [true, false, true]) == 0.75)
        #expect(auroc([0.1, 0.2], [true, true]) == nil)
        #expect(auroc([], []) == nil)
        #expect(auroc([.nan, .nan], [true, false]) != nil)
    }

    @Test("a confident miss costs a finite loss; the first of equal probabilities is predicted")
    func edges() {
        let miss = ClassificationMetrics(probabilities: [[1, 0]], labels: [1], classes: ["a", "b"])
        #expect(abs(miss.loss - 27.63) < 0.01)
        #expect(ClassificationMetrics.predictedClass([0.4, 0.4, 0.2]) == 0)
    }

    @Test("no examples: zeros and nil, no trap")
    func empty() {
        let none = ClassificationMetrics(probabilities: [], labels: [], classes: ["a", "b"])
        #expect(none.accuracy == 0 && none.balancedAccuracy == 0 && none.loss == 0)
        #expect(none.perClass.allSatisfy { $0.recall == nil && $0.auroc == nil })
    }
}

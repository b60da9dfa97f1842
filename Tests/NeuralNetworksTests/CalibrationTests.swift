import NeuralNetworks
import Testing

/// Rules: 1. the fitted temperature minimises the cross-entropy of what it was fitted on; 2. it brings an overconfident
/// network's confidence to its accuracy; 3. it never changes the predicted class; 4. too few pictures fit nothing.
@Suite struct CalibrationTests {
    /// Rows of a network that is right in `accuracy` of all cases and always claims `confidence`.
    private func rows(
        _ count: Int, accuracy: Double, confidence: Float
    ) -> (rows: [[Float]], labels: [Int]) {
        let other = (1 - confidence) / 3
        return (
            (0..<count).map { index in (0..<4).map { $0 == index % 4 ? confidence : other } },
            (0..<count).map { Double($0) < accuracy * Double(count) ? $0 % 4 : ($0 + 1) % 4 }
        )
    }

    private func loss(_ rows: [[Float]], _ labels: [Int], _ temperature: Double) -> Double {
        ClassificationMetrics(
            probabilities: rows.map(Calibration(temperature: temperature).apply), labels: labels,
            classes: ["a", "b", "c", "d"]
        ).loss
    }

    @Test(arguments: [(0.7, 0.99), (0.9, 0.6), (0.8, 0.8)] as [(Double, Float)])
    func confidenceBecomesAccuracy(accuracy: Double, confidence: Float) throws {
        let (rows, labels) = rows(400, accuracy: accuracy, confidence: confidence)
        let calibration = try #require(Calibration(fitting: rows, labels: labels))
        let calibrated = rows.map(calibration.apply)
        #expect(abs(Double(calibrated[0][0]) - accuracy) < 1e-3)
        #expect((calibration.temperature > 1) == (Double(confidence) > accuracy + 1e-3) || confidence == 0.8)
        let after = try #require(ClassificationMetrics.calibrationError(probabilities: calibrated, labels: labels))
        #expect(after < 2e-3)
        for other in [0.8, 0.97, 1.03, 1.25] {
            #expect(
                loss(rows, labels, calibration.temperature) <= loss(rows, labels, calibration.temperature * other))
        }
        #expect(
            rows.map(ClassificationMetrics.predictedClass) == calibrated.map(ClassificationMetrics.predictedClass))
    }

    @Test func aTemperatureOfOneChangesNoBit() {
        let row: [Float] = [0.1, 0.2, 0.7]
        #expect(Calibration.none.apply(row) == row)
    }

    @Test func rowsStayDistributions() {
        for temperature in [0.05, 0.5, 3, 20] {
            let row = Calibration(temperature: temperature).apply([1, 0, 0])
            #expect(abs(row.reduce(0, +) - 1) < 1e-6)
            #expect(row.allSatisfy { $0.isFinite && $0 >= 0 })
        }
    }

    @Test func tooFewPicturesFitNothing() {
        let (rows, labels) = rows(Calibration.minimumSupport - 1, accuracy: 0.8, confidence: 0.9)
        #expect(Calibration(fitting: rows, labels: labels) == nil)
        #expect(ClassificationMetrics.calibrationError(probabilities: [], labels: []) == nil)
    }

    /// By hand: two bins, confidences 0.9 (one of two right) and 0.6 (right).
    @Test func theCalibrationErrorIsTheWeightedGap() throws {
        let error = try #require(
            ClassificationMetrics.calibrationError(
                probabilities: [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]], labels: [0, 1, 0]))
        #expect(abs(error - (abs(1 - 1.8) + abs(1 - 0.6)) / 3) < 1e-6)
    }
}

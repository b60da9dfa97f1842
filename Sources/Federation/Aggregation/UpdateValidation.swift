package import Tensors

/// How far an update moved from its base, over weights and biases, without BatchNorm's statistics.
package struct UpdateNorms: Equatable, Sendable {
    /// Euclidean norm of update - base.
    package let distance: Double
    /// Euclidean norm of the base.
    package let base: Double

    /// distance / max(base, 1); bounded by ``FederationLimits/relativeNorm``.
    package var relative: Double { distance / max(base, 1) }
}

/// Whether an update means what an update may mean. Done once, before any arithmetic.
package enum UpdateValidation {
    /// Names, shapes, parts and roles equal to the base's; every value finite, no variance negative; the norms bounded: that of
    /// all weights and biases together, and that of each of BatchNorm's statistics.
    ///
    /// - Throws: ``FederationError`` `.tensorMismatch`, `.notFinite`, `.normBound`; and what the sources throw.
    package static func check(_ update: any TensorSource, base: any TensorSource) throws -> UpdateNorms {
        try checkLayouts(update.layouts, base: base.layouts)
        var distance = 0.0
        var norm = 0.0
        for layout in base.layouts {
            try base.withFloats(layout.name) { old in
                try update.withFloats(layout.name) { new in
                    guard new.count == old.count else {
                        throw FederationError(.tensorMismatch, "tensor \(layout.name) is cut short")
                    }
                    try checkValues(new, of: layout)
                    let moved = squares(from: old, to: new)
                    guard layout.role != .bnStatistic else { return try checkStatistic(moved, of: layout) }
                    distance += moved.distance
                    norm += moved.base
                }
            }
        }
        let norms = UpdateNorms(distance: distance.squareRoot(), base: norm.squareRoot())
        guard norms.relative <= FederationLimits.relativeNorm else {
            throw FederationError(
                .normBound,
                "the update moved \(rounded(norms.relative)) times its base's norm, allowed is"
                    + " \(FederationLimits.relativeNorm)")
        }
        return norms
    }

    /// Squares of the Euclidean norms of new - old, and of old.
    private static func squares(
        from old: UnsafeBufferPointer<Float>, to new: UnsafeBufferPointer<Float>
    ) -> (distance: Double, base: Double) {
        var squares = (distance: 0.0, base: 0.0)
        for index in new.indices {
            let difference = Double(new[index]) - Double(old[index])
            squares.distance += difference * difference
            squares.base += Double(old[index]) * Double(old[index])
        }
        return squares
    }

    /// As the weights' norm, but of one tensor, and where that has no scale against means and variances of 1.
    private static func checkStatistic(_ moved: (distance: Double, base: Double), of layout: TensorLayout) throws {
        let norms = UpdateNorms(distance: moved.distance.squareRoot(), base: moved.base.squareRoot())
        let relative = norms.distance / max(norms.base, Double(layout.count).squareRoot())
        guard relative <= FederationLimits.relativeStatisticNorm else {
            throw FederationError(
                .normBound,
                "tensor \(layout.name) moved \(rounded(relative)) times its base's norm, allowed is"
                    + " \(FederationLimits.relativeStatisticNorm)")
        }
    }

    private static func checkValues(_ values: UnsafeBufferPointer<Float>, of layout: TensorLayout) throws {
        guard values.allSatisfy(\.isFinite) else {
            throw FederationError(.notFinite, "tensor \(layout.name) holds a value that is not finite")
        }
        guard !layout.name.hasSuffix("running_var") || values.allSatisfy({ $0 >= 0 }) else {
            throw FederationError(.notFinite, "tensor \(layout.name) holds a negative variance")
        }
    }

    /// Two decimals, without Foundation.
    private static func rounded(_ value: Double) -> Double { (min(value, 1e9) * 100).rounded() / 100 }

    /// - Throws: ``FederationError`` `.tensorMismatch` naming the first difference.
    package static func checkLayouts(_ layouts: [TensorLayout], base: [TensorLayout]) throws(FederationError) {
        if layouts == base { return }
        let names = Set(layouts.map(\.name))
        let known = Set(base.map(\.name))
        if let lacking = base.first(where: { !names.contains($0.name) }) {
            throw FederationError(.tensorMismatch, "tensor \(lacking.name) is missing")
        }
        if let extra = layouts.first(where: { !known.contains($0.name) }) {
            throw FederationError(.tensorMismatch, "tensor \(extra.name) is not one of the base's")
        }
        for (layout, expected) in zip(layouts, base) where layout != expected {
            let what = layout.shape == expected.shape ? "part or role" : "shape \(layout.shape)"
            throw FederationError(.tensorMismatch, "tensor \(expected.name) has another \(what) than the base's")
        }
        throw FederationError(.tensorMismatch, "the tensors are not in the base's order")
    }

    /// Scores of the plan's classes, over no more pictures than the hospital promised.
    ///
    /// - Parameter pictures: that the approved request promised.
    /// - Throws: ``FederationError`` `.sampleCount`.
    package static func checkScores(
        of metrics: UpdateMetrics, plan: Plan, pictures: Int
    ) throws(FederationError) {
        let known = Set(plan.classes)
        for scores in [metrics.global, metrics.trained].compactMap({ $0 }) {
            guard scores.support <= pictures else {
                throw FederationError(
                    .sampleCount,
                    "metrics.json: scores over \(scores.support) pictures, but the approved request promised \(pictures)"
                )
            }
            guard scores.classes.allSatisfy({ known.contains($0.name) }) else {
                throw FederationError(.sampleCount, "metrics.json: scores of a class that the plan does not have")
            }
        }
    }

    /// Counts that do not contradict each other, the plan, or what the hospital promised.
    ///
    /// - Parameters:
    ///   - pictures: that the approved request promised.
    /// - Returns: the update's weight: its examples, or where more are claimed than promised pictures times epochs,
    ///   that bound.
    /// - Throws: ``FederationError`` `.sampleCount`.
    package static func weight(
        of metrics: UpdateMetrics, round: Int, plan: Plan, pictures: Int
    ) throws(FederationError) -> Int {
        func refuse(_ detail: String) -> FederationError { FederationError(.sampleCount, "metrics.json: \(detail)") }
        guard metrics.round == round else { throw refuse("is about round \(metrics.round), not \(round)") }
        guard metrics.epochsPlanned == plan.localEpochs, metrics.epochsDone <= plan.localEpochs else {
            throw refuse("the plan says \(plan.localEpochs) local epochs, not \(metrics.epochsPlanned)")
        }
        let epochs = min(metrics.epochsDone + 1, plan.localEpochs)
        guard metrics.examples <= metrics.pictures * epochs else {
            throw refuse("\(metrics.examples) examples are more than \(metrics.pictures) pictures in \(epochs) epochs")
        }
        guard metrics.steps <= metrics.examples, metrics.examples <= metrics.steps * plan.batchSize else {
            throw refuse(
                "\(metrics.steps) steps do not fit \(metrics.examples) examples in batches of \(plan.batchSize)")
        }
        let bound = pictures * plan.localEpochs
        guard bound >= 1 else { throw refuse("the approved request promised no pictures") }
        return min(metrics.examples, bound)
    }
}

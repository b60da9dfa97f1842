package import Wire

/// `schedule`: how the learning rate changes over the whole session. The formulas are `LearningRateSchedule`'s.
package struct LearningRateRule: Equatable, Sendable {
    package enum Shape: Equatable, Sendable {
        case constant
        /// Half a cosine from the plan's rate down to this part of it.
        case cosine(floor: Double)
        /// Times `factor` after every so many epochs.
        case step(every: Int, factor: Double)
    }

    package var shape: Shape
    /// Epochs, counted over the session, in which the rate rises from 0.
    package var warmup: Double

    package init(_ shape: Shape, warmup: Double = 0) {
        self.shape = shape
        self.warmup = warmup
    }

    static let names = ["constant", "cosine", "step"]

    package var json: JSONValue {
        switch shape {
        case .constant: ["name": "constant", "warmup": .number(warmup)]
        case .cosine(let floor): ["name": "cosine", "floor": .number(floor), "warmup": .number(warmup)]
        case .step(let every, let factor):
            ["name": "step", "every": JSONValue(every), "factor": .number(factor), "warmup": .number(warmup)]
        }
    }

    /// From `{name: cosine, warmup: 1.0}`, or the bare name.
    init(_ value: JSONValue) throws {
        var fields = value
        if case .string(let name) = value { fields = ["name": .string(name)] }
        var object = try ObjectReader(fields, context: "schedule")
        let name = try object.string("name", maximumLength: 32)
        let warmup = try object.optionalNumber("warmup", in: FederationLimits.warmup) ?? 0
        switch name {
        case "constant": shape = .constant
        case "cosine": shape = .cosine(floor: try object.optionalNumber("floor", in: 0...1) ?? 0)
        case "step":
            let every = Int(try object.integer("every", in: FederationLimits.rounds))
            shape = .step(every: every, factor: try object.optionalNumber("factor", in: 1e-6...1) ?? 0.1)
        default:
            throw FederationError(
                .badPlan, "schedule: '\(printable(name))' is not known, \(suggestion(name, among: Self.names))")
        }
        self.warmup = warmup
        try object.finish()
    }
}

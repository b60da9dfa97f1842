package import Wire

/// The part of a plan that a request names. Values are kept in the plan's own form, so that comparing is exact.
package struct PlanWishes: Equatable, Sendable {
    /// What a hospital may wish for. Quorum, deadline and late policy are the server's; the classes are the model's.
    package static let keys: Set<String> = [
        "architecture", "augmentation", "batch_norm", "batch_size", "class_weights", "clip_norm", "crop", "dropout",
        "early_stop", "feature_views", "head_learning_rate", "image_size", "learning_rate", "local_epochs",
        "logit_adjustment", "momentum", "optimizer", "rounds",
        "schedule",
        "strategy", "train_from", "weight_decay",
    ]

    /// An object of plan keys.
    package let json: JSONValue
    /// For ``PlanDefaults/plan(layers:architecture:classes:imageSize:crop:context:)``. A wished architecture is compared with
    /// the model's, and changes no plan.
    package var layer: JSONValue { .object(fields.filter { !Plan.modelKeys.contains($0.key) }) }
    private let fields: [String: JSONValue]

    package static let none = PlanWishes(checked: [:])

    private init(checked fields: [String: JSONValue]) {
        self.fields = fields
        json = .object(fields)
    }

    /// - Throws: ``FederationError`` `.badPlan` for keys outside ``keys`` and for values that no plan may have.
    package init(_ value: JSONValue) throws(FederationError) {
        guard case .object(let named) = value else { throw FederationError(.badPlan, "wishes: must be an object") }
        if let unknown = named.keys.sorted().first(where: { !Self.keys.contains($0) }) {
            let hint = suggestion(unknown, among: Self.keys.sorted())
            throw FederationError(.badPlan, "wishes: '\(printable(unknown))' is not a wish, \(hint)")
        }
        var architecture = PlanDefaults.anyArchitecture
        if case .string(let wished)? = named["architecture"] { architecture = wished }
        let layer = JSONValue.object(named.filter { !Plan.modelKeys.contains($0.key) })
        let plan = try PlanDefaults.plan(
            layers: [layer], architecture: architecture, classes: ["a", "b"], imageSize: 64, context: "wishes")
        guard case .object(let whole) = plan.json else { throw FederationError(.badPlan, "wishes: must be an object") }
        self.init(checked: whole.filter { named[$0.key] != nil })
    }

    package var isEmpty: Bool { fields.isEmpty }
    package subscript(key: String) -> JSONValue? { fields[key] }
}

/// A field in which a session's plan is not what a hospital asked for.
package struct PlanDifference: Equatable, Sendable, CustomStringConvertible {
    package let key: String
    package let wished: JSONValue
    package let planned: JSONValue

    /// `local_epochs: asked for 2, the plan says 5`
    package var description: String { "\(key): asked for \(shown(wished)), the plan says \(shown(planned))" }

    private func shown(_ value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        return String(decoding: StrictJSON.serialize(value).dropLast(), as: UTF8.self)
    }
}

extension Plan {
    /// What the hospital has to decide about on its `plans/` desk; empty where the plan is what it asked for. Only the
    /// fields that the request named are compared.
    package func differences(from wishes: PlanWishes) -> [PlanDifference] {
        guard case .object(let planned) = json else { return [] }
        return PlanWishes.keys.sorted().compactMap { key in
            guard let wished = wishes[key], let value = planned[key], wished != value else { return nil }
            return PlanDifference(key: key, wished: wished, planned: value)
        }
    }
}

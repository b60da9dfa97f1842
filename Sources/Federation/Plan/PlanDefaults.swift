package import Tensors
package import Wire

/// Builds a plan in layers: the program's defaults, the server's configuration, a request's wishes or `plan.yaml`, each
/// an object that changes the keys it names; then the model's own facts.
package enum PlanDefaults {
    /// What a plan says where nobody said anything; with the three model keys it is a whole plan.
    package static let standard: JSONValue = [
        "rounds": 10, "local_epochs": 2, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.0001,
        "head_learning_rate": .null,
        "schedule": "constant", "momentum": 0.9, "weight_decay": 0.0, "clip_norm": .null, "train_from": "all",
        "augmentation": true, "feature_views": 0,
        "strategy": ["name": "fedprox", "mu": 0.01], "quorum": "all", "deadline": "14d", "late": "drop",
        "early_stop": .null, "batch_norm": "training", "dropout": 0.2, "class_weights": "none",
        "logit_adjustment": 0.0, "seed": 1,
    ]

    /// What a layer may set: all but what is the model's own. `plan.yaml` and the configuration know no other keys.
    private static let keys = Plan.keys.filter { !Plan.modelKeys.contains($0) }
    /// Stands for the model's where there is none yet; named in errors.
    static let anyArchitecture = "any network"

    /// - Parameters:
    ///   - layers: objects over ``standard``, later ones win; a nested object replaces the earlier one whole.
    ///   - context: names the last layer in errors (`consilium.yaml`, `plan.yaml`, `request.json`).
    /// - Throws: ``FederationError`` `.badPlan` for unknown keys ("did you mean"), the model's own, and values out of range.
    package static func plan(
        layers: [JSONValue], architecture: String, classes: [String], imageSize: Int, crop: InputCrop = .none,
        context: String
    ) throws(FederationError) -> Plan {
        var fields: [String: JSONValue] = [:]
        for layer in [standard] + layers {
            guard case .object(let changes) = layer else {
                throw FederationError(.badPlan, "\(context): must be an object of plan keys")
            }
            if let own = changes.keys.sorted().first(where: Plan.modelKeys.contains) {
                throw FederationError(
                    .badPlan, "\(context): '\(own)' is the model's, and no plan changes it: leave it out")
            }
            fields.merge(changes) { _, changed in changed }
        }
        // A configured picture size and crop stand; architecture and classes are the model's.
        fields["architecture"] = .string(architecture)
        fields["classes"] = JSONValue(classes)
        if fields["image_size"] == nil { fields["image_size"] = JSONValue(imageSize) }
        if fields["crop"] == nil { fields["crop"] = .string(crop.rawValue) }
        do {
            if let unknown = fields.keys.sorted().first(where: { !Plan.keys.contains($0) }) {
                let hint = suggestion(unknown, among: keys)
                throw FederationError(.badPlan, "'\(printable(unknown))' is not a key of a plan, \(hint)")
            }
            let plan = try Plan(json: .object(fields), context: context)
            // Here, since a server knows no networks: a session that no hospital can train must not begin.
            let sizes = ModelMetadata.imageSizes
            guard sizes.contains(plan.imageSize) else {
                throw FederationError(
                    .badPlan,
                    "image size \(plan.imageSize) does not suit \(architecture): use \(sizes.lowerBound) to "
                        + "\(sizes.upperBound)")
            }
            return plan
        } catch {
            let text = "\(error)"
            throw FederationError(.badPlan, text.hasPrefix(context) ? text : "\(context): \(text)")
        }
    }

    /// Whether a plan is already what a layer over it would make of it.
    package static func isSaid(by plan: Plan, _ layer: JSONValue) -> Bool {
        guard case .object(let fields) = plan.json else { return false }
        let own = JSONValue.object(fields.filter { !Plan.modelKeys.contains($0.key) })
        let other = try? self.plan(
            layers: [own, layer], architecture: plan.architecture, classes: plan.classes, imageSize: plan.imageSize,
            crop: plan.crop, context: "plan")
        return other == plan || other?.trainingAlone == plan
    }

    /// Checks a layer of its own, for `doctor` and at start-up, before any model is there.
    package static func check(layer: JSONValue, context: String) throws(FederationError) {
        _ = try plan(
            layers: [layer], architecture: anyArchitecture, classes: ["a", "b"], imageSize: 64, context: context)
    }
}

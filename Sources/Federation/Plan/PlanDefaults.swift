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

    /// - Parameters:
    ///   - layers: objects over ``standard``, later ones win; a nested object replaces the earlier one whole.
    ///   - context: names the last layer in errors (`consilium.yaml`, `plan.yaml`, `request.json`).
    /// - Throws: ``FederationError`` `.badPlan` for unknown keys ("did you mean") and values out of range.
    package static func plan(
        layers: [JSONValue], architecture: String, classes: [String], imageSize: Int, crop: InputCrop = .none,
        context: String
    ) throws(FederationError) -> Plan {
        var fields: [String: JSONValue] = [:]
        for layer in [standard] + layers {
            guard case .object(let changes) = layer else {
                throw FederationError(.badPlan, "\(context): must be an object of plan keys")
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
                let hint = suggestion(unknown, among: Plan.keys)
                throw FederationError(.badPlan, "'\(printable(unknown))' is not a key of a plan, \(hint)")
            }
            return try Plan(json: .object(fields), context: context)
        } catch {
            let text = "\(error)"
            throw FederationError(.badPlan, text.hasPrefix(context) ? text : "\(context): \(text)")
        }
    }

    /// Checks a layer of its own, for `doctor` and at start-up, before any model is there.
    package static func check(layer: JSONValue, context: String) throws(FederationError) {
        _ = try plan(layers: [layer], architecture: "any", classes: ["a", "b"], imageSize: 64, context: context)
    }
}

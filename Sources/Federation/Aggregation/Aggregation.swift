package import Tensors
package import Wire

/// One client's update, ready to be averaged: validated, its weight bounded.
package struct AggregationInput {
    package let client: PartyName
    package let weight: Int
    package let source: any TensorSource

    package init(client: PartyName, weight: Int, source: any TensorSource) {
        self.client = client
        self.weight = weight
        self.source = source
    }
}

/// Makes the next global of a round's updates, tensor by tensor: memory grows neither with the clients nor with the
/// model.
package enum Aggregation {
    /// The result does not depend on the order of `inputs`.
    ///
    /// - Parameters:
    ///   - base: the round's global; gives names, shapes, parts and roles.
    ///   - sink: takes the bytes of the next `model.safetensors`, in order.
    /// - Throws: ``FederationError`` `.aggregation` for no inputs, a client twice or a weight below 1;
    ///   `.tensorMismatch` where an update's layouts are not the base's; and what sources and sink throw.
    package static func run(
        base: any TensorSource, inputs: [AggregationInput], strategy: any AggregationStrategy,
        to sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let sorted = inputs.sorted { $0.client < $1.client }
        guard !sorted.isEmpty else { throw FederationError(.aggregation, "there is no update to average") }
        guard zip(sorted, sorted.dropFirst()).allSatisfy({ $0.client < $1.client }) else {
            throw FederationError(.aggregation, "a client has two updates in one round")
        }
        guard sorted.allSatisfy({ $0.weight >= 1 }) else {
            throw FederationError(.aggregation, "an update has no examples")
        }
        for input in sorted { try UpdateValidation.checkLayouts(input.source.layouts, base: base.layouts) }
        let writer = try SafetensorsWriter(base.layouts)
        try writer.write(to: sink) { layout, output in
            try base.withFloats(layout.name) { baseValues in
                try withAll(sorted[...], layout.name, []) { values in
                    strategy.combine(layout, base: baseValues, inputs: values, into: output)
                }
            }
        }
    }

    /// Opens one tensor of every input, one inside the other, since each pointer lives only during its call.
    private static func withAll(
        _ inputs: ArraySlice<AggregationInput>, _ name: String, _ opened: [WeightedValues],
        _ body: ([WeightedValues]) throws -> Void
    ) throws {
        guard let input = inputs.first else { return try body(opened) }
        try input.source.withFloats(name) { values in
            let next = WeightedValues(client: input.client, weight: input.weight, values: values)
            try withAll(inputs.dropFirst(), name, opened + [next], body)
        }
    }
}

/// Cuts models apart and puts them together: what trains, what is frozen, the whole version.
package enum ModelParts {
    /// Writes the tensors of several sources as one file.
    ///
    /// - Parameters:
    ///   - sources: where a name is in several, the last one wins.
    ///   - isKept: chooses tensors.
    package static func write(
        _ sources: [any TensorSource], metadata: [String: String] = [:], keeping isKept: (TensorLayout) -> Bool,
        to sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var owner: [String: Int] = [:]
        var layouts: [String: TensorLayout] = [:]
        for (index, source) in sources.enumerated() {
            for layout in source.layouts where isKept(layout) {
                owner[layout.name] = index
                layouts[layout.name] = layout
            }
        }
        let writer = try SafetensorsWriter(Array(layouts.values), metadata: metadata)
        try writer.write(to: sink) { layout, output in
            guard let index = owner[layout.name] else { return }
            try sources[index].withFloats(layout.name) { values in
                guard values.count == output.count else {
                    throw FederationError(.tensorMismatch, "tensor \(layout.name) changed its size while it was copied")
                }
                _ = output.update(fromContentsOf: values)
            }
        }
    }
}

extension Plan {
    /// Whether a tensor travels in `model.safetensors` and comes back in updates; the others are the frozen base.
    package func trains(_ layout: TensorLayout) -> Bool { trainFrom.trains(part: layout.part) }
}

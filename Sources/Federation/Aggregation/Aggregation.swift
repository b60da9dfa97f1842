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

/// Makes the next global of a round's updates, block by block of each tensor: memory grows neither with the clients nor
/// with the model.
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
        let longest = base.layouts.map(\.count).max() ?? 0
        let length = min(blockLength(clients: sorted.count), max(longest, 1))
        // Copied, so that no more than one client's file is mapped at a time.
        let copies = UnsafeMutableBufferPointer<Float>.allocate(capacity: sorted.count * length)
        copies.initialize(repeating: 0)
        defer { copies.deallocate() }
        try writer.write(to: sink) { layout, output in
            for start in stride(from: 0, to: layout.count, by: length) {
                let block = start..<min(start + length, layout.count)
                let inputs = try sorted.enumerated().map { index, input in
                    let copy = UnsafeMutableBufferPointer(
                        rebasing: copies[index * length..<index * length + block.count])
                    try input.source.withFloats(layout.name, in: block) { _ = copy.update(fromContentsOf: $0) }
                    return WeightedValues(client: input.client, weight: input.weight, values: .init(copy))
                }
                try base.withFloats(layout.name, in: block) { values in
                    strategy.combine(layout, base: values, inputs: inputs, into: .init(rebasing: output[block]))
                }
            }
        }
    }

    /// Values of a tensor that are combined at once: fewer of each client where there are many, and not so few that
    /// opening them costs more than reading them.
    private static func blockLength(clients: Int) -> Int {
        let share = FederationLimits.averagingBytes / (clients + 1) / MemoryLayout<Float>.size
        return max(share / minimumBlockLength, 1) * minimumBlockLength
    }

    private static let minimumBlockLength = 8_192
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

package import Tensors

/// A model made ready for inference: its weights laid out, BatchNorm folded into them, its memory kept between calls.
///
/// Inference: BatchNorm uses its running statistics, dropout does nothing, pictures are not augmented. A picture's row
/// does not depend on the batch that it is in.
package final class Predictor {
    package let specification: ModelSpecification
    private let context: ComputeContext
    private let boundary: String?
    private let graph: Graph
    private let layout: ParameterLayout
    private let batchSize: Int
    private let parameters: AlignedArena
    /// Two slots of pictures, then the activations; made for the largest batch that was asked for so far.
    private var working: AlignedArena?

    /// - Parameters:
    ///   - boundary: that of the data; see ``PictureSource/boundary``.
    ///   - batchSize: pictures at once; where they would take more than the context's memory limit, fewer are.
    /// - Throws: ``NetworkError`` where the options are invalid, or a single picture takes too much memory.
    package init(model: Model, boundary: String? = nil, batchSize: Int = 32, context: ComputeContext) throws {
        guard (1...4_096).contains(batchSize) else {
            throw NetworkError(.invalidOptions, "batch size must be 1 to 4096, not \(batchSize)")
        }
        let graph = try model.specification.graph(after: boundary)
        let layout = ParameterLayout(graph) { _ in false }
        func plan(_ batch: Int) -> Plan {
            Plan(graph, batch: batch, mode: .inference, layout: layout, context: context)
        }
        var fitting = batchSize
        var largest = plan(fitting)
        while true {
            let needed = (layout.totalCount + Self.workingCount(largest, graph)) * MemoryLayout<Float>.stride
            if needed <= context.memoryLimit { break }
            if fitting == 1 { try context.requireMemory(needed, for: "one picture") }
            fitting /= 2
            largest = plan(fitting)
        }
        parameters = AlignedArena(count: layout.totalCount)
        layout.load(model.tensors, into: parameters.base)
        layout.fold(largest.folds, in: parameters.base)
        (specification, self.context, self.boundary) = (model.specification, context, boundary)
        (self.graph, self.layout, self.batchSize) = (graph, layout, fitting)
    }

    private static func pictureSlot(_ batch: Int, _ graph: Graph) -> Int {
        MemoryPlan.aligned(batch * graph.nodes[0].shape.count)
    }

    private static func workingCount(_ plan: Plan, _ graph: Graph) -> Int {
        2 * pictureSlot(plan.batch, graph) + plan.peak
    }

    /// The class probabilities of every picture, in the order of the data; one row a picture, one value a class.
    ///
    /// - Throws: ``NetworkError`` where a probability is not finite, and what the data source throws.
    package func probabilities(of data: any PictureSource) throws -> [[Float]] {
        precondition(data.boundary == boundary, "a predictor is made for one kind of data")
        guard data.count > 0 else { return [] }
        let usual = min(batchSize, data.count)
        let sizes = data.count % usual == 0 ? [usual] : [usual, data.count % usual]
        let plans = sizes.map { Plan(graph, batch: $0, mode: .inference, layout: layout, context: context) }
        let working = memory(plans.map { Self.workingCount($0, graph) }.max() ?? 0)
        let slot = Self.pictureSlot(usual, graph)
        let executor = Executor(
            layout: layout, context: context, values: parameters.base, gradients: nil, arena: working.base + 2 * slot)
        let loader = BatchLoader(
            data: data, pictureCount: graph.nodes[0].shape.count, slots: [working.base, working.base + slot],
            context: context)

        func request(from start: Int) -> BatchRequest? {
            guard start < data.count else { return nil }
            return BatchRequest(indices: Array(start..<min(data.count, start + usual)), epoch: nil)
        }
        var rows: [[Float]] = []
        rows.reserveCapacity(data.count)
        while let batch = request(from: rows.count) {
            let next = request(from: rows.count + batch.indices.count)
            let pictures = try loader.load(batch, next: next)
            guard let plan = plans.first(where: { $0.batch == batch.indices.count }) else {
                preconditionFailure("no plan for a batch of \(batch.indices.count)")
            }
            executor.run(plan, BatchInputs(pictures: pictures))
            let probabilities = executor.probabilities(plan)
            for row in batch.indices.indices {
                let start = probabilities + row * layout.classes
                rows.append(Array(UnsafeBufferPointer(start: start, count: layout.classes)))
            }
        }
        guard rows.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            throw NetworkError(.diverged, "the model's probabilities are not finite")
        }
        return rows
    }

    private func memory(_ count: Int) -> AlignedArena {
        if let working, working.count >= count { return working }
        // The old one first: both at once could be more than the limit.
        working = nil
        let made = AlignedArena(count: count)
        working = made
        return made
    }
}

/// The class probabilities of every picture; see ``Predictor``, which is for several sets of pictures.
package func predictProbabilities(
    model: Model, data: any PictureSource, batchSize: Int = 32, context: ComputeContext
) throws -> [[Float]] {
    guard data.count > 0 else { return [] }
    let batch = (1...4_096).contains(batchSize) ? min(batchSize, data.count) : batchSize
    return try Predictor(model: model, boundary: data.boundary, batchSize: batch, context: context)
        .probabilities(of: data)
}

/// The means of two predictions of the same pictures: of a picture and its mirror image, for example.
package func averages(_ rows: [[Float]], _ others: [[Float]]) -> [[Float]] {
    zip(rows, others).map { row, other in zip(row, other).map { ($0 + $1) / 2 } }
}

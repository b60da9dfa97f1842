package import Tensors

/// The class probabilities of every picture, in the order of the data; one row a picture, one value a class.
///
/// Inference: BatchNorm uses its running statistics, dropout does nothing, pictures are not augmented. A picture's row
/// does not depend on the batch that it is in.
///
/// Where `batchSize` pictures at once would take more than the context's memory limit, fewer do.
///
/// - Throws: ``NetworkError`` where a probability is not finite, or a single picture takes too much memory, and what the data source throws.
package func predictProbabilities(
    model: Model, data: any PictureSource, batchSize: Int = 32, context: ComputeContext
) throws -> [[Float]] {
    guard data.count > 0 else { return [] }
    guard (1...4_096).contains(batchSize) else {
        throw NetworkError(.invalidOptions, "batch size must be 1 to 4096, not \(batchSize)")
    }
    let graph = try model.specification.graph(after: data.boundary)
    let layout = ParameterLayout(graph) { _ in false }
    let pictureCount = graph.nodes[0].shape.count
    var usual = min(batchSize, data.count)
    var (plans, batchCount, needed) = ([Plan](), 0, 0)
    while true {
        let sizes = data.count % usual == 0 ? [usual] : [usual, data.count % usual]
        plans = sizes.map { Plan(graph, batch: $0, mode: .inference, layout: layout, context: context) }
        batchCount = MemoryPlan.aligned(usual * pictureCount)
        needed = layout.totalCount + 2 * batchCount + (plans.map(\.peak).max() ?? 0)
        if needed * MemoryLayout<Float>.stride <= context.memoryLimit { break }
        if usual == 1 { try context.requireMemory(needed * MemoryLayout<Float>.stride, for: "one picture") }
        usual /= 2
    }
    let activations = layout.totalCount + 2 * batchCount
    let arena = AlignedArena(count: needed)
    layout.load(model.tensors, into: arena.base)
    if let plan = plans.first { layout.fold(plan.folds, in: arena.base) }
    let executor = Executor(
        layout: layout, context: context, values: arena.base, gradients: nil, arena: arena.base + activations)
    let slots = (0..<2).map { arena.base + layout.totalCount + $0 * batchCount }
    let loader = BatchLoader(data: data, pictureCount: pictureCount, slots: slots, context: context)

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

/// The means of two predictions of the same pictures: of a picture and its mirror image, for example.
package func averages(_ rows: [[Float]], _ others: [[Float]]) -> [[Float]] {
    zip(rows, others).map { row, other in zip(row, other).map { ($0 + $1) / 2 } }
}

package import Tensors

/// Where the halves of a ``FeatureSet`` lie: `[picture][view][value]`. Any thread may read them.
package protocol FeatureStorage: Sendable {
    func withHalves<Result>(at offset: Int, count: Int, _ body: (UnsafePointer<UInt16>) -> Result) -> Result
}

/// The values at the freeze boundary of every view of every picture, in half precision: a frozen network gives the same
/// ones each time, so they are computed once a session and not once an epoch.
///
/// An epoch takes view (epoch + an offset of the picture) mod `views`, so that `views` epochs see each view once, and every
/// epoch a mixture; without an epoch it is view 0, the picture as it is.
package struct FeatureSet: PictureSource {
    package let boundary: String?
    package let views: Int
    /// Values of one view.
    package let valueCount: Int
    private let labels: [Int]
    private let storage: any FeatureStorage
    private let context: ComputeContext

    package init(
        boundary: String, labels: [Int], views: Int, valueCount: Int, storage: any FeatureStorage,
        context: ComputeContext
    ) {
        self.boundary = boundary
        self.labels = labels
        self.views = views
        self.valueCount = valueCount
        self.storage = storage
        self.context = context
    }

    package var count: Int { labels.count }
    package func label(_ index: Int) -> Int { labels[index] }

    package func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
        guard let target = picture.baseAddress, picture.count == valueCount else {
            preconditionFailure("features of \(valueCount) values do not fit \(picture.count)")
        }
        let view = epoch.map { ($0 + Self.offset(of: index)) % views } ?? 0
        storage.withHalves(at: (index * views + view) * valueCount, count: valueCount) {
            Kernels.fromHalf($0, count: valueCount, x: target, context: context)
        }
    }

    /// So that not all pictures show the same view in one epoch.
    private static func offset(of index: Int) -> Int {
        Int(RandomSource(seed: 0x5669_6577).bits(UInt64(index)) % 4096)
    }
}

/// Computes the features of pictures.
package struct FeatureExtractor {
    package let boundary: String
    package let valueCount: Int
    private let graph: Graph
    private let model: Model
    private let batchSize: Int
    private let context: ComputeContext

    /// - Returns: nil where nothing is frozen.
    package init?(
        model: Model, trainFrom: String, frozenBatchNorm: Bool, batchSize: Int = 32, context: ComputeContext
    ) throws(NetworkError) {
        guard
            let boundary = try model.specification.freezeBoundary(
                trainFrom: trainFrom, frozenBatchNorm: frozenBatchNorm)
        else { return nil }
        self.boundary = boundary
        graph = try model.specification.graph().prefix(through: boundary)
        valueCount = graph.nodes[graph.output].shape.count
        self.model = model
        self.batchSize = batchSize
        self.context = context
    }

    /// The names of the frozen tensors that the features depend on.
    package var tensorNames: [String] { graph.tensors.map(\.name) }

    /// Bytes of the features of so many pictures.
    package func byteCount(pictures: Int, views: Int) -> Int { pictures * views * valueCount * 2 }

    /// Bytes of tensor memory that ``run(_:shouldStop:progress:sink:)`` takes, without taking it.
    package func plannedBytes(pictures: Int, views: Int) -> Int {
        guard pictures > 0 else { return 0 }
        let layout = ParameterLayout(graph) { _ in false }
        return arenaCount(plan(pictures: pictures, views: views, layout), layout) * MemoryLayout<Float>.stride
    }

    /// All views of a few pictures at a time.
    private func plan(pictures: Int, views: Int, _ layout: ParameterLayout) -> Plan {
        let perBatch = max(1, min(batchSize / views, pictures))
        return Plan(graph, batch: perBatch * views, mode: .features, layout: layout, context: context)
    }

    private func arenaCount(_ plan: Plan, _ layout: ParameterLayout) -> Int {
        layout.totalCount + MemoryPlan.aligned(plan.batch * graph.nodes[0].shape.count) + plan.peak
    }

    /// Runs every view of each picture through the frozen layers. What comes of a picture does not depend on the others.
    ///
    /// - Parameters:
    ///   - views: the source, and the epoch that is asked of it, for each view.
    ///   - range: the pictures; nil for all.
    ///   - progress: told after each batch, in pictures of the range.
    ///   - sink: takes the halves of one picture, `[view][value]`, picture by picture.
    ///   - shouldStop: asked after each batch.
    /// - Returns: false where it was stopped.
    /// - Throws: ``NetworkError`` for features that are not finite, what a source throws, and what `sink` throws.
    package func run(
        _ views: [(source: any PictureSource, epoch: Int?)], range: Range<Int>? = nil,
        shouldStop: () -> Bool = { false },
        progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }, sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Bool {
        let range = range ?? 0..<(views.first?.source.count ?? 0)
        guard !range.isEmpty else { return true }
        let count = range.count
        let layout = ParameterLayout(graph) { _ in false }
        // The last batch is filled up with its last picture.
        let plan = plan(pictures: count, views: views.count, layout)
        let perBatch = plan.batch / views.count
        let pictureCount = graph.nodes[0].shape.count
        let inputs = MemoryPlan.aligned(plan.batch * pictureCount)
        let needed = arenaCount(plan, layout)
        try context.requireMemory(needed * MemoryLayout<Float>.stride, for: "the frozen layers")
        let arena = AlignedArena(count: needed)
        layout.load(model.tensors, into: arena.base)
        layout.fold(plan.folds, in: arena.base)
        let executor = Executor(
            layout: layout, context: context, values: arena.base, gradients: nil,
            arena: arena.base + layout.totalCount + inputs)
        let pictures = FloatPointer(pointer: arena.base + layout.totalCount)
        let failure = FirstFailure()
        var halves = [UInt16](repeating: 0, count: views.count * valueCount)
        for first in stride(from: 0, to: count, by: perBatch) {
            context.parallel(tasks: plan.batch) { task, _ in
                let (source, epoch) = views[task % views.count]
                let index = range.lowerBound + min(count - 1, first + task / views.count)
                let target = UnsafeMutableBufferPointer(
                    start: pictures.pointer + task * pictureCount, count: pictureCount)
                do { try source.fill(index, epoch: epoch, into: target) } catch { failure.note(error, task: task) }
            }
            if let error = failure.take() { throw error }
            executor.run(plan, BatchInputs(pictures: UnsafePointer(pictures.pointer)))
            let features = executor.probabilities(plan)
            let wanted = min(perBatch, count - first)
            let all = UnsafeBufferPointer(start: features, count: wanted * views.count * valueCount)
            guard all.allSatisfy(\.isFinite) else {
                throw NetworkError(.diverged, "the frozen layers' values are not finite: the model is of no use")
            }
            for picture in 0..<wanted {
                halves.withUnsafeMutableBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    Kernels.toHalf(
                        features + picture * buffer.count, count: buffer.count, half: base, context: context)
                }
                try halves.withUnsafeBytes(sink)
            }
            progress(first + wanted, count)
            if first + wanted < count, shouldStop() { return false }
        }
        return true
    }
}

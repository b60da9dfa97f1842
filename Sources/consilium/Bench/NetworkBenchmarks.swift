import NeuralNetworks
import Tensors
import Wire

/// Whole networks: a training step with all layers, also in little memory, a forward pass, and a step of layer4 and head on
/// kept features.
enum NetworkBenchmarks {
    static func networks(
        _ architectures: [Architecture], batch: Int, size: Int, _ context: ComputeContext
    ) throws -> [Benchmark] {
        try architectures.flatMap { architecture -> [Benchmark] in
            let specification = try specification(architecture, size)
            let request: (String) -> JSONValue = { kind in
                [
                    "kind": .string(kind), "architecture": .string(architecture.rawValue),
                    "batch": .integer(Int64(batch)),
                    "size": .integer(Int64(size)),
                ]
            }
            let options = TrainingOptions(epochs: 100_000, batchSize: batch)
            let pictures = Pictures(count: batch, classes: specification.classes.count)
            func planned(_ options: TrainingOptions, _ context: ComputeContext) throws -> Int {
                try Trainer.plannedPeakBytes(
                    model: Model(initializing: specification, seed: 1), options: options, pictures: batch,
                    context: context)
            }
            func training(
                _ name: String, _ options: TrainingOptions, request: JSONValue? = nil,
                in context: @escaping () throws -> ComputeContext
            ) -> Benchmark {
                Benchmark(
                    group: .networks, name: "\(architecture.rawValue) training step\(name)", work: Double(batch),
                    unit: .pictures, request: request, plannedBytes: { try planned(options, context()) },
                    prepare: { try steps(Model(initializing: specification, seed: 1), options, pictures, context()) })
            }
            var constant = options
            constant.frozenBatchNorm = true
            return [
                training("", options, request: request("training step")) { context },
                // The least that is possible; training with less is refused.
                training(", layers computed twice", options) {
                    try context.with(memoryLimit: planned(options, context.with(memoryLimit: 0)))
                },
                training(", constant statistics, at most 1.2 GB", constant) {
                    context.with(memoryLimit: 1_200_000_000)
                },
                Benchmark(
                    group: .networks, name: "\(architecture.rawValue) forward", work: Double(batch), unit: .pictures,
                    request: request("forward"),
                    prepare: {
                        let predictor = try Predictor(
                            model: Model(initializing: specification, seed: 1), batchSize: batch, context: context)
                        return { _ = try predictor.probabilities(of: pictures) }
                    }),
            ]
        }
    }

    /// Frozen up to layer3, whose values were kept: what a night of fine-tuning does most of the time.
    static func transfer(
        _ architecture: Architecture, batch: Int, size: Int, _ context: ComputeContext
    ) throws -> [Benchmark] {
        let specification = try specification(architecture, size)
        return try ["layer4", "head"].map { (part: String) -> Benchmark in
            let options = TrainingOptions(
                epochs: 100_000, batchSize: batch, trainFrom: part, frozenBatchNorm: true)
            let boundary = try specification.freezeBoundary(trainFrom: part, frozenBatchNorm: true)
            let features = Pictures(count: batch, classes: specification.classes.count, boundary: boundary)
            return Benchmark(
                group: .transfer, name: "\(architecture.rawValue) step from \(part), features kept",
                work: Double(batch), unit: .pictures, runs: part == "head" ? 100 : 1,
                request: [
                    "kind": "transfer step", "architecture": .string(architecture.rawValue), "part": .string(part),
                    "batch": .integer(Int64(batch)), "size": .integer(Int64(size)),
                ],
                plannedBytes: {
                    try Trainer.plannedPeakBytes(
                        model: Model(initializing: specification, seed: 1), options: options, pictures: batch,
                        boundary: boundary, context: context)
                },
                prepare: { try steps(Model(initializing: specification, seed: 1), options, features, context) })
        }
    }

    private static func specification(_ architecture: Architecture, _ size: Int) throws -> ModelSpecification {
        try ModelSpecification(architecture: architecture, classes: ["a", "b", "c", "d"], imageSize: size)
    }

    /// - Returns: what does one step, as a tick's training would do it.
    private static func steps(
        _ model: Model, _ options: TrainingOptions, _ pictures: Pictures, _ context: ComputeContext
    ) throws -> () throws -> Void {
        let trainer = try Trainer(model: model, options: options, data: pictures, context: context)
        return {
            let next = trainer.statistics.steps + 1
            _ = try trainer.run(shouldStop: { trainer.statistics.steps >= next })
        }
    }
}

/// As good as pictures, or as features, for timing: numbers around 0, without a decoder.
private struct Pictures: PictureSource {
    let count: Int
    let classes: Int
    var boundary: String?

    func label(_ index: Int) -> Int { index % classes }

    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
        for pixel in picture.indices { picture[pixel] = Float((pixel &* 37 &+ index &* 11) % 64) / 32 - 1 }
    }
}

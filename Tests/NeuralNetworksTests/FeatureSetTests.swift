import NeuralNetworks
import Tensors
import Testing

/// Rules: 1. the boundary is the last layer before anything that trains or is random; 2. features answer and train as the
/// pictures do, to half precision; 3. as many epochs as there are views show each view once, and no epoch shows only one;
/// 4. the features do not depend on the number of workers or on the batch; 5. stopping leaves the sink with whole pictures.
@Suite struct FeatureSetTests {
    private func specification(_ name: String, size: Int = 32) throws -> ModelSpecification {
        let architecture = try #require(Architecture(rawValue: name))
        return try ModelSpecification(architecture: architecture, classes: ["a", "b", "c", "d"], imageSize: size)
    }

    @Test(
        arguments: [
            ("resnet18", "layer4", true, "layer3.1.relu"), ("resnet50", "layer4", true, "layer3.5.relu"),
            ("resnet50v1", "layer2", true, "layer1.2.relu"), ("resnet50", "head", true, "avgpool"),
            ("resnet18+mlp", "head", true, "avgpool"), ("smallcnn", "layer1", false, "maxpool"),
            ("resnet18", "all", true, nil), ("smallcnn", "all", false, nil), ("resnet18", "stem", true, nil),
        ] as [(String, String, Bool, String?)])
    func theBoundaryIsTheLastFrozenLayer(name: String, trainFrom: String, frozen: Bool, boundary: String?) throws {
        #expect(
            try specification(name).freezeBoundary(trainFrom: trainFrom, frozenBatchNorm: frozen) == boundary)
    }

    /// Features in memory.
    private final class Halves: FeatureStorage, @unchecked Sendable {
        var values: [UInt16] = []
        func take(_ bytes: UnsafeRawBufferPointer) { values += bytes.bindMemory(to: UInt16.self) }
        func withHalves<Result>(
            at offset: Int, count: Int, _ body: (UnsafePointer<UInt16>) -> Result
        ) -> Result { values[offset..<offset + count].withUnsafeBufferPointer { body($0.baseAddress!) } }
    }

    private func features(
        _ model: Model, from trainFrom: String, _ data: SyntheticPictures, views: [Int?] = [nil], batch: Int = 32,
        workers: Int = 2
    ) throws -> (set: FeatureSet, halves: Halves) {
        let context = ComputeContext(workers: workers)
        let extractor = try #require(
            try FeatureExtractor(
                model: model, trainFrom: trainFrom, frozenBatchNorm: true, batchSize: batch, context: context))
        let halves = Halves()
        #expect(try extractor.run(views.map { (data, $0) }, sink: halves.take))
        #expect(halves.values.count * 2 == extractor.byteCount(pictures: data.count, views: views.count))
        let set = FeatureSet(
            boundary: extractor.boundary, labels: (0..<data.count).map(data.label), views: views.count,
            valueCount: extractor.valueCount, storage: halves, context: context)
        return (set, halves)
    }

    @Test(arguments: ["layer2", "head"]) func featuresAnswerAsPicturesDo(trainFrom: String) throws {
        let model = try Model(initializing: try specification("resnet18"), seed: 3)
        let data = SyntheticPictures(count: 7, size: 32)
        let context = ComputeContext()
        let pictures = try predictProbabilities(model: model, data: data, context: context).flatMap { $0 }
        let features = try predictProbabilities(
            model: model, data: try features(model, from: trainFrom, data).set, context: context
        ).flatMap { $0 }
        #expect(relativeError(features, pictures.map(Double.init)) < 2e-3)
    }

    /// Pictures that are the same in every epoch, so that one view stands for all.
    private struct Still: PictureSource {
        let pictures: SyntheticPictures
        var count: Int { pictures.count }
        func label(_ index: Int) -> Int { pictures.label(index) }
        func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) throws {
            try pictures.fill(index, epoch: nil, into: picture)
        }
    }

    @Test func featuresTrainAsPicturesDo() throws {
        let model = try Model(initializing: try specification("resnet18"), seed: 3)
        let data = SyntheticPictures(count: 16, size: 32)
        let options = TrainingOptions(
            epochs: 3, batchSize: 8, learningRate: 1e-3, trainFrom: "layer4", frozenBatchNorm: true, seed: 5)
        func losses(_ source: any PictureSource) throws -> (losses: [Double], model: Model) {
            let trainer = try Trainer(model: model, options: options, data: source, context: ComputeContext())
            #expect(try trainer.run(shouldStop: { false }))
            return (trainer.statistics.lossPerEpoch, trainer.model)
        }
        let (pictures, _) = try losses(Still(pictures: data))
        let (features, trained) = try losses(try features(model, from: "layer4", data).set)
        for (with, without) in zip(features, pictures) { #expect(abs(with - without) < 5e-3 * max(1, without)) }
        #expect(features[2] < features[0])
        #expect(trained.tensors.names == model.tensors.names, "the frozen part is in the model again")
        let isFrozen = trained.tensors["conv1.weight"] == model.tensors["conv1.weight"]
        #expect(isFrozen)
    }

    @Test func asManyEpochsAsViewsShowEachOnce() throws {
        let model = try Model(initializing: try specification("smallcnn"), seed: 3)
        let data = SyntheticPictures(count: 9, size: 32)
        let set = try features(model, from: "layer3", data, views: [nil, 0, 1]).set
        func view(_ index: Int, _ epoch: Int?) -> [Float] {
            var values = [Float](repeating: -1, count: set.valueCount)
            values.withUnsafeMutableBufferPointer { set.fill(index, epoch: epoch, into: $0) }
            return values
        }
        var plain = 0
        for index in 0..<9 {
            let seen = (4..<7).map { view(index, $0) }
            #expect(Set(seen).count == 3)
            #expect(seen.contains(view(index, nil)))
            #expect(view(index, 4) == view(index, 7))
            if seen[0] == view(index, nil) { plain += 1 }
        }
        #expect(plain > 0 && plain < 9, "an epoch is a mixture")
    }

    @Test func neitherWorkersNorBatchesChangeAByte() throws {
        let model = try Model(initializing: try specification("smallcnn"), seed: 3)
        let data = SyntheticPictures(count: 9, size: 32)
        let one = try features(model, from: "layer3", data, views: [nil, 1], workers: 1).halves.values
        #expect(try features(model, from: "layer3", data, views: [nil, 1], batch: 5, workers: 3).halves.values == one)
    }

    @Test func stoppingIsNoticedBetweenPictures() throws {
        let model = try Model(initializing: try specification("smallcnn"), seed: 3)
        let data = SyntheticPictures(count: 9, size: 32)
        let extractor = try #require(
            try FeatureExtractor(
                model: model, trainFrom: "head", frozenBatchNorm: true, batchSize: 4, context: ComputeContext()))
        var (bytes, told) = (0, [Int]())
        let isDone = try extractor.run(
            [(data, nil)], shouldStop: { bytes > 0 }, progress: { done, _ in told.append(done) },
            sink: { bytes += $0.count })
        #expect(!isDone)
        #expect(bytes == extractor.byteCount(pictures: 4, views: 1))
        #expect(told == [4])
    }
}

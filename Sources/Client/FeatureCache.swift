import Bundles
package import Federation
package import Files
package import Images
package import NeuralNetworks
package import SystemPackage
package import Tensors
import Wire

/// The features of a hospital's own pictures for one session, on its own disk: `cache/<session>-<part>.features`.
///
/// They are patient data as the pictures are: readable by the owner alone, never sent, and removed with the session. A file
/// begins with a key, the SHA-256 of everything that the values depend on: frozen tensors, pictures in their order, views,
/// kernels. Any change, a single picture's too, and they are computed anew.
package struct FeatureCache {
    private let folder: FilePath
    private let files: any FileSystem
    /// What all files of a session may take, in bytes.
    private let limit: Int64
    private let context: ComputeContext
    /// Told the tensor memory that will be taken, before it is; throws where that is too much.
    private let requireMemory: (Int) throws -> Void

    private static let suffix = ".features"
    private static let keyBytes = 32

    package init(
        folder: FilePath, files: any FileSystem, limit: Int64, context: ComputeContext,
        requireMemory: @escaping (Int) throws -> Void = { _ in }
    ) {
        self.folder = folder
        self.files = files
        self.limit = limit
        self.context = context
        self.requireMemory = requireMemory
    }

    /// Told while features are computed, which takes a forward pass of every view.
    package typealias Progress = (_ done: Int, _ of: Int) -> Void

    /// The features of training and validation pictures, from the disk or computed.
    ///
    /// - Returns: nil where it was stopped, or where the plan freezes nothing or asks for no features.
    /// - Throws: ``ClientError`` where they would take more room than allowed.
    package func features(
        _ session: String, plan: Plan, model: Model, pictures: LocalPictures, shouldStop: () -> Bool,
        progress: Progress = { _, _ in }
    ) throws -> LocalFeatures? {
        guard let extractor = try extractor(plan, model) else { return nil }
        let needed =
            Int64(extractor.byteCount(pictures: pictures.training.count, views: plan.featureViews))
            + Int64(extractor.byteCount(pictures: pictures.validation.count, views: 1))
        guard needed <= limit else {
            throw ClientError(
                .notAllowed,
                "the frozen layers' features need \(needed >> 20) MiB in cache/, \(limit >> 20) are allowed",
                hint: "raise 'cache' in consilium.yaml, or ask the server for fewer feature_views")
        }
        guard
            let training = try features(
                "\(session)-training", of: pictures.training, views: plan.featureViews,
                mirrors: plan.augmentation.horizontalFlip, extractor, model, shouldStop, progress),
            let validation = try features(
                "\(session)-validation", of: pictures.validation, views: 1, mirrors: false, extractor, model,
                shouldStop, progress)
        else { return nil }
        return LocalFeatures(training: training, validation: validation)
    }

    /// The features of one set of pictures, each as it is.
    package func features(
        _ name: String, of pictures: LoadedDataset, plan: Plan, model: Model, shouldStop: () -> Bool
    ) throws -> FeatureSet? {
        guard let extractor = try extractor(plan, model) else { return nil }
        return try features(
            name, of: pictures, views: 1, mirrors: false, extractor, model, shouldStop, { _, _ in })
    }

    /// - Returns: nil where the plan freezes nothing or asks for no features.
    private func extractor(_ plan: Plan, _ model: Model) throws -> FeatureExtractor? {
        guard plan.featureViews > 0 else { return nil }
        return try FeatureExtractor(
            model: model, trainFrom: plan.trainFrom.rawValue, frozenBatchNorm: plan.batchNorm == .frozen,
            context: context)
    }

    /// Removes what belongs to none of the sessions.
    func clean(keeping sessions: Set<String>) throws {
        // Somebody may have emptied the home of what can be made anew.
        guard try files.exists(folder) else { return }
        for entry in try files.list(folder) where entry.name.hasSuffix(Self.suffix) {
            guard let session = entry.name.split(separator: "-").first, !sessions.contains(String(session)) else {
                continue
            }
            try files.remove(folder.appending(entry.component))
        }
    }

    // MARK: one file

    private func features(
        _ name: String, of pictures: LoadedDataset, views: Int, mirrors: Bool, _ extractor: FeatureExtractor,
        _ model: Model, _ shouldStop: () -> Bool, _ progress: Progress
    ) throws -> FeatureSet? {
        let path = folder.appending(name + Self.suffix)
        let key = key(pictures, views: views, mirrors: mirrors, extractor, model)
        let size = Self.keyBytes + extractor.byteCount(pictures: pictures.count, views: views)
        if try !holds(path, key: key, size: size) {
            try requireMemory(extractor.plannedBytes(pictures: pictures.count, views: views))
            try files.makeDirectories(folder)
            let sources = Self.views(of: pictures, views, mirrors: mirrors)
            do {
                try files.writeFile(path, permissions: 0o600) { file in
                    try file.write(key.bytes)
                    let isDone = try extractor.run(sources, shouldStop: shouldStop, progress: progress) {
                        try file.write($0)
                    }
                    if !isDone { throw Stopped() }
                }
            } catch is Stopped {
                return nil
            }
        }
        let mapping = try MappedFile(path: path.string, offset: Int64(Self.keyBytes))
        return FeatureSet(
            boundary: extractor.boundary, labels: pictures.labels, views: views, valueCount: extractor.valueCount,
            storage: mapping, context: context)
    }

    private struct Stopped: Error {}

    private func holds(_ path: FilePath, key: Digest, size: Int) throws -> Bool {
        guard let status = try files.status(path), status.kind == .regular, status.size == Int64(size) else {
            return false
        }
        return try files.openForReading(path).bytes(at: 0, count: Self.keyBytes) == key.bytes
    }

    /// View 0 is the picture as it is, view 1 its mirror image where the plan mirrors, the others are random ones as
    /// training without features would draw them.
    private static func views(
        of pictures: LoadedDataset, _ count: Int, mirrors: Bool
    ) -> [(source: any PictureSource, epoch: Int?)] {
        (0..<count).map { view in
            switch view {
            case 0: (pictures, nil)
            case 1 where mirrors: (pictures.mirrored(), nil)
            default: (pictures, view)
            }
        }
    }

    private func key(
        _ pictures: LoadedDataset, views: Int, mirrors: Bool, _ extractor: FeatureExtractor, _ model: Model
    ) -> Digest {
        let specification = model.specification
        var stream = SHA256Stream()
        let facts: [String] = [
            "consilium features 1", specification.architecture.rawValue, "\(specification.imageSize)",
            "\(pictures.preprocessing)", extractor.boundary, "\(views) \(mirrors) \(pictures.isMirrored)",
            // A picture and its mirror image are drawn without chance.
            views > (mirrors ? 2 : 1) ? "\(pictures.augmentation) \(pictures.seed)" : "",
            context.instructionSet.rawValue,
            "\(pictures.count)",
        ]
        stream.update(Array(facts.joined(separator: "\n").utf8))
        for name in extractor.tensorNames {
            stream.update(Array(name.utf8))
            stream.update(model.tensors[name]?.tensor.values.withUnsafeBytes { Array($0) } ?? [])
        }
        for index in 0..<pictures.count {
            stream.update(Array("\(pictures.label(index))".utf8))
            stream.update(pictures.gray(index))
        }
        return stream.finish()
    }
}

/// What a round trains and measures on in place of pictures.
package struct LocalFeatures: Sendable {
    package let training: FeatureSet
    package let validation: FeatureSet
}

extension MappedFile: FeatureStorage {
    package func withHalves<Result>(at offset: Int, count: Int, _ body: (UnsafePointer<UInt16>) -> Result) -> Result {
        let range = offset * 2..<(offset + count) * 2
        return UnsafeRawBufferPointer(rebasing: bytes[range]).withMemoryRebound(to: UInt16.self) { halves in
            guard let base = halves.baseAddress else { preconditionFailure("features of no values") }
            return body(base)
        }
    }
}

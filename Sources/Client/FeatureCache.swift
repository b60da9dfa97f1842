import Bundles
package import Federation
package import Files
package import Images
package import NeuralNetworks
package import SystemPackage
package import Tensors
import Wire

/// The features of a hospital's own pictures for one session, on its own disk: `cache/<session>-<part>-<n>.features`.
///
/// They are patient data as the pictures are: readable by the owner alone, never sent, and removed with the session. A file
/// begins with its ``FeatureKeys`` key: whatever the values depend on changed, and they are computed anew.
package struct FeatureCache {
    private let folder: FilePath
    private let files: any FileSystem
    /// What all files of a session may take, in bytes.
    private let limit: Int64
    private let context: ComputeContext
    /// Told the tensor memory that will be taken, before it is; throws where that is too much.
    private let requireMemory: (Int) throws -> Void

    /// The features of a set lie in segments of whole pictures, each of which appears whole: a run that is stopped or killed
    /// leaves those that it made, and the next one goes on behind them.
    private let segmentBytes: Int

    private static let suffix = ".features"
    private static let keyBytes = 32

    package init(
        folder: FilePath, files: any FileSystem, limit: Int64, context: ComputeContext,
        segmentBytes: Int = 64 << 20, requireMemory: @escaping (Int) throws -> Void = { _ in }
    ) {
        self.folder = folder
        self.files = files
        self.limit = limit
        self.context = context
        self.segmentBytes = segmentBytes
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

    // MARK: one set

    private func features(
        _ name: String, of pictures: LoadedDataset, views: Int, mirrors: Bool, _ extractor: FeatureExtractor,
        _ model: Model, _ shouldStop: () -> Bool, _ progress: Progress
    ) throws -> FeatureSet? {
        let perPicture = extractor.byteCount(pictures: 1, views: views)
        let perSegment = max(1, segmentBytes / perPicture)
        let keys = FeatureKeys(
            pictures: pictures, views: views, mirrors: mirrors, extractor: extractor, model: model, context: context)
        let sources = Self.views(of: pictures, views, mirrors: mirrors)
        var segments: [MappedFile] = []
        var hasAsked = false
        for first in stride(from: 0, to: pictures.count, by: perSegment) {
            let range = first..<min(pictures.count, first + perSegment)
            let path = path(name, segment: segments.count)
            let key = keys.key(of: range)
            if try !holds(path, key: key, size: Self.keyBytes + range.count * perPicture) {
                if !segments.isEmpty, shouldStop() { return nil }
                if !hasAsked {
                    try requireMemory(extractor.plannedBytes(pictures: pictures.count, views: views))
                    try files.makeDirectories(folder)
                    hasAsked = true
                }
                do {
                    try files.writeFile(path, permissions: 0o600) { file in
                        try file.write(key.bytes)
                        let isDone = try extractor.run(
                            sources, range: range, shouldStop: shouldStop,
                            progress: { done, _ in progress(first + done, pictures.count) },
                            sink: { try file.write($0) })
                        if !isDone { throw Stopped() }
                    }
                } catch is Stopped {
                    return nil
                }
            }
            segments.append(try MappedFile(path: path.string, offset: Int64(Self.keyBytes)))
        }
        try removeSegments(name, from: segments.count)
        return FeatureSet(
            boundary: extractor.boundary, labels: pictures.labels, views: views, valueCount: extractor.valueCount,
            storage: FeatureSegments(files: segments, halves: perSegment * views * extractor.valueCount),
            context: context)
    }

    private struct Stopped: Error {}

    private func path(_ name: String, segment: Int) -> FilePath { folder.appending("\(name)-\(segment)\(Self.suffix)") }

    /// Pictures may have become fewer.
    private func removeSegments(_ name: String, from first: Int) throws {
        var segment = first
        while try files.exists(path(name, segment: segment)) {
            try files.remove(path(name, segment: segment))
            segment += 1
        }
    }

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
}

/// What a round trains and measures on in place of pictures.
package struct LocalFeatures: Sendable {
    package let training: FeatureSet
    package let validation: FeatureSet
}

import Bundles
import Images
import NeuralNetworks
import Tensors
import Wire

/// What a segment's values depend on, as a SHA-256: frozen tensors, its pictures in their order, views, kernels.
struct FeatureKeys {
    private let common: Digest
    private let pictures: LoadedDataset

    init(
        pictures: LoadedDataset, views: Int, mirrors: Bool, extractor: FeatureExtractor, model: Model,
        context: ComputeContext
    ) {
        self.pictures = pictures
        let specification = model.specification
        let facts: [String] = [
            "consilium features 2", specification.architecture.rawValue, "\(specification.imageSize)",
            "\(pictures.preprocessing)", extractor.boundary, "\(views) \(mirrors) \(pictures.isMirrored)",
            // A picture and its mirror image are drawn without chance.
            views > (mirrors ? 2 : 1) ? "\(pictures.augmentation) \(pictures.seed)" : "",
            context.instructionSet.rawValue, context.convolutionMethod.rawValue,
        ]
        var stream = SHA256Stream()
        stream.update(Array(facts.joined(separator: "\n").utf8))
        for name in extractor.tensorNames {
            stream.update(Array(name.utf8))
            stream.update(model.tensors[name]?.tensor.values.withUnsafeBytes { Array($0) } ?? [])
        }
        common = stream.finish()
    }

    func key(of range: Range<Int>) -> Digest {
        var stream = SHA256Stream()
        stream.update(common.bytes)
        // Random views are drawn by a picture's place.
        stream.update(Array("\(range)".utf8))
        for index in range {
            stream.update(Array("\(pictures.label(index))".utf8))
            stream.update(pictures.gray(index))
        }
        return stream.finish()
    }
}

/// The halves of a set, in files that follow one another.
struct FeatureSegments: FeatureStorage {
    let files: [MappedFile]
    /// Of each file but the last.
    let halves: Int

    /// The values of one view never cross a file's end: files hold whole pictures.
    func withHalves<Result>(at offset: Int, count: Int, _ body: (UnsafePointer<UInt16>) -> Result) -> Result {
        let start = offset % halves
        let range = start * 2..<(start + count) * 2
        return UnsafeRawBufferPointer(rebasing: files[offset / halves].bytes[range])
            .withMemoryRebound(to: UInt16.self) { values in
                guard let base = values.baseAddress else { preconditionFailure("features of no values") }
                return body(base)
            }
    }
}

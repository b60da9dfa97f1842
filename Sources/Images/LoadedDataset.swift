package import Files
package import SystemPackage
package import Tensors
import Wire

/// A picture that could not be used, for one line on the hospital's own terminal.
package struct SkippedImage: Equatable, Sendable, CustomStringConvertible {
    /// From the data folder.
    package let path: FilePath
    package let error: ImageError
    package var description: String { "\(path): \(error)".singleLine }
}

/// Pictures with labels, decoded once and kept as `imageSize` squared gray bytes each.
///
/// Reading runs in parallel; the order is that of the scan whatever the number of workers. Pictures that cannot be read
/// are left out and told in ``skipped``, in the same order. ``subset(_:)`` shares the pixels.
package struct LoadedDataset: Sendable {
    package let preprocessing: Preprocessing
    package let classes: [String]
    package let skipped: [SkippedImage]
    /// Applied where an epoch is given.
    package var augmentation: Augmentation
    /// Of the augmentation.
    package var seed: UInt64
    /// All pictures, this subset's or not.
    private let store: Store
    /// Index into the store, of each picture here.
    private var rows: [Int]
    /// Whether every input is mirrored left to right; see ``mirrored()``.
    package private(set) var isMirrored = false

    private final class Store: Sendable {
        let luma: Slots<UInt8>
        let paths: [FilePath]
        let labels: [Int]
        let hashes: [PerceptualHash]

        init(luma: Slots<UInt8>, paths: [FilePath], labels: [Int], hashes: [PerceptualHash]) {
            self.luma = luma
            self.paths = paths
            self.labels = labels
            self.hashes = hashes
        }
    }

    /// Memory that the pictures of a dataset take, without what decoding needs for a moment.
    package static func bytes(count: Int, imageSize: Int) -> Int { count * imageSize * imageSize }

    /// Never fails: what cannot be read is in ``skipped``, all pictures if need be.
    package init(
        _ scan: DatasetScan, preprocessing: Preprocessing, augmentation: Augmentation = .none, seed: UInt64 = 0,
        files: any FileSystem = LocalFileSystem(), limits: ImageLimits = .standard,
        context: ComputeContext = ComputeContext()
    ) {
        let size = preprocessing.imageSize
        let luma = Slots<UInt8>(count: LoadedDataset.bytes(count: scan.items.count, imageSize: size), repeating: 0)
        let outcomes = Slots<Result<PerceptualHash, ImageError>?>(count: scan.items.count, repeating: nil)
        ImageReading(files: files, limits: limits).forEach(scan, context: context) { index, picture in
            outcomes[index] = picture.map { picture in
                let small = preprocessing.gray(picture.luma)
                _ = luma.slice(index * size * size..<(index + 1) * size * size).update(from: small)
                // Of the whole picture: what counts as a copy of what must not hang on the model's preprocessing.
                return PerceptualHash(picture.luma)
            }
        }

        var (rows, hashes, skipped) = ([Int](), [PerceptualHash](), [SkippedImage]())
        for (index, outcome) in outcomes.values.enumerated() {
            switch outcome {
            case .success(let hash):
                rows.append(index)
                hashes.append(hash)
            case .failure(let error):
                skipped.append(SkippedImage(path: scan.items[index].path, error: error))
                hashes.append(.flat)
            case nil: hashes.append(.flat)
            }
        }
        self.preprocessing = preprocessing
        self.classes = scan.classes
        self.skipped = skipped
        self.augmentation = augmentation
        self.seed = seed
        self.rows = rows
        self.store = Store(luma: luma, paths: scan.items.map(\.path), labels: scan.items.map(\.label), hashes: hashes)
    }

    package var count: Int { rows.count }
    package func label(_ index: Int) -> Int { store.labels[rows[index]] }
    package var labels: [Int] { rows.map { store.labels[$0] } }
    /// From the data folder.
    package func path(_ index: Int) -> FilePath { store.paths[rows[index]] }
    package var hashes: [PerceptualHash] { rows.map { store.hashes[$0] } }

    /// A picture's gray values as they are kept: `imageSize` squared bytes.
    package func gray(_ index: Int) -> [UInt8] {
        let count = preprocessing.imageSize * preprocessing.imageSize
        return Array(store.luma.slice(rows[index] * count..<(rows[index] + 1) * count))
    }

    /// Pictures of each class, in the order of ``classes``.
    package var classCounts: [Int] {
        rows.reduce(into: [Int](repeating: 0, count: classes.count)) { $0[store.labels[$1]] += 1 }
    }

    /// Refuses what would not be training though every folder has files: fewer classes than `minimum` have a picture that
    /// could be read.
    /// - Returns: a warning for each class that lost all of its pictures.
    package func requireClasses(_ minimum: Int) throws(ImageError) -> [String] {
        let counts = classCounts
        guard counts.count(where: { $0 > 0 }) >= minimum else {
            let filled = zip(classes, counts).filter { $0.1 > 0 }.map(\.0).joined(separator: ", ")
            throw ImageError(
                .tooFewClasses,
                "\(filled.isEmpty ? "no class has" : "only \(filled) has") pictures that can be read, \(skipped.count) cannot:"
                    + " training needs at least \(minimum) classes with pictures")
        }
        let lost = Dictionary(grouping: skipped.compactMap { $0.path.components.first?.string }, by: { $0 })
        return zip(classes, counts).compactMap { name, count in
            guard count == 0, let files = lost[name]?.count else { return nil }
            return "class \(name.singleLine): none of its \(files) pictures can be read"
        }
    }

    /// Refuses a folder whose pictures would not fit into memory, before any is read.
    /// - Parameter available: bytes that the pictures may take.
    package static func requireMemory(_ scan: DatasetScan, imageSize: Int, available: Int) throws(ImageError) {
        let needed = bytes(count: scan.items.count, imageSize: imageSize)
        guard needed > available else { return }
        throw ImageError(
            .outOfMemory,
            "\(scan.items.count) pictures of \(imageSize) x \(imageSize) take \(needed >> 20) MiB of memory, and"
                + " \(available >> 20) MiB may be used: use fewer pictures or another machine")
    }

    /// Some of the pictures, without copying pixels. A picture keeps its augmented views.
    package func subset(_ indices: [Int]) -> LoadedDataset {
        var part = self
        part.rows = indices.map { rows[$0] }
        return part
    }

    /// The same pictures with every input mirrored left to right, without copying pixels: the second view of a
    /// prediction that is averaged over mirror images. An augmented view is mirrored after it is drawn. Twice is the
    /// identity.
    package func mirrored() -> LoadedDataset {
        var other = self
        other.isMirrored.toggle()
        return other
    }

    /// The network's input for one picture: `imageSize` x `imageSize` x channels floats, HWC, normalised.
    /// - Parameter epoch: which augmented view; nil for the picture itself. Thread-safe.
    package func fill(_ index: Int, epoch: Int?, into target: UnsafeMutableBufferPointer<Float>) throws(ImageError) {
        guard rows.indices.contains(index), target.count == preprocessing.inputCount else {
            throw ImageError(
                .invalidOption, "picture \(index) of \(rows.count): no such picture, or no room for its input")
        }
        let size = preprocessing.imageSize
        let start = rows[index] * size * size
        let luma = UnsafeBufferPointer(store.luma.slice(start..<(start + size * size)))
        if let epoch, augmentation != .none {
            augmentation.view(seed: seed, index: rows[index], epoch: epoch).apply(luma, size: size, into: target)
        } else {
            for pixel in luma.indices { target[pixel] = Float(luma[pixel]) }
        }
        if isMirrored {
            for row in 0..<size { target[(row * size)..<((row + 1) * size)].reverse() }
        }
        preprocessing.normalise(target)
    }

    /// Near-duplicate group of each picture; see ``NearDuplicates``.
    package func duplicateGroups() -> [Int] { NearDuplicates.groups(hashes) }

    /// Training and validation parts that share no near-duplicates, with every class in proportion.
    package func split(validation fraction: Double, seed: UInt64) throws(ImageError) -> (
        training: LoadedDataset, validation: LoadedDataset
    ) {
        let groups = duplicateGroups()
        let items = (0..<count).map { Splitter.Item(label: label($0), group: groups[$0]) }
        let parts = try Splitter.validation(items, classes: classes.count, fraction: fraction, seed: seed)
        return (subset(parts.training), subset(parts.validation))
    }
}

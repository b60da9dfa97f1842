package import Files
package import SystemPackage
package import Tensors
package import Wire

/// `data check` and `data stats`: a look at a data folder before training starts.
///
/// Holds paths of pictures, for the hospital's own terminal; nothing of it may leave the hospital.
package struct DataCheck: Sendable {
    package struct ClassSummary: Equatable, Sendable {
        package let name: String
        package var pictures = 0
        package var unreadable = 0
        package var jpeg = 0
        package var png = 0
        /// How often each gray value 0...255 occurs in the pictures, each shrunk to 64 x 64 so that all count the same.
        package var histogram = [Int](repeating: 0, count: 256)

        /// Mean and standard deviation of the gray values, in 0...1; 0 without pictures.
        package var intensity: (mean: Double, std: Double) { moments(histogram) }
    }

    package struct Size: Hashable, Sendable {
        package let width: Int
        package let height: Int
    }

    package let classes: [ClassSummary]
    /// One line each, with the path in the data folder.
    package let unreadable: [SkippedImage]
    /// Near-duplicates: lists of two and more.
    package let duplicates: [[FilePath]]
    /// Those of ``duplicates`` whose members lie in different classes: one of the labels must be wrong.
    package let contradictions: [[FilePath]]
    /// The most frequent first.
    package let sizes: [(size: Size, count: Int)]
    /// Pictures with hardly any light, as 16-bit files look that use few of their bits.
    package let dark: [FilePath]
    package let warnings: [String]

    package var pictures: Int { classes.reduce(0) { $0 + $1.pictures } }

    /// Of all classes together.
    package var histogram: [Int] {
        classes.reduce([Int](repeating: 0, count: 256)) { zip($0, $1.histogram).map { $0 + $1 } }
    }

    /// Mean and standard deviation over all classes, for normalisation.
    package var intensity: (mean: Double, std: Double) { moments(histogram) }

    private struct Facts {
        let size: Size
        let kind: ImageDecoder.Kind
        let histogram: [UInt16]
        let brightest: UInt8
        let hash: PerceptualHash
    }

    package init(
        _ scan: DatasetScan, files: any FileSystem = LocalFileSystem(), limits: ImageLimits = .standard,
        context: ComputeContext = ComputeContext()
    ) {
        let outcomes = Slots<Result<Facts, ImageError>?>(count: scan.items.count, repeating: nil)
        ImageReading(files: files, limits: limits).forEach(scan, context: context) { index, picture in
            outcomes[index] = picture.map(Self.facts)
        }
        var classes = scan.classes.map { ClassSummary(name: $0) }
        var (unreadable, dark, sizes) = ([SkippedImage](), [FilePath](), [Size: Int]())
        var read: [(item: DatasetScan.Item, hash: PerceptualHash)] = []
        for (item, outcome) in zip(scan.items, outcomes.values) {
            switch outcome {
            case .success(let facts):
                classes[item.label].add(facts.kind, facts.histogram)
                sizes[facts.size, default: 0] += 1
                if facts.brightest < 32 { dark.append(item.path) }
                read.append((item, facts.hash))
            case .failure(let error):
                classes[item.label].unreadable += 1
                unreadable.append(SkippedImage(path: item.path, error: error))
            case nil: continue
            }
        }
        let clusters = NearDuplicates.clusters(NearDuplicates.groups(read.map(\.hash)))
        self.classes = classes
        self.unreadable = unreadable
        self.dark = dark
        self.sizes = sizes.map { ($0.key, $0.value) }.sorted {
            ($1.count, $0.size.width, $0.size.height) < ($0.count, $1.size.width, $1.size.height)
        }
        duplicates = clusters.map { $0.map { read[$0].item.path } }
        contradictions = clusters.filter { Set($0.map { read[$0].item.label }).count > 1 }
            .map { $0.map { read[$0].item.path } }
        warnings = scan.warnings + Self.warn(classes, unreadable, dark, contradictions)
    }

    private static func facts(_ picture: ImageReading.Picture) -> Facts {
        var histogram = [UInt16](repeating: 0, count: 256)
        for value in picture.luma.resized(width: 64, height: 64).pixels { histogram[Int(value)] += 1 }
        return Facts(
            size: Size(width: picture.luma.width, height: picture.luma.height), kind: picture.kind,
            histogram: histogram,
            brightest: picture.luma.pixels.max() ?? 0, hash: PerceptualHash(picture.luma))
    }

    private static func warn(
        _ classes: [ClassSummary], _ unreadable: [SkippedImage], _ dark: [FilePath], _ contradictions: [[FilePath]]
    ) -> [String] {
        var warnings: [String] = []
        if !unreadable.isEmpty {
            warnings.append(
                "\(counted(unreadable.count, "file cannot be used and is", "files cannot be used and are")) skipped in training"
            )
        }
        if !contradictions.isEmpty {
            warnings.append(
                "\(counted(contradictions.count, "group of near-duplicates lies", "groups of near-duplicates lie")) in more than one class: check their labels"
            )
        }
        if !dark.isEmpty {
            warnings.append(
                "\(counted(dark.count, "picture is", "pictures are")) almost black: export with a window that uses the whole range"
            )
        }
        let filled = classes.filter { $0.pictures > 0 }
        if let least = filled.min(by: { $0.pictures < $1.pictures }),
            let most = filled.max(by: { $0.pictures < $1.pictures }),
            most.pictures > 10 * least.pictures
        {
            warnings.append("class \(most.name) has more than ten times the pictures of class \(least.name)")
        }
        return warnings
    }

    /// For `--json`: counts, sizes, intensities, duplicates. Keys are only added in later versions.
    package var json: JSONValue {
        func list(_ paths: [FilePath]) -> JSONValue { .array(paths.map { .string($0.string) }) }
        func numbers(_ values: [Int]) -> JSONValue { .array(values.map { .integer(Int64($0)) }) }
        return [
            "schema_version": 1, "pictures": .integer(Int64(pictures)),
            "classes": .array(
                classes.map { summary in
                    [
                        "name": .string(summary.name), "pictures": .integer(Int64(summary.pictures)),
                        "unreadable": .integer(Int64(summary.unreadable)), "jpeg": .integer(Int64(summary.jpeg)),
                        "png": .integer(Int64(summary.png)), "mean": .number(summary.intensity.mean),
                        "std": .number(summary.intensity.std), "histogram": numbers(summary.histogram),
                    ]
                }),
            "mean": .number(intensity.mean), "std": .number(intensity.std),
            "unreadable": .array(
                unreadable.map { ["path": .string($0.path.string), "reason": .string($0.error.description)] }),
            "duplicates": .array(duplicates.map(list)), "contradictions": .array(contradictions.map(list)),
            "dark": list(dark),
            "sizes": .array(sizes.map { numbers([$0.size.width, $0.size.height, $0.count]) }),
            "warnings": .array(warnings.map { .string($0) }),
        ]
    }
}

extension DataCheck.ClassSummary {
    fileprivate mutating func add(_ kind: ImageDecoder.Kind, _ counts: [UInt16]) {
        pictures += 1
        switch kind {
        case .jpeg: jpeg += 1
        case .png: png += 1
        }
        for value in 0..<256 { histogram[value] += Int(counts[value]) }
    }
}

/// Mean and standard deviation of gray values, scaled to 0...1, from how often each of 0...255 occurs.
private func moments(_ histogram: [Int]) -> (mean: Double, std: Double) {
    let count = Double(histogram.reduce(0, +))
    guard count > 0 else { return (0, 0) }
    var (sum, squares) = (0.0, 0.0)
    for (value, number) in histogram.enumerated() {
        sum += Double(value * number)
        squares += Double(value * value * number)
    }
    let mean = sum / count
    return (mean / 255, max(0, squares / count - mean * mean).squareRoot() / 255)
}

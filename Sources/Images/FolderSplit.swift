package import Files
package import SystemPackage
package import Tensors

/// `data split`: copies a data folder into parts for clients and a test set.
///
/// `OUT/client-1/<class>/...`, `OUT/client-2/...`, `OUT/test/<class>/...` (no `test` when its share is 0), with the paths
/// that the pictures have in the source. Every part has a folder for every class, empty if need be. The source is only
/// read; OUT must be new or empty, must not lie in the source, and appears whole or not at all.
package struct FolderSplit: Equatable, Sendable {
    package let classes: [String]
    /// Part name and pictures of each class, `client-1` first, `test` last.
    package let parts: [(name: String, counts: [Int])]
    /// Pictures that cannot be read; they are copied nowhere.
    package let skipped: [SkippedImage]
    package let warnings: [String]
    /// Groups of more than one picture that were kept together.
    package let groups: Int

    package static func == (left: FolderSplit, right: FolderSplit) -> Bool {
        left.classes == right.classes && left.skipped == right.skipped && left.warnings == right.warnings
            && left.groups == right.groups && left.parts.elementsEqual(right.parts, by: ==)
    }

    /// - Parameter table: groups by a person's hand, which stay together beside the near-duplicates.
    /// - Throws: ``ImageError``, with nothing left in OUT.
    package static func run(
        _ source: FilePath, to output: FilePath, options: Splitter.Options, table: GroupTable? = nil,
        files: any FileSystem = LocalFileSystem(), limits: ImageLimits = .standard,
        context: ComputeContext = ComputeContext()
    ) throws(ImageError) -> FolderSplit {
        guard !output.lexicallyNormalized().starts(with: source.lexicallyNormalized()) else {
            throw ImageError(.invalidOption, "\(output) lies in \(source): choose an output folder outside the source")
        }
        let scan = try Dataset.scan(source, files: files)
        // Options are checked on no pictures before hours are spent on all.
        _ = try Splitter.split([], classes: scan.classes.count, options: options)
        var folder = try NewFolder(output, files: files)
        do throws(ImageError) {
            let hashes = PerceptualHash.all(scan, files: files, limits: limits, context: context)
            let usable = scan.items.indices.filter { if case .success = hashes[$0] { true } else { false } }
            let groups = try group(usable.map { scan.items[$0].path }, usable.map { hashes[$0] }, table)
            let items = zip(usable, groups).map { Splitter.Item(label: scan.items[$0].label, group: $1) }
            let parts = try Splitter.split(items, classes: scan.classes.count, options: options)
            try requirePictures(for: options, parts, groups: groups)
            let names = zip(usable, parts).map { (item: scan.items[$0], part: name($1)) }
            try copy(names, scan, options: options, files: files, limits: limits, into: &folder)
            try folder.publish()
            return FolderSplit(
                classes: scan.classes, parts: count(names, scan, options), skipped: skipped(scan, hashes),
                warnings: scan.warnings, groups: NearDuplicates.clusters(groups).count)
        } catch {
            folder.discard()
            throw error
        }
    }

    private static func name(_ part: Splitter.Part) -> String {
        switch part {
        case .client(let index): "client-\(index + 1)"
        case .test: "test"
        }
    }

    /// A client without a picture is no client: nobody could train in its folder, and a session would wait for it.
    private static func requirePictures(
        for options: Splitter.Options, _ parts: [Splitter.Part], groups: [Int]
    ) throws(ImageError) {
        let filled = Set(parts)
        let empty = (0..<options.clients).filter { !filled.contains(.client($0)) }
        guard let first = empty.first else { return }
        let who = "\(name(.client(first)))" + (empty.count > 1 ? " and \(empty.count - 1) more" : "")
        let training = Set(zip(parts, groups).filter { $0.0 != .test }.map(\.1)).count
        let cause =
            training < options.clients
            ? "there \(training == 1 ? "is 1 group" : "are \(training) groups") of them to give out"
            : "each class is shared out alike, and has too few"
        throw ImageError(
            .tooFewPictures,
            "\(who) of \(options.clients) clients would get no pictures, since \(cause): use fewer clients"
                + (options.skew > 0 ? ", less skew" : "") + " or more pictures")
    }

    private static func partNames(_ options: Splitter.Options) -> [String] {
        (0..<options.clients).map { name(.client($0)) } + (options.test > 0 ? [name(.test)] : [])
    }

    /// What is nearly the same picture stays together whatever the table says: it may not know of a copy.
    private static func group(
        _ paths: [FilePath], _ hashes: [Result<PerceptualHash, ImageError>], _ table: GroupTable?
    ) throws(ImageError) -> [Int] {
        let near = NearDuplicates.groups(hashes.compactMap { try? $0.get() })
        guard let table else { return near }
        let missing = paths.filter { table[$0] == nil }
        if let first = missing.first {
            throw ImageError(.invalidGroups, "groups: \(missing.count) pictures are not in the table, such as \(first)")
        }
        return DisjointSets.union(near, paths.compactMap { table[$0] })
    }

    private static func copy(
        _ names: [(item: DatasetScan.Item, part: String)], _ scan: DatasetScan, options: Splitter.Options,
        files: any FileSystem, limits: ImageLimits, into folder: inout NewFolder
    ) throws(ImageError) {
        for part in partNames(options) {
            for label in scan.classes { try folder.makeFolder(FilePath(part).appending(label)) }
        }
        for (item, part) in names {
            let path = scan.folder.pushing(item.path)
            let bytes: [UInt8]
            do { bytes = try files.readFile(path, limit: limits.maximumFileBytes) } catch {
                throw ImageError(.unreadable, error.description)
            }
            try folder.write(FilePath(part).pushing(item.path), bytes)
        }
    }

    private static func count(
        _ names: [(item: DatasetScan.Item, part: String)], _ scan: DatasetScan, _ options: Splitter.Options
    ) -> [(name: String, counts: [Int])] {
        partNames(options).map { part in
            var counts = [Int](repeating: 0, count: scan.classes.count)
            for (item, place) in names where place == part { counts[item.label] += 1 }
            return (part, counts)
        }
    }

    private static func skipped(
        _ scan: DatasetScan, _ hashes: [Result<PerceptualHash, ImageError>]
    ) -> [SkippedImage] {
        zip(scan.items, hashes).compactMap { item, hash in
            if case .failure(let error) = hash { SkippedImage(path: item.path, error: error) } else { nil }
        }
    }
}

extension PerceptualHash {
    /// The hash of every picture of a scan, in its order, or why there is none.
    package static func all(
        _ scan: DatasetScan, files: any FileSystem = LocalFileSystem(), limits: ImageLimits = .standard,
        context: ComputeContext = ComputeContext()
    ) -> [Result<PerceptualHash, ImageError>] {
        let hashes = Slots<Result<PerceptualHash, ImageError>>(count: scan.items.count, repeating: .success(.flat))
        ImageReading(files: files, limits: limits).forEach(scan, context: context) { index, picture in
            hashes[index] = picture.map { PerceptualHash($0.luma) }
        }
        return hashes.values
    }
}

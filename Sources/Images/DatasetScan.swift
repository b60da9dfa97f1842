package import Files
package import SystemPackage
package import Tensors
import Wire

/// A folder of class folders, listed but not yet read.
package struct DatasetScan: Equatable, Sendable {
    package struct Item: Equatable, Sendable {
        /// `class/.../file`, from the data folder.
        package let path: FilePath
        /// Index into ``DatasetScan/classes``.
        package let label: Int
    }

    package let folder: FilePath
    package let classes: [String]
    /// By class, then in byte order of the path: the same on every machine with the same files.
    package let items: [Item]
    /// For a person, one line each, without a full stop.
    package let warnings: [String]

    package func count(ofClass label: Int) -> Int { items.lazy.filter { $0.label == label }.count }

    /// Reads every picture and counts those that training would use, by class.
    ///
    /// - Throws: `tooFewClasses` where fewer than two classes have any, `storageFailed` where the disk withholds one just now.
    package func countUsable(
        files: any FileSystem = LocalFileSystem(), limits: ImageLimits = .standard,
        context: ComputeContext = ComputeContext()
    ) throws(ImageError) -> [Int] {
        let errors = Slots<ImageError?>(count: items.count, repeating: nil)
        ImageReading(files: files, limits: limits).forEach(self, context: context) { index, picture in
            if case .failure(let error) = picture { errors[index] = error }
        }
        var counts = [Int](repeating: 0, count: classes.count)
        for (item, error) in zip(items, errors.values) {
            guard let error else {
                counts[item.label] += 1
                continue
            }
            guard error.reason != .storageFailed else { throw error }
        }
        guard counts.count(where: { $0 > 0 }) >= 2 else {
            throw ImageError(
                .tooFewClasses,
                "fewer than two classes in \(folder) have pictures that can be used: 'consilium data check' says why")
        }
        return counts
    }
}

/// Listing of data folders.
///
/// 1. Each folder in the data folder is a class; its name is the class's. Plain files beside them are ignored.
/// 2. Every plain file in a class folder, or in folders within it (one for each patient, say; at most 8 deep), counts as a
///    picture. Whether it is one is seen when it is read.
/// 3. Names that begin with a dot, and what desktops leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`), are ignored.
/// 4. Symbolic links inside the data folder are not followed: a link could lead out of it. They are counted in a warning.
///    The data folder itself may be a link. So are pipes, sockets and devices, of which a read might never end.
/// 5. With expected classes (a model's), each must have a folder, which may be empty, and no other may be there. Labels
///    follow the model's order; without expected classes they follow the byte order of the names.
package enum Dataset {
    private static let litter: Set<String> = [
        "Thumbs.db", "desktop.ini", "__MACOSX", "lost+found", "System Volume Information",
    ]
    private static let maximumDepth = 8

    /// - Parameter minimumClasses: how many classes must have pictures; 2 for training, 1 for evaluation.
    package static func scan(
        _ folder: FilePath, classes expected: [String]? = nil, minimumClasses: Int = 2,
        files: any FileSystem = LocalFileSystem()
    ) throws(ImageError) -> DatasetScan {
        let found = try list(folder, files).filter { $0.kind == .directory }
        guard !found.isEmpty else {
            throw ImageError(
                .noClasses,
                "no class folders in \(folder): put each class's pictures into a folder with the class's name")
        }
        let classes = try expected.map { names throws(ImageError) in
            try compare(found.map(\.name), with: names, in: folder)
            return names
        }
        let names = classes ?? found.map(\.name)

        var walk = Walk(files: files)
        for (label, name) in names.enumerated() {
            guard let entry = found.first(where: { $0.name == name }) else { continue }
            let before = walk.items.count
            try walk.add(folder, FilePath(root: nil, [entry.component]), label: label, depth: 1)
            if walk.items.count == before {
                walk.warnings.append("class \(name.singleLine): its folder has no pictures")
            }
        }
        if walk.links > 0 {
            walk.warnings.append(
                "\(counted(walk.links, "symbolic link was", "symbolic links were")) not followed: copy the pictures into the data folder"
            )
        }
        if walk.others > 0 {
            walk.warnings.append(
                counted(
                    walk.others, "pipe, socket or device lies among the pictures and was not read",
                    "pipes, sockets or devices lie among the pictures and were not read"))
        }
        if walk.tooDeep > 0 {
            walk.warnings.append(
                counted(walk.tooDeep, "folder was not read, since it lies", "folders were not read, since they lie")
                    + " deeper than \(maximumDepth) levels")
        }
        let filled = Set(walk.items.map(\.label)).count
        guard filled >= minimumClasses else {
            throw ImageError(
                .tooFewClasses,
                "\(filled == 0 ? "no class has" : "only one class has") pictures in \(folder): training needs at least "
                    + "\(minimumClasses) classes with pictures")
        }
        return DatasetScan(folder: folder, classes: names, items: walk.items, warnings: walk.warnings)
    }

    private static func compare(_ found: [String], with expected: [String], in folder: FilePath) throws(ImageError) {
        for name in found where !expected.contains(name) {
            let hint = didYouMean(name, among: expected).map { "; did you mean \($0)?" } ?? ""
            throw ImageError(
                .unknownClass,
                "class folder \(name) in \(folder): the model's classes are "
                    + expected.joined(separator: ", ") + hint)
        }
        for name in expected where !found.contains(name) {
            throw ImageError(
                .missingClass,
                "class folder \(name) is missing in \(folder): create it, empty if there are no pictures of this class")
        }
    }

    fileprivate static func list(_ folder: FilePath, _ files: any FileSystem) throws(ImageError) -> [DirectoryEntry] {
        do {
            return try files.list(folder).filter { !$0.name.hasPrefix(".") && !litter.contains($0.name) }
        } catch {
            let isNoFolder = error.isMissing || error.code == .notDirectory
            throw ImageError(
                isNoFolder ? .folderMissing : ImageError.isStorageFault(error) ? .storageFailed : .folderUnreadable,
                "data folder: \(error)")
        }
    }

    private struct Walk {
        let files: any FileSystem
        var items: [DatasetScan.Item] = []
        var warnings: [String] = []
        var links = 0
        var tooDeep = 0
        var others = 0

        init(files: any FileSystem) { self.files = files }

        mutating func add(_ root: FilePath, _ relative: FilePath, label: Int, depth: Int) throws(ImageError) {
            for entry in try Dataset.list(root.pushing(relative), files) {
                let path = relative.appending(entry.component)
                switch entry.kind {
                case .regular: items.append(DatasetScan.Item(path: path, label: label))
                case .symlink: links += 1
                case .directory where depth >= Dataset.maximumDepth: tooDeep += 1
                case .directory: try add(root, path, label: label, depth: depth + 1)
                case .other: others += 1
                }
            }
        }
    }
}

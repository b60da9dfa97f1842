package import Files
package import SystemPackage
package import Wire

/// A file that says in its header that it is a part.
struct PartFile {
    let path: FilePath
    let header: PartHeader

    /// Whether exactly the stated bytes follow the header, read from the medium.
    func isIntact(_ files: any FileSystem) throws(FileError) -> Bool {
        let file = try files.openForReading(path)
        file.forgetCache()
        let start = Int64(PartHeader.size)
        // Its size is what the header says it is: a foreign number, with which one does not reckon.
        guard try file.status().size - start == header.size else { return false }
        return try SHA256Hash.digest(of: file, from: start, size: header.size) == header.digest
    }
}

/// Puts the parts of a file together again. What they are called, where they lie and in which order they are named means
/// nothing: their headers say what they are.
package enum FileJoiner {
    package struct Joined: Equatable, Sendable {
        package let path: FilePath
        package let size: Int64
        package let digest: Digest
        /// False where the file was there already with this content.
        package let isNew: Bool
        package let parts: [FilePath]
    }

    /// - Parameters:
    ///   - sources: parts, or folders with the parts of one file.
    ///   - folder: for the file; nil: where the first part lies.
    /// - Throws: ``BundleError`` naming every part that is missing, damaged or of another file. No file is made then, and none
    ///   is ever overwritten.
    package static func join(
        _ sources: [FilePath], into folder: FilePath? = nil, files: any FileSystem
    ) throws(BundleError) -> Joined {
        let found = try gather(sources, files)
        let whole = try theOneFile(of: found)
        let parts = try choose(found, whole, files)
        guard let first = parts.first else { throw BundleError(.incomplete, "no part is given") }
        let target = (folder ?? first.path.removingLastComponent()).appending(whole.name)
        let paths = parts.map(\.path)
        if try isThere(target, whole, files) {
            return Joined(path: target, size: whole.size, digest: whole.digest, isNew: false, parts: paths)
        }
        try write(parts, whole, to: target, files)
        return Joined(path: target, size: whole.size, digest: whole.digest, isNew: true, parts: paths)
    }

    /// A file that lies in parts.
    package struct Split {
        package let whole: PartHeader.Whole
        package let parts: [FilePath]
        /// Why they do not make the file; nil where they do.
        package let fault: String?
    }

    /// The files whose parts lie in these folders; reads every part.
    package static func splits(in folders: [FilePath], files: any FileSystem) throws(BundleError) -> [Split] {
        var found: [PartFile] = []
        for folder in folders { found += try parts(in: folder, files) }
        var splits: [Split] = []
        for whole in Set(found.map(\.header.whole)).sorted(by: { $0.name < $1.name }) {
            let own = found.filter { $0.header.whole == whole }
            do {
                splits.append(Split(whole: whole, parts: try choose(own, whole, files).map(\.path), fault: nil))
            } catch {
                guard error.cause == nil else { throw error }
                splits.append(Split(whole: whole, parts: own.map(\.path), fault: error.detail))
            }
        }
        return splits
    }

    private static func parts(in folder: FilePath, _ files: any FileSystem) throws(BundleError) -> [PartFile] {
        try readingFiles { () throws(FileError) in
            var found: [PartFile] = []
            for entry in try files.list(folder) where entry.kind == .regular && !entry.name.hasPrefix(".") {
                let path = folder.appending(entry.component)
                guard let header = try PartHeader.read(path, files: files) else { continue }
                found.append(PartFile(path: path, header: header))
            }
            return found
        }
    }

    private static func gather(_ sources: [FilePath], _ files: any FileSystem) throws(BundleError) -> [PartFile] {
        var parts: [PartFile] = []
        for source in sources {
            let isFolder = try readingFiles { () throws(FileError) in try files.status(source)?.kind == .directory }
            if isFolder {
                parts += try Self.parts(in: source, files)
            } else {
                guard
                    let header = try readingFiles({ () throws(FileError) in try PartHeader.read(source, files: files) })
                else {
                    throw BundleError(.notCanonical, "\(source) is not a part of a file, or its beginning is damaged")
                }
                parts.append(PartFile(path: source, header: header))
            }
        }
        guard !parts.isEmpty else {
            throw BundleError(.incomplete, "no part of a file is in \(sources.map(\.string).joined(separator: ", "))")
        }
        return parts
    }

    private static func theOneFile(of parts: [PartFile]) throws(BundleError) -> PartHeader.Whole {
        var wholes: [PartHeader.Whole] = []
        for part in parts where !wholes.contains(part.header.whole) { wholes.append(part.header.whole) }
        guard wholes.count == 1, let whole = wholes.first else {
            let described = wholes.map { whole in
                let names = parts.filter { $0.header.whole == whole }.compactMap { $0.path.lastComponent?.string }
                return "\(names.joined(separator: ", ")) of \(whole.name) (\(whole.digest.hex.prefix(8)))"
            }
            throw BundleError(
                .fileSetMismatch,
                "these are parts of \(wholes.count) files: \(described.joined(separator: "; ")): name one file's parts")
        }
        return whole
    }

    /// One file for each number; of several copies the first that is whole.
    private static func choose(
        _ parts: [PartFile], _ whole: PartHeader.Whole, _ files: any FileSystem
    ) throws(BundleError) -> [PartFile] {
        var chosen: [PartFile] = []
        var missing: [Int] = []
        var damaged: [PartFile] = []
        for number in 1...whole.parts {
            let copies = parts.filter { $0.header.number == number }
            let intact = try readingFiles { () throws(FileError) in
                for copy in copies where try copy.isIntact(files) { return copy as PartFile? }
                return nil
            }
            if let intact { chosen.append(intact) } else if copies.isEmpty { missing.append(number) }
            if intact == nil { damaged += copies }
        }
        var faults: [String] = []
        if !missing.isEmpty {
            faults.append(
                "part \(missing.map(String.init).joined(separator: ", ")) of \(whole.parts) is missing, or its beginning is damaged"
            )
        }
        if !damaged.isEmpty {
            let names = damaged.map { $0.path.lastComponent?.string ?? $0.path.string }
            faults.append("damaged, to be copied again: \(names.joined(separator: ", "))")
        }
        guard faults.isEmpty else {
            throw BundleError(
                damaged.isEmpty ? .incomplete : .lengthOrHashMismatch,
                "\(whole.name): \(faults.joined(separator: "; "))")
        }
        return chosen
    }

    private static func isThere(
        _ target: FilePath, _ whole: PartHeader.Whole, _ files: any FileSystem
    ) throws(BundleError) -> Bool {
        let isOther = FileError(
            "create", target, .fileExists, hint: "another file has this name already: move it away, or name --out")
        do throws(FileError) {
            guard let status = try files.status(target) else { return false }
            guard status.kind == .regular, try SHA256Hash.digest(of: target, files: files).digest == whole.digest else {
                throw isOther
            }
            return true
        } catch {
            throw BundleError(error)
        }
    }

    private static func write(
        _ parts: [PartFile], _ whole: PartHeader.Whole, to target: FilePath, _ files: any FileSystem
    ) throws(BundleError) {
        do {
            try files.writeFile(target) { output in
                var hash = SHA256Stream()
                for part in parts {
                    let file = try files.openForReading(part.path)
                    try file.forEachChunk(from: Int64(PartHeader.size), size: part.header.size) {
                        (chunk) throws(FileError) in
                        hash.update(chunk)
                        try output.write(chunk)
                    }
                }
                guard hash.finish() == whole.digest else {
                    throw BundleError(
                        .lengthOrHashMismatch,
                        "\(whole.name): each part is whole, but together they are not the file that was split")
                }
            }
        } catch {
            throw BundleError(rethrown: error)
        }
    }
}

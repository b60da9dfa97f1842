package import Files
package import SystemPackage
import Wire

/// Cuts a file into parts for a medium that does not take it whole. Memory does not grow with the file.
package enum FileSplitter {
    /// What a FAT32 stick takes, with room to spare.
    package static let usualPartSize: Int64 = 2 << 30
    package static let smallestPartSize: Int64 = 1024

    /// Writes the parts, each whole and read back before it gets its name. Parts that are there already, from a run that was
    /// stopped, are checked and kept; nothing is overwritten, and after an error nothing stays that this call made.
    ///
    /// - Parameter partSize: of each file at most, header included, in bytes.
    /// - Returns: the parts' paths, in order.
    package static func split(
        _ source: FilePath, into folder: FilePath, partSize: Int64, files: any FileSystem
    ) throws(BundleError) -> [FilePath] {
        let headers = try plan(source, partSize: partSize, files: files)
        var made: [FilePath] = []
        do {
            var offset: Int64 = 0
            for header in headers {
                let path = folder.appending(header.fileName)
                if try readingFiles({ () throws(FileError) in try files.exists(path) }) {
                    try keep(path, header, files)
                } else {
                    // Before it is written: an error in the last step leaves it in place.
                    made.append(path)
                    try write(header, of: source, from: offset, to: path, files)
                }
                offset += header.size
            }
        } catch {
            for path in made { try? files.remove(path) }
            throw error
        }
        return headers.map { folder.appending($0.fileName) }
    }

    /// Reads the file once to say of each part what will be in it.
    private static func plan(
        _ source: FilePath, partSize: Int64, files: any FileSystem
    ) throws(BundleError) -> [PartHeader] {
        let file = try readingFiles { () throws(FileError) in try files.openForReading(source) }
        let size = try readingFiles { () throws(FileError) in try file.status().size }
        let room = partSize - Int64(PartHeader.size)
        guard size > 0 else { throw BundleError(.incomplete, "\(source) is empty") }
        let count = (size - 1) / room + 1
        guard count <= PartHeader.mostParts else {
            throw BundleError(
                .tooLarge,
                "\(source) would be \(count) parts; at most \(PartHeader.mostParts) are made: make them larger")
        }
        var whole = SHA256Stream()
        var parts: [(size: Int64, digest: Digest)] = []
        for number in 0..<count {
            let start = number * room
            let length = min(room, size - start)
            var part = SHA256Stream()
            try readingFiles { () throws(FileError) in
                try file.forEachChunk(from: start, size: length) { (chunk) throws(FileError) in
                    whole.update(chunk)
                    part.update(chunk)
                }
            }
            parts.append((length, part.finish()))
        }
        let name = PartHeader.safeName(source.lastComponent?.string ?? "")
        let description = PartHeader.Whole(name: name, size: size, digest: whole.finish(), parts: Int(count))
        return parts.enumerated().map {
            PartHeader(whole: description, number: $0 + 1, size: $1.size, digest: $1.digest)
        }
    }

    private static func write(
        _ header: PartHeader, of source: FilePath, from offset: Int64, to path: FilePath, _ files: any FileSystem
    ) throws(BundleError) {
        do {
            let file = try files.openForReading(source)
            try files.writeFile(
                path,
                checking: { temporary in
                    guard try PartFile(path: temporary, header: header).isIntact(files) else {
                        throw BundleError(
                            .lengthOrHashMismatch,
                            "\(source) changed meanwhile, or \(path) does not read back as written")
                    }
                },
                { output in
                    try output.write(header.encoded)
                    try file.forEachChunk(from: offset, size: header.size) { (chunk) throws(FileError) in
                        try output.write(chunk)
                    }
                })
        } catch {
            throw BundleError(rethrown: error)
        }
    }

    private static func keep(_ path: FilePath, _ header: PartHeader, _ files: any FileSystem) throws(BundleError) {
        let isSame = try readingFiles { () throws(FileError) in
            guard try PartHeader.read(path, files: files) == header else { return false }
            return try PartFile(path: path, header: header).isIntact(files)
        }
        guard isSame else {
            throw BundleError(
                FileError("create", path, .fileExists, hint: "something else has this name already: move it away"))
        }
    }
}

extension ReadableFile {
    /// Reads part of a file piece by piece; ends early where the file does.
    func forEachChunk(
        from offset: Int64, size: Int64, _ body: ([UInt8]) throws(FileError) -> Void
    ) throws(FileError) {
        var done: Int64 = 0
        while done < size {
            let chunk = try bytes(at: offset + done, count: Int(min(size - done, 1 << 20)))
            if chunk.isEmpty { return }
            done += Int64(chunk.count)
            try body(chunk)
        }
    }
}

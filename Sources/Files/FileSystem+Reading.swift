package import SystemPackage

/// How much of a file is held in memory at a time, in bytes.
let fileChunkSize = 1 << 20

extension ReadableFile {
    /// Reads at `offset` until the buffer is full or the file ends.
    /// - Returns: the number of bytes read.
    package func readFully(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        var count = 0
        while count < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            let more = try read(into: rest, at: offset + Int64(count))
            if more == 0 { break }
            count += more
        }
        return count
    }

    /// Up to `count` bytes at `offset`; fewer only at the end of the file.
    package func bytes(at offset: Int64, count: Int) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let used = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(FileError) in
            try readFully(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        bytes.removeLast(count - used)
        return bytes
    }
}

extension FileSystem {
    /// The whole file. It is read to its end, whatever size the system tells: shares tell old ones.
    /// - Throws: EFBIG if it has more than `limit` bytes.
    package func readFile(_ path: FilePath, limit: Int) throws(FileError) -> [UInt8] {
        try content(of: openForReading(path), path, limit: limit)
    }

    /// The whole of a file that holds a secret. Refused if its group or others may touch it.
    package func readPrivateFile(_ path: FilePath, limit: Int) throws(FileError) -> [UInt8] {
        let file = try openForReading(path)
        guard try file.status().permissions & 0o077 == 0 else {
            throw FileError(
                "use", path, .permissionDenied,
                hint: "others may read this secret: chmod 600 it, or replace it if they did")
        }
        return try content(of: file, path, limit: limit)
    }

    private func content(of file: any ReadableFile, _ path: FilePath, limit: Int) throws(FileError) -> [UInt8] {
        let expected = Int(clamping: try file.status().size)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(expected, limit))
        while true {
            let most = max(4096, min(fileChunkSize, expected - bytes.count + 1))
            let chunk = try file.bytes(at: Int64(bytes.count), count: most)
            if chunk.isEmpty { return bytes }
            bytes.append(contentsOf: chunk)
            guard bytes.count <= limit else {
                throw FileError("read", path, .fileTooLarge, hint: "at most \(limit) bytes are accepted here")
            }
        }
    }

    /// Compares two regular files byte by byte, in bounded memory.
    /// - Parameter fromMedium: reads `right` from where it is stored, as far as the system lets us, and not from memory.
    package func haveEqualContent(
        _ left: FilePath, _ right: FilePath, fromMedium: Bool = false
    ) throws(FileError) -> Bool {
        let leftFile = try openForReading(left)
        let rightFile = try openForReading(right)
        if fromMedium { rightFile.forgetCache() }
        guard try leftFile.status().size == rightFile.status().size else { return false }
        var offset: Int64 = 0
        while true {
            let chunk = try leftFile.bytes(at: offset, count: fileChunkSize)
            guard try rightFile.bytes(at: offset, count: fileChunkSize) == chunk else { return false }
            if chunk.count < fileChunkSize { return true }
            offset += Int64(chunk.count)
        }
    }

    /// Whether anything, a dangling symbolic link included, is at the path.
    package func exists(_ path: FilePath) throws(FileError) -> Bool { try status(path) != nil }
}

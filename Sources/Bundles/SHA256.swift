package import Files
package import SystemPackage
package import Wire

import struct Crypto.SHA256
import struct Crypto.SHA256Digest

/// SHA-256 of what is in memory.
package enum SHA256Hash {
    package static func digest(of bytes: [UInt8]) -> Digest {
        var stream = SHA256Stream()
        stream.update(bytes)
        return stream.finish()
    }
}

/// SHA-256 of what passes by.
package struct SHA256Stream {
    private var hash = SHA256()

    package init() {}

    package mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }

    /// The digest of everything so far; more may follow.
    package func finish() -> Digest {
        guard let digest = Digest(bytes: Array(hash.finalize())) else { preconditionFailure("SHA-256 has 32 bytes") }
        return digest
    }
}

extension SHA256Hash {
    /// The digest of part of a file. Where the file ends early, of what there is.
    package static func digest(
        of file: any ReadableFile, from offset: Int64, size: Int64
    ) throws(FileError) -> Digest {
        var stream = SHA256Stream()
        var done: Int64 = 0
        while done < size {
            let chunk = try file.bytes(at: offset + done, count: Int(min(size - done, 1 << 20)))
            if chunk.isEmpty { break }
            stream.update(chunk)
            done += Int64(chunk.count)
        }
        return stream.finish()
    }

    /// The digest and the size of a whole file.
    package static func digest(
        of path: FilePath, files: any FileSystem
    ) throws(FileError) -> (digest: Digest, size: Int64) {
        let file = try files.openForReading(path)
        let size = try file.status().size
        return (try digest(of: file, from: 0, size: size), size)
    }
}

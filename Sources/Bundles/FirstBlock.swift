package import Files
package import SystemPackage
package import Wire

/// What a file's first 512 bytes say before the rest of it is read.
package enum FirstBlock {
    /// Whether a bundle, a bundle that travels encrypted, or a part of a large file begins so. What begins otherwise is none of
    /// them, however it goes on; it may still be growing, though.
    package static func mayBegin(bundle bytes: [UInt8]) -> Bool {
        if AgeFile.isBeginning(bytes) || PartHeader(bytes) != nil { return true }
        guard let header = UstarHeader(block: bytes) else { return false }
        return header.name == Manifest.fileName && header.size <= BundleLimits.standard.manifestBytes
    }

    /// What is not there yet, in a file that is filled in no order; or a hole of any size, which costs its maker nothing.
    package static func isBlank(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }

    /// What tells two looks at such a file apart. The time proves nothing where it is the same, and something where it is not.
    package static func digest(of bytes: [UInt8], modified: Int64) -> Digest {
        SHA256Hash.digest(of: bytes + Array("\(modified)".utf8))
    }

    /// The first 512 bytes of a file, or all of a shorter one.
    package static func read(_ path: FilePath, files: any FileSystem) throws(FileError) -> [UInt8] {
        try files.openForReading(path).bytes(at: 0, count: UstarHeader.blockSize)
    }
}

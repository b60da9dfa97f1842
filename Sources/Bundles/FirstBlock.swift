package import Files
package import SystemPackage

/// What a file's first 512 bytes say before the rest of it is read.
package enum FirstBlock {
    /// Whether a bundle, a bundle that travels encrypted, or a part of a large file begins so. What begins otherwise is none of
    /// them, however it goes on; it may still be growing, though.
    package static func mayBegin(bundle bytes: [UInt8]) -> Bool {
        if AgeFile.isBeginning(bytes) || PartHeader(bytes) != nil { return true }
        guard let header = UstarHeader(block: bytes) else { return false }
        return header.name == Manifest.fileName && header.size <= BundleLimits.standard.manifestBytes
    }

    /// The first 512 bytes of a file, or all of a shorter one.
    package static func read(_ path: FilePath, files: any FileSystem) throws(FileError) -> [UInt8] {
        try files.openForReading(path).bytes(at: 0, count: UstarHeader.blockSize)
    }
}

package import Files
package import SystemPackage

/// Bundles that travel encrypted: `NAME.tar.age`, a whole signed archive inside one age file.
package enum AgeFile {
    /// What follows the archive's own name. For people: whether a file is encrypted is seen by its content.
    package static let suffix = ".age"
    /// How a file begins that age made, be it in a form that this program does not read.
    private static let beginnings = [Array("age-encryption.org/".utf8), Array("-----BEGIN AGE ".utf8)]
    private static let longestBeginning = 19

    /// Whether the file says that age made it.
    package static func isEncrypted(_ path: FilePath, files: any FileSystem) throws(FileError) -> Bool {
        isBeginning(try files.openForReading(path).bytes(at: 0, count: longestBeginning))
    }

    static func isBeginning(_ bytes: [UInt8]) -> Bool { beginnings.contains { bytes.starts(with: $0) } }

    /// How many bytes a file may have at most whose plaintext has at most `limit`.
    package static func largestSize(ofPlaintext limit: Int64) -> Int64 {
        let chunks = limit / Int64(AgeStream.chunkSize) + 1
        return Int64(AgeLimits.headerBytes + AgeFileKey.nonceSize) + limit + chunks * Int64(AgeStream.tagSize)
    }

    /// Finds the archive in a file that may be encrypted.
    ///
    /// - Parameters:
    ///   - target: where the plaintext goes, in a file of mode 0600; nothing is there yet.
    ///   - limit: the most bytes that the plaintext may have.
    /// - Returns: `source` itself where it is not encrypted, else `target`.
    package static func decryptIfNeeded(
        _ source: FilePath, with identities: [AgeIdentity], to target: FilePath, limit: Int64, files: any FileSystem
    ) throws(BundleError) -> FilePath {
        guard try readingFiles({ () throws(FileError) in try isEncrypted(source, files: files) }) else { return source }
        try AgeReader.decrypt(source, with: identities, to: target, limit: limit, files: files)
        return target
    }
}

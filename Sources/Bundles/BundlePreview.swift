package import Files
package import SystemPackage
package import Wire

/// What the beginning of a bundle's file says of it where it lies, before gigabytes are copied: whose it is and how large.
///
/// The signature over the manifest is good and the file has the size of such a bundle, encrypted or not. Nothing is known of
/// the payload, which may be holes, and another file may lie there at the next look: what counts is the copy.
package struct BundlePreview: Sendable {
    package let manifest: Manifest
    package let id: Digest
    package let signer: PublicKey

    /// - Parameter identities: ours, for a bundle that travels encrypted.
    /// - Throws: what is wrong with the beginning; ``BundleError/Reason/incomplete`` where the file is smaller than it says.
    package init(
        of path: FilePath, with identities: [AgeIdentity], files: any FileSystem, limits: BundleLimits = .standard
    ) throws(BundleError) {
        let (beginning, size) = try BundlePreview.beginning(of: path, with: identities, files, limits)
        var position = 0
        let manifestBytes = try BundlePreview.entry(
            Manifest.fileName, atMost: limits.manifestBytes, in: beginning, &position)
        let signatureBytes = try BundlePreview.entry(
            Manifest.signatureName, atMost: limits.signatureBytes, in: beginning, &position)
        let signature = try SSHSignature(armoured: signatureBytes)
        manifest = try signature.manifest(in: manifestBytes, limits: limits)
        id = SHA256Hash.digest(of: manifestBytes)
        signer = signature.publicKey
        let payload = manifest.files.reduce(0) { $0 + Int64(UstarHeader.blockSize) + UstarHeader.padded($1.size) }
        let whole = Int64(position) + payload + 2 * Int64(UstarHeader.blockSize)
        guard size >= whole else { throw Archive.incomplete }
        guard size == whole else { throw Archive.notCanonical("has bytes after its end") }
    }

    /// As much of the archive as its manifest and signature can take, and how many bytes the archive has.
    private static func beginning(
        of path: FilePath, with identities: [AgeIdentity], _ files: any FileSystem, _ limits: BundleLimits
    ) throws(BundleError) -> (bytes: [UInt8], size: Int64) {
        let file = try readingFiles { () throws(FileError) in try files.openForReading(path) }
        let first = try readingFiles { () throws(FileError) in try file.bytes(at: 0, count: UstarHeader.blockSize) }
        let most =
            2 * UstarHeader.blockSize + Int(UstarHeader.padded(Int64(limits.manifestBytes)))
            + Int(UstarHeader.padded(Int64(limits.signatureBytes)))
        if AgeFile.isBeginning(first) { return try AgeReader.beginning(of: file, with: identities, count: most) }
        return try readingFiles { () throws(FileError) in
            (bytes: try file.bytes(at: 0, count: most), size: try file.status().size)
        }
    }

    /// An entry's content. `position` goes behind it and the zeros that follow.
    private static func entry(
        _ name: String, atMost limit: Int, in archive: [UInt8], _ position: inout Int
    ) throws(BundleError) -> [UInt8] {
        let start = position + UstarHeader.blockSize
        guard start <= archive.count else { throw Archive.incomplete }
        guard let header = UstarHeader(block: Array(archive[position..<start])), header.name == name else {
            throw Archive.notCanonical("must hold \(Manifest.fileName) and \(Manifest.signatureName) first")
        }
        guard header.size <= Int64(limit) else {
            throw BundleError(.tooLarge, "'\(name)' in the bundle is larger than allowed")
        }
        position = start + Int(UstarHeader.padded(header.size))
        guard position <= archive.count else { throw Archive.incomplete }
        return Array(archive[start..<(start + Int(header.size))])
    }
}

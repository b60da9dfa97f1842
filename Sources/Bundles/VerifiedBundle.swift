import Files
package import SystemPackage
package import Wire

/// A bundle that says what its signer wanted it to say. Whether the signer may say it is for the receiver's rules.
package struct VerifiedBundle: Sendable {
    package let path: FilePath
    package let manifest: Manifest
    package let id: Digest
    package let signer: PublicKey
    let payload: [ArchiveEntry]
    let files: any FileSystem

    /// The content of a payload file, checked against its digest once more, since the disk is read again.
    /// - Throws: `fileSetMismatch` if there is no such file, `tooLarge` if it has more than `limit` bytes.
    package func payload(_ name: String, limit: Int) throws(BundleError) -> [UInt8] {
        let index = try index(of: name)
        guard payload[index].size <= Int64(limit) else {
            throw BundleError(.tooLarge, "'\(name)' has \(payload[index].size) bytes, more than the limit of \(limit)")
        }
        let bytes = try readingFiles { () throws(FileError) in
            try files.openForReading(path).bytes(at: payload[index].offset, count: Int(payload[index].size))
        }
        guard SHA256Hash.digest(of: bytes) == manifest.files[index].sha256 else {
            throw BundleError(.lengthOrHashMismatch, "'\(name)' changed on disk after the bundle was verified")
        }
        return bytes
    }

    /// Where a payload file lies in the archive, uncompressed and in one piece: to be mapped into memory. Both in bytes.
    /// Its content is as verified only as long as nobody else can write to ``path``.
    package func payloadRange(_ name: String) throws(BundleError) -> (offset: Int64, size: Int64) {
        let entry = payload[try index(of: name)]
        return (entry.offset, entry.size)
    }

    /// Copies a payload file to a path, safely, and checks the digest of what passes by: nothing appears if it is wrong.
    package func extract(_ name: String, to target: FilePath, permissions: UInt32 = 0o644) throws(BundleError) {
        let index = try index(of: name)
        let entry = payload[index]
        do {
            let archive = try files.openForReading(path)
            try files.writeFile(target, permissions: permissions) { output in
                var stream = SHA256Stream()
                var done: Int64 = 0
                while done < entry.size {
                    let chunk = try archive.bytes(at: entry.offset + done, count: Int(min(entry.size - done, 1 << 20)))
                    if chunk.isEmpty { break }
                    stream.update(chunk)
                    try output.write(chunk)
                    done += Int64(chunk.count)
                }
                guard stream.finish() == manifest.files[index].sha256 else {
                    throw BundleError(.lengthOrHashMismatch, "'\(name)' changed on disk after the bundle was verified")
                }
            }
        } catch {
            throw BundleError(rethrown: error)
        }
    }

    /// The same bundle after its file was moved.
    package func moved(to path: FilePath) -> VerifiedBundle {
        VerifiedBundle(path: path, manifest: manifest, id: id, signer: signer, payload: payload, files: files)
    }

    private func index(of name: String) throws(BundleError) -> Int {
        guard let index = payload.firstIndex(where: { $0.name == name }) else {
            throw BundleError(.fileSetMismatch, "the \(manifest.kind.rawValue) bundle holds no '\(name)'")
        }
        return index
    }
}

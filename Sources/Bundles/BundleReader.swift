package import Files
package import SystemPackage
package import Wire

/// Opens bundles. Reading goes in three steps, and each type can do only what its step has earned:
/// ``BundleReader/open(_:files:limits:)`` checks the archive's form, ``UnverifiedBundle/manifest()`` the signature over the
/// manifest's raw bytes and then the manifest, ``UnverifiedBundle/verified()`` the payload too.
///
/// The file should lie on local disk where nobody else writes: a share may show other bytes at the next look.
package struct BundleReader {
    /// Reads the archive's table of contents, the manifest's bytes and the signature, under caps.
    package static func open(
        _ path: FilePath, files: any FileSystem, limits: BundleLimits = .standard
    ) throws(BundleError) -> UnverifiedBundle {
        let file = try readingFiles { () throws(FileError) in try files.openForReading(path) }
        let archive = try Archive(file, limits: limits)
        let signature = try SSHSignature(armoured: try archive.content(archive.entries[1]))
        return UnverifiedBundle(
            path: path, manifestBytes: try archive.content(archive.entries[0]), signature: signature,
            payload: Array(archive.entries.dropFirst(2)), files: files, limits: limits)
    }
}

/// A bundle whose archive is in order. Nothing in it may be believed yet, not even from whom it is.
package struct UnverifiedBundle: Sendable {
    package let path: FilePath
    package let manifestBytes: [UInt8]
    package let signature: SSHSignature
    let payload: [ArchiveEntry]
    let files: any FileSystem
    let limits: BundleLimits

    /// The key that claims to have signed.
    package var signer: PublicKey { signature.publicKey }

    /// What the bundle is called everywhere: the digest of the manifest's bytes.
    package var id: Digest { SHA256Hash.digest(of: manifestBytes) }

    /// Checks everything but the payload's content, which is enough to recognise a bundle that is known already.
    ///
    /// The signature over the raw bytes first, then the manifest, then that the signature's namespace is the manifest's kind,
    /// then that the archive holds exactly the listed files in order and with the listed sizes.
    package func manifest() throws(BundleError) -> Manifest {
        let manifest = try signature.manifest(in: manifestBytes, limits: limits)
        guard manifest.files.map(\.name) == payload.map(\.name) else {
            throw BundleError(.fileSetMismatch, "the bundle's files are not exactly those that the manifest lists")
        }
        for (file, entry) in zip(manifest.files, payload) where file.size != entry.size {
            throw BundleError(
                .lengthOrHashMismatch, "'\(file.name)' has \(entry.size) bytes, not the listed \(file.size)")
        }
        return manifest
    }

    /// ``manifest()``, and the digest of every payload file, in bounded memory.
    package func verified() throws(BundleError) -> VerifiedBundle {
        let manifest = try manifest()
        let archive = try readingFiles { () throws(FileError) in try files.openForReading(path) }
        for (file, entry) in zip(manifest.files, payload) {
            let digest = try readingFiles { () throws(FileError) in
                try SHA256Hash.digest(of: archive, from: entry.offset, size: entry.size)
            }
            guard digest == file.sha256 else {
                throw BundleError(.lengthOrHashMismatch, "'\(file.name)' has not the digest that the manifest lists")
            }
        }
        return bundle(manifest)
    }

    /// ``manifest()`` alone, for a bundle that was verified before and of which no more than its id is asked. What is read of
    /// its payload all the same is checked then, except for ``VerifiedBundle/payloadRange(_:)``.
    package func recognised() throws(BundleError) -> VerifiedBundle { bundle(try manifest()) }

    private func bundle(_ manifest: Manifest) -> VerifiedBundle {
        VerifiedBundle(path: path, manifest: manifest, id: id, signer: signer, payload: payload, files: files)
    }
}

extension SSHSignature {
    /// The manifest that was signed: the signature over the raw bytes first, then the manifest, then the namespace.
    func manifest(in bytes: [UInt8], limits: BundleLimits) throws(BundleError) -> Manifest {
        guard isValid(for: bytes) else {
            throw BundleError(.badSignature, "the signature does not belong to the manifest")
        }
        let manifest = try Manifest(parsing: bytes, limits: limits)
        guard namespace == manifest.kind.namespace else {
            let found = "'\(namespace.excerpt)', not '\(manifest.kind.namespace)'"
            throw BundleError(.wrongNamespace, "the signature's namespace is \(found)")
        }
        return manifest
    }
}

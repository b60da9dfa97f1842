package import Files
package import SystemPackage

/// Where a payload file's content comes from, and its name in the bundle.
package enum PayloadSource: Sendable {
    case bytes(name: String, [UInt8])
    case file(name: String, FilePath)

    package var name: String {
        switch self {
        case .bytes(let name, _), .file(let name, _): name
        }
    }
}

/// Makes bundles.
package enum BundleWriter {
    /// Writes a signed bundle, through the crash-safe writer: there is a whole bundle at `path` afterwards, or none.
    ///
    /// Content is read twice, first for its digests and then to be copied; a file that changes in between is an error. The
    /// archive's bytes follow from the arguments, except that Ed25519 signatures of one message may differ: to send a bundle
    /// again means to send the stored file.
    ///
    /// - Parameter manifest: everything but the files, which the payload decides.
    /// - Returns: the manifest as written. Its rules are those of reading, so no bundle is made that nobody would take.
    package static func write(
        _ manifest: Manifest, payload: [PayloadSource], key: SigningKey, to path: FilePath, files: any FileSystem,
        permissions: UInt32 = 0o644, limits: BundleLimits = .standard
    ) throws(BundleError) -> Manifest {
        var manifest = manifest
        manifest.files = []
        for source in payload { manifest.files.append(try describe(source, files: files)) }
        let encoded = manifest.encoded
        guard try Manifest(parsing: encoded, limits: limits) == manifest else {
            throw BundleError(.malformedManifest, "the manifest does not read back as it was written")
        }
        let signature = try key.sign(encoded, namespace: manifest.kind.namespace)
        do {
            try files.writeFile(path, permissions: permissions) { output in
                let total = manifest.files.reduce(Int64(encoded.count)) { $0 + UstarHeader.padded($1.size) + 512 }
                guard total + (1 << 16) <= limits.totalBytes else {
                    throw BundleError(.tooLarge, "the bundle would have more than \(limits.totalBytes) bytes")
                }
                try append(encoded, as: Manifest.fileName, to: output)
                try append(signature, as: Manifest.signatureName, to: output)
                for (source, file) in zip(payload, manifest.files) {
                    try append(source, file, to: output, files: files)
                }
                try output.write([UInt8](repeating: 0, count: 2 * UstarHeader.blockSize))
            }
        } catch {
            throw BundleError(rethrown: error)
        }
        return manifest
    }

    private static func describe(_ source: PayloadSource, files: any FileSystem) throws(BundleError) -> PayloadFile {
        switch source {
        case .bytes(let name, let bytes):
            return PayloadFile(name: name, size: Int64(bytes.count), sha256: SHA256Hash.digest(of: bytes))
        case .file(let name, let path):
            let content = try readingFiles { () throws(FileError) in try SHA256Hash.digest(of: path, files: files) }
            return PayloadFile(name: name, size: content.size, sha256: content.digest)
        }
    }

    private static func append(_ bytes: [UInt8], as name: String, to output: any WritableFile) throws(FileError) {
        let size = Int64(bytes.count)
        try output.write(UstarHeader(name: name, size: size).encoded)
        try output.write(bytes + [UInt8](repeating: 0, count: Int(UstarHeader.padded(size) - size)))
    }

    private static func append(
        _ source: PayloadSource, _ file: PayloadFile, to output: any WritableFile, files: any FileSystem
    ) throws {
        switch source {
        case .bytes(_, let bytes): try append(bytes, as: file.name, to: output)
        case .file(_, let path):
            let input = try files.openForReading(path)
            try output.write(UstarHeader(name: file.name, size: file.size).encoded)
            var stream = SHA256Stream()
            var done: Int64 = 0
            while done < file.size {
                let chunk = try input.bytes(at: done, count: Int(min(file.size - done, 1 << 20)))
                if chunk.isEmpty { break }
                stream.update(chunk)
                try output.write(chunk)
                done += Int64(chunk.count)
            }
            guard done == file.size, stream.finish() == file.sha256 else {
                throw FileError("bundle", path, .ioError, hint: "the file changed while it was read; run again")
            }
            try output.write([UInt8](repeating: 0, count: Int(UstarHeader.padded(file.size) - file.size)))
        }
    }
}

import Bundles
import Files
import SystemPackage
import Wire

/// Everything that can be found out about a file that may be a bundle.
struct BundleExamination {
    let path: FilePath
    /// Bytes of the file.
    let size: Int64
    /// Whether the file is encrypted; all else is about what is in it.
    let isEncrypted: Bool
    /// What the manifest says, true or not; nil where it cannot be read.
    private(set) var manifest: Manifest?
    private(set) var id: Digest?
    /// The key that claims to have signed; nil where the archive is not in order.
    private(set) var signer: PublicKey?
    private(set) var isSignatureGood = false
    private(set) var isPayloadGood = false
    /// The first fault; nil for a bundle that is in order.
    private(set) var fault: BundleError?

    /// An encrypted bundle is decrypted into a temporary folder of its own, which goes before this returns.
    ///
    /// - Parameter identities: ours, asked for where the bundle is encrypted; it stays closed without any.
    /// - Throws: `FileError` where the file cannot be read at all.
    init(_ path: FilePath, identities: () throws -> [AgeIdentity]) throws {
        self.path = path
        let files = LocalFileSystem()
        size = try files.openForReading(path).status().size
        isEncrypted = try AgeFile.isEncrypted(path, files: files)
        let identities = isEncrypted ? try identities() : []
        guard !isEncrypted || !identities.isEmpty else {
            fault = BundleError(
                .notForThisIdentity,
                "the file is encrypted with age; name the home that it is for with --home, or its key with --identity")
            return
        }
        let scratch = isEncrypted ? try TemporaryFolder.make(hint: "set TMPDIR to a folder of yours") : nil
        defer { if let scratch { try? files.removeTree(scratch) } }
        do {
            let archive = try AgeFile.decryptIfNeeded(
                path, with: identities, to: (scratch ?? "/").appending("bundle.tar"),
                limit: BundleLimits.standard.totalBytes, files: files)
            try examine(try BundleReader.open(archive, files: files))
        } catch {
            if let cause = error.cause { throw cause }
            fault = error
        }
    }

    private mutating func examine(_ bundle: UnverifiedBundle) throws(BundleError) {
        signer = bundle.signer
        id = SHA256Hash.digest(of: bundle.manifestBytes)
        manifest = try? Manifest(parsing: bundle.manifestBytes)
        // The namespace keeps a signature from being taken for one of another kind.
        let isRightKind = manifest.map { $0.kind.namespace == bundle.signature.namespace } ?? true
        isSignatureGood = isRightKind && bundle.signature.isValid(for: bundle.manifestBytes)
        _ = try bundle.verified()
        isPayloadGood = true
    }

    var isGood: Bool { fault == nil }

    /// For what is wrong with the file itself.
    var failure: CommandFailure? {
        fault.map { CommandFailure(.badData, "\(path.string.printable): \($0.detail.printable)") }
    }

    func json(_ verdict: BundleTrust.Verdict) -> JSONValue {
        var fields: [String: JSONValue] = [
            "schema_version": 1, "file": .path(path), "size": .integer(size), "encrypted": .bool(isEncrypted),
            "id": .optional(id) { .string($0.hex) },
            "signer": .optional(signer) { .string($0.fingerprint) }, "signature_valid": .bool(isSignatureGood),
            "payload_valid": .bool(isPayloadGood), "valid": .bool(isGood),
            "fault": .optional(fault) { ["reason": .string($0.reason.rawValue), "detail": .string($0.detail)] },
        ]
        switch verdict {
        case .unchecked: fields["trust"] = "unchecked"
        case .trusted: fields["trust"] = "trusted"
        case .refused(let reason):
            fields["trust"] = "refused"
            fields["trust_detail"] = .string(reason)
        }
        if let manifest { fields["manifest"] = manifest.json }
        return .object(fields)
    }
}

extension Manifest {
    /// As in the archive, but with times for people and programs alike, and null for what does not apply.
    fileprivate var json: JSONValue {
        func digest(_ value: Digest?) -> JSONValue { .optional(value) { .string($0.hex) } }
        return [
            "kind": .string(kind.rawValue), "federation": .string(federation.hex),
            "session": session.isNone ? .null : .string(session.hex), "round": .count(round), "seq": .integer(seq),
            "sender": .string(sender.text), "recipients": .texts(recipients.map(\.text)),
            "created": .string(created.rfc3339), "expires": .string(expires.rfc3339), "request": digest(request),
            "base": digest(base), "prev": digest(prev), "acks": .texts(acks.map(\.hex)),
            "files": .array(
                files.map {
                    ["name": .string($0.name), "size": .integer($0.size), "sha256": .string($0.sha256.hex)]
                }),
        ]
    }
}

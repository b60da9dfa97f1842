import Bundles
import Files
import SystemPackage
import Wire

/// Everything that can be found out about a file that may be a bundle.
struct BundleExamination {
    /// Files made by age begin with this.
    private static let ageMagic = Array("age-encryption.org/".utf8)

    let path: FilePath
    /// Bytes of the file.
    let size: Int64
    /// What the manifest says, true or not; nil where it cannot be read.
    private(set) var manifest: Manifest?
    private(set) var id: Digest?
    /// The key that claims to have signed; nil where the archive is not in order.
    private(set) var signer: PublicKey?
    private(set) var isSignatureGood = false
    private(set) var isPayloadGood = false
    /// The first fault; nil for a bundle that is in order.
    private(set) var fault: BundleError?

    /// - Throws: `FileError` where the file cannot be read at all.
    init(_ path: FilePath) throws {
        self.path = path
        let files = LocalFileSystem()
        let file = try files.openForReading(path)
        size = try file.status().size
        guard try file.bytes(at: 0, count: Self.ageMagic.count) != Self.ageMagic else {
            fault = BundleError(.notCanonical, "the file is encrypted with age; decrypt it with 'age -d' first")
            return
        }
        do {
            try examine(try BundleReader.open(path, files: files))
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
            "schema_version": 1, "file": .path(path), "size": .integer(size), "id": .optional(id) { .string($0.hex) },
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

import Bundles
import Files
import Mailbox
import SystemPackage
import Wire

/// Whom to believe, when a bundle's signature is good: a home's trust, an allowed-signers file, or nobody.
enum BundleTrust {
    case nobody
    case home(Home, TrustStore, own: PublicKey?)
    case file(AllowedSigners, revoked: RevokedKeys)

    /// What a trust says of a bundle.
    enum Verdict: Equatable {
        /// Nothing was there to check against.
        case unchecked
        case trusted(PartyName)
        case refused(String)
    }

    static func load(_ home: Home) throws -> BundleTrust {
        // Without its private key a home can still say whom it believes.
        .home(home, try TrustStore.load(from: home), own: (try? Identity.load(from: home))?.signing.publicKey)
    }

    /// The file `revoked` beside it counts too, as in a home's `trust/`; where there is none, no key is revoked.
    static func load(signers path: FilePath) throws -> BundleTrust {
        let files = LocalFileSystem()
        func read<Parsed>(_ path: FilePath, _ parse: (String, String) throws -> Parsed) throws -> Parsed {
            let bytes = try files.readFile(path, limit: KeyFileLimits.trustBytes)
            do {
                return try parse(String(decoding: bytes, as: UTF8.self), path.string.printable)
            } catch {
                throw CommandFailure(.configuration, "\(error)")
            }
        }
        let list = path.removingLastComponent().appending("revoked")
        return .file(
            try read(path) { try AllowedSigners(parsing: $0, file: $1) },
            revoked: try files.exists(list) ? try read(list) { try RevokedKeys(parsing: $0, file: $1) } : RevokedKeys())
    }

    /// Whether the key may sign this, in this name and at this time. Whether the receiver wants it is another question.
    func judge(_ bundle: Manifest, signer: PublicKey) -> Verdict {
        switch self {
        case .nobody: return .unchecked
        case .file(let signers, let revoked):
            if revoked.contains(signer) { return .refused("the key is revoked") }
            return Self.judge(bundle, signer, by: signers)
        case .home(let home, let trust, let own):
            if trust.isRevoked(signer) { return .refused("the key is revoked in \(home.root)") }
            if bundle.federation != home.federation {
                return .refused("it belongs to the federation \(bundle.federation.short), not to this home's")
            }
            if signer == own, bundle.sender == home.name { return .trusted(home.name) }
            return Self.judge(bundle, signer, by: trust.signers)
        }
    }

    private static func judge(_ bundle: Manifest, _ signer: PublicKey, by signers: AllowedSigners) -> Verdict {
        let known = signers.entries(for: signer)
        guard let first = known.first else { return .refused("nobody here is known to have this key") }
        let own = known.filter { $0.principal == bundle.sender }
        guard !own.isEmpty else {
            return .refused("it says that it is from \(bundle.sender), but the key is \(first.principal)'s")
        }
        let allowed = own.filter { $0.allows(bundle.kind) }
        guard !allowed.isEmpty else {
            return .refused("\(bundle.sender) may not sign a bundle of kind \(bundle.kind.rawValue)")
        }
        guard allowed.contains(where: { $0.isValid(at: bundle.created) }) else {
            return .refused("the key was not valid on \(bundle.created.rfc3339), when the bundle was made")
        }
        return .trusted(bundle.sender)
    }
}

import Bundles
import Wire

/// Why a bundle with a good signature, or a file that is none, was refused. The raw values are stable: they go into
/// quarantine notes and the audit.
package enum RefusalReason: String, CaseIterable, Sendable {
    case notABundle = "not-a-bundle"
    case wrongSender = "wrong-sender"
    case wrongKind = "wrong-kind"
    case keyExpired = "key-expired"
    case keyNotYetValid = "key-not-yet-valid"
    case revoked
    case wrongFederation = "wrong-federation"
    case wrongRecipient = "wrong-recipient"
    /// More than a message of its kind has to say.
    case tooLarge = "too-large"
    /// Encrypted, but not to a key of this home, although nothing says that it is another's.
    case notForThisIdentity = "not-for-this-identity"
    /// In the clear, where the caller takes what is encrypted only.
    case notEncrypted = "not-encrypted"
    case expired
    /// It would have to be remembered for longer than anything is good for.
    case expiresTooLate = "expires-too-late"
    case notYetValid = "not-yet-valid"
    case fastForward = "fast-forward"
    case equivocation
    case heldTooMany = "held-too-many"
    case heldTooLong = "held-too-long"
    /// More bundles of one key than are remembered.
    case tooMany = "too-many"
    /// By the caller, who judges meaning.
    case rejected
}

/// What becomes of a bundle whose signature is good, before anybody looks at its meaning.
enum Admission: Equatable {
    case deliver(isSelfSigned: Bool)
    /// Known and settled: cleaned away.
    case duplicate
    /// Not for here and harmless, such as an invite among copied files: cleaned away.
    case discard
    case hold(String)
    case refuse(RefusalReason, String)
    case equivocation(first: Digest)
}

/// The rules that need no look at the payload, over values only.
///
/// In this order, so that the reason given is the first that applies: known already; kind and recipient in general; the key:
/// revoked, unknown, whose, for what, when; federation; recipient; times; size; number; how many.
struct AdmissionRules {
    /// Of a bundle that carries no model, all its files together, in bytes.
    static let messageBytes: Int64 = 16 << 20
    /// From a bundle's making to its expiry, in days: twice the longest deadline.
    static let longestLife: Int64 = 1461

    let home: HomeRecord
    /// What this home signs with, and what it signed with before.
    let ownKeys: Set<PublicKey>
    let trust: TrustStore
    let ledger: Ledger
    let now: Timestamp

    func judge(_ manifest: Manifest, id: Digest, signer: PublicKey) -> Admission {
        if ledger.isSettled(id) { return .duplicate }
        if manifest.kind == .invite { return .discard }
        if ownKeys.contains(signer) { return .refuse(.wrongRecipient, "this home made it itself") }
        if trust.isRevoked(signer) {
            return .refuse(.revoked, "the key \(signer.fingerprint) is revoked")
        }
        let isSelfSigned = manifest.kind == .enrol && home.role == .server
        let isStranger = trust.signers.entries(for: signer).isEmpty
        if !isSelfSigned, !isStranger, let refusal = judgeKey(manifest, signer) { return refusal }
        if let refusal = judgeAddress(manifest) ?? judgeTimes(manifest) ?? judgeSize(manifest) { return refusal }
        if isStranger, !isSelfSigned {
            return .hold("its key \(signer.fingerprint) is not enrolled here")
        }
        return judgeNumber(manifest, id, signer) ?? judgeCount(id, signer) ?? .deliver(isSelfSigned: isSelfSigned)
    }

    /// What is known already may come again; it takes no more room.
    private func judgeCount(_ id: Digest, _ signer: PublicKey) -> Admission? {
        guard ledger.incoming[id] == nil, let end = ledger.roomAgain(for: signer.fingerprint) else { return nil }
        return .refuse(
            .tooMany,
            "\(Ledger.recordsPerKey) bundles of its key are remembered; there is room again on \(end.rfc3339), or for a new key"
        )
    }

    private func judgeSize(_ manifest: Manifest) -> Admission? {
        guard manifest.kind != .global, manifest.kind != .update else { return nil }
        let size = manifest.files.reduce(0) { $0 + $1.size }
        guard size > Self.messageBytes else { return nil }
        return .refuse(
            .tooLarge,
            "it has \(size) bytes; a bundle of kind \(manifest.kind.rawValue) has \(Self.messageBytes) at most")
    }

    /// A key that is trusted: for this name, this kind, and at that time?
    private func judgeKey(_ manifest: Manifest, _ signer: PublicKey) -> Admission? {
        let entries = trust.signers.entries(for: signer)
        let own = entries.filter { $0.principal == manifest.sender }
        guard !own.isEmpty else {
            let owner = entries.first?.principal.text ?? "nobody"
            return .refuse(.wrongSender, "it says that it is from \(manifest.sender), but the key is \(owner)'s")
        }
        let allowed = own.filter { $0.allows(manifest.kind) }
        guard !allowed.isEmpty else {
            return .refuse(.wrongKind, "\(manifest.sender) may not sign a bundle of kind \(manifest.kind.rawValue)")
        }
        let valid = allowed.filter { $0.isValid(at: manifest.created) }
        guard !valid.isEmpty else {
            let begins = allowed.compactMap(\.validAfter).min()
            let isEarly = begins.map { manifest.created < $0 } ?? false
            let edge = isEarly ? begins : allowed.compactMap(\.validBefore).max()
            let since = edge.map { " (it \(isEarly ? "begins" : "ended") on \($0.rfc3339))" } ?? ""
            return .refuse(
                isEarly ? .keyNotYetValid : .keyExpired,
                "its key was not valid on \(manifest.created.rfc3339), when it was made\(since)")
        }
        let isInTime = valid.contains { entry in
            entry.validBefore.map { now <= $0.adding(seconds: TrustStore.graceAfterKeyEnd) } ?? true
        }
        return isInTime
            ? nil
            : .refuse(
                .keyExpired, "its key ended more than 60 days ago; if a clock is wrong: \(RefusalReason.clockHint)")
    }

    private func judgeAddress(_ manifest: Manifest) -> Admission? {
        guard manifest.federation == home.federation else {
            return .refuse(.wrongFederation, "it belongs to the federation \(manifest.federation.short)")
        }
        guard manifest.recipients.contains(home.name) else {
            return .refuse(.wrongRecipient, "it is not addressed to \(home.name)")
        }
        guard manifest.sender != home.name else {
            return .refuse(.wrongSender, "it says that it is from \(home.name), which is this home")
        }
        return nil
    }

    private func judgeTimes(_ manifest: Manifest) -> Admission? {
        guard now <= manifest.expires else {
            return .refuse(
                .expired, "it expired on \(manifest.expires.rfc3339); if a clock is wrong: \(RefusalReason.clockHint)")
        }
        guard manifest.expires <= manifest.created.adding(days: Self.longestLife) else {
            return .refuse(
                .expiresTooLate,
                "it expires on \(manifest.expires.rfc3339), more than \(Self.longestLife) days after it was made")
        }
        guard manifest.created.seconds <= now.seconds + ClockFloor.tolerance else {
            return .refuse(
                .notYetValid,
                "it was made on \(manifest.created.rfc3339), which is still to come; \(RefusalReason.clockHint)"
            )
        }
        return nil
    }

    private func judgeNumber(_ manifest: Manifest, _ id: Digest, _ signer: PublicKey) -> Admission? {
        let signer = signer.fingerprint
        if let first = ledger.rival(of: id, signer: signer, session: manifest.session, seq: manifest.seq) {
            return .equivocation(first: first)
        }
        let highest = ledger.highestSeq(signer: signer, session: manifest.session)
        guard manifest.seq <= highest + Ledger.highestSeqStep else {
            return .refuse(.fastForward, "its number is \(manifest.seq), and the highest so far was \(highest)")
        }
        return nil
    }
}

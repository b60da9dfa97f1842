import Bundles
import Files
import SystemPackage
import Wire

/// Whether what lies in `identity/` is what this home uses: whoever may write there could put a key of his own in its place, which
/// would sign from then on without a word.
///
/// 1. A key is this home's where its trust names it, it was announced in an enrolment, or it has signed the audit before.
/// 2. A home that knows none of its keys, and has signed nothing, is a new one: whatever key is there is its own.
/// 3. An age identity is this home's where it is the one that others were told of, or followed that.
package struct OwnIdentity {
    private let home: Home
    private let identity: Identity
    private let trust: TrustStore
    private let ledger: Ledger

    /// - Parameter home: is looked at as it is; a run may be at work.
    package static func of(_ home: Home) throws(MailboxError) -> OwnIdentity {
        OwnIdentity(
            home, try Identity.load(from: home), try TrustStore.load(from: home), try Ledger.load(from: home))
    }

    init(_ home: Home, _ identity: Identity, _ trust: TrustStore, _ ledger: Ledger) {
        self.home = home
        self.identity = identity
        self.trust = trust
        self.ledger = ledger
    }

    /// - Throws: `foreignKey` where the key that would sign is not this home's.
    package func requireKey() throws(MailboxError) {
        let key = identity.signing.publicKey
        let own = trust.signers.entries(of: home.name).map(\.key).filter { !trust.isRevoked($0) }
        guard !own.contains(key), !isAnnounced(key) else { return }
        let signer = try AuditLog(home).signer()
        guard signer != key || trust.isRevoked(key), let used = own.last ?? signer else { return }
        throw MailboxError(
            .foreignKey,
            "the key \(key.fingerprint) in \(home.identity) is not the one that this home uses, \(used.fingerprint)",
            hint:
                "restore identity/ from a backup; if that key is lost, 'consilium key rotate --lost' makes a new one, which "
                + "the other side has to accept")
    }

    /// What a hospital that lost its key signed already is known as its own by the enrolment alone.
    private func isAnnounced(_ key: PublicKey) -> Bool {
        !trust.isRevoked(key)
            && ledger.outgoing.values.contains { $0.kind == .enrol && $0.key.hasSuffix("/\(key.fingerprint)") }
    }

    /// What is wrong with the age identity, in one line; nil where nothing is.
    package var ageObjection: String? {
        guard let told = trust.recipient(of: home.name),
            !identity.ageIdentities.contains(where: { $0.recipient == told })
        else { return nil }
        return
            "\(Identity.agePath(home)) is not the age identity that others encrypt to: it opens nothing of what they send "
            + "(restore it from a backup; without one, 'consilium key rotate --lost' makes a new one)"
    }
}

extension Identity {
    /// Before a lost key is replaced: one that is not this home's gets out of the way, so that it is neither taken for the new one
    /// nor remembered as this home's own. It stays there under another name, for whoever looks where it came from.
    ///
    /// - Returns: whether there was one.
    package static func setAsideForeignKey(in home: Home) throws(MailboxError) -> Bool {
        do { try OwnIdentity.of(home).requireKey() } catch {
            guard error.kind == .foreignKey else { throw error }
            try onDisk { () throws(FileError) in
                for path in [agentPath, keyPath, publicPath] where try home.files.exists(path(home, "")) {
                    try home.files.move(from: path(home, ""), to: path(home, foreignSuffix))
                }
            }
            return true
        }
        return false
    }

    private static let foreignSuffix = "-foreign"
}

extension Mailbox {
    private var ownIdentity: OwnIdentity { OwnIdentity(home, identity, trust, ledger) }

    /// - Throws: `foreignKey` where the key that would sign is not this home's.
    package func requireOwnKey() throws(MailboxError) { try ownIdentity.requireKey() }

    /// What is wrong with the age identity, in one line.
    package var ageObjection: String? { ownIdentity.ageObjection }

    /// A hospital whose home was made before this was written down says from now on what is its own.
    func rememberOwnIdentity() throws(MailboxError) {
        guard home.role == .client else { return }
        let (name, key, recipient) = (home.name, identity.signing.publicKey, identity.age.recipient)
        guard trust.recipient(of: name) == nil || !trust.signers.entries(of: name).contains(where: { $0.key == key })
        else { return }
        try updateTrust { (trust) throws(MailboxError) in
            try trust.add(
                name, role: .client, key: key, ageRecipient: trust.recipient(of: name) == nil ? recipient : nil)
        }
    }
}

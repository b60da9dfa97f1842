package import Bundles
package import Wire

extension TrustStore {
    /// Believes a key whose fingerprint a person has compared by telephone. Whoever stole a key before that may have said
    /// anything of this one: its bundles and invites travel, so that he can know it.
    ///
    /// 1. A revocation that nobody but keys has said that are revoked by now does not count. A person's own stands.
    /// 2. The key begins no later than the invite was made, and sorts after the others that are believed where that allows it:
    ///    so it covers what it has signed before this invite.
    /// 3. With `only`, a person has revoked every other key of the party, whoever said so before, and nothing that was said of
    ///    this one's time counts.
    ///
    /// - Parameter invited: when the invite was made.
    package mutating func confirm(
        _ key: PublicKey, of name: PartyName, role: HomeRole, ageRecipient: AgeRecipient, invited: Timestamp, only: Bool
    ) throws(MailboxError) {
        var changed = self
        if only { for other in signers.entries(of: name).map(\.key) where other != key { changed.revoke(other) } }
        if let source = changed.forgetRevocation(of: key) {
            throw MailboxError(
                .trust, "the key \(key.fingerprint) of \(name) is revoked: its key \(source) said so",
                hint: "where \(name) says that \(source) is stolen, 'consilium key distrust' it first")
        }
        let others = changed.signers.entries(of: name).filter { $0.key != key && !changed.isRevoked($0.key) }
        let begin = others.compactMap(\.validAfter).max().map { min($0, invited) }
        if only { changed.remove(key: key, of: name) }
        try changed.add(name, role: role, key: key, ageRecipient: ageRecipient, validFrom: begin)
        changed.begin(key, of: name, at: begin)
        self = changed
    }
}

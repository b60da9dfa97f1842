package import Bundles
import Federation
package import Mailbox
package import Wire

/// What keeps this hospital from taking part, as far as its server has told it: said once when it comes, and found afterwards
/// by whoever asks.
extension ClientState {
    /// The server believes one of this hospital's own keys no more.
    package struct Revocation: Equatable, Sendable {
        /// Fingerprint of the own key.
        package let key: String
        /// Fingerprint of the server's key that says so.
        let signer: String
        package let reason: String
    }

    /// - Parameter trust: a revoked key's word revokes nothing.
    package func revocation(of key: PublicKey, trust: TrustStore) -> Revocation? {
        revocations.first { revocation in
            revocation.key == key.fingerprint
                && !trust.revoked.keys.contains { $0.fingerprint == revocation.signer }
        }
    }

    /// The newest word about a key counts. A statement may be about one of several keys that were revoked together.
    ///
    /// - Parameter gone: fingerprints of keys that are revoked here, whose word counts no more.
    package mutating func note(
        revoked keys: [String], by signer: String, reason: String, gone: Set<String> = []
    ) {
        revocations.removeAll { keys.contains($0.key) && $0.signer == signer }
        let reason = Reason(reason).reason
        revocations += keys.map { Revocation(key: $0, signer: signer, reason: reason) }
        boundRevocations(gone: gone)
    }

    /// Why nothing that this hospital sends is taken, and what to do; nil where nothing is known against it.
    package func obstacle(
        of identity: Identity, trust: TrustStore, server: PartyName
    ) -> (text: String, advice: String)? {
        if let revocation = revocation(of: identity.signing.publicKey, trust: trust) {
            return (
                "\(server) believes this hospital's key \(revocation.key) no more" + suffix(revocation.reason),
                identity.next.map {
                    "call there about the new key \($0.publicKey.fingerprint), which is not decided yet: once it is approved, it "
                        + "signs; 'consilium key rotate --lost' would give it up too"
                } ?? "call there, then 'consilium key rotate --lost'"
            )
        }
        guard enrolled == false else { return nil }
        return ("\(server) rejected the enrolment" + suffix(enrolmentReason), "ask its admin")
    }

    private func suffix(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }
}

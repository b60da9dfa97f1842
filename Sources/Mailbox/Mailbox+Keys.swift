package import Bundles
import Files
import SystemPackage
package import Wire

/// How long two keys of one party hold side by side.
package enum KeyRotation {
    /// In days: as long as a bundle may be late after its key's end.
    package static let overlapDays: Int64 = 60
    package static let overlap: ClosedRange<Int64> = 1...365
    /// How long a new key may be given, in days.
    package static let validity: ClosedRange<Int64> = 30...3_650
}

/// A home's own keys in change. Each step may be killed anywhere and repeated; files are never left half written.
extension Mailbox {
    /// What this home signed with and signs with.
    package var ownKeys: Set<PublicKey> {
        Set(trust.signers.entries(of: home.name).map(\.key)).union([identity.signing.publicKey])
    }

    /// Asks an agent, where one has to sign, before anything is begun; and nothing is begun under a key that is not this home's.
    package func requireSigning() throws(MailboxError) {
        try requireOwnKey()
        do { try identity.signing.requireUsable() } catch { throw MailboxError(.identity, error) }
    }

    /// Before anything gives way to a key that an agent is said to hold.
    package func requireUsable(_ agentKey: PublicKey) throws(MailboxError) {
        do { try SigningKey(publicKey: agentKey, agent: .ofEnvironment()).requireUsable() } catch {
            throw MailboxError(.identity, error)
        }
    }

    /// Makes the key that is to follow, or takes the one of an agent; one that was made before stays.
    ///
    /// - Parameter agentKey: the public half of a key that the agent of `SSH_AUTH_SOCK` holds; nil for a new one in a file.
    package func makeNextKey(agentKey: PublicKey?) throws(MailboxError) -> SigningKey {
        if let next = identity.next {
            try writePublicOfNext()
            return next
        }
        if let agentKey {
            try requireUsable(agentKey)
            try writePublic(agentKey, to: Identity.agentPath(home, Identity.nextSuffix))
        } else {
            let key = SigningKey.generate()
            let path = Identity.keyPath(home, Identity.nextSuffix)
            try onDisk { () throws(FileError) in
                try files.writeFile(path, key.openSSHPrivateKey(comment: home.name.text), permissions: 0o600)
            }
        }
        try reloadIdentity()
        try writePublicOfNext()
        guard let next = identity.next else {
            throw MailboxError(.identity, "the new key was written and is not there")
        }
        return next
    }

    /// Gives up a key that was made and not used.
    package func dropNextKey() throws(MailboxError) {
        try remove(Identity.nextSuffix)
        try reloadIdentity()
    }

    /// From now on the next key signs.
    ///
    /// - Parameter until: how long the one before is kept, to vouch for this one; nil to forget it at once.
    package func promoteNextKey(keepingOldUntil until: Timestamp?) throws(MailboxError) {
        guard let next = identity.next else { return }
        if let until { try retire(identity.signing, until: until) }
        let path = next.isInAgent ? Identity.agentPath : Identity.keyPath
        try onDisk { () throws(FileError) in
            try files.move(from: path(home, Identity.nextSuffix), to: path(home, ""))
            // An agent's key comes before a file's, so that what is left of the other kind has to go.
            try files.remove(next.isInAgent ? Identity.keyPath(home) : Identity.agentPath(home))
        }
        try reloadIdentity()
        try settleFiles()
    }

    /// Finishes what a kill left of a new key or a promotion, and forgets keys whose last day is over.
    package func settleKeyFiles() throws(MailboxError) {
        try settleFiles()
        // Not while a key is replaced, which is remembered with its own time.
        try rememberOwnIdentity()
    }

    private func settleFiles() throws(MailboxError) {
        // A file's key took the place of an agent's, whose public half was still to go.
        let isReplaced = identity.retired.contains { $0.key.publicKey == identity.signing.publicKey }
        if isReplaced, identity.signing.isInAgent, try exists(Identity.keyPath(home)) {
            try onDisk { () throws(FileError) in try files.remove(Identity.agentPath(home)) }
            try reloadIdentity()
        }
        try writePublicOfNext()
        if identity.next == nil, try exists(Identity.publicPath(home, Identity.nextSuffix)) {
            try onDisk { () throws(FileError) in try files.remove(Identity.publicPath(home, Identity.nextSuffix)) }
        }
        try writePublic(identity.signing.publicKey, to: Identity.publicPath(home))
        try forgetRetiredKeys(because: "its overlap is over") { now >= $0.until }
        // It vouches for nothing any more, and is not to be mistaken for one that does.
        try forgetRetiredKeys(because: "it is revoked") { trust.isRevoked($0.key.publicKey) }
    }

    /// After a key was lost or came into foreign hands, those before it vouch for nothing either: whoever read one file could
    /// read the others.
    package func forgetRetiredKeys() throws(MailboxError) {
        try forgetRetiredKeys(because: "the key that followed it was given up") { _ in true }
    }

    private func forgetRetiredKeys(
        because reason: String, where isOver: (Identity.Retired) -> Bool
    ) throws(MailboxError) {
        let over = identity.retired.filter(isOver)
        for old in over {
            try AuditLog(home).append(
                event: "key-forgotten", subject: old.key.publicKey.fingerprint, detail: reason, actor: "tick", now: now)
            try remove(old.suffix)
        }
        if !over.isEmpty { try reloadIdentity() }
    }

    /// A new age identity; the one before stays beside it, since bundles that were encrypted to it are under way.
    package func replaceAgeIdentity() throws(MailboxError) -> AgeRecipient {
        let text = AgeIdentity.generate().identityFile(created: now)
        try onDisk { () throws(FileError) in
            let old = try files.readPrivateFile(Identity.agePath(home), limit: KeyFileLimits.keyBytes)
            var suffix = "-" + now.dayDigits
            var number = 1
            while try files.exists(Identity.agePath(home, suffix)) {
                number += 1
                suffix = "-\(now.dayDigits)-\(number)"
            }
            try files.writeFile(Identity.agePath(home, suffix), old, permissions: 0o600)
            try files.writeFile(Identity.agePath(home), Array(text.utf8), permissions: 0o600)
        }
        try reloadIdentity()
        let (name, recipient) = (home.name, identity.age.recipient)
        // What this home remembers of its own; a server's is told to others with its keys.
        if home.role == .client {
            try updateTrust { (trust) throws(MailboxError) in trust.set(recipient, of: name) }
        }
        return recipient
    }

    /// What lies in the outbox under a key of this home's that is revoked: nobody takes it any more.
    ///
    /// What cannot be read is not published either, and is found once it can be.
    package func outgoingOfRevokedKeys() -> [OutgoingRecord] {
        let entries = trust.signers.entries(of: home.name).filter { trust.isRevoked($0.key) }
        let revoked = Set(entries.map(\.key))
        let begin = trust.signers.entries(for: identity.signing.publicKey).compactMap(\.validAfter).max()
        guard !revoked.isEmpty, let begin else { return [] }
        // Whatever is younger than the key that signs now was signed by that one; in the overlap of a rotation, which has its
        // end, the one before signs on.
        let last = entries.compactMap(\.validBefore).reduce(begin, max)
        return ledger.outgoingInOrder.filter { record in
            guard !record.isRetired, record.created <= last,
                let signer = try? BundleReader.open(sentPath(record), files: files).signer
            else { return false }
            return revoked.contains(signer)
        }
    }

    /// Bundles of ours that are under way, nobody has acknowledged, and a key of ours signed that is given up. One that is too
    /// damaged to tell whose signature it bears comes with them: nobody takes it either. An enrolment does not, since nothing
    /// would say it again.
    ///
    /// - Parameter isGivenUp: asked of each signer that this home signs with no more, and of when it signed.
    /// - Throws: where one cannot be read just now.
    package func outgoing(
        signedBy isGivenUp: (PublicKey, Timestamp) -> Bool
    ) throws(MailboxError) -> [OutgoingRecord] {
        var found: [OutgoingRecord] = []
        for record in ledger.outgoingInOrder where !record.isRetired && !record.isAcknowledged {
            do {
                let signer = try BundleReader.open(sentPath(record), files: files).signer
                if signer != identity.signing.publicKey, signer != identity.next?.publicKey,
                    isGivenUp(signer, record.created)
                {
                    found.append(record)
                }
            } catch {
                // What is gone altogether is for the publication to tell.
                if error.cause?.isMissing == true { continue }
                guard error.isAboutContent else { throw MailboxError(.bundle, error) }
                if record.kind != .enrol { found.append(record) }
            }
        }
        return found
    }

    // MARK: files

    private func retire(_ key: SigningKey, until: Timestamp) throws(MailboxError) {
        guard !identity.retired.contains(where: { $0.key.publicKey == key.publicKey }) else { return }
        let path = key.isInAgent ? Identity.agentPath : Identity.keyPath
        try onDisk { () throws(FileError) in
            var suffix = Identity.retiredSuffix + until.dayDigits
            var number = 1
            while try files.exists(path(home, suffix)) {
                number += 1
                suffix = Identity.retiredSuffix + until.dayDigits + "-\(number)"
            }
            let bytes = try files.readFile(path(home, ""), limit: KeyFileLimits.keyBytes)
            try files.writeFile(path(home, suffix), bytes, permissions: 0o600)
        }
    }

    private func remove(_ suffix: String) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            for path in [Identity.keyPath, Identity.publicPath, Identity.agentPath] {
                try files.remove(path(home, suffix))
            }
        }
    }

    /// An agent's next key has no other file.
    private func writePublicOfNext() throws(MailboxError) {
        guard let next = identity.next, !next.isInAgent else { return }
        try writePublic(next.publicKey, to: Identity.publicPath(home, Identity.nextSuffix))
    }

    private func writePublic(_ key: PublicKey, to path: FilePath) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            let present = try files.exists(path) ? try files.readFile(path, limit: KeyFileLimits.keyBytes) : []
            // A comment of somebody's own stays.
            if String(decoding: present, as: UTF8.self).hasPrefix(key.openSSHLine) { return }
            try files.writeFile(path, Array("\(key.openSSHLine) \(home.name)\n".utf8))
        }
    }

    private func exists(_ path: FilePath) throws(MailboxError) -> Bool {
        try onDisk { () throws(FileError) in try files.exists(path) }
    }
}

/// What became of a home's own key, for people.
package struct RotatedKey: Equatable, Sendable {
    package let new: PublicKey
    /// Those that it follows.
    package let old: [PublicKey]
    /// When those end; nil where they are revoked at once.
    package let oldUntil: Timestamp?
    /// Whether the new key signs already; if not, it does once the other side knows it.
    package let signsNow: Bool
    /// When it signs at the latest; nil where a person of the other side decides.
    package let signsBy: Timestamp?
    package let ageRecipient: AgeRecipient

    package init(
        new: PublicKey, old: [PublicKey], oldUntil: Timestamp?, signsNow: Bool, signsBy: Timestamp?,
        ageRecipient: AgeRecipient
    ) {
        self.new = new
        self.old = old
        self.oldUntil = oldUntil
        self.signsNow = signsNow
        self.signsBy = signsBy
        self.ageRecipient = ageRecipient
    }
}

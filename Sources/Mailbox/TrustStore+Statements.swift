package import Bundles
package import Wire

/// What a server says of its own keys, as a whole: the content of a `trust` bundle. It names no namespaces: the role of
/// whom it is about decides those here.
package struct KeyStatement: Equatable, Sendable {
    package struct Window: Equatable, Sendable {
        package let key: PublicKey
        package let validAfter: Timestamp?
        package let validBefore: Timestamp?

        package init(key: PublicKey, validAfter: Timestamp?, validBefore: Timestamp?) {
            self.key = key
            self.validAfter = validAfter
            self.validBefore = validBefore
        }
    }

    package let subject: PartyName
    package let keys: [Window]
    package let revoked: [PublicKey]
    package let ageRecipient: AgeRecipient?

    package init(subject: PartyName, keys: [Window], revoked: [PublicKey], ageRecipient: AgeRecipient?) {
        self.subject = subject
        self.keys = keys
        self.revoked = revoked
        self.ageRecipient = ageRecipient
    }
}

/// What a statement changed here, for people and for the audit.
package enum KeyChange: Equatable, Sendable, CustomStringConvertible {
    case added(PublicKey, from: Timestamp, until: Timestamp?)
    case ends(PublicKey, Timestamp)
    case revoked(PublicKey)
    case newRecipient

    /// How a key that is believed from now on is told.
    package static let newKey = "new key "

    package var description: String {
        switch self {
        case .added(let key, let from, let until):
            "\(Self.newKey)\(key.fingerprint) from \(from.rfc3339)" + (until.map { " until \($0.rfc3339)" } ?? "")
        case .ends(let key, let time): "key \(key.fingerprint) ends on \(time.rfc3339)"
        case .revoked(let key): "key \(key.fingerprint) is revoked"
        case .newRecipient: "new age recipient"
        }
    }
}

extension TrustStore {
    /// Of one party, in a statement and believed here.
    package static let maximumKeys = 64
    /// Of one party here, those included that another one of its keys has revoked. What a person has revoked is not counted:
    /// `key trust --only` makes room again after a theft.
    package static let maximumKnownKeys = 256
    /// Revoked on the word of a key, and nobody's here. What is more is left out: a key that nobody here has is not believed
    /// either.
    package static let maximumStrangersRevoked = 256

    /// Takes over what a party says of its own keys.
    ///
    /// 1. Only of itself, and only by its newest key that is believed here: one that has been replaced cannot bring itself or
    ///    anything else back.
    /// 2. A key comes with its party's role and nothing more, not before the statement was made, and not for a later time than
    ///    any rotation takes: it would be the newest for as long.
    /// 3. Ends only come nearer, and what is revoked stays revoked, whatever a later statement says.
    /// 4. No key of somebody else, none twice, no window that ends before it begins, no key that revokes itself; and one key
    ///    must be left that holds.
    /// 5. Whoever has stolen a key fills no file with it: see ``maximumKeys``, ``maximumKnownKeys`` and
    ///    ``maximumStrangersRevoked``. That a key of this party is revoked counts in any case.
    ///
    /// The same statement once more changes nothing, and is no error.
    ///
    /// - Parameter created: when the statement was made.
    /// - Returns: what is different now.
    package mutating func take(
        _ statement: KeyStatement, signer: PublicKey, created: Timestamp
    ) throws(MailboxError) -> [KeyChange] {
        let name = statement.subject
        func refused(_ what: String) -> MailboxError {
            MailboxError(.trust, "the statement about \(name)'s keys \(what)")
        }
        guard let party = party(name), signers.entries(for: signer).contains(where: { $0.principal == name }) else {
            throw refused("is not signed by \(name) itself")
        }
        guard party.role == .server else { throw refused("is about a client: a client's keys are for its enrolment") }
        guard !statement.revoked.contains(signer) else { throw refused("revokes the key that signed it") }
        let stated = statement.keys.map(\.key)
        guard Set(stated).count == stated.count, Set(stated).isDisjoint(with: statement.revoked) else {
            throw refused("names a key twice")
        }
        guard stated.count <= Self.maximumKeys, statement.revoked.count <= Self.maximumKeys else {
            throw refused("names more than \(Self.maximumKeys) keys")
        }
        for key in stated + statement.revoked {
            if let other = signers.entries(for: key).first(where: { $0.principal != name }) {
                throw refused("names the key \(key.fingerprint), which is \(other.principal)'s")
            }
        }
        var changed = self
        var changes: [KeyChange] = []
        var strangers = revoked.entries.filter { $0.source != nil && signers.entries(for: $0.key).isEmpty }.count
        for key in statement.revoked where !changed.isRevoked(key) {
            if signers.entries(for: key).isEmpty {
                guard strangers < Self.maximumStrangersRevoked else { continue }
                strangers += 1
            }
            changed.revoke(key, saidBy: signer)
            changes.append(.revoked(key))
        }
        for window in statement.keys where !changed.isRevoked(window.key) {
            if let begin = window.validAfter, let end = window.validBefore, end <= begin {
                throw refused("has a key that would end before it begins")
            }
            changes += try changed.take(window, of: party, created: created)
        }
        if let recipient = statement.ageRecipient, recipient != party.ageRecipient {
            changed.set(recipient, of: name)
            changes.append(.newRecipient)
        }
        guard !changes.isEmpty else { return [] }
        guard party.keys.last == signer else {
            throw refused(
                "is signed by \(signer.fingerprint), which was replaced here: only the newest key may change others; call \(name): where it was "
                    + "restored from a backup, 'consilium key trust' takes its key from a new invite")
        }
        let left = changed.signers.entries(of: name).filter { !changed.isRevoked($0.key) }
        guard left.count <= Self.maximumKeys else { throw refused("would bring \(left.count) keys") }
        let known = changed.knownKeys(of: name)
        guard known <= Self.maximumKnownKeys || known == knownKeys(of: name) else {
            throw refused(
                "would bring \(known) keys, more than \(Self.maximumKnownKeys): call \(name); 'key trust --only' with its invite "
                    + "makes room")
        }
        guard left.contains(where: { $0.validBefore.map { created < $0 } ?? true }) else {
            throw refused("would leave no key that holds")
        }
        self = changed
        return changes
    }

    /// Those that no person has revoked.
    private func knownKeys(of name: PartyName) -> Int {
        let gone = Set(revoked.entries.filter { $0.source == nil }.map(\.key))
        return Set(signers.entries(of: name).map(\.key)).subtracting(gone).count
    }

    private mutating func take(
        _ window: KeyStatement.Window, of party: Party, created: Timestamp
    ) throws(MailboxError) -> [KeyChange] {
        if let known = signers.entries(of: party.name).first(where: { $0.key == window.key }) {
            guard let end = window.validBefore, known.validBefore.map({ end < $0 }) ?? true else { return [] }
            self.end(window.key, of: party.name, at: end)
            return [.ends(window.key, end)]
        }
        let begin = max(window.validAfter ?? created, created)
        guard begin <= created.adding(days: KeyRotation.overlap.upperBound) else {
            throw MailboxError(
                .trust,
                "the statement about \(party.name)'s keys has a key that begins on \(begin.rfc3339), more than "
                    + "\(KeyRotation.overlap.upperBound) days after it was made")
        }
        try add(
            party.name, role: party.role, key: window.key, ageRecipient: nil, validFrom: begin,
            validUntil: window.validBefore)
        return [.added(window.key, from: begin, until: window.validBefore)]
    }

    /// All that is to be told others of one party's keys, revoked ones included.
    package func statement(about name: PartyName) -> KeyStatement {
        let entries = Self.inOrder(signers.entries(of: name))
        return KeyStatement(
            subject: name,
            keys: entries.filter { !isRevoked($0.key) }.suffix(Self.maximumKeys).map {
                KeyStatement.Window(key: $0.key, validAfter: $0.validAfter, validBefore: $0.validBefore)
            },
            revoked: entries.map(\.key).filter(isRevoked).suffix(Self.maximumKeys),
            ageRecipient: party(name)?.ageRecipient)
    }

    // MARK: ends

    /// How long before its end a key is spoken of, in seconds.
    package static let noticeBeforeKeyEnd: Int64 = 30 * 86_400

    package struct Ending: Equatable, Sendable {
        package let name: PartyName
        package let key: PublicKey
        package let end: Timestamp
    }

    /// Parties whose newest key has ended or is about to, without another one to follow it.
    package func endings(now: Timestamp) -> [Ending] {
        Set(signers.entries.map(\.principal)).sorted().compactMap { name in
            let entries = Self.inOrder(signers.entries(of: name)).filter { !isRevoked($0.key) }
            let ends = entries.map { $0.validBefore ?? .latest }
            guard let last = ends.max(), let entry = entries.first(where: { ($0.validBefore ?? .latest) == last }),
                let end = entry.validBefore, now >= end.adding(seconds: -Self.noticeBeforeKeyEnd)
            else { return nil }
            return Ending(name: name, key: entry.key, end: end)
        }
    }

    /// Whether this key may sign for this party now: known, not revoked, and in its time.
    package func believes(_ key: PublicKey, of name: PartyName, for kind: BundleKind, at time: Timestamp) -> Bool {
        !isRevoked(key)
            && signers.entries(for: key).contains { $0.principal == name && $0.allows(kind) && $0.isValid(at: time) }
    }
}

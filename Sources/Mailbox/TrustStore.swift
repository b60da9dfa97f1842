package import Bundles
import Files
import SystemPackage
package import Wire

/// Whom a home believes: the folder `trust/`.
///
/// 1. `allowed_signers`: who may sign what, as `ssh-keygen -Y verify -f` reads it. The namespaces make the role: a key that
///    may sign `global@consilium` is a server's.
/// 2. `revoked`: public keys that are believed no more, as `ssh-keygen -Y verify -r` reads it. It begins with a fixed comment
///    line: a file that is missing, emptied or garbled stops everything instead of revoking nothing.
/// 3. `recipients`: `NAME age1...` for each party; who has none gets nothing encrypted.
///
/// A line that cannot be read makes the whole file an error.
package struct TrustStore: Equatable, Sendable {
    package struct Party: Equatable, Sendable {
        package let name: PartyName
        package let role: HomeRole
        /// Those not revoked, by the begin of their time; the last one is the newest.
        package let keys: [PublicKey]
        package let ageRecipient: AgeRecipient?
    }

    /// How long after its key's end a bundle may still arrive, in seconds: sticks are slow.
    static let graceAfterKeyEnd: Int64 = 60 * 86_400
    private static let revokedHeader = "# consilium: revoked keys, one public key a line"

    package private(set) var signers = AllowedSigners()
    package private(set) var revoked = RevokedKeys()
    private var recipients: [PartyName: AgeRecipient] = [:]

    init() {}

    // MARK: questions

    /// Sorted by name.
    package var parties: [Party] {
        Set(signers.entries.map(\.principal)).sorted().compactMap { party($0) }
    }

    package func party(_ name: PartyName) -> Party? {
        let entries = signers.entries(of: name)
        guard !entries.isEmpty else { return nil }
        var keys: [PublicKey] = []
        for entry in Self.inOrder(entries) where !keys.contains(entry.key) && !isRevoked(entry.key) {
            keys.append(entry.key)
        }
        return Party(
            name: name, role: entries.contains { $0.allows(.global) } ? .server : .client, keys: keys,
            ageRecipient: recipients[name])
    }

    /// To whom a party's bundles would be encrypted, though no key of it may be known.
    func recipient(of name: PartyName) -> AgeRecipient? { recipients[name] }

    /// - Returns: nil for a stranger's key.
    package func party(of key: PublicKey) -> Party? { signers.entries(for: key).first.flatMap { party($0.principal) } }

    /// Changes with everything that is believed.
    var digest: Digest { SHA256Hash.digest(of: Array((signers.text + revoked.text).utf8)) }

    package func isRevoked(_ key: PublicKey) -> Bool { revoked.contains(key) }

    /// Whether a party has no key that is believed: each is revoked, or it is nobody here any more. Nobody knows then who reads
    /// what is sent to it. A key that is over is not revoked: its party goes on with the next.
    package func isCutOff(_ name: PartyName) -> Bool { party(name) == nil || isWithoutKey(name) }

    /// Whether a party that is somebody here has no key that is believed any more.
    package func isWithoutKey(_ name: PartyName) -> Bool { party(name)?.keys.isEmpty == true }

    /// A party's entries by the begin of their time, equal ones in the file's order: a rotation's new key comes last.
    package static func inOrder(_ entries: [AllowedSigners.Entry]) -> [AllowedSigners.Entry] {
        entries.enumerated().sorted { left, right in
            let begins = (left.element.validAfter?.seconds ?? .min, right.element.validAfter?.seconds ?? .min)
            return begins.0 == begins.1 ? left.offset < right.offset : begins.0 < begins.1
        }.map(\.element)
    }

    // MARK: changes

    /// Believes `key` as this party's, beside keys that it has already. Doing it again changes nothing.
    ///
    /// The role alone decides which kinds the key may sign; nothing that anybody sends can widen them.
    package mutating func add(
        _ name: PartyName, role: HomeRole, key: PublicKey, ageRecipient: AgeRecipient?, validFrom: Timestamp? = nil,
        validUntil: Timestamp? = nil
    ) throws(MailboxError) {
        guard !isRevoked(key) else {
            throw MailboxError(
                .trust, "the key \(key.fingerprint) of \(name) is revoked", hint: "\(name) needs a new key")
        }
        if let other = signers.entries(for: key).first(where: { $0.principal != name }) {
            throw MailboxError(
                .trust, "the key \(key.fingerprint) is \(other.principal)'s already",
                hint: "each party needs its own key")
        }
        if let present = party(name), present.role != role {
            throw MailboxError(
                .trust, "\(name) is a \(present.role.rawValue) here already", hint: "choose another name")
        }
        if let ageRecipient { recipients[name] = ageRecipient }
        guard signers.entries(for: key).isEmpty else { return }
        let kinds = role == .server ? BundleKind.ofServer : BundleKind.ofClients
        signers.entries.append(
            .init(principal: name, kinds: kinds, validAfter: validFrom, validBefore: validUntil, key: key))
    }

    /// Lets a key's time begin earlier, or without a begin. Never later.
    mutating func begin(_ key: PublicKey, of name: PartyName, at time: Timestamp?) {
        for index in signers.entries.indices
        where signers.entries[index].principal == name && signers.entries[index].key == key {
            let present = signers.entries[index].validAfter
            signers.entries[index].validAfter = time.flatMap { time in present.map { min($0, time) } }
        }
    }

    /// Gives a key's time an end, or an earlier one. Never a later one: what has ended stays so.
    package mutating func end(_ key: PublicKey, of name: PartyName, at time: Timestamp) {
        for index in signers.entries.indices
        where signers.entries[index].principal == name && signers.entries[index].key == key {
            let present = signers.entries[index].validBefore
            signers.entries[index].validBefore = present.map { min($0, time) } ?? time
        }
    }

    /// Whom to encrypt to from now on; the party must be known.
    package mutating func set(_ recipient: AgeRecipient, of name: PartyName) {
        if !signers.entries(of: name).isEmpty { recipients[name] = recipient }
    }

    /// Forgets a party; its bundles are a stranger's then.
    package mutating func remove(_ name: PartyName) {
        signers.entries.removeAll { $0.principal == name }
        recipients[name] = nil
    }

    /// Forgets one key of a party; the party itself with its last one.
    package mutating func remove(key: PublicKey, of name: PartyName) {
        signers.entries.removeAll { $0.principal == name && $0.key == key }
        if signers.entries(of: name).isEmpty { recipients[name] = nil }
    }

    /// Bundles signed with `key` are refused from now on, whenever they were made.
    ///
    /// - Parameter source: the key whose statement says so; nil for a person's own word, which stays whatever becomes of others.
    package mutating func revoke(_ key: PublicKey, saidBy source: PublicKey? = nil) {
        if !isRevoked(key) { return revoked.entries.append(.init(key, source: source?.fingerprint)) }
        if source == nil { revoked.entries = revoked.entries.map { $0.key == key ? .init(key) : $0 } }
    }

    /// Forgets a revocation that nobody but keys has said that are revoked themselves.
    ///
    /// - Returns: whose word stands against it: a fingerprint, or nil where that is a person's or there was no revocation.
    mutating func forgetRevocation(of key: PublicKey) -> String? {
        let sources = revoked.entries.filter { $0.key == key }.map(\.source)
        guard !sources.isEmpty, !sources.contains(nil) else { return nil }
        let gone = Set(revoked.keys.map(\.fingerprint))
        if let standing = sources.compactMap(\.self).first(where: { !gone.contains($0) }) { return standing }
        revoked.entries.removeAll { $0.key == key }
        return nil
    }

    // MARK: files

    /// The files of a home that knows nobody. Those that are there already stay.
    package static func create(in home: Home) throws(MailboxError) {
        for (name, text) in TrustStore().contents {
            let path = home.trust.appending(name)
            try onDisk { () throws(FileError) in
                if try !home.files.exists(path) { try home.files.writeFile(path, Array(text.utf8)) }
            }
        }
    }

    package static func load(from home: Home) throws(MailboxError) -> TrustStore {
        var store = TrustStore()
        do {
            store.signers = try AllowedSigners(
                parsing: try read("allowed_signers", home), file: home.trust.appending("allowed_signers").string)
            let revoked = try read("revoked", home)
            let revokedPath = home.trust.appending("revoked").string
            guard revoked.hasPrefix(revokedHeader + "\n") else {
                throw MailboxError(
                    .trust, "\(revokedPath) does not begin with its header line",
                    hint: "restore it; where nothing was ever revoked, write the one line '\(revokedHeader)'")
            }
            store.revoked = try RevokedKeys(parsing: revoked, file: revokedPath)
            for (index, line) in try read("recipients", home).split(separator: "\n").enumerated()
            where !line.hasPrefix("#") {
                let words = line.split(separator: " ", omittingEmptySubsequences: false)
                guard words.count == 2, let name = PartyName(String(words[0])), store.recipients[name] == nil else {
                    throw MailboxError(
                        .trust,
                        "\(home.trust.appending("recipients")), line \(index + 1): must be 'NAME age1...', one line a name"
                    )
                }
                store.recipients[name] = try AgeRecipient(String(words[1]))
            }
        } catch let error as BundleError {
            throw MailboxError(.trust, error)
        } catch let error as MailboxError {
            throw error
        } catch {
            throw MailboxError(.trust, "\(error)")
        }
        return store
    }

    /// Nothing is written that ``load(from:)`` would refuse: it would stop every command, also the one that mends it.
    func requireRoom() throws(MailboxError) {
        for (name, text) in contents where text.utf8.count > KeyFileLimits.trustBytes {
            throw MailboxError(
                .trust, "trust/\(name) would have \(text.utf8.count) bytes, of at most \(KeyFileLimits.trustBytes)",
                hint: "nothing was changed; take lines out of it that are of no use any more")
        }
    }

    /// Revocations are written first: a crash in between leaves too little trust, never too much.
    package func save(to home: Home) throws(MailboxError) {
        try requireRoom()
        for (name, text) in contents {
            let path = home.trust.appending(name)
            try onDisk { () throws(FileError) in
                let present = try? home.files.readFile(path, limit: KeyFileLimits.trustBytes)
                if present != Array(text.utf8) { try home.files.writeFile(path, Array(text.utf8)) }
            }
        }
    }

    private var contents: [(name: String, text: String)] {
        let lines = recipients.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
        return [
            ("revoked", Self.revokedHeader + "\n" + revoked.text),
            ("recipients", "# consilium: whom to encrypt to, 'NAME age1...' a line\n" + lines),
            ("allowed_signers", signers.text),
        ]
    }

    private static func read(_ name: String, _ home: Home) throws(MailboxError) -> String {
        let path = home.trust.appending(name)
        do {
            let bytes = try home.files.readFile(path, limit: KeyFileLimits.trustBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw MailboxError(.trust, "\(path) is not text", hint: "restore it from a backup")
            }
            return text
        } catch let error as FileError {
            guard !error.isTransient else { throw MailboxError(error) }
            throw MailboxError(
                .trust, error.description, hint: "restore it from a backup; without it nobody is believed")
        } catch let error as MailboxError {
            throw error
        } catch {
            throw MailboxError(.trust, "\(error)")
        }
    }
}

package import Bundles
import Files
import SystemPackage
package import Wire

/// A home's own keys: `identity/id_ed25519` and `.pub` as OpenSSH writes them, and `identity/age.txt` as age-keygen does.
///
/// Where `identity/agent.pub` lies, an ssh-agent (`SSH_AUTH_SOCK`) holds the private half of that public key and signs. A
/// rotation keeps the key that is to follow as `id_ed25519-next` (or `agent-next.pub`), and one that was replaced as
/// `id_ed25519-until-20260501`, until that day. An age identity that was replaced stays as `age-NAME.txt`: sticks are slow,
/// and what others encrypted to it can be opened as long as it is there.
///
/// Keys made with `ssh-keygen -t ed25519` or `age-keygen` may be laid there before `init`, which then keeps them. Private
/// keys that others may read are refused.
package struct Identity: Sendable {
    /// A key that was replaced and still vouches for what came after it.
    package struct Retired: Sendable {
        package let key: SigningKey
        /// Its last day is over at this time.
        package let until: Timestamp
        /// What its file's name has before `.pub` or the end.
        let suffix: String
    }

    package let signing: SigningKey
    /// Made and announced, and not used for anything else yet.
    package let next: SigningKey?
    package let retired: [Retired]
    package let age: AgeIdentity
    /// Those that were replaced, by name.
    package let replacedAge: [AgeIdentity]
    /// All that may open what comes in, the current one first.
    package var ageIdentities: [AgeIdentity] { [age] + replacedAge }

    /// The key with this public half, if it is here in whatever state.
    package func key(_ publicKey: PublicKey) -> SigningKey? { keys.first { $0.publicKey == publicKey } }

    /// The public halves of all keys that are here, in whatever state.
    package var publicKeys: [PublicKey] { keys.map(\.publicKey) }

    private var keys: [SigningKey] { [signing] + (next.map { [$0] } ?? []) + retired.map(\.key) }

    static let nextSuffix = "-next"
    static let retiredSuffix = "-until-"

    static func keyPath(_ home: Home, _ suffix: String = "") -> FilePath {
        home.identity.appending("id_ed25519" + suffix)
    }
    static func publicPath(_ home: Home, _ suffix: String = "") -> FilePath {
        home.identity.appending("id_ed25519" + suffix + ".pub")
    }
    /// The public key of which an agent holds the other half.
    static func agentPath(_ home: Home, _ suffix: String = "") -> FilePath {
        home.identity.appending("agent" + suffix + ".pub")
    }
    static func agePath(_ home: Home, _ suffix: String = "") -> FilePath {
        home.identity.appending("age" + suffix + ".txt")
    }

    /// Makes the keys that are missing and loads all.
    ///
    /// - Parameter mustSign: false for a key that is lost: an agent that held it may be gone.
    package static func create(in home: Home, mustSign: Bool = true) throws(MailboxError) -> Identity {
        let files = home.files
        try onDisk { () throws(FileError) in
            try files.makeDirectories(home.identity, permissions: 0o700)
            let isThere = try files.exists(keyPath(home)) ? true : try files.exists(agentPath(home))
            if !isThere {
                let key = SigningKey.generate().openSSHPrivateKey(comment: home.name.text)
                try files.writeFile(keyPath(home), key, permissions: 0o600)
            }
            if try !files.exists(agePath(home)) {
                let text = AgeIdentity.generate().identityFile(created: home.record.created)
                try files.writeFile(agePath(home), Array(text.utf8), permissions: 0o600)
            }
        }
        let identity = try load(from: home)
        // What an agent does not hold could sign nothing, and nothing is made for it.
        if mustSign {
            do { try identity.signing.requireUsable() } catch { throw MailboxError(.identity, error) }
        }
        try onDisk { () throws(FileError) in
            if try !files.exists(publicPath(home)) {
                let line = "\(identity.signing.publicKey.openSSHLine) \(home.name)\n"
                try files.writeFile(publicPath(home), Array(line.utf8))
            }
        }
        return identity
    }

    /// Whether there is a signing key, readable or not.
    package static func isThere(in home: Home) throws(MailboxError) -> Bool {
        try onDisk { () throws(FileError) in
            try home.files.exists(keyPath(home)) ? true : try home.files.exists(agentPath(home))
        }
    }

    package static func load(from home: Home) throws(MailboxError) -> Identity {
        if let status = try onDisk({ () throws(FileError) in try home.files.status(home.identity) }),
            status.permissions & 0o022 != 0
        {
            throw MailboxError(
                .identity, "others may write to \(home.identity)", hint: "chmod 700 it, and check the keys in it")
        }
        let names = try onDisk { () throws(FileError) in
            try home.files.list(home.identity).filter { $0.kind == .regular }.map(\.name)
        }
        let present = Set(names)
        guard let signing = try signingKey("", in: home, present) else {
            // Says which file is missing.
            _ = try secret(keyPath(home), home)
            throw MailboxError(.missingKey, "\(keyPath(home)) is missing")
        }
        var retired: [Retired] = []
        for suffix in retiredSuffixes(in: names) {
            // The day itself still counts.
            let day = suffix.dropFirst(retiredSuffix.count).prefix(8)
            guard let until = Timestamp(day: day)?.adding(days: 1), let key = try signingKey(suffix, in: home, present)
            else { continue }
            retired.append(Retired(key: key, until: until, suffix: suffix))
        }
        let age = try ageIdentity(agePath(home), home, orElse: orMakeAnew)
        var replaced: [AgeIdentity] = []
        for name in names where name.hasPrefix("age-") && name.hasSuffix(".txt") {
            replaced.append(
                try ageIdentity(
                    home.identity.appending(name), home,
                    orElse: "without one, move it away: what was encrypted to it then is not opened any more"))
        }
        let next = try signingKey(nextSuffix, in: home, present)
        return Identity(signing: signing, next: next, retired: retired, age: age, replacedAge: replaced)
    }

    private static let orMakeAnew =
        "without one, move it away, and 'consilium key rotate --lost' makes a new one, which the other side has to accept"

    private static func ageIdentity(
        _ path: FilePath, _ home: Home, orElse advice: String
    ) throws(MailboxError) -> AgeIdentity {
        let bytes = try secret(path, home)
        do { return try AgeIdentity(identityFile: bytes) } catch {
            throw MailboxError(.identity, "\(path): \(error)", hint: "restore it from a backup; \(advice)")
        }
    }

    /// The key in one state: an agent's, where its public half was laid there for that, or our own.
    static func signingKey(
        _ suffix: String, in home: Home, _ present: Set<String>
    ) throws(MailboxError) -> SigningKey? {
        let agent = agentPath(home, suffix)
        let own = keyPath(home, suffix)
        do throws(BundleError) {
            if present.contains(agent.lastComponent?.string ?? "") {
                let bytes: [UInt8]
                do {
                    bytes = try home.files.readFile(agent, limit: KeyFileLimits.keyBytes)
                } catch { throw BundleError(error) }
                let key = try PublicKey(openSSHLine: String(decoding: bytes, as: UTF8.self))
                return SigningKey(publicKey: key, agent: .ofEnvironment())
            }
        } catch {
            throw error.cause.map { MailboxError($0) } ?? MailboxError(.identity, "\(agent): \(error)")
        }
        guard present.contains(own.lastComponent?.string ?? "") else { return nil }
        let bytes = try secret(own, home)
        do { return try SigningKey(openSSHPrivateKey: bytes) } catch {
            guard error.reason == .passphraseProtected else {
                throw MailboxError(
                    .identity, "\(own): \(error)", hint: "restore it from a backup; \(orMakeAnew)")
            }
            throw MailboxError(
                .identity, "\(own) is protected by a passphrase, which nobody could type in the night",
                hint:
                    "ssh-add it to an agent and put its public key there as agent.pub instead, or remove the passphrase with "
                    + "ssh-keygen -p")
        }
    }

    private static func retiredSuffixes(in names: [String]) -> [String] {
        let suffixes = names.compactMap { name -> String? in
            if name.hasPrefix("id_ed25519" + retiredSuffix), !name.hasSuffix(".pub") {
                return String(name.dropFirst("id_ed25519".count))
            }
            guard name.hasPrefix("agent" + retiredSuffix), name.hasSuffix(".pub") else { return nil }
            return String(name.dropFirst("agent".count).dropLast(".pub".count))
        }
        return Set(suffixes).sorted()
    }

    static func secret(_ path: FilePath, _ home: Home) throws(MailboxError) -> [UInt8] {
        do {
            return try home.files.readPrivateFile(path, limit: KeyFileLimits.keyBytes)
        } catch {
            // A disk that fails for a moment says nothing about the key.
            guard !error.isTransient else { throw MailboxError(error) }
            let hint =
                error.isMissing
                ? "restore it from a backup; without one, 'consilium key rotate --lost' makes a new one, which the other "
                    + "side has to accept" : nil
            throw MailboxError(error.isMissing ? .missingKey : .identity, error.description, hint: hint)
        }
    }
}

extension Timestamp {
    /// The begin of a day written as `20260501`, in UTC.
    init?(day digits: some StringProtocol) {
        let text = Array(digits)
        guard text.count == 8 else { return nil }
        self.init(rfc3339: "\(String(text[0..<4]))-\(String(text[4..<6]))-\(String(text[6..<8]))T00:00:00Z")
    }

    var dayDigits: String { String(rfc3339.prefix(10).filter { $0 != "-" }) }
}

package import Bundles
import Files
import SystemPackage
import Wire

/// A home's own keys: `identity/id_ed25519` and `.pub` as OpenSSH writes them, and `identity/age.txt` as age-keygen does.
///
/// An age identity that was replaced stays as `identity/age-NAME.txt`: sticks are slow, and what others encrypted to it
/// can be opened as long as it is there.
///
/// Keys made with `ssh-keygen -t ed25519` or `age-keygen` may be laid there before `init`, which then keeps them. Private
/// keys that others may read are refused.
package struct Identity: Sendable {
    package let signing: SigningKey
    package let age: AgeIdentity
    /// Those that were replaced, by name.
    package let replacedAge: [AgeIdentity]
    /// All that may open what comes in, the current one first.
    package var ageIdentities: [AgeIdentity] { [age] + replacedAge }

    private static func keyPath(_ home: Home) -> FilePath { home.identity.appending("id_ed25519") }
    private static func publicPath(_ home: Home) -> FilePath { home.identity.appending("id_ed25519.pub") }
    private static func agePath(_ home: Home) -> FilePath { home.identity.appending("age.txt") }

    /// Makes the keys that are missing and loads all.
    package static func create(in home: Home) throws(MailboxError) -> Identity {
        let files = home.files
        try onDisk { () throws(FileError) in
            try files.makeDirectories(home.identity, permissions: 0o700)
            if try !files.exists(keyPath(home)) {
                let key = SigningKey.generate().openSSHPrivateKey(comment: home.name.text)
                try files.writeFile(keyPath(home), key, permissions: 0o600)
            }
            if try !files.exists(agePath(home)) {
                let text = AgeIdentity.generate().identityFile(created: home.record.created)
                try files.writeFile(agePath(home), Array(text.utf8), permissions: 0o600)
            }
        }
        let identity = try load(from: home)
        try onDisk { () throws(FileError) in
            if try !files.exists(publicPath(home)) {
                let line = "\(identity.signing.publicKey.openSSHLine) \(home.name)\n"
                try files.writeFile(publicPath(home), Array(line.utf8))
            }
        }
        return identity
    }

    package static func load(from home: Home) throws(MailboxError) -> Identity {
        if let status = try onDisk({ () throws(FileError) in try home.files.status(home.identity) }),
            status.permissions & 0o022 != 0
        {
            throw MailboxError(
                .identity, "others may write to \(home.identity)", hint: "chmod 700 it, and check the keys in it")
        }
        let key = try secret(keyPath(home), home)
        let age = try secret(agePath(home), home)
        var replaced: [[UInt8]] = []
        for entry in try onDisk({ () throws(FileError) in try home.files.list(home.identity) })
        where entry.kind == .regular && entry.name.hasPrefix("age-") && entry.name.hasSuffix(".txt") {
            replaced.append(try secret(home.identity.appending(entry.component), home))
        }
        do throws(BundleError) {
            var replacedAge: [AgeIdentity] = []
            for bytes in replaced { replacedAge.append(try AgeIdentity(identityFile: bytes)) }
            return Identity(
                signing: try SigningKey(openSSHPrivateKey: key), age: try AgeIdentity(identityFile: age),
                replacedAge: replacedAge)
        } catch {
            throw MailboxError(.identity, error)
        }
    }

    private static func secret(_ path: FilePath, _ home: Home) throws(MailboxError) -> [UInt8] {
        do {
            return try home.files.readPrivateFile(path, limit: KeyFileLimits.keyBytes)
        } catch {
            // A disk that fails for a moment says nothing about the key.
            guard !error.isTransient else { throw MailboxError(error) }
            let hint =
                error.isMissing
                ? "restore it from a backup; without one, make a new home with init and enrol under a new name" : nil
            throw MailboxError(.identity, error.description, hint: hint)
        }
    }
}

import Bundles
import Configuration
import Federation
package import Files
package import Mailbox
package import SystemPackage
package import Wire

/// Makes a server's home, and its invites.
package enum ServerHome {
    /// Makes the home and its keys. Whatever stops it, the same call finishes it.
    ///
    /// - Parameter federation: drawn at random by the caller; an init that is finished later keeps its first one.
    package static func create(
        at root: FilePath, name: PartyName, federation: RandomID, now: Timestamp, files: any FileSystem
    ) throws -> (home: Home, fingerprint: String) {
        let record = HomeRecord(role: .server, name: name, federation: federation, server: name, created: now)
        var fingerprint = ""
        let home = try Home.create(
            at: root, record: record, configuration: ServerConfiguration.template(name: name), files: files
        ) { home, identity in
            guard let mailbox = try Mailbox.open(home, now: now) else {
                throw ServerError(.notAllowed, "another run holds \(root)", hint: "try again")
            }
            // Its own key too, so that anybody can check the outbox with ssh-keygen and this folder alone.
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                try trust.add(
                    name, role: .server, key: identity.signing.publicKey, ageRecipient: identity.age.recipient)
            }
            fingerprint = identity.signing.publicKey.fingerprint
            try AuditLog(home).append(
                event: "init", subject: home.federation.hex, detail: "\(name) \(fingerprint)", actor: "init", now: now)
            try mailbox.finish()
        }
        return (home, fingerprint)
    }
}

extension ServerRun {
    /// Writes an invite to the outbox. One that still holds is not made twice: the same file is named again.
    ///
    /// - Returns: the invite's path and the fingerprint to read out on the telephone.
    package func invite() throws -> (path: FilePath, fingerprint: String) {
        guard let head = try versions.head() else {
            throw ServerError(
                .missing, "there is no model yet, and an invite names its classes",
                hint: "run 'consilium model import' or 'consilium model init' first")
        }
        let version = try versions.record(head)
        let identity = mailbox.identity
        let invitation = Invitation(
            federation: home.federation, server: home.name, key: identity.signing.publicKey.openSSHLine,
            ageRecipient: identity.age.recipient.description, architecture: version.architecture,
            classes: version.classes, imageSize: version.imageSize)
        let content = SHA256Hash.digest(of: invitation.encoded)
        let same = mailbox.outgoing.filter { $0.kind == .invite && $0.key.hasPrefix("invite/\(content)/") }
        let key: String
        // Half its life must be left, so that nobody is handed one that ends tomorrow.
        if let last = same.last, now.seconds < (last.created.seconds + last.expires.seconds) / 2, !last.isRetired {
            key = last.key
        } else {
            key = "invite/\(content)/\(same.count + 1)"
        }
        let record = try mailbox.send(
            key: key, kind: .invite, to: [], retention: .days(30),
            payload: [.bytes(name: Invitation.fileName, invitation.encoded)])
        try mailbox.publishPending()
        // Whoever asks wants a file, also where the one before was moved out of the outbox.
        try mailbox.layAgain(record)
        try audit("invite", subject: record.id.hex, detail: identity.signing.publicKey.fingerprint)
        try mailbox.finish()
        return (home.outbox.appending(record.name), identity.signing.publicKey.fingerprint)
    }
}

package import Bundles
import Configuration
package import Federation
package import Files
package import Mailbox
package import SystemPackage
package import Wire

/// What the invite said of the model, kept in `trust/invite.json`: a hospital counts its pictures by these classes before it
/// has seen any model.
package enum HomeInvitation {
    private static func path(_ home: Home) -> FilePath { home.trust.appending("invite.json") }

    package static func load(from home: Home) throws -> Invitation {
        let bytes = try home.files.readFile(path(home), limit: FederationLimits.messageBytes)
        do {
            return try Invitation(decoding: bytes)
        } catch {
            throw ClientError(.damaged, "\(path(home)): \(error)", hint: "restore it from a backup")
        }
    }

    static func save(_ invitation: Invitation, to home: Home) throws {
        try home.files.writeFile(path(home), invitation.encoded)
    }
}

/// Makes a hospital's home from a server's invite.
package enum ClientHome {
    /// Under which the mailbox remembers this hospital's enrolment.
    static let enrolmentKey = "enrol"

    /// An invite that is in order; whether the key is the server's is for people to compare.
    package struct CheckedInvite: Sendable {
        package let invitation: Invitation
        package let key: PublicKey
        package let ageRecipient: AgeRecipient
        /// The bundle's id.
        package let id: Digest
        package let created: Timestamp
    }

    /// Verifies an invite against the key that it carries.
    package static func check(_ path: FilePath, now: Timestamp, files: any FileSystem) throws -> CheckedInvite {
        let bundle: VerifiedBundle
        do {
            bundle = try BundleReader.open(path, files: files).verified()
        } catch {
            if let cause = error.cause { throw cause }
            throw ClientError(
                .badInput, "the invite cannot be used: \(error)", hint: "ask the server's admin for a new copy")
        }
        guard bundle.manifest.kind == .invite else {
            throw ClientError(.badInput, "the file is a bundle of kind \(bundle.manifest.kind.rawValue), not an invite")
        }
        guard now <= bundle.manifest.expires else {
            throw ClientError(
                .badInput, "the invite expired on \(bundle.manifest.expires.rfc3339)", hint: "ask for a new one")
        }
        let bytes = try bundle.payload(Invitation.fileName, limit: FederationLimits.messageBytes)
        do {
            let invitation = try Invitation(decoding: bytes)
            let key = try PublicKey(openSSHLine: invitation.key)
            guard key == bundle.signer, invitation.server == bundle.manifest.sender,
                invitation.federation == bundle.manifest.federation
            else {
                throw ClientError(.badInput, "the invite's content is not about the server that signed it")
            }
            return CheckedInvite(
                invitation: invitation, key: key, ageRecipient: try AgeRecipient(invitation.ageRecipient),
                id: bundle.id, created: bundle.manifest.created)
        } catch let error as FederationError {
            throw ClientError(.badInput, "the invite cannot be used: \(error)")
        } catch let error as BundleError {
            throw ClientError(.badInput, "the invite cannot be used: \(error)")
        }
    }

    /// Makes the home, its keys, and the enrolment in its outbox. Whatever stops it, the same call finishes it.
    ///
    /// - Parameter data: the pictures' folder, absolute; nil to be configured later.
    package static func create(
        at root: FilePath, name: PartyName, invite: CheckedInvite, data: FilePath?, contact: String, now: Timestamp,
        files: any FileSystem
    ) throws -> (home: Home, fingerprint: String) {
        let invitation = invite.invitation
        guard name != invitation.server else {
            throw ClientError(.badInput, "\(name) is the server's own name", hint: "choose another one")
        }
        let record = HomeRecord(
            role: .client, name: name, federation: invitation.federation, server: invitation.server, created: now)
        var fingerprint = ""
        let home = try Home.create(
            at: root, record: record,
            configuration: ClientConfiguration.template(name: name, data: data?.string), files: files
        ) { home, identity in
            try HomeInvitation.save(invitation, to: home)
            // A configuration that was laid there before `init` counts already.
            let present = try? ClientConfiguration.load(from: home)
            guard let mailbox = try Mailbox.open(home, now: now, encrypts: present?.encrypt ?? true) else {
                throw ClientError(.notAllowed, "another run holds \(root)", hint: "try again")
            }
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                try trust.add(invitation.server, role: .server, key: invite.key, ageRecipient: invite.ageRecipient)
                // Its own too, so that another one in its place is noticed.
                try trust.add(
                    name, role: .client, key: identity.signing.publicKey, ageRecipient: identity.age.recipient)
            }
            fingerprint = identity.signing.publicKey.fingerprint
            let enrolment = Enrolment(
                name: name, key: identity.signing.publicKey.openSSHLine,
                ageRecipient: identity.age.recipient.description, contact: contact,
                serverKey: invite.key.fingerprint)
            try mailbox.send(
                key: Self.enrolmentKey, kind: .enrol, to: [invitation.server],
                payload: [.bytes(name: Enrolment.fileName, enrolment.encoded)])
            try AuditLog(home).append(
                event: "init", subject: invite.id.hex,
                detail: "\(name) for \(invitation.server), server key \(invite.key.fingerprint)", actor: "init",
                now: now)
            try mailbox.finish()
        }
        return (home, fingerprint)
    }
}

import Bundles
import Files
import SystemPackage
package import Wire

/// Bundles travel encrypted, and only travel so: what is taken in and what was sent lies in the home as the signed archive,
/// in files of mode 0600.
extension Mailbox {
    /// Whom a new bundle is encrypted to: its recipients, and this home itself, so that whoever is responsible here can open
    /// what left the house with the house's own key and age.
    ///
    /// - Parameter strangers: recipients who are nobody in the trust; who is somebody there is looked up there only.
    /// - Returns: nil for a bundle in the clear: where the configuration says so, and an invite, which is for anybody.
    /// - Throws: `trust` if one of them is not known. There is no third way: nothing goes in the clear instead.
    func ageRecipients(
        for parties: [PartyName], strangers: [PartyName: AgeRecipient]
    ) throws(MailboxError) -> [AgeRecipient]? {
        guard encrypts, !parties.isEmpty else { return nil }
        return try knownRecipients(of: parties, strangers: strangers)
    }

    /// The age recipients of these parties and of this home.
    func knownRecipients(
        of parties: [PartyName], strangers: [PartyName: AgeRecipient] = [:]
    ) throws(MailboxError) -> [AgeRecipient] {
        var recipients: [AgeRecipient] = []
        for name in parties {
            let party = trust.party(name)
            guard let recipient = party == nil ? strangers[name] : party?.ageRecipient else {
                throw MailboxError(.trust, Self.missingRecipient(name), hint: Self.recipientHint(name))
            }
            recipients.append(recipient)
        }
        return recipients + [identity.age.recipient]
    }

    /// Why nothing can be sent to this party; nil if it can.
    package func obstacle(to party: PartyName) -> String? {
        Self.obstacle(to: party, from: home, trust, encrypts: encrypts)
    }

    /// The same of a home that cannot be opened yet, since its key is missing.
    package static func obstacle(
        to party: PartyName, from home: Home, _ trust: TrustStore, encrypts: Bool
    ) -> String? {
        if let refusal = refusal(to: [party], from: home, trust) { return "\(refusal)" }
        guard encrypts, trust.party(party)?.ageRecipient == nil else { return nil }
        return "\(missingRecipient(party)) (\(recipientHint(party)))"
    }

    /// A hospital sends nothing to a server of which it believes no key any more: who reads there is not known.
    func refusal(to parties: [PartyName]) -> MailboxError? { Self.refusal(to: parties, from: home, trust) }

    private static func refusal(to parties: [PartyName], from home: Home, _ trust: TrustStore) -> MailboxError? {
        guard home.role == .client, let name = parties.first(where: trust.isWithoutKey) else { return nil }
        return MailboxError(
            .trust, "nothing is sent to \(name): every key of it is revoked here",
            hint: "compare its new key by telephone, then 'consilium key trust'")
    }

    private static func missingRecipient(_ name: PartyName) -> String {
        "nothing is sent to \(name): its age recipient is not in trust/recipients, and bundles do not go in the clear"
    }

    private static func recipientHint(_ name: PartyName) -> String {
        "add the line '\(name) age1...' there, as 'consilium key show' prints it at \(name)"
    }

    // MARK: what is stored

    /// What lies in the outbox of a bundle of ours, byte by byte.
    func travellingPath(_ record: OutgoingRecord) -> FilePath {
        record.isEncrypted ? home.sealedPath(record.id) : home.outgoingPath(record.id)
    }

    /// All that is kept of a bundle of ours until it is retired.
    func storedPaths(_ record: OutgoingRecord) -> [FilePath] {
        record.isEncrypted
            ? [home.outgoingPath(record.id), home.sealedPath(record.id)] : [home.outgoingPath(record.id)]
    }

    /// Lets an update that was made in the clear, and that nobody has taken yet, travel encrypted from now on: the
    /// configuration says so by now, and a server that takes nothing else waits for it. It stays the same signed bundle.
    ///
    /// Where it cannot be encrypted yet, it is kept back until it can. A kill before the ledger is written lets the next run do
    /// it again.
    func seal(_ record: OutgoingRecord) throws(MailboxError) {
        // What is for nobody who is believed waits in silence, like all else.
        guard isToBeSealed(record), refusal(to: record.recipients) == nil else { return }
        if let obstacle = obstacle(to: record.recipients) { return try keepBack(record, obstacle) }
        guard let recipients = try ageRecipients(for: record.recipients, strangers: [:]) else { return }
        do {
            try AgeWriter.encrypt(
                home.outgoingPath(record.id), to: recipients, at: home.sealedPath(record.id), files: files)
            try files.remove(home.outbox.appending(record.name))
        } catch let error as BundleError {
            throw MailboxError(.bundle, error)
        } catch let error as FileError {
            throw MailboxError(error)
        } catch {
            throw MailboxError(.bundle, "\(error)")
        }
        try updateLedger { ledger in
            ledger.outgoing[record.key]?.name = record.name + AgeFile.suffix
            ledger.outgoing[record.key]?.published = nil
        }
    }

    /// Whether it was made in the clear, and is to travel so no more.
    func isToBeSealed(_ record: OutgoingRecord) -> Bool { encrypts && record.kind == .update && !record.isEncrypted }

    /// Takes a bundle out of the outbox, and with the next delivery out of the exchange, until it can go. Who has to add the
    /// line that is missing in the trust is told in each run.
    private func keepBack(_ record: OutgoingRecord, _ obstacle: String) throws(MailboxError) {
        let line = "the update of round \(record.round) is kept back: \(obstacle)"
        // A run brings its outbox in order more than once.
        if !problems.contains(line) { problems.append(line) }
        guard record.published != nil else { return }
        try onDisk { () throws(FileError) in try files.remove(home.outbox.appending(record.name)) }
        try updateLedger { $0.outgoing[record.key]?.published = nil }
    }

    private func obstacle(to parties: [PartyName]) -> String? { parties.lazy.compactMap(obstacle).first }

    // MARK: what comes in

    /// The most bytes that a file in an inbox or an exchange may have.
    static var largestFile: Int64 { AgeFile.largestSize(ofPlaintext: BundleLimits.standard.totalBytes) }

    /// The archive in a spooled file: the file itself, or what was encrypted in it, in the spool too. Its name says nothing.
    ///
    /// The spool is the home's own, local and emptied at the start of each run, so a kill leaves no plaintext for long.
    func signedArchive(in spooled: FilePath) throws(BundleError) -> FilePath {
        try AgeFile.decryptIfNeeded(
            spooled, with: identity.ageIdentities, to: spoolPath(), limit: BundleLimits.standard.totalBytes,
            files: files)
    }

    /// Whether a file's name says that it is on its way to somebody else: whoever copies a whole outbox brings such files,
    /// and encrypted ones tell it by nothing else. Decides only whether a person is told, as names can say anything.
    func isNamedForAnother(_ name: String) -> Bool {
        let name = name.lowercased()
        let isForServers = BundleKind.allCases.contains { $0.isFromClientsOnly && name.hasPrefix($0.rawValue + "-") }
        if isForServers { return home.role == .client }
        return name.contains("-to-") && !name.contains("-to-\(home.name)-")
    }
}

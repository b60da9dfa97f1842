import Bundles
import Files
import SystemPackage
package import Wire

extension Mailbox {
    /// When what was carried away and not acknowledged is offered again, in seconds.
    static let offerAgainAfter: Int64 = 24 * 3600
    /// How long a receipt stays in the outbox, in days.
    static let receiptDays: Int64 = 7

    /// Brings the outbox to what it should hold: finishes what a kill interrupted, retires what was acknowledged or is over,
    /// and offers again what was carried away a day ago without an answer.
    package func publishPending() throws(MailboxError) {
        let present = try outboxNames()
        try noticeForeignHand(among: present)
        var firstError: MailboxError?
        for made in ledger.outgoingInOrder where !made.isRetired {
            do {
                if !isOver(made), !isExpired(made) { try seal(made) }
                let record = ledger.outgoing[made.key] ?? made
                if isOver(record) {
                    try retire { $0.key == record.key }
                } else if isExpired(record) || refusal(to: record.recipients) != nil {
                    try takeBack(record, present)
                } else if record.published == nil || isToBeOfferedAgain(record, present) {
                    try publish(record)
                }
            } catch {
                // One that cannot be published must not keep the others back.
                firstError = firstError ?? error
            }
        }
        try removeRetired(present)
        if let firstError { throw firstError }
    }

    /// Takes bundles out of the outbox, and with the next delivery out of the exchange: they are superseded or withdrawn.
    package func withdraw(where isSuperseded: (OutgoingRecord) -> Bool) throws(MailboxError) {
        try retire(where: isSuperseded)
    }

    /// Makes a receipt for each enrolled party whose bundles nothing else has acknowledged. To be called last, when all else
    /// that this run has to say is sent: at most one for a party and run. Receipts are never acknowledged themselves.
    package func sendReceipts() throws(MailboxError) {
        for party in trust.parties where party.name != home.name {
            guard !ledger.owedAcks(to: [party], limit: 1).isEmpty else { continue }
            // Nobody else's receipt waits for a line that is missing in the trust.
            if let obstacle = obstacle(to: party.name) {
                problems.append(obstacle)
                continue
            }
            // By its number, which no other bundle outside of sessions has. By its time, a second one within the same second
            // would be the first one sent again, and acknowledge nothing.
            try send(
                key: "receipt/\(party.name)/\(ledger.next(in: .none, age: age).seq)", kind: .receipt, to: [party.name],
                retention: .days(Self.receiptDays), payload: [])
        }
    }

    /// Forgets what has been over for long: by the own clock, and by that of somebody whom this run has heard. What a clock that
    /// was wrong for a night made forgotten would come again as new, or as a sign that the home was restored from a backup.
    package func cleanUp() throws(MailboxError) {
        let past = heard.map { min($0, now) }
        if let past { try retire { past > $0.expires } }
        let waiting = Set(open.keys)
        try updateLedger { $0.forget(past: past, waiting: waiting) }
    }

    // MARK: retention

    private func isOver(_ record: OutgoingRecord) -> Bool {
        switch record.retention {
        case .untilAcknowledged: return record.isAcknowledged
        case .untilWithdrawn: return false
        case .days(let days): return now > record.created.adding(days: days)
        }
    }

    /// By the own clock, which may be wrong for a night: it is offered to nobody then, and goes with ``cleanUp()``.
    func isExpired(_ record: OutgoingRecord) -> Bool { now > record.expires }

    /// Bundles of ours that were made while the clock here was ahead, and that nobody takes before their date.
    package var outgoingStillToCome: [OutgoingRecord] {
        ledger.outgoingInOrder.filter {
            !$0.isRetired && !$0.isAcknowledged && $0.created > now.adding(seconds: ClockFloor.tolerance)
        }
    }

    private func isToBeOfferedAgain(_ record: OutgoingRecord, _ present: Set<String>) -> Bool {
        guard let published = record.published, !present.contains(record.name), !record.isAcknowledged else {
            return false
        }
        if case .days = record.retention { return false }
        return abs(now.seconds - published.seconds) >= Self.offerAgainAfter
    }

    /// Nobody knows who reads in the name of whom it is for, or it has expired: it waits in the home until another key is
    /// believed, or the clock is right again.
    private func takeBack(_ record: OutgoingRecord, _ present: Set<String>) throws(MailboxError) {
        if present.contains(record.name) {
            try onDisk { () throws(FileError) in try files.remove(home.outbox.appending(record.name)) }
        }
        try updateLedger { $0.outgoing[record.key]?.published = nil }
    }

    private func retire(where isOver: (OutgoingRecord) -> Bool) throws(MailboxError) {
        let records = ledger.outgoingInOrder.filter { !$0.isRetired && isOver($0) }
        guard !records.isEmpty else { return }
        try updateLedger { ledger in
            for record in records { ledger.outgoing[record.key]?.isRetired = true }
        }
        for record in records { try removeFiles(of: record) }
    }

    private func removeFiles(of record: OutgoingRecord) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            try files.remove(home.outbox.appending(record.name))
            for path in storedPaths(record) { try files.remove(path) }
        }
    }

    /// What a kill left between the record and the removal.
    private func removeRetired(_ present: Set<String>) throws(MailboxError) {
        for record in ledger.outgoingInOrder where record.isRetired && present.contains(record.name) {
            try removeFiles(of: record)
        }
    }

    // MARK: restored backups

    /// `sender`, who is believed, says that they have a bundle of this home's. One that is not remembered was made after the
    /// backup from which this home was restored: its number is taken, and so are those that may be under way.
    ///
    /// Said once for each bundle.
    /// - Parameters:
    ///   - what: the bundle, for people: `the update of round 3`.
    ///   - isRemembered: whether this home knows what the bundle belonged to. If not, the home before it under the same name has
    ///     made it, as far as anybody can tell here: no reason for an alarm, but its numbers are not used again either.
    package func otherSideHas(
        _ id: Digest, describing what: String, says sender: PartyName, isRemembered: Bool
    ) throws(MailboxError) {
        guard ledger.outgoing(id: id) == nil else { return }
        var isNews = false
        let age = age
        try updateLedger { ledger in
            isNews = ledger.noteUnknown(id, from: sender)
            if isNews { ledger.resumeAbove(0, age: age) }
        }
        guard isNews, isRemembered else { return }
        problems.append(
            "\(what), which others have from here, is not known here: this home was restored from a backup, or its key is "
                + "used elsewhere too; numbering goes on above \(ledger.sequenceFloor)\(whatToRepeat)")
    }

    /// A bundle in the outbox with our own signature that this home does not remember: it was made after the backup from which
    /// the home was restored. Its number is taken, and so are those after it that may be under way.
    ///
    /// To be asked before anything is numbered; looks once in a run.
    ///
    /// - Parameter listed: the outbox's names, where they are known already.
    func noticeForeignHand(among listed: Set<String>? = nil) throws(MailboxError) {
        guard !hasLookedForForeignHand else { return }
        let present: Set<String>
        if let listed { present = listed } else { present = try outboxNames() }
        hasLookedForForeignHand = true
        let known = Set(ledger.outgoing.values.map(\.name))
        // So few are opened that a folder full of them holds up no run; those that bear this home's name first.
        let foreign = FolderTour().order(present.subtracting(known).filter(Self.isBundleName).sorted())
        let own = foreign.filter { $0.contains("-\(home.name)-") }
        let others = foreign.filter { !$0.contains("-\(home.name)-") }
        for name in (own + others).prefix(Self.foreignFilesPerRun) {
            let status = try? files.status(home.outbox.appending(name))
            guard let size = status?.size, size <= Self.largestFile, hasRoom(for: size) else { continue }
            // An encrypted one opens because it was encrypted to this home too.
            guard let path = try? signedArchive(in: home.outbox.appending(name)) else { continue }
            defer { if path.starts(with: home.spool) { try? files.remove(path) } }
            guard let bundle = try? BundleReader.open(path, files: files),
                ownKeys.contains(bundle.signer), let manifest = try? bundle.manifest(),
                manifest.federation == home.federation, manifest.seq > ledger.sequenceFloor
            else { continue }
            let id = SHA256Hash.digest(of: bundle.manifestBytes)
            guard ledger.outgoing(id: id) == nil else { continue }
            var hasJumped = false
            let age = age
            try updateLedger { hasJumped = $0.resumeAbove(manifest.seq, age: age) }
            guard hasJumped else { continue }
            problems.append(
                "outbox/\(name) was made here but is not remembered: this home was restored from a backup; numbering goes "
                    + "on above \(ledger.sequenceFloor); remove the file once it was carried\(whatToRepeat)")
        }
    }

    private func outboxNames() throws(MailboxError) -> Set<String> {
        try onDisk { () throws(FileError) in Set(try files.list(home.outbox).map(\.name)) }
    }

    private static let foreignFilesPerRun = 32

    static func isBundleName(_ name: String) -> Bool {
        !name.hasPrefix(".") && (name.hasSuffix(".tar") || name.hasSuffix(".tar" + AgeFile.suffix))
    }
}

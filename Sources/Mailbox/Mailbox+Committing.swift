package import Bundles
import Files
import SystemPackage
import Wire

extension Mailbox {
    /// Moves a delivery's bundle to its place in the archive, before any other state refers to it there.
    ///
    /// A kill after it does no harm: the bundle is delivered again and archived over itself.
    /// - Returns: the bundle at `archive/<id>.tar`.
    @discardableResult
    package func archive(_ delivery: VerifiedDelivery) throws(MailboxError) -> VerifiedBundle {
        let target = home.archived(delivery.id)
        guard let bundle = open[delivery.id]?.bundle else { return delivery.bundle.moved(to: target) }
        guard bundle.path != target else { return bundle }
        try onDisk { () throws(FileError) in try files.move(from: bundle.path, to: target) }
        let moved = bundle.moved(to: target)
        open[delivery.id]?.bundle = moved
        return moved
    }

    /// Settles a delivery: first the file's new place, then one write of the ledger, then the inbox. A kill in between makes
    /// it come again, and the same answer leads to the same state. What is never committed comes again with the next run.
    ///
    /// - Parameters:
    ///   - reason: of a rejection, for quarantine.
    ///   - isAcknowledged: false for what its sender is to keep, to send it once more as it should be.
    package func commit(
        _ delivery: VerifiedDelivery, _ verdict: Verdict, as reason: RefusalReason = .rejected,
        isAcknowledged: Bool = true
    ) throws(MailboxError) {
        guard var pending = open[delivery.id] else { return }
        let verdict = try bounded(verdict, for: delivery)
        var outcome = IncomingRecord.Outcome.accepted
        switch verdict {
        case .accepted:
            try archive(delivery)
        case .rejected(let detail):
            outcome = .rejected
            try putAway(
                pending.bundle.path, name: delivery.inboxName, digest: delivery.id,
                reason: reason.rawValue, detail: detail)
        case .held:
            outcome = .held
            let target = home.heldPath(delivery.id)
            if pending.bundle.path != target {
                try onDisk { () throws(FileError) in try files.move(from: pending.bundle.path, to: target) }
                pending.bundle = pending.bundle.moved(to: target)
            }
        case .ignored:
            outcome = .ignored
        }
        try record(
            delivery, outcome, verdict, isAcknowledged: isAcknowledged, hasCome: !pending.sources.isEmpty)
        open[delivery.id] = nil
        if outcome == .ignored { return ignored.append(pending) }
        clean(pending.sources)
        try settleIgnored()
    }

    /// Writes down what was ignored, and cleans it away. Many small bundles, such as receipts, make one write of the ledger
    /// that way: with the next bundle of another kind, or here.
    func settleIgnored() throws(MailboxError) {
        guard !ignored.isEmpty else { return }
        try updateLedger { _ in }
        for pending in ignored {
            do { try files.remove(pending.bundle.path) } catch { problems.append(error.description) }
            clean(pending.sources)
        }
        ignored = []
    }

    /// One party cannot fill the disk with bundles that wait.
    private func bounded(_ verdict: Verdict, for delivery: VerifiedDelivery) throws(MailboxError) -> Verdict {
        guard case .held = verdict, ledger.held[delivery.id] == nil else { return verdict }
        if delivery.manifest.kind == .enrol {
            let strangers = ledger.held.values.count { $0.kind == .enrol }
            guard strangers < HoldingLimits.enrolments else {
                return .rejected("\(strangers) enrolments wait for room already")
            }
        }
        let waiting = ledger.held.values.filter { $0.fingerprint == delivery.signer.fingerprint }
        guard waiting.count < HoldingLimits.earlyPerKey else {
            return .rejected("\(waiting.count) early bundles of \(delivery.sender) wait already")
        }
        // One always may, whatever its size.
        guard !waiting.isEmpty else { return verdict }
        let bytes = try onDisk { () throws(FileError) in
            var bytes: Int64 = 0
            for path in waiting.map({ home.heldPath($0.id) }) + [delivery.bundle.path] {
                bytes += try files.status(path)?.size ?? 0
            }
            return bytes
        }
        guard bytes > HoldingLimits.earlyBytesPerKey else { return verdict }
        return .rejected("the early bundles of \(delivery.sender) would take \(bytes) bytes")
    }

    /// - Parameter hasCome: its file lay in the inbox, as against what waited here and is only judged anew.
    private func record(
        _ delivery: VerifiedDelivery, _ outcome: IncomingRecord.Outcome, _ verdict: Verdict, isAcknowledged: Bool,
        hasCome: Bool
    ) throws(MailboxError) {
        let manifest = delivery.manifest
        let previous = ledger.incoming[delivery.id]
        let isOwed =
            previous.map { $0.owesAck || $0.acknowledged == nil || hasCome && $0.isToBeToldAgain(now: now) } ?? true
        let entry = IncomingRecord(
            id: delivery.id, kind: manifest.kind, sender: delivery.sender, signer: delivery.signer.fingerprint,
            session: manifest.session, round: manifest.round, seq: manifest.seq, received: previous?.received ?? now,
            expires: manifest.expires, outcome: outcome,
            owesAck: isAcknowledged && manifest.kind != .receipt && isOwed, acknowledged: previous?.acknowledged)
        var hold: HeldBundle?
        if case .held(let reason) = verdict {
            hold = heldRecord(
                delivery.bundle, cause: .early, reason: reason, cameInTheClear: delivery.cameInTheClear)
        }
        // A bundle for several parties acknowledges to all of them, so that strange digests say nothing.
        let isForUsOnly = manifest.recipients == [home.name]
        var resumed: Int64?
        let age = age
        try updateLedger(isSavedLater: outcome == .ignored) { ledger in
            ledger.incoming[delivery.id] = entry
            ledger.held[delivery.id] = hold
            guard !delivery.isSelfSigned else { return }
            let unknown = ledger.note(acks: manifest.acks, from: delivery.sender, isForUsOnly: isForUsOnly)
            guard !unknown.isEmpty else { return }
            if ledger.resumeAbove(0, age: age) { resumed = ledger.sequenceFloor }
        }
        if !delivery.isSelfSigned {
            clock.raise(to: manifest.created, now: now)
            hear(manifest)
        }
        if let resumed {
            problems.append(
                "\(delivery.sender) has received bundles from here that this home does not know of: it was restored from a "
                    + "backup, or its key is used elsewhere too; numbering goes on above \(resumed)\(whatToRepeat)")
        }
    }

    /// Somebody who is believed signed this, and not after our own clock's today.
    func hear(_ manifest: Manifest) { heard = max(heard ?? manifest.created, manifest.created) }

    /// Removes files from the inbox, unless somebody replaced them meanwhile. What cannot be removed is a duplicate in the
    /// next run and does no harm.
    func clean(_ sources: [InboxFile]) {
        for file in sources {
            let path = home.inbox.appending(file.component)
            do {
                guard let status = try files.status(path), status.kind == .regular, status.size == file.size,
                    status.modified == file.modified
                else { continue }
                try files.remove(path)
            } catch {
                problems.append("\(error)")
            }
        }
    }
}

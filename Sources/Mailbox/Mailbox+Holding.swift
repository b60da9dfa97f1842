import Bundles
import Files
import SystemPackage
import Wire

/// Bundles that wait in `mailbox/held/`: of strangers until their enrolment, of known parties until their session.
extension Mailbox {
    /// Gives out, or gives up, what waited.
    func receiveHeld(retryEarly: Bool, _ pass: inout ReceivingPass) throws(MailboxError) {
        let known = Set(trust.signers.entries.map(\.key.fingerprint) + trust.revoked.keys.map(\.fingerprint))
        for record in held {
            let isTooOld = now > record.since.adding(seconds: HoldingLimits.seconds)
            let isDue = record.cause == .early ? retryEarly : known.contains(record.fingerprint)
            if isTooOld || isDue { try receive(record, isTooOld: isTooOld, &pass) }
        }
    }

    private func receive(_ record: HeldBundle, isTooOld: Bool, _ pass: inout ReceivingPass) throws(MailboxError) {
        let id = record.id
        do {
            let unverified = try BundleReader.open(try heldFile(id), files: files)
            let manifest = try unverified.manifest()
            if isTooOld {
                let detail = "it waited 30 days: \(record.reason)"
                try refuse(unverified.path, unverified, manifest, "held.tar", .heldTooLong, detail, &pass)
                pass.changes.append { $0.held[id] = nil }
                return
            }
            switch admission(manifest, id: id, signer: unverified.signer) {
            case .hold: return
            case .deliver(let isSelfSigned):
                deliver(
                    try unverified.verified(), name: "held.tar", isSelfSigned: isSelfSigned, sources: [], wasHeld: true,
                    cameInTheClear: record.cameInTheClear, &pass)
            case .duplicate, .discard:
                pass.changes.append { $0.held[id] = nil }
            case .refuse(let reason, let detail):
                try refuse(unverified.path, unverified, manifest, "held.tar", reason, detail, &pass)
                pass.changes.append { $0.held[id] = nil }
            case .equivocation(let first):
                try alarm(manifest, first: first, second: id, &pass)
                let detail = "another bundle of \(manifest.sender) has the number \(manifest.seq) too: \(first.short)"
                try refuse(unverified.path, unverified, manifest, "held.tar", .equivocation, detail, &pass)
                pass.changes.append { $0.held[id] = nil }
            }
        } catch let error as BundleError {
            if let cause = error.cause, !cause.isMissing { throw MailboxError(cause) }
            problems.append("a bundle held from \(record.sender) is damaged or gone and was given up: \(id.short)")
            pass.changes.append { $0.held[id] = nil }
        } catch let error as MailboxError {
            throw error
        } catch {
            throw MailboxError(.bundle, "\(error)")
        }
    }

    /// A run that was killed while it committed the bundle has moved it to the archive already.
    private func heldFile(_ id: Digest) throws(MailboxError) -> FilePath {
        let isThere = try onDisk { () throws(FileError) in try files.exists(home.heldPath(id)) }
        return isThere ? home.heldPath(id) : home.archived(id)
    }

    /// - Parameters:
    ///   - others: what came before it, and does not wait yet.
    ///   - isFetched: it lies here already, and would be lost for want of room, so that it may take more of it.
    /// - Returns: why a stranger's bundle cannot wait here, if it cannot.
    func holdObstacle(
        to claim: HoldingClaim, besides others: [HoldingClaim], isFetched: Bool
    ) throws(MailboxError) -> String? {
        let count = ledger.held.count + others.count
        if count >= HoldingLimits.bundles { return "\(count) bundles of strangers wait already" }
        let own =
            ledger.held.values.count { $0.fingerprint == claim.fingerprint }
            + others.count { $0.fingerprint == claim.fingerprint }
        if own >= HoldingLimits.bundlesPerKey { return "\(own) bundles of this unknown key wait already" }
        let waiting = try onDisk { () throws(FileError) in
            var sum: Int64 = 0
            for id in ledger.held.keys { sum += try files.status(home.heldPath(id))?.size ?? 0 }
            return sum
        }
        let all = claim.bytes + others.reduce(waiting) { $0 + $1.bytes }
        if all > HoldingLimits.bytes { return "strangers' bundles would take \(all) bytes" }
        guard !isFetched || claim.bytes > Self.smallBytes else { return nil }
        let room = Quarantine.room(of: home, holding: waiting)
        guard all / (isFetched ? HoldingLimits.fetchedShare : 1) > room else { return nil }
        return "strangers' bundles would take \(all) bytes, for which this disk has too little room"
    }

    func heldRecord(
        _ bundle: VerifiedBundle, cause: HeldBundle.Cause, reason: String, cameInTheClear: Bool
    ) -> HeldBundle {
        HeldBundle(
            id: bundle.id, kind: bundle.manifest.kind, sender: bundle.manifest.sender,
            fingerprint: bundle.signer.fingerprint, since: ledger.held[bundle.id]?.since ?? now, cause: cause,
            reason: reason, cameInTheClear: cameInTheClear)
    }
}

/// A stranger's bundle that is to wait.
struct HoldingClaim {
    let fingerprint: String
    /// Of the file.
    let bytes: Int64
}

/// How much may wait for an enrolment or a session, and for how long.
enum HoldingLimits {
    static let seconds: Int64 = 30 * 86_400
    static let bundles = 256
    /// Of a stranger.
    static let bundlesPerKey = 16
    /// Of a known party.
    static let earlyPerKey = 64
    static let earlyBytesPerKey: Int64 = 8 << 30
    /// Of all keys together: anybody can make as many keys as he likes.
    static let enrolments = 64
    /// Of all strangers together.
    static let bytes: Int64 = 2 << 30
    /// How many times the room that is for what is still to be fetched there is for what lies here already: half of the disk.
    /// There is always room for messages, of which there are only ``bundles``.
    static let fetchedShare: Int64 = 2
}

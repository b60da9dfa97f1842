import Bundles
import Files
import SystemPackage
import Wire

/// What becomes of a bundle whose signature is good: it is given out, held, put away or cleaned up.
extension Mailbox {
    /// - Parameter original: the spooled copy as it came, which is what quarantine keeps: perhaps still encrypted.
    func sort(
        _ unverified: UnverifiedBundle, manifest: Manifest, from file: InboxFile, original: FilePath,
        _ pass: inout ReceivingPass
    ) throws {
        let id = SHA256Hash.digest(of: unverified.manifestBytes)
        let isInTheClear = original == unverified.path
        if let first = open[id]?.bundle.signer {
            // The same bundle a second time in this run: cleaned together with the first. But anybody can sign a manifest
            // that passes by with a key of his own: such a twin waits for a run of its own.
            guard first == unverified.signer else { return }
            open[id]?.sources.append(file)
            if !isInTheClear { pass.notePrivacy(of: id) }
            return
        }
        if let held = ledger.held[id], held.fingerprint == unverified.signer.fingerprint {
            if held.cameInTheClear, !isInTheClear { pass.changes.append { $0.held[id]?.cameInTheClear = false } }
            return pass.finished.append(file)
        }
        switch admission(manifest, id: id, signer: unverified.signer) {
        case .duplicate:
            let now = now
            pass.changes.append { $0.sawAgain(id, now: now) }
            pass.finished.append(file)
        case .discard:
            pass.finished.append(file)
        case .refuse(let reason, let detail):
            // For whom there is no room until something is forgotten: its word is what lets it be.
            if reason == .tooMany { hear(manifest) }
            try refuse(original, unverified, manifest, file.name, reason, detail, &pass)
            pass.finished.append(file)
        case .equivocation(let first):
            try alarm(manifest, first: first, second: id, &pass)
            let detail =
                "another bundle of \(manifest.sender) has the number \(manifest.seq) too: \(first.short); both are signed by "
                + unverified.signer.fingerprint
            try refuse(original, unverified, manifest, file.name, .equivocation, detail, &pass)
            pass.finished.append(file)
        case .hold(let reason):
            // A twin holds the one place for this id; which of the two is real shows once its key is known.
            guard ledger.held[id] == nil, !pass.received.held.contains(where: { $0.id == id }) else { return }
            let bundle = try unverified.verified()
            let size = try onDisk { () throws(FileError) in try files.status(bundle.path)?.size ?? 0 }
            let claim = HoldingClaim(fingerprint: bundle.signer.fingerprint, bytes: size)
            if let refusal = try holdObstacle(to: claim, besides: pass.claims, isFetched: true) {
                try refuse(original, unverified, manifest, file.name, .heldTooMany, refusal, &pass)
            } else {
                let record = heldRecord(
                    bundle, cause: .unknownKey, reason: reason, cameInTheClear: isInTheClear)
                try onDisk { () throws(FileError) in try files.move(from: bundle.path, to: home.heldPath(id)) }
                pass.changes.append { $0.held[id] = record }
                pass.received.held.append(record)
                pass.claims.append(claim)
            }
            pass.finished.append(file)
        case .deliver(let isSelfSigned):
            deliver(
                try unverified.verified(), name: file.name, isSelfSigned: isSelfSigned, sources: [file], wasHeld: false,
                cameInTheClear: isInTheClear, &pass)
        }
    }

    /// The rules, and the same number once more among this run's own deliveries.
    func admission(_ manifest: Manifest, id: Digest, signer: PublicKey) -> Admission {
        var admission = rules.judge(manifest, id: id, signer: signer)
        if case .deliver = admission {
            let rival = open.values.first {
                $0.bundle.signer == signer && $0.bundle.manifest.session == manifest.session
                    && $0.bundle.manifest.seq == manifest.seq
            }
            if let rival { admission = .equivocation(first: rival.bundle.id) }
        }
        // Nobody is accused by another's key: whose name stands in an enrolment is its maker's choice.
        guard case .equivocation(let first) = admission,
            !trust.signers.entries(for: signer).contains(where: { $0.principal == manifest.sender })
        else { return admission }
        return .refuse(
            .equivocation,
            "its key \(signer.fingerprint) has signed another bundle with the number \(manifest.seq): \(first.short)")
    }

    func deliver(
        _ bundle: VerifiedBundle, name: String, isSelfSigned: Bool, sources: [InboxFile], wasHeld: Bool,
        cameInTheClear: Bool, _ pass: inout ReceivingPass
    ) {
        open[bundle.id] = PendingDelivery(bundle: bundle, sources: sources)
        pass.received.deliveries.append(
            VerifiedDelivery(
                bundle: bundle, inboxName: Quarantine.printable(name), isSelfSigned: isSelfSigned, wasHeld: wasHeld,
                cameInTheClear: cameInTheClear))
    }

    func refuse(
        _ file: FilePath, _ bundle: UnverifiedBundle, _ manifest: Manifest, _ name: String, _ reason: RefusalReason,
        _ detail: String, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        let detail = detail.beginning(bytes: Refusal.detailBytes)
        let isNew = try putAway(
            file, name: name, digest: bundle.id, reason: reason.rawValue, detail: detail,
            signer: bundle.signer.fingerprint, alarms: pass.received.alarms)
        // Its sender may not know yet, and sends it again; whoever reads quarantine/ has removed it meanwhile.
        let told = reason == .revoked ? try AuditLog(home).recent("refused", subject: bundle.id.hex) : []
        let owners = trust.signers.entries(for: bundle.signer).map(\.principal)
        pass.received.refusals.append(
            Refusal(
                name: Quarantine.printable(name), reason: reason, detail: detail, sender: manifest.sender,
                subject: bundle.id, file: nil, signer: bundle.signer.fingerprint,
                trusted: owners.contains(manifest.sender) ? .sender : owners.isEmpty ? .nobody : .somebodyElse,
                isRepeated: !isNew || !told.isEmpty))
    }

    /// Puts a file into quarantine, or only a note of it where there is no room, and keeps quarantine within its bounds at
    /// once: what comes in one run can be more than the disk.
    ///
    /// - Parameter alarms: those of this run, whose bundles go last.
    /// - Returns: whether it is the first of its kind there.
    @discardableResult
    func putAway(
        _ file: FilePath, name: String, digest: Digest, reason: String, detail: String, signer: String? = nil,
        alarms: [Equivocation] = []
    ) throws(MailboxError) -> Bool {
        let quarantine = Quarantine(home: home)
        let size = try onDisk { () throws(FileError) in try files.status(file)?.size ?? 0 }
        let isNew = try quarantine.take(
            file, size: size, name: name, digest: digest, reason: reason, detail: detail, signer: signer,
            now: now)
        if size > Self.smallBytes { try quarantine.prune(keeping: ledger.evidence + [alarms.map(\.second)]) }
        return isNew
    }

    func alarm(
        _ manifest: Manifest, first: Digest, second: Digest, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        let alarm = Equivocation(
            sender: manifest.sender, session: manifest.session, seq: manifest.seq, first: first, second: second)
        guard ledger.accepts(alarm, after: pass.received.alarms) else { return }
        pass.received.alarms.append(alarm)
        pass.changes.append { $0.equivocations.append(alarm) }
    }
}

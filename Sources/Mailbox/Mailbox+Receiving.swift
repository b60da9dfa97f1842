import Bundles
import Files
import SystemPackage
import Wire

extension Mailbox {
    /// How many files one run looks at. A flood is worked off over several runs.
    static let filesPerRun = 1000
    /// What is always tried: a message has less.
    private static let smallBytes: Int64 = 1 << 20
    /// Room on our own disk that no larger file is given.
    private static let reservedBytes: Int64 = 32 << 20
    /// How many names of a folder are read; beyond that the system chooses whose turn it is.
    static let namesPerRun = 100_000

    /// Looks at everything in the inbox, and at held bundles whose time has come.
    ///
    /// Each file is opened without following links or blocking, copied to the local spool under a cap, and not read again at
    /// its own place. The copy must be a whole bundle, or one encrypted to this home; one that is neither may still be growing
    /// and is left alone until it has settled. What passes the mailbox's rules is given out; all else is cleaned up here,
    /// after one write of the ledger.
    ///
    /// - Parameter retryEarly: also gives out bundles that were committed as ``Verdict/held(_:)`` before.
    package func receive(retryEarly: Bool = false) throws(MailboxError) -> Received {
        // First: what was put away must not take the room of what comes.
        try Quarantine(home: home).prune()
        var pass = ReceivingPass(settling: Settling.load(from: home.settlingPath, files: files))
        let before = pass.settling
        try receiveHeld(retryEarly: retryEarly, &pass)
        let entries = try inboxEntries(&pass)
        for entry in entries.prefix(Self.filesPerRun) { try take(entry, &pass) }
        pass.received.remaining = max(0, entries.count - Self.filesPerRun)

        let changes = pass.changes
        try updateLedger { ledger in
            for change in changes { change(&ledger) }
        }
        clean(pass.finished)
        for file in pass.finished { pass.settling.forget(file.name) }
        if pass.settling != before { try pass.settling.save(to: home.settlingPath, files: files) }
        pass.received.deliveries.sort {
            ($0.sender, $0.manifest.session, $0.manifest.seq, $0.id)
                < ($1.sender, $1.manifest.session, $1.manifest.seq, $1.id)
        }
        return pass.received
    }

    /// Whether a file can be copied here, and decrypted into a second copy, so that others still find room after it. What one
    /// sender lays down must not end the run before it comes to the others.
    func hasRoom(for size: Int64) -> Bool {
        guard size > Self.smallBytes, let volume = try? files.volume(of: home.root) else { return true }
        return size <= (volume.available - Self.reservedBytes) / 2
    }

    // MARK: looking

    /// The regular files of the inbox, in the order of this run. Unfinished and hidden ones are other programs' business.
    private func inboxEntries(_ pass: inout ReceivingPass) throws(MailboxError) -> [DirectoryEntry] {
        let all = try onDisk { () throws(FileError) in try files.list(home.inbox, limit: Self.namesPerRun) }
        pass.settling.keep(only: Set(all.map(\.name)))
        var regular: [DirectoryEntry] = []
        for entry in all where !entry.name.hasPrefix(".") && !TemporaryName.isUnfinished(entry.name) {
            if entry.kind == .regular {
                regular.append(entry)
            } else if pass.settling.report(entry.name) {
                problems.append("inbox/\(Quarantine.printable(entry.name)) is not a plain file and was not opened")
            }
        }
        guard regular.count > Self.filesPerRun else { return regular }
        // Mixed anew in each run, so that whoever floods the inbox does not choose who waits.
        return mixed(regular)
    }

    func mixed(_ entries: [DirectoryEntry]) -> [DirectoryEntry] {
        let salt = Array("\(now.seconds)/".utf8)
        return entries.map { (SHA256Hash.digest(of: salt + Array($0.name.utf8)), $0) }
            .sorted { $0.0 < $1.0 }.map(\.1)
    }

    private func take(_ entry: DirectoryEntry, _ pass: inout ReceivingPass) throws(MailboxError) {
        let path = home.inbox.appending(entry.component)
        let limit = Self.largestFile
        let spooled = spoolPath()
        let file: InboxFile
        do {
            guard let status = try files.status(path), status.kind == .regular else { return }
            file = InboxFile(component: entry.component, size: status.size, modified: status.modified)
            guard status.size <= limit else {
                if pass.settling.report(entry.name) {
                    problems.append(
                        "inbox/\(Quarantine.printable(entry.name)) has more than \(limit) bytes and was not read")
                }
                return
            }
            guard hasRoom(for: status.size) else {
                if pass.settling.report(entry.name) {
                    problems.append(
                        "inbox/\(Quarantine.printable(entry.name)) has \(status.size) bytes, for which this disk has no room; it "
                            + "is left where it is")
                }
                return
            }
            try files.copyFile(from: path, to: spooled, permissions: 0o600, limit: limit)
        } catch {
            // Trouble with this one file must not keep the others waiting; trouble with our own disk stops the run.
            guard error.path == path else { throw MailboxError(error) }
            if !error.isMissing { problems.append(error.description) }
            return
        }
        var archive = spooled
        do {
            archive = try signedArchive(in: spooled)
            let unverified = try BundleReader.open(archive, files: files)
            try sort(unverified, manifest: try unverified.manifest(), from: file, original: spooled, &pass)
        } catch let error as BundleError {
            if let cause = error.cause { throw MailboxError(cause) }
            try settle(file, spooled, error, &pass)
        } catch let error as MailboxError {
            throw error
        } catch {
            throw MailboxError(.bundle, "\(error)")
        }
        // What was given out stays until it is committed; of all else the copies have served.
        for path in archive == spooled ? [spooled] : [spooled, archive]
        where !open.values.contains(where: { $0.bundle.path == path }) {
            try onDisk { () throws(FileError) in try files.remove(path) }
        }
    }

    /// A file that does not verify: waits, or has settled and goes into quarantine, as it came.
    ///
    /// One that is encrypted to others waits for nothing: whatever may still follow, its header is there and is not for us.
    private func settle(
        _ file: InboxFile, _ spooled: FilePath, _ error: BundleError, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        if let part = try onDisk({ () throws(FileError) in try PartHeader.read(spooled, files: files) }) {
            if pass.settling.report(file.name) {
                problems.append(
                    "inbox/\(Quarantine.printable(file.name)) is \(part): 'consilium bundle join \(home.inbox)' makes the file "
                        + "again; remove the parts then")
            }
            return
        }
        let content = try onDisk { () throws(FileError) in try SHA256Hash.digest(of: spooled, files: files) }
        let isForOthers = error.reason == .notForThisIdentity
        if !isForOthers {
            guard pass.settling.observe(file.name, size: content.size, digest: content.digest, now: now) else {
                pass.received.settling += 1
                return
            }
        }
        guard Quarantine(home: home).hasRoom(for: content.size) else {
            if pass.settling.report(file.name) {
                problems.append(
                    "inbox/\(Quarantine.printable(file.name)) is no bundle for here (\(error.reason.rawValue)) and too large for "
                        + "quarantine/; it is left where it is")
            }
            return
        }
        let reason: RefusalReason =
            !isForOthers ? .notABundle : isNamedForAnother(file.name) ? .wrongRecipient : .notForThisIdentity
        let isNew = try Quarantine(home: home).take(
            spooled, name: file.name, digest: content.digest,
            reason: isForOthers ? reason.rawValue : error.reason.rawValue, detail: error.detail, now: now)
        let advice = "; was it meant for \(home.name), its sender has an old age recipient of it"
        pass.received.refusals.append(
            Refusal(
                name: Quarantine.printable(file.name), reason: reason,
                detail: "\(error.reason.rawValue): \(error.detail)" + (reason == .notForThisIdentity ? advice : ""),
                sender: nil, id: nil, isRepeated: !isNew))
        pass.finished.append(file)
    }

    // MARK: sorting

    /// - Parameter original: the spooled copy as it came, which is what quarantine keeps: perhaps still encrypted.
    private func sort(
        _ unverified: UnverifiedBundle, manifest: Manifest, from file: InboxFile, original: FilePath,
        _ pass: inout ReceivingPass
    ) throws {
        let id = SHA256Hash.digest(of: unverified.manifestBytes)
        if let first = open[id]?.bundle.signer {
            // The same bundle a second time in this run: cleaned together with the first. But anybody can sign a manifest
            // that passes by with a key of his own: such a twin waits for a run of its own.
            if first == unverified.signer { open[id]?.sources.append(file) }
            return
        }
        if ledger.held[id]?.fingerprint == unverified.signer.fingerprint { return pass.finished.append(file) }
        switch admission(manifest, id: id, signer: unverified.signer) {
        case .duplicate:
            let now = now
            pass.changes.append { $0.sawAgain(id, now: now) }
            pass.finished.append(file)
        case .discard:
            pass.finished.append(file)
        case .refuse(let reason, let detail):
            try refuse(original, manifest, id, file.name, reason, detail, &pass)
            pass.finished.append(file)
        case .equivocation(let first):
            try alarm(manifest, first: first, second: id, &pass)
            let detail = "another bundle of \(manifest.sender) has the number \(manifest.seq) too: \(first.short)"
            try refuse(original, manifest, id, file.name, .equivocation, detail, &pass)
            pass.finished.append(file)
        case .hold(let reason):
            // A twin holds the one place for this id; which of the two is real shows once its key is known.
            guard ledger.held[id] == nil, !pass.received.held.contains(where: { $0.id == id }) else { return }
            let bundle = try unverified.verified()
            if let refusal = try holdRefusal(bundle, pass) {
                try refuse(original, manifest, id, file.name, .heldTooMany, refusal, &pass)
            } else {
                let record = heldRecord(bundle, cause: .unknownKey, reason: reason)
                try onDisk { () throws(FileError) in try files.move(from: bundle.path, to: home.heldPath(id)) }
                pass.changes.append { $0.held[id] = record }
                pass.received.held.append(record)
            }
            pass.finished.append(file)
        case .deliver(let isSelfSigned):
            deliver(
                try unverified.verified(), name: file.name, isSelfSigned: isSelfSigned, sources: [file], wasHeld: false,
                &pass)
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
        // A stranger accuses nobody: whose name stands in his enrolment is his own choice.
        guard case .equivocation(let first) = admission, trust.signers.entries(for: signer).isEmpty else {
            return admission
        }
        return .refuse(
            .equivocation, "its key has signed another enrolment with the number \(manifest.seq): \(first.short)")
    }

    func deliver(
        _ bundle: VerifiedBundle, name: String, isSelfSigned: Bool, sources: [InboxFile], wasHeld: Bool,
        _ pass: inout ReceivingPass
    ) {
        open[bundle.id] = PendingDelivery(bundle: bundle, sources: sources)
        pass.received.deliveries.append(
            VerifiedDelivery(
                bundle: bundle, inboxName: Quarantine.printable(name), isSelfSigned: isSelfSigned, wasHeld: wasHeld))
    }

    func refuse(
        _ file: FilePath, _ manifest: Manifest, _ id: Digest, _ name: String, _ reason: RefusalReason,
        _ detail: String, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        try Quarantine(home: home).take(
            file, name: name, digest: id, reason: reason.rawValue, detail: detail, now: now)
        pass.received.refusals.append(
            Refusal(
                name: Quarantine.printable(name), reason: reason, detail: detail, sender: manifest.sender, id: id))
    }

    func alarm(
        _ manifest: Manifest, first: Digest, second: Digest, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        let alarm = Equivocation(
            sender: manifest.sender, session: manifest.session, seq: manifest.seq, first: first, second: second)
        guard !ledger.equivocations.contains(alarm), !pass.received.alarms.contains(alarm) else { return }
        pass.received.alarms.append(alarm)
        pass.changes.append { $0.equivocations.append(alarm) }
    }
}

/// What one call of ``Mailbox/receive(retryEarly:)`` gathers before it writes.
struct ReceivingPass {
    var received = Received()
    var settling: Settling
    var changes: [(inout Ledger) -> Void] = []
    /// To be cleaned from the inbox once the ledger is written.
    var finished: [InboxFile] = []
}

import Bundles
import Files
import SystemPackage
import Wire

extension Mailbox {
    /// How many files one run looks at. A flood is worked off over several runs.
    static let filesPerRun = 1000
    /// What is always tried: a message has less.
    static let smallBytes: Int64 = 1 << 20
    /// Room on our own disk that no larger file is given.
    private static let reservedBytes: Int64 = 32 << 20
    /// How much of large files one run copies that turn out to be no bundles, before it leaves the others for the next one. Holes
    /// in a file cost its maker nothing, and our disk all that it says.
    static let unverifiedBytesPerRun: Int64 = 4 << 30
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
        try Quarantine(home: home).prune(keeping: ledger.evidence)
        var pass = ReceivingPass(settling: Settling.load(from: home.settlingPath, files: files))
        let before = pass.settling
        try receiveHeld(retryEarly: retryEarly, &pass)
        let entries = try inboxEntries(&pass)
        // Small ones first; the others in an order that nobody can choose, since they may have to wait for the next run.
        var (small, large) = ([InboxFile](), [InboxFile]())
        for entry in entries.prefix(Self.filesPerRun) {
            guard let file = try lookAt(entry) else { continue }
            if file.size > Self.smallBytes { large.append(file) } else { small.append(file) }
        }
        pass.received.remaining = max(0, entries.count - Self.filesPerRun)
        for file in small + mixed(large, by: \.name) { try take(file, &pass) }

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

    static func noRoom(for size: Int64) -> String {
        "has \(size) bytes, for which this disk has no room; it is left where it is"
    }

    /// What a large file's first block says of it, before the file is copied.
    enum FirstLook {
        case part(PartHeader)
        /// No bundle, and the same in two runs a minute apart.
        case junk
        /// Junk of which there is nothing to see.
        case blank
        case growing
        case perhapsABundle
    }

    /// - Parameter name: under which the file is known to `settling`.
    func firstLook(
        at path: FilePath, size: Int64, modified: Int64, as name: String, _ settling: inout Settling
    ) throws(FileError) -> FirstLook {
        let first = try FirstBlock.read(path, files: files)
        if let part = PartHeader(first) { return .part(part) }
        if FirstBlock.mayBegin(bundle: first) { return .perhapsABundle }
        let look = FirstBlock.digest(of: first, modified: modified)
        guard settling.observe(name, size: size, digest: look, now: now) else { return .growing }
        return FirstBlock.isBlank(first) ? .blank : .junk
    }

    // MARK: looking

    /// The regular files of the inbox, in the order of this run.
    private func inboxEntries(_ pass: inout ReceivingPass) throws(MailboxError) -> [DirectoryEntry] {
        let all = try onDisk { () throws(FileError) in try files.list(home.inbox, limit: Self.namesPerRun) }
        pass.settling.keep(only: Set(all.map(\.name)))
        var regular: [DirectoryEntry] = []
        for entry in all where entry.isOurBusiness {
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

    func mixed(_ entries: [DirectoryEntry]) -> [DirectoryEntry] { mixed(entries, by: \.name) }

    func mixed<Item>(_ items: [Item], by name: (Item) -> String) -> [Item] {
        let salt = Array("\(now.seconds)/".utf8)
        return items.map { (SHA256Hash.digest(of: salt + Array(name($0).utf8)), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }

    /// - Returns: nil where there is no plain file now.
    private func lookAt(_ entry: DirectoryEntry) throws(MailboxError) -> InboxFile? {
        let path = home.inbox.appending(entry.component)
        do {
            guard let status = try files.status(path), status.kind == .regular else { return nil }
            return InboxFile(
                component: entry.component, size: status.size, modified: status.modified, inode: status.inode)
        } catch {
            try tell(error, of: path)
            return nil
        }
    }

    /// Trouble with this one file must not keep the others waiting; trouble with our own disk stops the run.
    private func tell(_ error: FileError, of path: FilePath) throws(MailboxError) {
        guard error.path == path else { throw MailboxError(error) }
        if !error.isMissing { problems.append(error.description) }
    }

    private func take(_ file: InboxFile, _ pass: inout ReceivingPass) throws(MailboxError) {
        let path = home.inbox.appending(file.component)
        let spooled = spoolPath()
        var isJunk = false
        do {
            guard !pass.settling.isLeft(file, now: now) else { return }
            guard file.size <= Self.largestFile else {
                return report(file, "has more than \(Self.largestFile) bytes and was not read", &pass)
            }
            guard hasRoom(for: file.size) else { return report(file, Self.noRoom(for: file.size), &pass) }
            // What cannot be a bundle is copied once, to be put away, and not in each run in which it might still grow.
            if file.size > Self.smallBytes {
                switch try firstLook(at: path, size: file.size, modified: file.modified, as: file.name, &pass.settling)
                {
                case .part(let part): return report(part, file, &pass)
                case .growing:
                    pass.received.settling += 1
                    return
                case .blank:
                    // Looked at in each run, which costs nothing: a copy may be filled in under the same time and size.
                    return report(file, "begins with zeros only, so far; it is left where it is", &pass)
                case .junk where !Quarantine(home: home).hasRoom(for: file.size):
                    return leave(file, Self.tooLarge("not a bundle"), &pass)
                case .junk: isJunk = true
                case .perhapsABundle: break
                }
                guard pass.budget.allows(file.size) else {
                    pass.received.remaining += 1
                    return
                }
            }
            try files.copyFile(from: path, to: spooled, permissions: 0o600, limit: Self.largestFile)
        } catch {
            return try tell(error, of: path)
        }
        var archive = spooled
        do {
            archive = try signedArchive(in: spooled)
            let unverified = try BundleReader.open(archive, files: files)
            try sort(unverified, manifest: try unverified.manifest(), from: file, original: spooled, &pass)
        } catch let error as BundleError {
            if let cause = error.cause { throw MailboxError(cause) }
            pass.budget.spend(file.size)
            try settle(file, spooled, error, hasSettled: isJunk, &pass)
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
        _ file: InboxFile, _ spooled: FilePath, _ error: BundleError, hasSettled: Bool, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        if let part = try onDisk({ () throws(FileError) in try PartHeader.read(spooled, files: files) }) {
            return report(part, file, &pass)
        }
        let content = try onDisk { () throws(FileError) in try SHA256Hash.digest(of: spooled, files: files) }
        let isForOthers = error.reason == .notForThisIdentity
        if !isForOthers, !hasSettled {
            guard pass.settling.observe(file.name, size: content.size, digest: content.digest, now: now) else {
                pass.received.settling += 1
                return
            }
        }
        guard Quarantine(home: home).hasRoom(for: content.size) else {
            return leave(file, Self.tooLarge(error.reason.rawValue), &pass)
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

    /// Says something about a file in the inbox, once.
    private func report(_ file: InboxFile, _ what: String, _ pass: inout ReceivingPass) {
        let line = "inbox/\(Quarantine.printable(file.name)) \(what)"
        if pass.settling.report(file.name) { problems.append(line) } else { knownProblems.append(line) }
    }

    private func report(_ part: PartHeader, _ file: InboxFile, _ pass: inout ReceivingPass) {
        report(
            file, "is \(part): 'consilium bundle join \(home.inbox)' makes the file again; remove the parts then", &pass
        )
    }

    private func leave(_ file: InboxFile, _ what: String, _ pass: inout ReceivingPass) {
        report(file, what, &pass)
        pass.settling.leave(file, now: now)
    }

    private static func tooLarge(_ reason: String) -> String {
        "is no bundle for here (\(reason)) and too large for quarantine/; it is left where it is"
    }
}

extension DirectoryEntry {
    /// Hidden files and unfinished ones are other programs' business.
    var isOurBusiness: Bool { !name.hasPrefix(".") && !TemporaryName.isUnfinished(name) }
}

/// What is left of a run's copies of large files that turn out to be no bundles.
struct CopyBudget {
    private var spent: Int64 = 0

    /// One always may, whatever its size, and a small one too.
    func allows(_ size: Int64) -> Bool {
        size <= Mailbox.smallBytes || spent == 0 || spent + size <= Mailbox.unverifiedBytesPerRun
    }

    mutating func spend(_ size: Int64) {
        if size > Mailbox.smallBytes { spent += size }
    }
}

/// What one call of ``Mailbox/receive(retryEarly:)`` gathers before it writes.
struct ReceivingPass {
    var received = Received()
    var settling: Settling
    var budget = CopyBudget()
    var changes: [(inout Ledger) -> Void] = []
    /// To be cleaned from the inbox once the ledger is written.
    var finished: [InboxFile] = []
}

import Bundles
import Files
import SystemPackage
import Wire

extension Mailbox {
    /// How many files of a folder one run copies to look at them. A flood is worked off over several runs.
    static let filesPerRun = 1000
    /// How many one run looks at where they lie; what shows to be no bundle there is not copied.
    static let looksPerRun = 10_000
    /// How many names of a folder pass by in a run that chooses among them; beyond that the system chooses whose turn it is.
    static let namesRead = 10_000_000
    /// How many names are listed where all of them are wanted.
    static let namesPerRun = 100_000

    /// Looks at everything in the inbox, and at held bundles whose time has come.
    ///
    /// Each file is opened without following links or blocking, copied to the local spool under a cap, and not read again at
    /// its own place. The copy must be a whole bundle, or one encrypted to this home; one that is neither may still be growing
    /// and is left alone until it has settled. What passes the mailbox's rules is given out; all else is cleaned up here,
    /// after one write of the ledger.
    ///
    /// - Parameters:
    ///   - retryEarly: also gives out bundles that were committed as ``Verdict/held(_:)`` before.
    ///   - note: writes down what was refused, before that is forgotten here.
    package func receive(
        retryEarly: Bool = false, noting note: ([Refusal]) throws(MailboxError) -> Void = { _ in }
    ) throws(MailboxError) -> Received {
        // First: what was put away must not take the room of what comes.
        try Quarantine(home: home).prune(keeping: ledger.evidence)
        var pass = ReceivingPass(settling: Settling.load(from: home.settlingPath, files: files))
        let before = pass.settling
        try receiveHeld(retryEarly: retryEarly, &pass)
        var visits = try inboxVisits(&pass)
        // Small ones first, then what is believed; the others in an order that nobody can choose, since they may have to wait
        // for the next run.
        var (small, large) = ([InboxFile](), [LargeFile]())
        while pass.looks.isOpen, let entry = visits.next() {
            pass.looks.look()
            guard let file = try lookAt(entry), !pass.settling.isLeft(file, now: now) else { continue }
            if file.size <= Self.smallBytes {
                guard try isCandidate(file, &pass) else { continue }
                small.append(file)
            } else {
                guard let look = try lookInto(file, &pass) else { continue }
                switch look {
                case .blank: continue
                case .growing:
                    pass.received.settling += 1
                    continue
                case .part, .junk, .forOthers, .bundle: large.append(LargeFile(file: file, look: look))
                }
            }
            pass.looks.take()
        }
        pass.settling.setTour(visits.nextTour, of: "")
        pass.received.remaining = visits.left
        for file in small { try take(file, &pass) }
        for file in inOrderOfBelief(large) { try take(file, &pass) }
        tellBlanks(pass)

        try note(pass.received.refusals)
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

    // MARK: looking

    /// The regular files of the inbox, in the order of this run.
    private func inboxVisits(_ pass: inout ReceivingPass) throws(MailboxError) -> FolderVisits {
        let selection = try onDisk { () throws(FileError) in
            try select(from: home.inbox, noted: pass.settling.noted(in: ""), pass.settling.tour(of: ""))
        }
        pass.settling.keep { selection.met[$0] != nil }
        for entry in selection.odd where pass.settling.report(entry.name) {
            problems.append("inbox/\(Quarantine.printable(entry.name)) is not a plain file and was not opened")
        }
        return selection.visits(due: due(in: "", pass.settling), isMixed: false)
    }

    func select(
        from folder: FilePath, noted: Set<String>, _ tour: FolderTour?
    ) throws(FileError) -> FolderSelection {
        try files.select(
            from: folder, limit: Self.namesRead,
            FolderSelection(tour: tour, limit: Self.looksPerRun, noted: noted))
    }

    /// What is to be decided now has half of a run's copies: the other half is for what has not been looked at.
    func due(in folder: String, _ settling: Settling) -> [String] {
        settling.due(in: folder, now: now, limit: Self.filesPerRun / 2)
    }

    /// Whether a small file is to be copied now.
    private func isCandidate(_ file: InboxFile, _ pass: inout ReceivingPass) throws(MailboxError) -> Bool {
        let path = home.inbox.appending(file.component)
        pass.looks.read(file.size)
        do {
            guard case .noBundle(let digest, let size) = try smallLook(at: path) else { return true }
            if pass.settling.observe(file.name, size: size, digest: digest, now: now) { return true }
            pass.received.settling += 1
            return false
        } catch {
            try tell(error, of: path)
            return false
        }
    }

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

    /// - Returns: nil where nothing is to be done with it now.
    private func lookInto(_ file: InboxFile, _ pass: inout ReceivingPass) throws(MailboxError) -> FirstLook? {
        let path = home.inbox.appending(file.component)
        guard file.size <= Self.largestFile else {
            report(file, "has more than \(Self.largestFile) bytes and was not read", &pass)
            return nil
        }
        guard hasRoom(for: file.size) else {
            report(file, Self.noRoom(for: file.size), &pass)
            return nil
        }
        do {
            let look = try firstLook(
                at: path, size: file.size, modified: file.modified, as: file.name, &pass.settling)
            // Looked at in each run, which costs little: a copy may be filled in under the same time and size.
            if case .blank(let hasSettled) = look {
                pass.zeros.note(isNew: hasSettled ? pass.settling.report(file.name) : nil)
            }
            return look
        } catch {
            try tell(error, of: path)
            return nil
        }
    }

    /// Those that somebody known has signed first, the others in an order that nobody can choose.
    private func inOrderOfBelief(_ files: [LargeFile]) -> [LargeFile] {
        var ids: Set<Digest> = []
        var (believed, others) = ([LargeFile](), [LargeFile]())
        for var file in mixed(files, by: \.file.name) {
            if case .bundle(let preview) = file.look { file.isBelieved = believes(preview, &ids) }
            if file.isBelieved { believed.append(file) } else { others.append(file) }
        }
        return believed + others
    }

    private func tellBlanks(_ pass: ReceivingPass) {
        problems += pass.zeros.new(in: "inbox/")
        knownProblems += pass.zeros.known(in: "inbox/")
    }

    private func take(_ large: LargeFile, _ pass: inout ReceivingPass) throws(MailboxError) {
        let file = large.file
        switch large.look {
        case .part(let part): return report(part, file, &pass)
        case .junk where !Quarantine(home: home).hasRoom(for: file.size):
            return leave(file, Self.tooLarge("not a bundle"), &pass)
        case .blank, .growing, .junk, .forOthers, .bundle: break
        }
        guard hasRoom(for: file.size) else { return report(file, Self.noRoom(for: file.size), &pass) }
        guard large.isBelieved || pass.budget.allows(file.size) else {
            pass.received.remaining += 1
            let runs = pass.settling.wait(file.name)
            if runs == Settling.patience {
                problems.append("inbox/\(Quarantine.printable(file.name)) \(Self.waited(runs))")
            }
            return
        }
        if !large.isBelieved { pass.budget.spend(file.size) }
        // What cannot be a bundle is copied once, to be put away, and not in each run in which it might still grow.
        let isJunk = if case .junk = large.look { true } else { false }
        try take(file, hasSettled: isJunk, isBelieved: large.isBelieved, &pass)
    }

    private func take(
        _ file: InboxFile, hasSettled: Bool = false, isBelieved: Bool = false, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        let path = home.inbox.appending(file.component)
        let spooled = spoolPath()
        do {
            guard try copy(path, to: spooled, size: file.size) else { return pass.received.settling += 1 }
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
            if isBelieved { pass.budget.spend(file.size) }
            try settle(file, spooled, error, hasSettled: hasSettled, &pass)
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
        let detail = error.detail.beginning(bytes: Refusal.detailBytes)
        let isNew = try putAway(
            spooled, name: file.name, digest: content.digest,
            reason: isForOthers ? reason.rawValue : error.reason.rawValue, detail: detail)
        let advice = "; was it meant for \(home.name), its sender has an old age recipient of it"
        pass.received.refusals.append(
            Refusal(
                name: Quarantine.printable(file.name), reason: reason,
                detail: "\(error.reason.rawValue): \(detail)" + (reason == .notForThisIdentity ? advice : ""),
                sender: nil, subject: content.digest, file: (error.reason, content.size), signer: nil, trusted: .nobody,
                isRepeated: !isNew))
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

/// What one call of ``Mailbox/receive(retryEarly:)`` gathers before it writes.
struct ReceivingPass {
    var received = Received()
    var settling: Settling
    var budget = CopyBudget()
    var looks = LookBudget()
    var zeros = ZeroCount()
    /// What is held since this pass began.
    var claims: [HoldingClaim] = []
    var changes: [(inout Ledger) -> Void] = []
    /// To be cleaned from the inbox once the ledger is written.
    var finished: [InboxFile] = []

    init(settling: Settling) { self.settling = settling }

    /// The same bundle came encrypted too.
    mutating func notePrivacy(of id: Digest) {
        guard let index = received.deliveries.firstIndex(where: { $0.id == id }) else { return }
        received.deliveries[index].cameInTheClear = false
    }
}

/// What is too large to be copied unseen.
private struct LargeFile {
    let file: InboxFile
    let look: Mailbox.FirstLook
    var isBelieved = false
}

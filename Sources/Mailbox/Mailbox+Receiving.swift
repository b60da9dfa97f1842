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
        var pass = ReceivingPass(
            settling: Settling.load(from: home.settlingPath, files: files), lookSeconds: lookSeconds)
        let before = pass.settling
        try receiveHeld(retryEarly: retryEarly, &pass)
        var visits = try inboxVisits(&pass)
        // Small ones first, then what is believed; the others in an order that nobody can choose, since they may have to wait
        // for the next run.
        var (small, large) = ([InboxFile](), [LargeFile]())
        while pass.looks.isOpen, let entry = visits.next(isLate: pass.looks.isLate) {
            pass.looks.look()
            guard let file = try lookAt(entry, &pass), !pass.settling.isLeft(file, now: now) else { continue }
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
        tellLines(&pass)

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
        if selection.isWhole { pass.settling.keep(in: "") { selection.met[$0] != nil } }
        for entry in selection.odd {
            tell(
                entry.kind == .directory
                    ? "is a folder and was not opened: move its files up into inbox/"
                    : "is not a plain file and was not opened", .odd, of: entry.name, &pass)
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
            switch try smallLook(at: path) {
            case .candidate, .forOthers: return true
            case .part(let part):
                tell(part, file, &pass)
                return false
            case .noBundle(let digest, let size):
                if pass.settling.observe(file.name, size: size, digest: digest, now: now) { return true }
                pass.received.settling += 1
                return false
            }
        } catch {
            try tell(error, of: file, &pass)
            return false
        }
    }

    /// - Returns: nil where there is no plain file now.
    private func lookAt(_ entry: DirectoryEntry, _ pass: inout ReceivingPass) throws(MailboxError) -> InboxFile? {
        let path = home.inbox.appending(entry.component)
        do {
            guard let status = try files.status(path), status.kind == .regular else { return nil }
            return InboxFile(
                component: entry.component, size: status.size, modified: status.modified, inode: status.inode)
        } catch {
            try tell(error, of: path, entry.name, &pass)
            return nil
        }
    }

    private func tell(
        _ error: FileError, of file: InboxFile, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        try tell(error, of: home.inbox.appending(file.component), file.name, &pass)
    }

    /// Trouble with this one file must not keep the others waiting; trouble with our own disk stops the run.
    private func tell(
        _ error: FileError, of path: FilePath, _ name: String, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        guard error.path == path else { throw MailboxError(error) }
        if !error.isMissing { pass.lines.tell(error, of: name, &pass.settling) }
    }

    /// - Returns: nil where nothing is to be done with it now.
    private func lookInto(_ file: InboxFile, _ pass: inout ReceivingPass) throws(MailboxError) -> FirstLook? {
        let path = home.inbox.appending(file.component)
        guard file.size <= Self.largestFile else {
            tell("has more than \(Self.largestFile) bytes and was not read", .left, of: file.name, &pass)
            return nil
        }
        guard hasRoom(for: file.size) else {
            tell(Self.noRoom(for: file.size), .left, of: file.name, &pass)
            return nil
        }
        do {
            let look = try firstLook(
                at: path, size: file.size, modified: file.modified, as: file.name, &pass.settling)
            // Looked at in each run, which costs little: a copy may be filled in under the same time and size.
            if case .blank(let hasSettled) = look {
                pass.lines.noteZeros(of: file.name, hasSettled: hasSettled, &pass.settling)
            }
            return look
        } catch {
            try tell(error, of: file, &pass)
            return nil
        }
    }

    /// Those that somebody known has signed first, the others in an order that nobody can choose.
    private func inOrderOfBelief(_ files: [LargeFile]) -> [LargeFile] {
        var ids: Set<Digest> = []
        var (believed, others) = ([LargeFile](), [LargeFile]())
        for var file in files {
            if case .bundle(let preview) = file.look, believes(preview, &ids) { file.believedSigner = preview.signer }
            if file.believedSigner != nil { believed.append(file) } else { others.append(file) }
        }
        let total = others.reduce(0) { $0 + $1.file.size }
        return believed + (total > Self.unverifiedBytesPerRun ? others.shuffled() : others)
    }

    private func tellLines(_ pass: inout ReceivingPass) {
        problems += pass.lines.new(in: "inbox/") + pass.lines.passing(in: "inbox/")
        knownProblems += pass.lines.known(in: "inbox/")
        if pass.settling.reportOverflow(pass.lines.isOverflowing, in: "") {
            problems.append(FileLines.overflow(in: "inbox/"))
        }
    }

    private func take(_ large: LargeFile, _ pass: inout ReceivingPass) throws(MailboxError) {
        let file = large.file
        switch large.look {
        case .part(let part): return tell(part, file, &pass)
        case .junk where !Quarantine(home: home).hasRoom(for: file.size):
            return leave(file, Self.tooLarge("not a bundle"), &pass)
        case .blank, .growing, .junk, .forOthers, .bundle: break
        }
        guard hasRoom(for: file.size) else {
            return tell(Self.noRoom(for: file.size), .left, of: file.name, &pass)
        }
        let isBelieved = pass.disappointing.believes(large.believedSigner)
        guard isBelieved || pass.budget.allows(file.size) else {
            pass.received.remaining += 1
            let runs = pass.settling.wait(file.name)
            if runs == Settling.patience { pass.lines.tell(Self.told(file.name, Self.waited(runs)), .waiting) }
            return
        }
        if !isBelieved { pass.budget.spend(file.size) }
        // What cannot be a bundle is copied once, to be put away, and not in each run in which it might still grow.
        let isJunk = if case .junk = large.look { true } else { false }
        try take(file, hasSettled: isJunk, believed: isBelieved ? large.believedSigner : nil, &pass)
    }

    /// - Parameter signer: who is believed to have signed it; nil where the budget has paid for it.
    private func take(
        _ file: InboxFile, hasSettled: Bool = false, believed signer: PublicKey? = nil, _ pass: inout ReceivingPass
    ) throws(MailboxError) {
        let path = home.inbox.appending(file.component)
        let spooled = spoolPath()
        do {
            guard try copy(path, to: spooled, size: file.size) else { return pass.received.settling += 1 }
        } catch {
            return try tell(error, of: file, &pass)
        }
        var archive = spooled
        do {
            archive = try signedArchive(in: spooled)
            let unverified = try BundleReader.open(archive, files: files)
            try sort(unverified, manifest: try unverified.manifest(), from: file, original: spooled, &pass)
            pass.settling.forget(file.name)
        } catch let error as BundleError {
            if let cause = error.cause { throw MailboxError(cause) }
            if let signer {
                pass.budget.spend(file.size)
                pass.disappointing.insert(signer)
            }
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

    private static func told(_ name: String, _ what: String) -> String {
        "inbox/\(Quarantine.printable(name)) \(what)"
    }

    /// Says something about an entry in the inbox, once.
    private func tell(_ what: String, _ sort: FileLines.Sort, of name: String, _ pass: inout ReceivingPass) {
        pass.lines.tell(Self.told(name, what), sort, of: name, &pass.settling)
    }

    private func tell(_ part: PartHeader, _ file: InboxFile, _ pass: inout ReceivingPass) {
        tell(
            "is \(part): 'consilium bundle join \(home.inbox)' makes the file again; remove the parts then", .part,
            of: file.name, &pass)
    }

    private func leave(_ file: InboxFile, _ what: String, _ pass: inout ReceivingPass) {
        tell(what, .left, of: file.name, &pass)
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
    var looks: LookBudget
    var lines = FileLines()
    /// Whose large files are copied under the budget from now on.
    var disappointing = Disappointing()
    /// What is held since this pass began.
    var claims: [HoldingClaim] = []
    var changes: [(inout Ledger) -> Void] = []
    /// To be cleaned from the inbox once the ledger is written.
    var finished: [InboxFile] = []

    init(settling: Settling, lookSeconds: Double) {
        self.settling = settling
        looks = LookBudget(seconds: lookSeconds)
    }

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
    /// Who signed its beginning, where this home believes him.
    var believedSigner: PublicKey?
}

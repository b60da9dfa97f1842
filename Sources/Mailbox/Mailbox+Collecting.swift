import Bundles
import Files
import SystemPackage
package import Wire

extension Mailbox {
    /// Copies bundles for this home from an exchange into its inbox.
    ///
    /// A file is copied when it is a whole bundle with a good signature that lists this home; until then it may be growing.
    /// One that does not become so settles as in the inbox, and its copy goes into quarantine. The server removes what it has
    /// copied or knows already. An encrypted bundle is opened to be looked at, and copied as it is.
    ///
    /// - Parameter only: a server can be told to look at one client's bundles only.
    package func collect(from exchange: Exchange, only: PartyName? = nil) throws(MailboxError) -> ExchangeSummary {
        let folders = try ownFolders(in: exchange, only: only)
        let hasStrangers = mayHaveStrangers(exchange, only: only)
        let waiting = waitingInInbox()
        let share = InboxShare(of: folders.count + (hasStrangers ? 1 : 0), waiting: waiting)
        let budget = CollectingBudget(lookSeconds: lookSeconds, share: share)
        var pass = CollectingPass(
            cache: ExchangeCache.load(from: home), only: only,
            settling: Settling.load(from: home.exchangeSettlingPath, files: files), budget: budget)
        pass.known = Set(
            trust.parties.map { exchange.towardsServer($0.name).string } + [exchange.fromServer(home.name).string])
        // What is noted of another exchange does not give way to what strangers lay down in this one.
        let elsewhere = pass.settling.folderNames.union(pass.cache.seen.folderNames).filter {
            !FilePath($0).starts(with: exchange.root)
        }
        pass.settling.setOwn(pass.known.union(elsewhere).union([exchange.root.string]))
        pass.cache.seen.setOwn(pass.known.union(elsewhere))
        let before = (pass.cache, pass.settling)
        // Whoever is believed now may have signed what was left where it lay.
        let believed = trust.digest
        if pass.cache.leftUnder != nil, pass.cache.leftUnder != believed { pass.settling.forgetLeft() }
        for folder in folders {
            pass.budget = budget
            if let error = try collect(folder, of: exchange, &pass) { pass.summary.add(error, of: exchange) }
            knownProblems += pass.tellLines(of: folder)
        }
        if hasStrangers, waiting < Self.filesPerRun {
            // Whoever makes folders for parties that do not exist has no more budgets by that.
            pass.budget = budget
            try collectFromStrangers(in: exchange, &pass)
        } else if hasStrangers {
            knownProblems.append(
                "folders of unknown parties in \(exchange.root) wait until fewer than \(Self.filesPerRun) files are in inbox/"
            )
        }
        if !pass.settling.left.isEmpty { pass.cache.leftUnder = believed }
        if pass.cache != before.0 { try pass.cache.save(to: home) }
        if pass.settling != before.1 { try pass.settling.save(to: home.exchangeSettlingPath, files: files) }
        return pass.summary
    }

    /// A name that a person gave, so that a slip of the pen does not look like an empty stick. Who is not enrolled yet is known
    /// by the folder that somebody made for it.
    ///
    /// - Throws: `input` where nobody is known by that name and nothing in the exchange has it.
    package func requireKnown(_ client: PartyName, in exchange: Exchange) throws(MailboxError) {
        let known = Set(
            trust.parties.map(\.name) + ledger.outgoing.values.flatMap(\.recipients)
                + ledger.incoming.values.map(\.sender)
        ).subtracting([home.name])
        guard !known.contains(client) else { return }
        guard try !onDisk({ () throws(FileError) in try exchange.names(client, files) }) else { return }
        let names = known.map(\.text)
        let near = didYouMean(client.text, among: names).map { "did you mean \($0)?" }
        throw MailboxError(
            .input, "nobody is called \(client) here, and nothing of that name lies in \(exchange.root)",
            hint: near
                ?? (names.isEmpty ? "nobody is enrolled yet" : "known are \(names.sorted().joined(separator: ", "))"))
    }

    /// The folders of which each has a budget of its own. Those of known parties are found by their names, however many
    /// others somebody makes beside them.
    private func ownFolders(in exchange: Exchange, only: PartyName?) throws(MailboxError) -> [FilePath] {
        guard home.role == .server else { return [exchange.fromServer(home.name)] }
        if let only { return [exchange.towardsServer(only)] }
        if exchange.layout == .flat { return [exchange.root.appending("inbox")] }
        return trust.parties.map(\.name).filter { $0 != home.name }.sorted().map(exchange.towardsServer)
    }

    private func mayHaveStrangers(_ exchange: Exchange, only: PartyName?) -> Bool {
        home.role == .server && exchange.layout == .perClient && only == nil
    }

    /// How many files the next runs will take out of the inbox. What is set aside there waits for a person.
    /// That the inbox cannot be listed is for whoever reads it to say.
    private func waitingInInbox() -> Int {
        let settling = Settling.load(from: home.settlingPath, files: files)
        let entries = (try? files.entries(home.inbox, limit: Self.namesPerRun)) ?? []
        return entries.count { $0.kind == .regular && $0.isOurBusiness && !settling.isSetAside($0.name) }
    }

    /// Of folders whose names nobody here knows, round and round in a secret order: who makes many keeps nobody waiting for
    /// ever. What is noted of those that are gone is forgotten first, so that it takes no room from the others.
    private func collectFromStrangers(in exchange: Exchange, _ pass: inout CollectingPass) throws(MailboxError) {
        let root = exchange.root.string
        let selection: StrangersFolders
        do {
            selection = try files.select(
                from: exchange.root, limit: Self.namesRead, StrangersFolders(besides: Set(trust.parties.map(\.name))))
        } catch {
            return pass.summary.add(error, of: exchange)
        }
        var tour = pass.settling.tour(of: root) ?? FolderTour()
        let inOrder = tour.order(selection.names.map(\.text)).compactMap { PartyName($0) }
        pass.passedBy = Set(inOrder.map { exchange.towardsServer($0).string })
        if selection.isWhole {
            let before = pass
            pass.settling.keepFolders { before.mayBeThere($0, in: exchange) }
            pass.cache.seen.keepFolders { before.mayBeThere($0, in: exchange) }
        }
        var last: PartyName?
        pass.isAmongStrangers = true
        for name in inOrder where pass.budget.share.isOpen && pass.budget.looks.isOpenForFolders {
            pass.budget.looks.lookIntoFolder()
            let folder = exchange.towardsServer(name)
            pass.passedBy.remove(folder.string)
            if let error = try collect(folder, of: exchange, &pass) {
                pass.tell(error, of: folder, in: exchange)
            }
            last = name
        }
        // Of all of them together: whoever makes folders fills no mail by that.
        knownProblems += pass.tellLines(of: exchange.root)
        if let last { tour.advance(behind: last.text) }
        pass.settling.setTour(pass.passedBy.isEmpty ? nil : tour, of: root)
    }

    /// - Returns: why the folder cannot be used, if it cannot.
    private func collect(
        _ folder: FilePath, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws(MailboxError) -> FileError? {
        let begin = folder.string.utf8.count + 1
        // By bytes: a name may begin with a mark that makes one character with the slash.
        let name = { (path: String) in String(Substring(path.utf8.dropFirst(begin))) }
        let noted = pass.settling.noted(in: folder.string).union(pass.cache.seen.notes(in: folder.string).keys)
        let selection: FolderSelection
        do {
            guard try exchange.isFolder(folder, files) else { return nil }
            selection = try select(from: folder, noted: Set(noted.map(name)), pass.settling.tour(of: folder.string))
        } catch {
            return error
        }
        var present = Set(selection.met.values.map { folder.appending($0.component).string })
        if !selection.isWhole { pass.tellOfEndlessNames(in: folder) }
        let due = due(in: folder.string, pass.settling).map(name)
        // As in the inbox: whoever floods a folder does not choose who waits.
        var visits = selection.visits(due: due, isMixed: exchange.layout == .flat)
        var found: [FoundFile] = []
        while pass.budget.looks.isOpen, pass.budget.share.isOpen,
            let entry = visits.next(isLate: pass.budget.looks.isLate)
        {
            pass.budget.looks.look()
            let path = folder.appending(entry.component)
            present.insert(path.string)
            try pass.trying(path, in: exchange) {
                guard let file = try lookAt(path, entry.name, of: exchange, &$0) else { return }
                found.append(file)
                $0.budget.looks.take()
                if file.isForInbox { $0.budget.share.take(file.seen.size) }
            }
        }
        pass.settling.setTour(visits.nextTour, of: folder.string)
        for file in found.filter({ $0.believedSigner != nil }) + found.filter({ $0.believedSigner == nil }) {
            try pass.trying(file.path, in: exchange) {
                if try fetch(file, of: exchange, &$0) { $0.cache.note(file.seen, at: file.path) }
            }
        }
        if selection.isWhole { pass.keep(in: folder, present, isOver: visits.nextTour == nil) }
        return nil
    }

    /// - Returns: nil where nothing is to be fetched now.
    private func lookAt(
        _ path: FilePath, _ name: String, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws -> FoundFile? {
        guard let status = try files.status(path), status.kind == .regular else { return nil }
        let seen = ExchangeCache.Seen(size: status.size, modified: status.modified)
        if let known = pass.cache.seen[path.string], known.isSame(as: seen), !known.isDue(now) {
            if known.isToGo { try takeAway(path, name, of: exchange, &pass) }
            return nil
        }
        var file = FoundFile(path: path, seen: seen, name: name, place: exchange.place(of: path))
        if pass.settling.isLeft(path.string, size: seen.size, modified: seen.modified, now: now) { return nil }
        guard hasRoom(for: seen.size) else {
            pass.tell(file, Self.noRoom(for: seen.size), .left)
            return nil
        }
        guard seen.size > Self.smallBytes else { return try lookAtSmall(file, of: exchange, &pass) }
        switch try firstLook(at: path, size: seen.size, modified: seen.modified, as: path.string, &pass.settling) {
        case .part(let part):
            pass.tell(file, Self.told(part), .part)
            return nil
        case .growing: return nil
        case .blank(let hasSettled):
            pass.noteZeros(file, hasSettled: hasSettled)
            return nil
        case .junk where !Quarantine(home: home).hasRoom(for: seen.size):
            pass.leave(file, "is not a bundle, and too large for quarantine/", now: now)
            return nil
        case .junk:
            file.isJunk = true
            file.isForInbox = false
            return file
        // In a folder that all share, most of what is encrypted is for others.
        case .forOthers where home.role == .client && exchange.layout == .flat: break
        case .forOthers: return file
        case .bundle(let preview):
            if let only = pass.only, preview.manifest.sender != only { return nil }
            guard preview.manifest.recipients.contains(home.name) else { break }
            switch rules.judge(preview.manifest, id: preview.id, signer: preview.signer) {
            case .deliver, .duplicate, .equivocation:
                if believes(preview, &pass.believed) { file.believedSigner = preview.signer }
                return file
            case .discard: break
            // It would lie here in the exchange's place, and where there is no room for it, for ever.
            case .hold(let reason):
                file.claim = (HoldingClaim(fingerprint: preview.signer.fingerprint, bytes: seen.size), reason)
                return try mayWait(file, &pass) ? file : nil
            // What somebody known has signed is put on record and away, as from the inbox.
            case .refuse(_, let reason):
                if isKnown(preview.signer) { return file }
                pass.leave(file, "is not fetched: \(reason)", now: now)
                return nil
            }
        }
        pass.cache.note(seen, at: path)
        return nil
    }

    /// What is no bundle is noted twice before it is put away. Where that cannot be noted, nothing is done with it: it would
    /// be put away and told in each run.
    private func lookAtSmall(
        _ file: FoundFile, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws(FileError) -> FoundFile? {
        pass.budget.looks.read(file.seen.size)
        switch try smallLook(at: file.path) {
        case .candidate: return file
        case .part(let part):
            pass.tell(file, Self.told(part), .part)
            return nil
        case .forOthers:
            guard home.role == .client, exchange.layout == .flat else { return file }
            pass.cache.note(file.seen, at: file.path)
            return nil
        case .noBundle(let digest, let size):
            guard pass.cache.seen.hasRoom(at: file.path.string) else {
                pass.noteMore(file)
                return nil
            }
            guard pass.settling.observe(file.path.string, size: size, digest: digest, now: now) else { return nil }
            var junk = file
            junk.isForInbox = false
            return junk
        }
    }

    /// Whether a stranger's bundle can wait here for its enrolment, if it is one.
    private func mayWait(_ file: FoundFile, _ pass: inout CollectingPass) throws(MailboxError) -> Bool {
        guard let (claim, reason) = file.claim,
            let obstacle = try holdObstacle(to: claim, besides: pass.strangers, isFetched: false)
        else { return true }
        pass.leave(file, "is not fetched: \(reason), and \(obstacle)", now: now)
        return false
    }

    /// - Returns: whether the file needs no second look.
    private func fetch(_ file: FoundFile, of exchange: Exchange, _ pass: inout CollectingPass) throws -> Bool {
        let (path, seen) = (file.path, file.seen)
        guard try mayWait(file, &pass) else { return false }
        let isBelieved = pass.disappointing.believes(file.believedSigner)
        guard isBelieved || pass.budget.copies.allows(seen.size) else {
            let runs = pass.settling.wait(path.string)
            if runs == Settling.patience { pass.tellNow(file, Self.waited(runs), .waiting) }
            return false
        }
        if seen.size > Self.smallBytes {
            let largest = try pass.largestInInbox ?? largestInInbox()
            pass.largestInInbox = largest
            guard hasInboxRoom(for: seen.size, beside: largest) else {
                pass.tell(file, Self.noInboxRoom(for: seen.size, beside: largest), .left)
                return false
            }
        }
        let spooled = spoolPath()
        guard try copy(path, to: spooled, size: seen.size) else { return false }
        defer { try? files.remove(spooled) }
        // Given back to whom it is delivered.
        let budget = pass.budget.copies
        pass.budget.copies.spend(seen.size)
        do {
            let archive = try signedArchive(in: spooled)
            let isEncrypted = archive != spooled
            defer { if isEncrypted { try? files.remove(archive) } }
            let bundle = try BundleReader.open(archive, files: files).verified()
            pass.settling.forget(path.string)
            if let only = pass.only, bundle.manifest.sender != only { return false }
            guard bundle.manifest.recipients.contains(home.name) else { return true }
            let inboxName = bundle.manifest.outboxName + (isEncrypted ? AgeFile.suffix : "")
            let held = ledger.held[bundle.id].flatMap { $0.fingerprint == bundle.signer.fingerprint ? $0 : nil }
            // Of what waits and came in the clear the encrypted copy is news.
            let isKnown = held.map { !($0.cameInTheClear && isEncrypted) } ?? false
            var note = seen
            if ledger.isSettled(bundle.id) || isKnown {
                let now = now
                try updateLedger { $0.sawAgain(bundle.id, now: now) }
            } else {
                let placed = try place(spooled, inInboxAs: inboxName)
                if placed.isNew { pass.summary.copied.append(placed.name) }
                // Not before it has shown to be whole: anybody can lay down a beginning that says how much is to follow.
                if let waiting = file.claim { pass.strangers.append(waiting.claim) }
                pass.largestInInbox = pass.largestInInbox.map { max($0, seen.size) }
                if isBelieved { pass.budget.copies = budget }
                // The inbox will refuse it now, and this may be the only copy of it that is left.
                let times = rules.times(of: bundle.manifest, signer: bundle.signer)
                if !times.contains(now) { note.times = times }
            }
            // Looked at again, since the folder may have become a link while the file was copied, and the file another one.
            if home.role == .server, try exchange.isFolder(path.removingLastComponent(), files),
                let status = try files.status(path), status.kind == .regular, status.size == seen.size,
                status.modified == seen.modified
            {
                // Where it may not be removed now, it need not be copied again for that.
                pass.cache.note(ExchangeCache.Seen(size: seen.size, modified: seen.modified, isToGo: true), at: path)
                try takeAway(path, file.name, of: exchange, &pass)
                return false
            }
            pass.cache.note(note, at: path)
            return false
        } catch let error as BundleError {
            if let cause = error.cause { throw cause }
            if isBelieved, let signer = file.believedSigner { pass.disappointing.insert(signer) }
            return try settle(file, spooled, error, of: exchange, &pass)
        }
    }

    /// A file of which a copy is here.
    private func takeAway(
        _ path: FilePath, _ name: String, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws(FileError) {
        guard try exchange.isFolder(path.removingLastComponent(), files) else { return }
        try files.remove(path)
        pass.cache.seen.remove(path.string)
        pass.summary.removed.append(name)
    }

    /// What is no bundle waits, or has settled.
    private func settle(
        _ file: FoundFile, _ spooled: FilePath, _ error: BundleError, of exchange: Exchange,
        _ pass: inout CollectingPass
    ) throws -> Bool {
        // In a folder that all share, most of what is encrypted is for others.
        if error.reason == .notForThisIdentity, home.role == .client, exchange.layout == .flat { return true }
        let content = try SHA256Hash.digest(of: spooled, files: files)
        if !file.isJunk,
            !pass.settling.observe(file.path.string, size: content.size, digest: content.digest, now: now)
        {
            return false
        }
        guard Quarantine(home: home).hasRoom(for: content.size) else {
            pass.leave(
                file, "is no bundle for here (\(error.reason.rawValue)), and too large for quarantine/", now: now)
            return false
        }
        guard pass.cache.seen.hasRoom(at: file.path.string) else {
            pass.noteMore(file)
            return false
        }
        // The file itself stays: whoever is still writing it would otherwise write into nothing.
        let detail = error.detail.beginning(bytes: Refusal.detailBytes)
        try putAway(
            spooled, name: file.name, digest: content.digest, reason: error.reason.rawValue, detail: detail)
        pass.settling.forget(file.path.string)
        if Self.isBundleName(file.name) { pass.summary.hasBadBundle = true }
        pass.tellNow(file, "is not a bundle: \(detail); a copy is in quarantine/", .junk)
        return true
    }

    /// Of what will be copied from there, in bytes: what is set aside, or has no room in any case, keeps nothing else out.
    private func largestInInbox() throws(FileError) -> Int64 {
        let settling = Settling.load(from: home.settlingPath, files: files)
        var largest: Int64 = 0
        for entry in try files.list(home.inbox, limit: Self.namesPerRun)
        where entry.kind == .regular && entry.isOurBusiness && !settling.isSetAside(entry.name) {
            let size = try files.status(home.inbox.appending(entry.component))?.size ?? 0
            if size > largest, size <= Self.largestFile, hasRoom(for: size) { largest = size }
        }
        return largest
    }

    private static func told(_ part: PartHeader) -> String {
        "is \(part): 'consilium bundle join' makes the file again"
    }

    private func isKnown(_ key: PublicKey) -> Bool {
        trust.isRevoked(key) || !trust.signers.entries(for: key).isEmpty
    }
}

extension Mailbox {
    /// Moves a copy into the inbox under a name that is its own: anybody can sign a manifest that passes by with a key of his
    /// own, and such a twin must neither replace the true bundle nor keep it out.
    private func place(_ spooled: FilePath, inInboxAs name: String) throws -> (name: String, isNew: Bool) {
        var name = name
        if try files.exists(home.inbox.appending(name)),
            try !files.haveEqualContent(spooled, home.inbox.appending(name))
        {
            name = "\(try SHA256Hash.digest(of: spooled, files: files).digest.short)-\(name)"
        }
        let target = home.inbox.appending(name)
        let isNew = try !files.exists(target)
        try files.move(from: spooled, to: target)
        return (name, isNew)
    }
}

/// The folders in the root of an exchange whose names nobody here knows, as many as a run may look into.
private struct StrangersFolders: NameSelection {
    private let known: Set<PartyName>
    private(set) var names: [PartyName] = []
    private(set) var isWhole = true

    init(besides known: Set<PartyName>) { self.known = known }

    var isDone: Bool { names.count >= Mailbox.namesPerRun }

    mutating func offer(_ entry: DirectoryEntry) {
        // Links are among them so that they are complained about instead of passed over.
        guard entry.kind == .directory || entry.kind == .symlink, let name = PartyName(entry.name),
            !known.contains(name)
        else { return }
        names.append(name)
    }

    mutating func breakOff() { isWhole = false }
}

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
        var pass = CollectingPass(
            cache: ExchangeCache.load(from: home), only: only,
            settling: Settling.load(from: home.exchangeSettlingPath, files: files))
        pass.known = Set(
            trust.parties.map { exchange.towardsServer($0.name).string } + [exchange.fromServer(home.name).string])
        pass.settling.setOwn(pass.known)
        pass.cache.seen.setOwn(pass.known)
        let before = (pass.cache, pass.settling)
        // Whoever is believed now may have signed what was left where it lay.
        let believed = trust.digest
        if pass.cache.leftUnder != nil, pass.cache.leftUnder != believed { pass.settling.forgetLeft() }
        for source in try sources(in: exchange, only: only, &pass.summary) {
            // Whoever made folders for parties that do not exist would have as many budgets.
            pass.budget = source.isOwn ? CollectingBudget() : pass.sharedBudget
            try collect(source.folder, of: exchange, &pass)
            if !source.isOwn { pass.sharedBudget = pass.budget }
        }
        let all = pass
        pass.settling.keep { all.mayBeThere($0, in: exchange) }
        pass.settling.keepTours { all.known.union(all.listed).union(all.passedBy).contains($0) }
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

    /// The folders to look into, those of known parties first, and whether what is looked at there is bounded for each folder.
    private func sources(
        in exchange: Exchange, only: PartyName?, _ summary: inout ExchangeSummary
    ) throws(MailboxError) -> [(folder: FilePath, isOwn: Bool)] {
        guard home.role == .server else { return [(exchange.fromServer(home.name), true)] }
        if let only { return [(exchange.towardsServer(only), true)] }
        if exchange.layout == .flat { return [(exchange.root.appending("inbox"), true)] }
        do {
            // Links are among them so that they are complained about instead of passed over.
            let names = try files.list(exchange.root, limit: Self.namesPerRun)
                .filter { $0.kind == .directory || $0.kind == .symlink }.compactMap { PartyName($0.name) }
            let known = Set(trust.parties.map(\.name))
            return names.filter(known.contains).map { (exchange.towardsServer($0), true) }
                + mixed(names.filter { !known.contains($0) }, by: \.text).map { (exchange.towardsServer($0), false) }
        } catch {
            summary.add(error, of: exchange)
            return []
        }
    }

    private func collect(
        _ folder: FilePath, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws(MailboxError) {
        // Of strangers' folders some have no turn; what is noted of them stays.
        guard pass.budget.looks.isOpen else {
            pass.passedBy.insert(folder.string)
            return
        }
        let name = { (path: String) in String(path.dropFirst(folder.string.count + 1)) }
        let noted = pass.settling.noted(in: folder.string).union(pass.cache.seen.notes(in: folder.string).keys)
        let selection: FolderSelection
        do {
            guard try exchange.isFolder(folder, files) else { return }
            selection = try select(from: folder, noted: Set(noted.map(name)), pass.settling.tour(of: folder.string))
        } catch {
            return pass.summary.add(error, of: exchange)
        }
        pass.present.formUnion(selection.met.values.map { folder.appending($0.component).string })
        pass.listed.insert(folder.string)
        let due = due(in: folder.string, pass.settling).map(name)
        // As in the inbox: whoever floods a folder does not choose who waits.
        var visits = selection.visits(due: due, isMixed: exchange.layout == .flat)
        var found: [FoundFile] = []
        while pass.budget.looks.isOpen, let entry = visits.next() {
            pass.budget.looks.look()
            let path = folder.appending(entry.component)
            pass.present.insert(path.string)
            try pass.trying(path, in: exchange) {
                guard let file = try lookAt(path, entry.name, of: exchange, &$0) else { return }
                found.append(file)
                $0.budget.looks.take()
            }
        }
        pass.settling.setTour(visits.nextTour, of: folder.string)
        for file in found.filter(\.isBelieved) + found.filter({ !$0.isBelieved }) {
            try pass.trying(file.path, in: exchange) {
                if try fetch(file, of: exchange, &$0) { $0.cache.note(file.seen, at: file.path) }
            }
        }
        knownProblems += pass.tellOddities(of: folder)
        let present = pass.present
        pass.cache.seen.keep { folderName(of: $0) != folder.string || present.contains($0) }
    }

    /// - Returns: nil where nothing is to be fetched now.
    private func lookAt(
        _ path: FilePath, _ name: String, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws -> FoundFile? {
        guard let status = try files.status(path), status.kind == .regular else { return nil }
        let seen = ExchangeCache.Seen(size: status.size, modified: status.modified)
        if let known = pass.cache.seen[path.string], known.isSame(as: seen) {
            if known.isToGo { try takeAway(path, name, of: exchange, &pass) }
            return nil
        }
        var file = FoundFile(path: path, seen: seen, name: name)
        if pass.settling.isLeft(path.string, size: seen.size, modified: seen.modified, now: now) { return nil }
        guard hasRoom(for: seen.size) else {
            pass.tell(file, Self.noRoom(for: seen.size))
            return nil
        }
        guard seen.size > Self.smallBytes else { return try lookAtSmall(file, of: exchange, &pass) }
        switch try firstLook(at: path, size: seen.size, modified: seen.modified, as: path.string, &pass.settling) {
        case .part(let part):
            pass.summary.problems.append(file.told("is \(part): 'consilium bundle join' makes the file again"))
        case .growing: return nil
        case .blank(let hasSettled):
            pass.noteZeros(file, hasSettled: hasSettled)
            return nil
        case .junk where !Quarantine(home: home).hasRoom(for: seen.size):
            pass.summary.problems.append(file.told("is not a bundle, and too large for quarantine/"))
        case .junk:
            file.isJunk = true
            return file
        // In a folder that all share, most of what is encrypted is for others.
        case .forOthers where home.role == .client && exchange.layout == .flat: break
        case .forOthers: return file
        case .bundle(let preview):
            if let only = pass.only, preview.manifest.sender != only { return nil }
            guard preview.manifest.recipients.contains(home.name) else { break }
            switch rules.judge(preview.manifest, id: preview.id, signer: preview.signer) {
            case .deliver, .duplicate, .equivocation:
                file.isBelieved = believes(preview, &pass.believed)
                return file
            case .discard: break
            // It would lie here in the exchange's place, and where there is no room for it, for ever.
            case .hold(let reason):
                file.claim = (HoldingClaim(fingerprint: preview.signer.fingerprint, bytes: seen.size), reason)
                return try mayWait(file, &pass) ? file : nil
            // What somebody known has signed is put on record and away, as from the inbox.
            case .refuse(_, let reason):
                if isKnown(preview.signer) { return file }
                pass.leave(file, reason, now: now)
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
        case .forOthers:
            guard home.role == .client, exchange.layout == .flat else { return file }
            pass.cache.note(file.seen, at: file.path)
            return nil
        case .noBundle(let digest, let size):
            guard pass.cache.seen.hasRoom(at: file.path.string) else {
                pass.noteMore(file)
                return nil
            }
            return pass.settling.observe(file.path.string, size: size, digest: digest, now: now) ? file : nil
        }
    }

    /// Whether a stranger's bundle can wait here for its enrolment, if it is one.
    private func mayWait(_ file: FoundFile, _ pass: inout CollectingPass) throws(MailboxError) -> Bool {
        guard let (claim, reason) = file.claim,
            let obstacle = try holdObstacle(to: claim, besides: pass.strangers, isFetched: false)
        else { return true }
        pass.leave(file, "\(reason), and \(obstacle)", now: now)
        return false
    }

    /// - Returns: whether the file needs no second look.
    private func fetch(_ file: FoundFile, of exchange: Exchange, _ pass: inout CollectingPass) throws -> Bool {
        let (path, seen) = (file.path, file.seen)
        guard try mayWait(file, &pass) else { return false }
        guard file.isBelieved || pass.budget.copies.allows(seen.size) else {
            let runs = pass.settling.wait(path.string)
            if runs == Settling.patience { pass.summary.problems.append(file.told(Self.waited(runs))) }
            return false
        }
        if seen.size > Self.smallBytes {
            let largest = try pass.largestInInbox ?? largestInInbox()
            pass.largestInInbox = largest
            guard hasInboxRoom(for: seen.size, beside: largest) else {
                pass.tell(file, Self.noInboxRoom(for: seen.size, beside: largest))
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
            if ledger.isSettled(bundle.id) || isKnown {
                let now = now
                try updateLedger { $0.sawAgain(bundle.id, now: now) }
            } else {
                let placed = try place(spooled, inInboxAs: inboxName)
                if placed.isNew { pass.summary.copied.append(placed.name) }
                // Not before it has shown to be whole: anybody can lay down a beginning that says how much is to follow.
                if let waiting = file.claim { pass.strangers.append(waiting.claim) }
                pass.largestInInbox = pass.largestInInbox.map { max($0, seen.size) }
                if file.isBelieved { pass.budget.copies = budget }
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
            return true
        } catch let error as BundleError {
            if let cause = error.cause { throw cause }
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
        if let part = try PartHeader.read(spooled, files: files) {
            pass.summary.problems.append(file.told("is \(part): 'consilium bundle join' makes the file again"))
            return true
        }
        let content = try SHA256Hash.digest(of: spooled, files: files)
        if !file.isJunk,
            !pass.settling.observe(file.path.string, size: content.size, digest: content.digest, now: now)
        {
            return false
        }
        guard Quarantine(home: home).hasRoom(for: content.size) else {
            pass.summary.problems.append(
                file.told("is no bundle for here (\(error.reason.rawValue)), and too large for quarantine/"))
            return true
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
        pass.notePutAway(file, detail)
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

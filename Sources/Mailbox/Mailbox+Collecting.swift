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
        let before = (pass.cache, pass.settling)
        for folder in try sources(in: exchange, only: only, &pass.summary) {
            try collect(folder, of: exchange, &pass)
        }
        pass.settling.keep(only: pass.present)
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

    /// The folders to look into.
    private func sources(
        in exchange: Exchange, only: PartyName?, _ summary: inout ExchangeSummary
    ) throws(MailboxError) -> [FilePath] {
        guard home.role == .server else { return [exchange.fromServer(home.name)] }
        if let only { return [exchange.towardsServer(only)] }
        if exchange.layout == .flat { return [exchange.root.appending("inbox")] }
        do {
            // Links are among them so that they are complained about instead of passed over.
            return try files.list(exchange.root).filter { $0.kind == .directory || $0.kind == .symlink }
                .compactMap { PartyName($0.name).map { exchange.towardsServer($0) } }
        } catch {
            summary.add(error, of: exchange)
            return []
        }
    }

    private func collect(
        _ folder: FilePath, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws(MailboxError) {
        let entries: [DirectoryEntry]
        do {
            guard try exchange.isFolder(folder, files) else { return }
            entries = try files.list(folder, limit: Self.namesPerRun)
        } catch {
            return pass.summary.add(error, of: exchange)
        }
        let regular = entries.filter { $0.kind == .regular && $0.isOurBusiness }
        let paths = Set(regular.map { folder.appending($0.component).string })
        pass.present.formUnion(paths)
        var looks = 0
        // As in the inbox: whoever floods a folder does not choose who waits.
        // Each hospital's folder has its own budget; in one that all share, nobody chooses who is first.
        pass.budget = CopyBudget()
        let isCrowded = regular.count > Self.filesPerRun || exchange.layout == .flat
        for entry in isCrowded ? mixed(regular) : regular where looks < Self.filesPerRun {
            let path = folder.appending(entry.component)
            do {
                guard let status = try files.status(path), status.kind == .regular else { continue }
                let seen = ExchangeCache.Seen(size: status.size, modified: status.modified)
                if pass.cache.seen[path.string] == seen { continue }
                looks += 1
                guard hasRoom(for: status.size) else {
                    if pass.settling.report(path.string) {
                        pass.summary.problems.append(
                            "\(Quarantine.printable(entry.name)) in the exchange \(Self.noRoom(for: status.size))")
                    }
                    continue
                }
                if try collect(path, seen, name: entry.name, of: exchange, &pass) {
                    pass.cache.note(seen, at: path)
                }
            } catch let error as FileError where error.path == path || error.isUnreachable {
                if !error.isMissing { pass.summary.add(error, of: exchange) }
            } catch let error as FileError {
                throw MailboxError(error)
            } catch let error as MailboxError {
                throw error
            } catch {
                throw MailboxError(.exchange, "\(error)")
            }
        }
        let prefix = folder.string + "/"
        pass.cache.seen = pass.cache.seen.filter { !$0.key.hasPrefix(prefix) || paths.contains($0.key) }
    }

    /// - Returns: whether the file needs no second look.
    private func collect(
        _ path: FilePath, _ seen: ExchangeCache.Seen, name: String, of exchange: Exchange, _ pass: inout CollectingPass
    ) throws -> Bool {
        var isJunk = false
        if seen.size > Self.smallBytes {
            switch try firstLook(
                at: path, size: seen.size, modified: seen.modified, as: path.string, &pass.settling)
            {
            case .part(let part):
                pass.tell(part, name)
                return true
            case .growing: return false
            case .blank:
                pass.summary.problems.append(
                    "\(Quarantine.printable(name)) in the exchange begins with zeros only, so far")
                return false
            case .junk where !Quarantine(home: home).hasRoom(for: seen.size):
                pass.summary.problems.append(
                    "\(Quarantine.printable(name)) in the exchange is not a bundle, and too large for quarantine/")
                return true
            case .junk: isJunk = true
            case .perhapsABundle: break
            }
        }
        guard pass.budget.allows(seen.size) else { return false }
        let spooled = spoolPath()
        try files.copyFile(from: path, to: spooled, permissions: 0o600, limit: Self.largestFile)
        defer { try? files.remove(spooled) }
        do {
            let archive = try signedArchive(in: spooled)
            let isEncrypted = archive != spooled
            defer { if isEncrypted { try? files.remove(archive) } }
            let bundle = try BundleReader.open(archive, files: files).verified()
            pass.settling.forget(path.string)
            if let only = pass.only, bundle.manifest.sender != only { return false }
            guard bundle.manifest.recipients.contains(home.name) else { return true }
            let inboxName = bundle.manifest.outboxName + (isEncrypted ? AgeFile.suffix : "")
            let isHeld = ledger.held[bundle.id]?.fingerprint == bundle.signer.fingerprint
            if ledger.isSettled(bundle.id) || isHeld {
                let now = now
                try updateLedger { $0.sawAgain(bundle.id, now: now) }
            } else {
                let placed = try place(spooled, inInboxAs: inboxName)
                if placed.isNew { pass.summary.copied.append(placed.name) }
            }
            // Looked at again, since the folder may have become a link while the file was copied, and the file another one.
            if home.role == .server, try exchange.isFolder(path.removingLastComponent(), files),
                let status = try files.status(path), status.kind == .regular, status.size == seen.size,
                status.modified == seen.modified
            {
                // Where it may not be removed, it need not be copied again for that.
                pass.cache.note(seen, at: path)
                try files.remove(path)
                pass.cache.seen[path.string] = nil
                pass.summary.removed.append(name)
                return false
            }
            return true
        } catch let error as BundleError {
            if let cause = error.cause { throw cause }
            pass.budget.spend(seen.size)
            // In a folder that all share, most of what is encrypted is for others.
            if error.reason == .notForThisIdentity, home.role == .client, exchange.layout == .flat { return true }
            if let part = try PartHeader.read(spooled, files: files) {
                pass.tell(part, name)
                return true
            }
            let content = try SHA256Hash.digest(of: spooled, files: files)
            if !isJunk, !pass.settling.observe(path.string, size: content.size, digest: content.digest, now: now) {
                return false
            }
            // The file itself stays: whoever is still writing it would otherwise write into nothing.
            try Quarantine(home: home).take(
                spooled, name: name, digest: content.digest, reason: error.reason.rawValue, detail: error.detail,
                now: now)
            pass.settling.forget(path.string)
            pass.summary.problems.append(
                "\(Quarantine.printable(name)) in the exchange is not a bundle: \(error.detail); a copy is in quarantine/"
            )
            return true
        }
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

private struct CollectingPass {
    var cache: ExchangeCache
    let only: PartyName?
    var settling: Settling
    var summary = ExchangeSummary(.collecting)
    /// Of the folder that is looked into.
    var budget = CopyBudget()
    /// All paths that were listed.
    var present: Set<String> = []

    init(cache: ExchangeCache, only: PartyName?, settling: Settling) {
        self.cache = cache
        self.only = only
        self.settling = settling
    }

    mutating func tell(_ part: PartHeader, _ name: String) {
        summary.problems.append(
            "\(Quarantine.printable(name)) in the exchange is \(part): 'consilium bundle join' makes the file again")
    }
}

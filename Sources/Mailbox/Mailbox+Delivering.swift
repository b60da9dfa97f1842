import Bundles
import Files
import SystemPackage
package import Wire

extension Mailbox {
    /// Copies this home's bundles to an exchange, each only to those whom it lists, and takes away again what is retired.
    ///
    /// What was delivered is not looked at again for a day. Then, if it is gone and not acknowledged, it is laid there once
    /// more.
    ///
    /// - Parameters:
    ///   - only: a server can be told to serve one client only, such as for that hospital's stick.
    ///   - byHand: looks at every target, since a person may have put in another stick.
    package func deliver(
        to exchange: Exchange, only: PartyName? = nil, byHand: Bool = false
    ) throws(MailboxError) -> ExchangeSummary {
        var cache = ExchangeCache.load(from: home)
        let before = cache
        var summary = ExchangeSummary(.delivering)
        takeBack(exchange, &cache, &summary)
        for record in ledger.outgoingInOrder where isOffered(record) {
            for target in targets(of: record, in: exchange, only: only) {
                do {
                    guard try isDue(record, target, exchange, cache, byHand: byHand) else { continue }
                    try prepareFolders(exchange, target)
                    let isThere = try files.exists(target.path)
                    let content = try SHA256Hash.digest(of: travellingPath(record), files: files)
                    try files.publishFile(from: travellingPath(record), to: target.path)
                    cache.delivered[target.path.string] = ExchangeCache.Delivered(
                        id: record.id, at: now, content: content.digest, size: content.size)
                    if !isThere { summary.copied.append(record.name) }
                } catch {
                    summary.add(error, of: exchange)
                }
            }
        }
        if cache != before { try cache.save(to: home) }
        return summary
    }

    private func isOffered(_ record: OutgoingRecord) -> Bool {
        !record.isRetired && !record.isKeptBack && !isExpired(record)
    }

    /// A place in an exchange where a bundle belongs.
    struct Target {
        let path: FilePath
        let recipients: [PartyName]
    }

    /// Who is cut off gets no model any more. What tells it so still goes out.
    private func isCutOff(_ party: PartyName, from kind: BundleKind) -> Bool {
        ![.trust, .decision, .abort].contains(kind) && trust.isCutOff(party)
    }

    /// Takes what nobody may have any more out of the outbox, and with the next delivery out of the exchange. For ever:
    /// whoever comes back with a new key may have another age recipient too, and is sent a new one.
    package func withdrawFromCutOff() throws(MailboxError) {
        try withdraw { record in
            !record.recipients.isEmpty && record.recipients.allSatisfy { isCutOff($0, from: record.kind) }
        }
    }

    func targets(of record: OutgoingRecord, in exchange: Exchange, only: PartyName?) -> [Target] {
        guard home.role == .server else {
            let path = exchange.towardsServer(home.name).appending(record.name)
            return refusal(to: record.recipients) == nil ? [Target(path: path, recipients: record.recipients)] : []
        }
        if exchange.layout == .flat {
            // One file is for all: it goes out as long as somebody may still have it.
            let isMeant =
                record.recipients.contains { (only == nil || $0 == only) && !isCutOff($0, from: record.kind) }
                || record.recipients.isEmpty && only == nil
            let path = exchange.root.appending("outbox").appending(record.name)
            return isMeant ? [Target(path: path, recipients: record.recipients)] : []
        }
        return record.recipients.filter { (only == nil || $0 == only) && !isCutOff($0, from: record.kind) }.map {
            Target(path: exchange.fromServer($0).appending(record.name), recipients: [$0])
        }
    }

    /// Where a bundle lies for those alone who are cut off.
    private func cutOffPaths(of record: OutgoingRecord, in exchange: Exchange) -> [String] {
        guard home.role == .server else {
            let path = exchange.towardsServer(home.name).appending(record.name)
            return refusal(to: record.recipients) == nil ? [] : [path.string]
        }
        let cutOff = record.recipients.filter { isCutOff($0, from: record.kind) }
        guard exchange.layout == .flat else {
            return cutOff.map { exchange.fromServer($0).appending(record.name).string }
        }
        let isForOthers = cutOff.count < record.recipients.count || record.recipients.isEmpty
        return isForOthers ? [] : [exchange.root.appending("outbox").appending(record.name).string]
    }

    private func isDue(
        _ record: OutgoingRecord, _ target: Target, _ exchange: Exchange, _ cache: ExchangeCache, byHand: Bool
    ) throws(FileError) -> Bool {
        let isAcknowledged = !target.recipients.isEmpty && target.recipients.allSatisfy(record.acknowledgedBy.contains)
        guard let delivered = cache.delivered[target.path.string], delivered.id == record.id else {
            return !isAcknowledged
        }
        guard !isAcknowledged, byHand || abs(now.seconds - delivered.at.seconds) >= Self.offerAgainAfter else {
            return false
        }
        guard try exchange.isFolder(target.path.removingLastComponent(), files) else { return true }
        return try !files.exists(target.path)
    }

    /// Makes the folders of one client that are missing, on a server both, and refuses links in their place.
    private func prepareFolders(_ exchange: Exchange, _ target: Target) throws(FileError) {
        var folders = [target.path.removingLastComponent()]
        if home.role == .server, exchange.layout == .perClient {
            folders += target.recipients.map { exchange.towardsServer($0) }
        }
        for folder in folders where try !exchange.isFolder(folder, files) {
            guard exchange.layout == .perClient else {
                throw FileError("use", folder, .noSuchFileOrDirectory, hint: "was the share unmounted?")
            }
            try files.makeDirectories(folder)
        }
    }

    /// Removes from this exchange what is retired of our own bundles, or not for its recipient any more.
    private func takeBack(_ exchange: Exchange, _ cache: inout ExchangeCache, _ summary: inout ExchangeSummary) {
        let live = ledger.outgoing.values.filter(isOffered)
        // By its name too: what travels encrypted by now is not to lie there in the clear.
        let names = Dictionary(live.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        let cutOff = Set(live.flatMap { cutOffPaths(of: $0, in: exchange) })
        for (text, delivered) in cache.delivered {
            let path = FilePath(text)
            let isLive = names[delivered.id] == path.lastComponent?.string && !cutOff.contains(text)
            guard !isLive, path.starts(with: exchange.root) else { continue }
            do {
                var isThere = false
                if try exchange.isFolder(path.removingLastComponent(), files) {
                    isThere = try files.exists(path)
                    try files.remove(path)
                }
                cache.delivered[text] = nil
                if isThere, let name = path.lastComponent { summary.removed.append(name.string) }
            } catch {
                summary.add(error, of: exchange)
            }
        }
    }
}

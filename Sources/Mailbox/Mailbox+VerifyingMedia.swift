import Bundles
import Files
package import SystemPackage
package import Wire

/// What a medium holds of what this home put there.
package struct MediaReport: Equatable, Sendable {
    package enum Verdict: String, CaseIterable, Sendable {
        /// Reads back as it was delivered.
        case intact
        /// Was delivered, or is to be, and is not there.
        case missing
        /// Is there with other bytes, or cannot be read.
        case damaged
        /// Not from here, in a folder that this home delivers to.
        case foreign
        /// Somebody's copy that has not ended, or was stopped.
        case unfinished
    }

    package struct Item: Equatable, Sendable {
        /// Below the medium's root.
        package let path: FilePath
        package let verdict: Verdict
        /// Empty where the verdict says all.
        package let detail: String
    }

    package internal(set) var items: [Item] = []

    /// Whether everything that was delivered is there as it was.
    package var isGood: Bool { !items.contains { $0.verdict == .missing || $0.verdict == .damaged } }

    package func count(_ verdict: Verdict) -> Int { items.count { $0.verdict == verdict } }
}

extension Mailbox {
    /// Reads a medium back: each bundle that this home delivers there is read from the medium itself, as far as the system
    /// lets us, and compared with the digest that was written down when it was delivered. Changes nothing.
    ///
    /// A stick may be mounted at another place than before: what was delivered is recognised by its place below the root.
    package func verifyMedia(_ exchange: Exchange, only: PartyName? = nil) throws(MailboxError) -> MediaReport {
        let cache = ExchangeCache.load(from: home)
        var report = MediaReport()
        var expected: Set<FilePath> = []
        for record in ledger.outgoingInOrder {
            for target in targets(of: record, in: exchange, only: only) {
                let delivered = cache.delivery(of: record.id, at: target.path, in: exchange)
                let isOver = record.isRetired || target.recipients.allSatisfy(record.acknowledgedBy.contains)
                expected.insert(target.path)
                let item = try look(at: target.path, of: record, delivered, isOver: isOver, exchange)
                if let item { report.items.append(item) }
            }
        }
        let folders = try onDisk { () throws(FileError) in try exchange.folders(of: home, only: only) }
        for (folder, isOurs) in folders {
            report.items += try strangers(in: folder, isOurs: isOurs, expected: expected, exchange)
        }
        try recogniseParts(in: folders.filter(\.isDeliveredTo).map(\.path), of: exchange, &report)
        report.items.sort { $0.path.string < $1.path.string }
        return report
    }

    /// - Returns: nil where nothing is due there.
    private func look(
        at path: FilePath, of record: OutgoingRecord, _ delivered: ExchangeCache.Delivered?, isOver: Bool,
        _ exchange: Exchange
    ) throws(MailboxError) -> MediaReport.Item? {
        func item(_ verdict: MediaReport.Verdict, _ detail: String = "") -> MediaReport.Item {
            MediaReport.Item(path: exchange.below(path), verdict: verdict, detail: detail)
        }
        do throws(FileError) {
            guard try exchange.isFolder(path.removingLastComponent(), files), try files.exists(path) else {
                if isOver { return nil }
                return item(
                    .missing,
                    delivered == nil
                        ? "not delivered there yet: run 'exchange sync'"
                        : "taken by the other side, or lost: 'exchange sync' lays it there again")
            }
            let file = try files.openForReading(path)
            file.forgetCache()
            let size = try file.status().size
            let digest = try SHA256Hash.digest(of: file, from: 0, size: .max)
            guard let known = try knownContent(of: record, delivered) else {
                return item(.intact, "no longer needed; the next 'exchange sync' takes it away")
            }
            if size == known.size, digest == known.digest { return item(.intact) }
            let what = size == known.size ? "other bytes" : "\(size) bytes instead of \(known.size)"
            return item(.damaged, "\(what): remove it there and run 'exchange sync' again")
        } catch {
            // A share that is away says nothing about its files.
            if error.isUnreachable { throw MailboxError(error) }
            return item(.damaged, "\(error)")
        }
    }

    /// As written down at the delivery; for a delivery of old, the file that was copied.
    private func knownContent(
        of record: OutgoingRecord, _ delivered: ExchangeCache.Delivered?
    ) throws(FileError) -> (digest: Digest, size: Int64)? {
        if let digest = delivered?.content, let size = delivered?.size { return (digest, size) }
        guard !record.isRetired else { return nil }
        return try SHA256Hash.digest(of: travellingPath(record), files: files)
    }

    private func strangers(
        in folder: FilePath, isOurs: Bool, expected: Set<FilePath>, _ exchange: Exchange
    ) throws(MailboxError) -> [MediaReport.Item] {
        try onDisk { () throws(FileError) in
            guard try exchange.isFolder(folder, files) else { return [] }
            var items: [MediaReport.Item] = []
            for entry in try files.list(folder, limit: Self.filesPerRun * 10) {
                let path = folder.appending(entry.component)
                guard !expected.contains(path) else { continue }
                let verdict: MediaReport.Verdict
                let detail: String
                if TemporaryName.isUnfinished(entry.name) {
                    verdict = .unfinished
                    detail = "remove it if nobody is copying just now"
                } else if isOurs, entry.kind != .regular || !entry.name.hasPrefix(".") {
                    verdict = .foreign
                    detail = "not from here"
                } else {
                    continue
                }
                items.append(MediaReport.Item(path: exchange.below(path), verdict: verdict, detail: detail))
            }
            return items
        }
    }
}

extension Exchange {
    /// A path below the root, without the root.
    func below(_ path: FilePath) -> FilePath {
        var rest = path
        _ = rest.removePrefix(root)
        return rest
    }
}

extension ExchangeCache {
    /// The delivery of a bundle to a place below an exchange's root, wherever that root was then.
    fileprivate func delivery(of id: Digest, at path: FilePath, in exchange: Exchange) -> Delivered? {
        if let exact = delivered[path.string], exact.id == id { return exact }
        let place = "/" + exchange.below(path).string
        return delivered.first { $0.value.id == id && $0.key.hasSuffix(place) }?.value
    }
}

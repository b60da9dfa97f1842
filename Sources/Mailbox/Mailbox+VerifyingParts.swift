import Bundles
import Files
import SystemPackage
import Wire

extension Mailbox {
    /// What `consilium bundle split` laid on a medium that does not take the whole file: parts that join to a bundle that is due
    /// there are that bundle. They may lie in its folder or beside all folders.
    func recogniseParts(
        in folders: [FilePath], of exchange: Exchange, _ report: inout MediaReport
    ) throws(MailboxError) {
        guard report.items.contains(where: { $0.verdict == .missing }) else { return }
        let splits: [FileJoiner.Split]
        do { splits = try FileJoiner.splits(in: folders + [exchange.root], files: files) } catch {
            throw MailboxError(.exchange, error)
        }
        var recognised: Set<FilePath> = []
        for split in splits {
            let records = try travelling(as: split.whole)
            for (index, item) in report.items.enumerated() where item.verdict == .missing {
                guard let name = item.path.lastComponent?.string, records.contains(name) else { continue }
                report.items[index] = MediaReport.Item(
                    path: item.path, verdict: split.fault == nil ? .intact : .damaged,
                    detail: split.fault ?? "in \(split.whole.parts) parts: 'consilium bundle join' makes the file again"
                )
                recognised.formUnion(split.parts.map(exchange.below))
            }
        }
        report.items.removeAll { $0.verdict == .foreign && recognised.contains($0.path) }
    }

    /// The names of our own bundles that travel with this content.
    private func travelling(as whole: PartHeader.Whole) throws(MailboxError) -> Set<String> {
        var names: Set<String> = []
        for record in ledger.outgoingInOrder where !record.isRetired {
            let path = travellingPath(record)
            let isSame = try onDisk { () throws(FileError) in
                guard try files.status(path)?.size == whole.size else { return false }
                return try SHA256Hash.digest(of: path, files: files).digest == whole.digest
            }
            if isSame { names.insert(record.name) }
        }
        return names
    }
}

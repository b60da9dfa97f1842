import Bundles
import Files
import SystemPackage
import Wire

/// A file in an exchange that may be a bundle for here.
struct FoundFile {
    let path: FilePath
    let seen: ExchangeCache.Seen
    let name: String
    /// No bundle, as its beginning showed.
    var isJunk = false
    /// Its beginning is signed by somebody whom this home believes.
    var isBelieved = false

    func told(_ what: String) -> String { "\(Quarantine.printable(name)) in the exchange \(what)" }
}

/// What one pass looks at and copies: of each known party's folder, and of all others together.
struct CollectingBudget {
    var copies = CopyBudget()
    var looks = 0
    var zeros = 0

    var hasLooks: Bool { looks < Mailbox.filesPerRun && zeros < Mailbox.blankFilesPerRun }
}

/// What one collecting gathers before it writes.
struct CollectingPass {
    /// How many files of a folder are told one by one that are left where they are.
    private static let toldOfFolder = 3

    var cache: ExchangeCache
    let only: PartyName?
    var settling: Settling
    var summary = ExchangeSummary(.collecting)
    /// Of the folder that is looked into.
    var budget = CollectingBudget()
    /// Of all folders that are nobody's.
    var sharedBudget = CollectingBudget()
    /// What is to wait for an enrolment.
    var strangers: [HoldingClaim] = []
    /// Bundles that were recognised by their beginnings.
    var believed: Set<Digest> = []
    /// In bytes, once it is known.
    var largestInInbox: Int64?
    /// All paths that were found, and the folders in which; the folders of known parties.
    var present: Set<String> = []
    var listed: Set<String> = []
    var known: Set<String> = []
    /// Of the folder that is looked into: what is left where it is, and files of zeros.
    private var left: [String] = []
    private var zeros = ZeroCount()

    init(cache: ExchangeCache, only: PartyName?, settling: Settling) {
        self.cache = cache
        self.only = only
        self.settling = settling
    }

    /// Trouble with one file, or with the share, keeps no other back; trouble with our own disk stops the run.
    mutating func trying(
        _ path: FilePath, in exchange: Exchange, _ work: (inout CollectingPass) throws -> Void
    ) throws(MailboxError) {
        do {
            try work(&self)
        } catch let error as FileError where error.path == path || error.isUnreachable {
            if !error.isMissing { summary.add(error, of: exchange) }
        } catch let error as FileError {
            throw MailboxError(error)
        } catch let error as MailboxError {
            throw error
        } catch {
            throw MailboxError(.exchange, "\(error)")
        }
    }

    /// Of a known party's folder that is away nobody knows, nor of another exchange. Folders that others make and take away
    /// leave nothing behind.
    func mayBeThere(_ path: String, in exchange: Exchange) -> Bool {
        guard only == nil, !present.contains(path) else { return true }
        let folder = FilePath(path).removingLastComponent()
        guard !listed.contains(folder.string) else { return false }
        return known.contains(folder.string) || !folder.starts(with: exchange.root)
    }

    /// Says something of a file, once.
    mutating func tell(_ file: FoundFile, _ what: String) {
        if settling.report(file.path.string) { summary.problems.append(file.told(what)) }
    }

    mutating func leave(_ file: FoundFile, _ reason: String, now: Timestamp) {
        settling.leave(file.path.string, size: file.seen.size, modified: file.seen.modified, now: now)
        if settling.report(file.path.string) { left.append(file.told("is not fetched: \(reason)")) }
    }

    mutating func noteZeros(_ file: FoundFile, hasSettled: Bool) {
        budget.zeros += 1
        zeros.note(isNew: hasSettled ? settling.report(file.path.string) : nil)
    }

    /// - Returns: what is so still.
    mutating func tellOddities(of folder: FilePath) -> [String] {
        summary.problems += left.prefix(Self.toldOfFolder)
        let more = left.count - Self.toldOfFolder
        if more > 0 {
            summary.problems.append(
                "\(counted(more, "more large bundle")) in \(folder) \(more == 1 ? "is" : "are") not fetched")
        }
        summary.problems += zeros.new(in: folder.string)
        defer { (left, zeros) = ([], ZeroCount()) }
        return zeros.known(in: folder.string)
    }
}

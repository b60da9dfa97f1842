import Bundles
import Files
import SystemPackage
import Wire

/// A file in an exchange that may be a bundle for here.
struct FoundFile {
    let path: FilePath
    let seen: ExchangeCache.Seen
    let name: String
    /// Its folder, from the exchange's root on.
    let place: String
    /// No bundle, as its beginning showed.
    var isJunk = false
    /// Who signed its beginning, where this home believes him.
    var believedSigner: PublicKey?
    /// What is to wait here for an enrolment, and why.
    var claim: (claim: HoldingClaim, reason: String)?

    func told(_ what: String) -> String { "\(place)/\(Quarantine.printable(name)) in the exchange \(what)" }
}

/// What one pass looks at and copies: of each known party's folder, and of all others together.
struct CollectingBudget {
    var copies = CopyBudget()
    var looks: LookBudget

    init(lookSeconds: Double) { looks = LookBudget(seconds: lookSeconds) }
}

/// What one collecting gathers before it writes.
struct CollectingPass {
    var cache: ExchangeCache
    let only: PartyName?
    var settling: Settling
    var summary = ExchangeSummary(.collecting)
    /// Of the folder that is looked into.
    var budget: CollectingBudget
    /// What was laid into the inbox to wait for an enrolment.
    var strangers: [HoldingClaim] = []
    /// Bundles that were recognised by their beginnings.
    var believed: Set<Digest> = []
    /// In bytes, once it is known.
    var largestInInbox: Int64?
    /// Whose large files are copied under the budget from now on.
    var disappointing = Disappointing()
    /// Folders of known parties, and strangers' for which there was no turn yet.
    var known: Set<String> = []
    var passedBy: Set<String> = []
    /// Whether folders are looked into that anybody can make: trouble with them is told of all together.
    var isAmongStrangers = false
    /// Of the folder that is looked into.
    private var lines = FileLines()

    init(cache: ExchangeCache, only: PartyName?, settling: Settling, budget: CollectingBudget) {
        self.budget = budget
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
            guard !error.isMissing else { return }
            // Of a share or a folder it is said once, whichever file it was met at.
            guard summary.isOf(path, error, of: exchange) else {
                guard isAmongStrangers else { return summary.add(error, of: exchange) }
                return tell(error, of: path.removingLastComponent(), in: exchange)
            }
            summary.mayRetry = summary.mayRetry || error.isTransient
            lines.tell(error, of: path.string, &settling)
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
    func mayBeThere(_ folder: String, in exchange: Exchange) -> Bool {
        known.contains(folder) || passedBy.contains(folder) || folder == exchange.root.string
            || !FilePath(folder).starts(with: exchange.root)
    }

    /// Says something of a file, once.
    mutating func tell(_ file: FoundFile, _ what: String, _ sort: FileLines.Sort) {
        lines.tell(file.told(what), sort, of: file.path.string, &settling)
    }

    /// Says something of a file that will not come again.
    mutating func tellNow(_ file: FoundFile, _ what: String, _ sort: FileLines.Sort) {
        lines.tell(file.told(what), sort)
    }

    mutating func leave(_ file: FoundFile, _ what: String, now: Timestamp) {
        settling.leave(file.path.string, size: file.seen.size, modified: file.seen.modified, now: now)
        tell(file, what, .left)
    }

    /// Where nobody can be told once, nobody is told of this file.
    mutating func noteMore(_ file: FoundFile) {
        settling.forget(file.path.string)
        lines.tellOfNoOther()
    }

    mutating func noteZeros(_ file: FoundFile, hasSettled: Bool) {
        lines.noteZeros(of: file.path.string, hasSettled: hasSettled, &settling)
    }

    /// Says that a stranger's folder cannot be used: once, and of many in few lines.
    mutating func tell(_ error: FileError, of folder: FilePath, in exchange: Exchange) {
        guard !error.isUnreachable else { return summary.add(error, of: exchange) }
        summary.mayRetry = summary.mayRetry || error.isTransient
        lines.tell(error, of: folder.string + "/", &settling)
    }

    /// - Returns: what is so still.
    mutating func tellLines(of folder: FilePath) -> [String] {
        defer { lines = FileLines() }
        var news = lines.new(in: folder.string)
        let hasRoom = cache.seen.hasRoom(at: folder.string + "/")
        if settling.reportOverflow(lines.isOverflowing, in: folder.string, hasRoom: hasRoom) {
            news.append(FileLines.overflow(in: folder.string))
        }
        summary.news.formUnion(news)
        summary.remarks.formUnion(lines.new(.part, in: folder.string) + lines.new(.junk, in: folder.string))
        summary.problems += news + lines.passing(in: folder.string)
        return lines.known(in: folder.string)
    }
}

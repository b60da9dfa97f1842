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
    /// Whether it will be laid into the inbox, as far as its beginning shows.
    var isForInbox = true
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
    var share: InboxShare

    init(lookSeconds: Double, share: InboxShare) {
        looks = LookBudget(seconds: lookSeconds)
        self.share = share
    }
}

/// How much one folder may bring into the inbox in one run, so that all of them together bring about what a run takes out of
/// it: else the inbox would grow as long as two parties send without end, and everybody wait behind all that lies in it.
struct InboxShare {
    private var files: Int
    private var bytes: Int64

    /// - Parameters:
    ///   - folders: how many there are.
    ///   - waiting: how many files lie in the inbox already. The more, the less comes in; something always does.
    init(of folders: Int, waiting: Int) {
        let (runs, folders) = (1 + waiting / Mailbox.filesPerRun, max(1, folders))
        files = max(runs == 1 ? Mailbox.leastFilesPerFolder : 1, Mailbox.filesPerRun / folders / runs)
        bytes = max(Mailbox.smallBytes, Mailbox.smallBytesPerRun / Int64(folders * runs))
    }

    var isOpen: Bool { files > 0 && bytes > 0 }

    mutating func take(_ size: Int64) {
        files -= 1
        if size <= Mailbox.smallBytes { bytes -= size }
    }
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
    /// Strangers' folders that cannot be used, and what was said of them.
    private var troubled: Set<String> = []
    private var said: Set<String> = []

    init(cache: ExchangeCache, only: PartyName?, settling: Settling, budget: CollectingBudget) {
        self.budget = budget
        self.cache = cache
        self.only = only
        self.settling = settling
    }

    /// Trouble with one file, with a folder that it lies in, or with the share, keeps no other back; trouble with our own disk
    /// stops the run.
    mutating func trying(
        _ path: FilePath, in exchange: Exchange, _ work: (inout CollectingPass) throws -> Void
    ) throws(MailboxError) {
        do {
            try work(&self)
        } catch let error as FileError where error.isUnreachable || exchange.isTrouble(error, with: path) {
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

    /// Says that a stranger's folder cannot be used: once, whichever of its files shows it, and of many in few lines.
    mutating func tell(_ error: FileError, of folder: FilePath, in exchange: Exchange) {
        let error = error.aboutItsPlace(in: exchange.root)
        guard !error.isUnreachable, error.path != exchange.root else { return summary.add(error, of: exchange) }
        summary.mayRetry = summary.mayRetry || error.isTransient
        troubled.insert(folder.string)
        guard said.insert(error.description).inserted else { return }
        lines.tell(error, .folder, of: Self.trouble(with: folder), &settling)
    }

    /// Says that not every file of a folder has its turn: of strangers' folders once, and of many in few lines.
    mutating func tellOfEndlessNames(in folder: FilePath) {
        let line = "\(folder) holds more names than can be listed in one run: not every file in it has its turn"
        guard isAmongStrangers else { return summary.problems.append(line) }
        lines.tell(line, .endless, of: folder.string + "/.", &settling)
    }

    /// Forgets what is no longer in a folder of which all names were met.
    ///
    /// - Parameter isOver: whether all files had their turn. Trouble that is met at one of them may else be there still.
    mutating func keep(in folder: FilePath, _ present: Set<String>, isOver: Bool) {
        let trouble = Self.trouble(with: folder)
        let isTroubled = troubled.contains(folder.string) || !isOver
        cache.seen.keep(in: folder.string, present.contains)
        settling.keep(in: folder.string) { present.contains($0) || isTroubled && $0 == trouble }
    }

    /// Under which it is noted that a folder cannot be used. No file is called so.
    private static func trouble(with folder: FilePath) -> String { folder.string + "/" }

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

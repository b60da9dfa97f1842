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
    /// What is to wait here for an enrolment, and why.
    var claim: (claim: HoldingClaim, reason: String)?

    func told(_ what: String) -> String { "\(Quarantine.printable(name)) in the exchange \(what)" }
}

/// What one pass looks at and copies: of each known party's folder, and of all others together.
struct CollectingBudget {
    var copies = CopyBudget()
    var looks = LookBudget()
}

/// What one collecting gathers before it writes.
struct CollectingPass {
    /// How many files of a folder are told one by one that are no bundles, or are left where they are.
    private static let toldOfFolder = 3

    var cache: ExchangeCache
    let only: PartyName?
    var settling: Settling
    var summary = ExchangeSummary(.collecting)
    /// Of the folder that is looked into.
    var budget = CollectingBudget()
    /// Of all folders that are nobody's.
    var sharedBudget = CollectingBudget()
    /// What was laid into the inbox to wait for an enrolment.
    var strangers: [HoldingClaim] = []
    /// Bundles that were recognised by their beginnings.
    var believed: Set<Digest> = []
    /// In bytes, once it is known.
    var largestInInbox: Int64?
    /// All paths that were found, and the folders in which; the folders of known parties.
    var present: Set<String> = []
    var listed: Set<String> = []
    /// Folders for which there was no turn.
    var passedBy: Set<String> = []
    var known: Set<String> = []
    /// Of the folder that is looked into: what is left where it is, what was put away, and files of zeros.
    private var left: [String] = []
    private var junk: [String] = []
    private var zeros = ZeroCount()
    /// Whether there is more that does not verify than can be noted.
    private var hasMore = false

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
        guard !present.contains(path) else { return true }
        let folder = folderName(of: path)
        guard !listed.contains(folder) else { return false }
        return only != nil || known.contains(folder) || passedBy.contains(folder)
            || !FilePath(folder).starts(with: exchange.root)
    }

    /// Says something of a file, once.
    mutating func tell(_ file: FoundFile, _ what: String) {
        if settling.report(file.path.string) { summary.problems.append(file.told(what)) }
    }

    mutating func leave(_ file: FoundFile, _ reason: String, now: Timestamp) {
        settling.leave(file.path.string, size: file.seen.size, modified: file.seen.modified, now: now)
        if settling.report(file.path.string) { left.append(file.told("is not fetched: \(reason)")) }
    }

    mutating func notePutAway(_ file: FoundFile, _ detail: String) {
        junk.append(file.told("is not a bundle: \(detail); a copy is in quarantine/"))
    }

    /// Where nobody can be told once, nobody is told of this file.
    mutating func noteMore(_ file: FoundFile) {
        settling.forget(file.path.string)
        hasMore = true
    }

    mutating func noteZeros(_ file: FoundFile, hasSettled: Bool) {
        zeros.note(isNew: hasSettled ? settling.report(file.path.string) : nil)
    }

    /// - Returns: what is so still.
    mutating func tellOddities(of folder: FilePath) -> [String] {
        tell(left, of: folder, "more large bundle", ("is not fetched", "are not fetched"))
        tell(
            junk, of: folder, "more file",
            ("is not a bundle; a copy is in quarantine/", "are not bundles; copies are in quarantine/"))
        // The same words in each run, so that they are said once.
        if hasMore {
            summary.problems.append(
                "so many files in \(folder) are no bundles that of others nobody is told until those are removed")
        }
        summary.problems += zeros.new(in: folder.string)
        defer { (left, junk, zeros, hasMore) = ([], [], ZeroCount(), false) }
        return zeros.known(in: folder.string)
    }

    /// The first ones one by one, and the number of the others.
    private mutating func tell(
        _ lines: [String], of folder: FilePath, _ what: String, _ verdict: (one: String, many: String)
    ) {
        summary.problems += lines.prefix(Self.toldOfFolder)
        let more = lines.count - Self.toldOfFolder
        guard more > 0 else { return }
        summary.problems.append("\(counted(more, what)) in \(folder) \(more == 1 ? verdict.one : verdict.many)")
    }
}

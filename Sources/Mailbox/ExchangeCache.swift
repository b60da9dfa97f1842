import Files
package import SystemPackage
package import Wire

/// What this home has seen and laid in exchanges: `mailbox/exchange.json`, so that an idle run reads no payload.
///
/// Only a cache: without it, everything is read once more and recognised by its id.
struct ExchangeCache: Equatable {
    private static let maximumBytes = 64 << 20

    /// A file that needs no second look as long as size and modification time stay.
    struct Seen: Equatable {
        let size: Int64
        let modified: Int64
        /// A copy is here, and the file is to go; that failed before.
        var isToGo = false
        /// Of what was fetched outside of its time, and refused: when it is to be fetched again.
        var times: BundleTimes?

        func isDue(_ now: Timestamp) -> Bool { times?.contains(now) ?? false }

        func isSame(as other: Seen) -> Bool { size == other.size && modified == other.modified }
    }

    /// A bundle of ours at a path there.
    struct Delivered: Equatable {
        let id: Digest
        let at: Timestamp
        /// Of the file as it travels; nil for what was delivered before this was written down.
        var content: Digest?
        var size: Int64?
    }

    /// How many files are noted as seen. Others name them, and each one more is read again in each run instead.
    private static let seenKept = 5000

    /// By absolute path, as for ``delivered``.
    var seen = FolderNotes<Seen>(bound: seenKept)

    mutating func note(_ file: Seen, at path: FilePath) { seen.note(file, at: path.string) }

    var delivered: [String: Delivered] = [:]
    /// Where the file system was mounted that an exchange lay on when it was last used, and which exchange that was.
    var mountPoint: String?
    var mountedRoot: String?
    /// The same of each client's folder that is a mount of its own.
    var mountedFolders: Set<String> = []
    /// Which layout an exchange had when it was used, and which exchange that was.
    private var layout: Exchange.Layout?
    private var layoutRoot: String?
    /// That it shows another one too, as it was told.
    var oddity: String?
    /// Whom this home believed when large bundles were left where they lay; nil where none was.
    var leftUnder: Digest?
    /// Why the exchange could not be used when it was last tried; nil if it could.
    var trouble: String?
    /// What could not be done when it was last used, by the way of the bundles: what has been said already.
    var problems: [ExchangeSummary.Way: [String]] = [:]
    /// More are said again each time.
    fileprivate static let problemsKept = 1000

    /// Starts anew if the file cannot be read.
    static func load(from home: Home) -> ExchangeCache {
        guard let bytes = try? home.files.readFile(home.exchangePath, limit: maximumBytes),
            let json = try? StrictJSON.parse(bytes, maximumBytes: maximumBytes),
            let cache = try? ExchangeCache(json: json)
        else { return ExchangeCache() }
        return cache
    }

    func save(to home: Home) throws(MailboxError) {
        let bytes = StrictJSON.serialize(json)
        try onDisk { () throws(FileError) in try home.files.writeFile(home.exchangePath, bytes) }
    }

    private init() {}

    /// The layout of an exchange that was used.
    func usedAs(_ root: FilePath) -> Exchange.Layout? { layoutRoot == root.string ? layout : nil }

    /// Not where both layouts show and nobody knows yet which is meant.
    mutating func remember(_ exchange: Exchange) {
        guard exchange.oddity == nil else { return }
        (layout, layoutRoot) = (exchange.layout, exchange.root.string)
    }

    private var json: JSONValue {
        [
            "trouble": trouble.map { .string($0) } ?? .null, "mount_point": mountPoint.map { .string($0) } ?? .null,
            "mounted_root": mountedRoot.map { .string($0) } ?? .null,
            "layout": layout.map { .string($0.rawValue) } ?? .null,
            "layout_root": layoutRoot.map { .string($0) } ?? .null,
            "oddity": oddity.map { .string($0) } ?? .null,
            "left_under": leftUnder.map { .string($0.hex) } ?? .null,
            "mounted_folders": .array(mountedFolders.sorted().map { .string($0) }),
            "problems": .object(
                Dictionary(
                    uniqueKeysWithValues: problems.map { way, lines in
                        (way.rawValue, .array(lines.map { .string($0) }))
                    })),
            "seen": .array(
                seen.all.sorted { $0.key < $1.key }.map {
                    [
                        "path": .string($0.key), "size": .integer($0.value.size),
                        "modified": .integer($0.value.modified), "to_go": .bool($0.value.isToGo),
                        "from": $0.value.times.map { .integer($0.from.seconds) } ?? .null,
                        "until": $0.value.times.map { .integer($0.until.seconds) } ?? .null,
                    ]
                }),
            "delivered": .array(
                delivered.sorted { $0.key < $1.key }.map {
                    [
                        "path": .string($0.key), "id": .string($0.value.id.hex), "at": .integer($0.value.at.seconds),
                        "sha256": $0.value.content.map { .string($0.hex) } ?? .null,
                        "size": $0.value.size.map { .integer($0) } ?? .null,
                    ]
                }),
        ]
    }

    private init(json: JSONValue) throws(JSONError) {
        var fields = try ObjectReader(json, context: "exchange.json")
        trouble = try fields.optionalString("trouble", maximumLength: 65_536)
        mountPoint = try fields.optionalString("mount_point", maximumLength: 8192)
        mountedRoot = try fields.optionalString("mounted_root", maximumLength: 8192)
        layout = try fields.optionalString("layout").flatMap { Exchange.Layout(rawValue: $0) }
        layoutRoot = try fields.optionalString("layout_root", maximumLength: 8192)
        oddity = try fields.optionalString("oddity", maximumLength: 65_536)
        leftUnder = try fields.optionalDigest("left_under")
        if fields.has("mounted_folders") { mountedFolders = Set(try fields.strings("mounted_folders")) }
        if fields.has("problems") {
            var lines = try fields.object("problems")
            for way in ExchangeSummary.Way.allCases where lines.has(way.rawValue) {
                problems[way] = try lines.strings(way.rawValue)
            }
        }
        for var item in try fields.objects("seen").prefix(Self.seenKept) {
            var file = Seen(
                size: try item.integer("size"), modified: try item.integer("modified"),
                isToGo: try item.optionalBool("to_go") ?? false)
            if let from = try item.optionalInteger("from"), let until = try item.optionalInteger("until") {
                file.times = BundleTimes(from: Timestamp(seconds: from), until: Timestamp(seconds: until))
            }
            seen.note(file, at: try item.string("path", maximumLength: 8192))
        }
        for var item in try fields.objects("delivered") {
            delivered[try item.string("path", maximumLength: 8192)] = Delivered(
                id: try item.digest("id"), at: Timestamp(seconds: try item.integer("at")),
                content: try item.optionalValue("sha256") == .null ? nil : item.digest("sha256"),
                size: try item.optionalInteger("size", in: 0...Int64.max))
        }
    }
}

extension Mailbox {
    /// Uses an exchange in a run that goes on without it: a share that is away, that does not answer, that is full or that may
    /// not be written to is said when that begins or when the reason changes, and not again in each run.
    ///
    /// - Returns: what a person should know.
    package func useExchange(
        at root: FilePath, _ work: (Exchange) throws -> ExchangeSummary
    ) throws -> [String] {
        guard let exchange = try exchange(at: root) else { return [] }
        do {
            let summary = try work(exchange)
            if summary.way == .delivering, !summary.copied.isEmpty {
                delivered += summary.copied.count
                try remember(exchange)
            }
            return try news(of: summary)
        } catch let error as MailboxError where error.kind == .exchange {
            // A share that is away must not stop what can be done without it. Trouble of the home's own disk does.
            return ["exchange: \(error)"]
        }
    }

    /// The exchange at a path. Where it cannot be used that becomes one of ``problems``, once.
    ///
    /// - Returns: nil if it cannot be used.
    package func exchange(at root: FilePath) throws(MailboxError) -> Exchange? {
        var cache = ExchangeCache.load(from: home)
        let before = cache
        let known = cache.trouble
        var exchange: Exchange?
        // A mistake in the configuration; what somebody laid into the share is none.
        try Exchange.requireNotOwn(Exchange.path(root, of: home), of: home)
        do {
            let path = try Exchange.requireRoot(root, of: home)
            try cache.check(path, files)
            var found = try Exchange.detect(path, home: home, usedAs: cache.usedAs(path))
            if found.isEvident { cache.remember(found) }
            tell(of: found, &cache)
            if home.role == .server {
                found.unmounted = cache.checkFolders(of: found, trust.parties.map(\.name), files)
            }
            exchange = found
            // A share that does not answer may still have its folder's state in the system's memory.
            if !cache.isSilent { cache.trouble = nil }
        } catch {
            cache.trouble = error.description
            if error.description != known {
                problems.append("exchange: \(error)")
            } else {
                knownProblems.append("exchange: \(error)")
            }
        }
        if cache != before { try cache.save(to: home) }
        return exchange
    }

    /// What was laid there is what others look for: from now on, this is its layout.
    private func remember(_ exchange: Exchange) throws(MailboxError) {
        var cache = ExchangeCache.load(from: home)
        let before = cache
        cache.remember(exchange)
        if cache != before { try cache.save(to: home) }
    }

    /// Says once that an exchange shows the other layout too.
    private func tell(of exchange: Exchange, _ cache: inout ExchangeCache) {
        if let oddity = exchange.oddity {
            if oddity == cache.oddity { knownProblems.append(oddity) } else { problems.append("exchange: \(oddity)") }
        }
        cache.oddity = exchange.oddity
    }

    /// What the last pass of this kind did not say already.
    private func news(of summary: ExchangeSummary) throws(MailboxError) -> [String] {
        var cache = ExchangeCache.load(from: home)
        let before = cache
        let silence = summary.silence
        if silence != nil || cache.isSilent, silence != cache.trouble {
            cache.trouble = silence
            if let silence { problems.append("exchange: \(silence)") }
        }
        let found = summary.problems.filter { $0 != silence }
        let known = cache.problems[summary.way] ?? []
        let isKnown = { known.contains($0) && !summary.news.contains($0) }
        let new = found.filter { !isKnown($0) }
        knownProblems += found.filter(isKnown)
        // Of a share that stopped answering on the way, nobody knows whether the rest is over.
        let open = Array(
            (silence == nil ? found : known + new).filter { !summary.news.contains($0) }
                .prefix(ExchangeCache.problemsKept))
        if open != known { cache.problems[summary.way] = open }
        if cache != before { try cache.save(to: home) }
        return new
    }
}

extension ExchangeCache {
    /// The folder that a share is mounted on is there without it too, and what was laid there then would reach nobody.
    fileprivate mutating func check(_ root: FilePath, _ files: any FileSystem) throws(MailboxError) {
        guard let found = (try? files.volume(of: root))??.mountPoint else { return }
        if let mountPoint, mountedRoot == root.string, FilePath(mountPoint) != found,
            FilePath(mountPoint).starts(with: found)
        {
            throw MailboxError(
                .exchange,
                "\(root) lies on the file system of \(found) now, and lay on that of \(mountPoint): is the share mounted?",
                hint: "if it has moved, remove mailbox/exchange.json of this home")
        }
        (mountPoint, mountedRoot) = (found.string, root.string)
    }

    /// What was laid below one client's mount point would reach nobody, and count as delivered.
    /// - Parameter known: to whom something may be delivered.
    /// - Returns: the clients' folders whose mounts are away.
    fileprivate mutating func checkFolders(
        of exchange: Exchange, _ known: [PartyName], _ files: any FileSystem
    ) -> Set<FilePath> {
        guard exchange.layout == .perClient, let whole = (try? files.volume(of: exchange.root))??.mountPoint else {
            return []
        }
        var away: Set<FilePath> = []
        for name in known.sorted() {
            let folder = exchange.root.appending(name.text)
            // Not where a link leads to.
            guard (try? files.status(folder))??.kind == .directory,
                let found = (try? files.volume(of: folder))??.mountPoint
            else { continue }
            // Compared with each other: the way to the root may lead over a link, and mount points are told without one.
            if found != whole {
                mountedFolders.insert(folder.string)
            } else if mountedFolders.contains(folder.string) {
                away.insert(folder)
            }
        }
        return away
    }

    fileprivate var isSilent: Bool { trouble.map(FileError.isUnreachable) ?? false }
}

extension Exchange {
    /// The exchange at a path as a run would use it, for whoever looks or carries by hand. Nothing of it is written down.
    ///
    /// - Parameter known: to whom something may be delivered.
    /// - Throws: `exchange` where it lay on a file system of its own when a run last used it, which is not mounted now, and
    ///   where it shows another layout than it had then.
    package static func detect(_ root: FilePath, home: Home, known: [PartyName]) throws(MailboxError) -> Exchange {
        var cache = ExchangeCache.load(from: home)
        let path = try requireRoot(root, of: home)
        let isTheRunsOwn = cache.mountedRoot == path.string
        try cache.check(path, home.files)
        var found = try detect(path, home: home, usedAs: cache.usedAs(path))
        if home.role == .server, isTheRunsOwn { found.unmounted = cache.checkFolders(of: found, known, home.files) }
        return found
    }
}

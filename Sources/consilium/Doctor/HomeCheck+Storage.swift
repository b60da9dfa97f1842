import Bundles
import Client
import Configuration
import Federation
import Files
import Glibc
import Images
import Mailbox
import Server
import SystemPackage
import Wire

/// Disks, shares, and what stopped runs left on them.
extension HomeCheck {
    /// Free space that a home should have, as models of its federation: for each party an update in the inbox and one in
    /// the archive, and two globals twice, in store and on their way.
    private static let modelsForEachParty: Int64 = 2
    private static let modelsOfOwn: Int64 = 4
    /// Where no model is known yet, and for everything that is no model.
    private static let leastRoom: Int64 = 64_000_000
    /// What is still unfinished after so long is nobody's copy in progress, in seconds.
    private static let staleAfter: Int64 = 86_400
    /// How deep below a home its own files lie.
    private static let depth = 4

    func exchange() throws -> (good: Bool, text: String) {
        guard let (watched, path) = watched else {
            return (true, "none is configured: bundles are carried by hand")
        }
        let used = ExchangeUse.load(from: home)
        try Exchange.requireNoPictures(path, data: try home.data(), of: home)
        let parties = (try? TrustStore.load(from: home))?.parties.map(\.name) ?? []
        let exchange = try Exchange.detect(path, home: watched, known: parties)
        guard let volume = try watched.files.volume(of: exchange.root) else {
            return (exchange.oddity == nil, exchange.oddity ?? "\(exchange.root)")
        }
        var notes = ["\(exchange.root) is \(volume.type)\(volume.isReadOnly ? ", mounted read-only" : "")"]
        if try home.files.volume(of: home.root)?.mountPoint == volume.mountPoint {
            notes.append("on the home's own file system: if it should be a mount, it is not mounted")
        }
        notes.append(used.lastDelivery.map { "last delivery \($0.rfc3339)" } ?? "nothing was delivered there yet")
        // Runs say it once, so that it has to be found here.
        let said = (used.trouble.map { [$0] } ?? []) + used.problems.filter { $0 != exchange.oddity }
        if !said.isEmpty { notes.append("the last run said: \(said.joined(separator: "; "))") }
        let away = exchange.unmounted.map { "nothing is mounted on \($0) any more" }.sorted()
        notes.insert(contentsOf: away, at: 0)
        if let oddity = exchange.oddity { notes.append(oddity) }
        return (!volume.isReadOnly && away.isEmpty && exchange.oddity == nil, notes.joined(separator: "; "))
    }

    /// Whether everything is the account's whose the home is. Not looked at are the inbox and the desks' files, which others lay
    /// there.
    func owners() throws -> (good: Bool, text: String) {
        guard let owner = HomeOwner(of: home.root) else { return (true, "not known") }
        let laidByOthers = [home.inbox, home.enrolments, home.requests, home.plans, home.updates]
        var foreign: [(path: FilePath, owner: HomeOwner)] = []
        func look(_ folder: FilePath, _ depth: Int, onlyFolders: Bool) {
            for entry in (try? home.files.list(folder)) ?? [] where entry.kind == .directory || !onlyFolders {
                let path = folder.appending(entry.component)
                if let found = HomeOwner(of: path), found.uid != owner.uid { foreign.append((path, found)) }
                guard entry.kind == .directory, depth > 1 else { continue }
                look(path, depth - 1, onlyFolders: onlyFolders || laidByOthers.contains(path))
            }
        }
        look(home.root, Self.depth, onlyFolders: false)
        guard let first = foreign.first else { return (true, "all of it is \(owner.name)'s") }
        return (
            false,
            "\(first.path) belongs to \(first.owner.name)"
                + (foreign.count > 1 ? ", and \(foreign.count - 1) more" : "")
                + ", the home to \(owner.name)"
        )
    }

    /// Whether a request or a training would find its pictures: the same look at the folder as theirs.
    func pictures() throws -> (good: Bool, text: String) {
        let client = try ClientConfiguration.load(from: home)
        guard let data = client.data else { return (false, "consilium.yaml names no folder of pictures") }
        let scan = try Dataset.scan(
            home.root.pushing(FilePath(data)), classes: try HomeInvitation.load(from: home).classes, files: home.files)
        return (
            true, (["\(counted(scan.items.count, "file")) in \(scan.folder)"] + scan.warnings).joined(separator: "; ")
        )
    }

    /// Whether a run could read what earlier ones wrote down.
    func records() throws -> (good: Bool, text: String) {
        var damaged: [String] = []
        do { try home.requireLedger() } catch { damaged.append("\(error)") }
        let text: String
        switch home.role {
        case .client:
            let state = try ClientState.load(from: home)
            text = "\(counted(state.requests.count, "request")), \(counted(state.sessions.count, "session"))"
        case .server:
            let records = try DeskStore(home: home).load()
            let sessions = try SessionStore(home: home).load(records: records) { _, error in
                damaged.append("\(error)")
            }
            text =
                "\(counted(records.enrolments.count, "enrolment")), \(counted(records.requests.count, "request")), "
                + counted(sessions.count, "session")
        }
        return (damaged.isEmpty, damaged.isEmpty ? text : damaged.joined(separator: "; "))
    }

    /// Whether the models are there that are to be trained on, or were kept.
    func versions() throws -> (good: Bool, text: String) {
        let versions = VersionStore(home: home)
        let store = SessionStore(home: home)
        var damaged = try versions.lost().map { "\(home.version($0)) has no \(VersionRecord.fileName)" }
        let numbers = try versions.numbers()
        for number in numbers {
            let path = versions.modelPath(number)
            guard try home.files.status(path)?.kind == .regular else {
                damaged.append("\(path) is missing")
                continue
            }
            // The newest is what the next session begins with.
            if number == numbers.last,
                try SHA256Hash.digest(of: path, files: home.files).digest != versions.record(number).model
            {
                damaged.append("\(path) is not what was kept")
            }
        }
        // Sessions that cannot be read are told of elsewhere.
        for session in try store.load() where !session.isOver {
            guard let model = session.history.last?.model ?? session.start?.model else { continue }
            do {
                _ = try store.path(of: model, in: session)
                if let base = session.start?.base { try store.requireBase(base, in: session) }
            } catch {
                damaged.append("\(error)")
            }
        }
        return (
            damaged.isEmpty,
            damaged.isEmpty ? counted(numbers.count, "version") : damaged.joined(separator: "; ")
        )
    }

    /// Room in the home is the home's own to make. On a share or a stick nothing is to be removed that the other side has not
    /// taken yet.
    func diskSpace() -> (good: Bool, text: String, advice: String) {
        let ownAdvice =
            "make room: remove what is old in quarantine/"
            + (home.role == .server ? ", or use 'consilium server prune'" : "")
        do {
            let (known, needed) = try space()
            let text = known.map { "\($0.name) has \(ByteSize.text($0.available)) free" }.joined(separator: ", ")
            let short = known.filter { $0.available < needed }
            let ofShare = "make room on the exchange: ask whoever looks after it; what lies there was not taken yet"
            var advice: [String] = short.contains { $0.isOwn } || short.isEmpty ? [ownAdvice] : []
            if short.contains(where: { !$0.isOwn }) { advice.append(ofShare) }
            return (
                short.isEmpty, "\(text); a round may take \(ByteSize.text(needed))", advice.joined(separator: "; ")
            )
        } catch {
            return (false, "\(error)", ownAdvice)
        }
    }

    private func space() throws -> (places: [(name: String, isOwn: Bool, available: Int64)], needed: Int64) {
        let model = try largestModel()
        let parties = Int64(try TrustStore.load(from: home).parties.count { $0.name != home.name })
        let needed = max(
            Self.leastRoom, model * (Self.modelsOfOwn + Self.modelsForEachParty * (home.role == .server ? parties : 1)))
        var places: [(name: String, isOwn: Bool, available: Int64)] = []
        let own = try home.files.volume(of: home.root)
        if let own { places.append(("the home", true, own.available)) }
        if let (watched, path) = watched,
            let root = try? Exchange.detect(path, home: watched).root,
            let volume = try watched.files.volume(of: root)
        {
            // One and the same disk is the home's own to make room on.
            places.append(("the exchange", volume.mountPoint == own?.mountPoint, volume.available))
        }
        return (places, needed)
    }

    func leftovers() throws -> (good: Bool, text: String) {
        var own = 0
        var ownBytes: Int64 = 0
        func look(_ folder: FilePath, _ depth: Int) {
            for entry in (try? home.files.list(folder)) ?? [] {
                let path = folder.appending(entry.component)
                if entry.kind == .directory, depth > 1, path != home.inbox { look(path, depth - 1) }
                guard entry.kind == .regular, TemporaryName.isOurs(entry.name) else { continue }
                own += 1
                ownBytes += (try? home.files.status(path)?.size) ?? 0
            }
        }
        look(home.root, Self.depth)
        var stale = try unfinished(in: home.inbox, home.files)
        if let (watched, path) = watched, let exchange = try? Exchange.detect(path, home: watched) {
            for folder in try exchange.folders(of: watched) { stale += try unfinished(in: folder.path, watched.files) }
        }
        var notes = [
            own == 0
                ? "no unfinished files"
                : "\(own) unfinished files of runs that were stopped or are at work, \(ByteSize.text(ownBytes)): the next run "
                    + "removes what nobody uses"
        ]
        if !stale.isEmpty { notes.append("unfinished for more than a day: \(stale.joined(separator: ", "))") }
        return (stale.isEmpty, notes.joined(separator: "; "))
    }

    /// Unfinished files that nobody works on any more, at a place that others write to as well.
    private func unfinished(in folder: FilePath, _ files: any FileSystem) throws -> [String] {
        try files.list(folder, limit: 10_000).filter { TemporaryName.isUnfinished($0.name) }.compactMap { entry in
            let path = folder.appending(entry.component)
            guard let status = try files.status(path) else { return nil }
            return now.seconds - status.modified / 1_000_000_000 > Self.staleAfter ? path.string.printable : nil
        }
    }

    /// The home with patience that ends for its exchange, and the exchange's path; one for all checks, so that a share that
    /// does not answer is waited for once.
    static func watched(_ home: Home) throws -> (Home, FilePath)? {
        guard let path = try home.exchange() else { return nil }
        return (home.watchingShares(exchange: path, patience: try home.exchangeTimeout(), locking: false), path)
    }

    /// The largest model that lies here, in bytes.
    private func largestModel() throws -> Int64 {
        let folders = [home.versions, home.sessions, home.models]
        var largest: Int64 = 0
        for folder in folders where try home.files.exists(folder) {
            for entry in try home.files.list(folder) {
                let path = folder.appending(entry.component)
                let inside =
                    entry.kind == .directory ? try home.files.list(path).map { path.appending($0.component) } : []
                for file in [path] + inside where file.extension == "safetensors" {
                    largest = max(largest, try home.files.status(file)?.size ?? 0)
                }
            }
        }
        return largest
    }
}

import Files
import SystemPackage
import Wire

/// Files that do not verify, as they were last seen: `mailbox/settling.json`. Desktop copies show a file under its final name
/// while it grows, and a share may show an old content for a while, so that a first look proves nothing.
///
/// A file is settled when its size and digest are the same in two runs at least ``interval`` apart. Names only find the
/// earlier look again. To lose this file costs a minute's patience and no more.
struct Settling: Equatable {
    /// In seconds.
    static let interval: Int64 = 60
    private static let maximumBytes = 64 << 20
    /// How many files of each sort are noted. Others name them; of one more nothing is noted until there is room again.
    private static let kept = 5000
    /// Of how many folders that anybody can make tours are kept, and that they overflow.
    private static let toursKept = 1000

    struct Observation: Equatable {
        let size: Int64
        let digest: Digest
        let since: Timestamp

        func isDue(_ now: Timestamp) -> Bool { since <= now && now.seconds - since.seconds >= Settling.interval }
    }

    private var observations = FolderNotes<Observation>(bound: kept)
    /// Files and other entries of which something was told, once.
    private var oddities = FolderNotes<Bool>(bound: kept)
    /// Files of zeros that were told, once; apart, since they cost their maker nothing.
    private var zeros = FolderNotes<Bool>(bound: kept)
    /// Folders of which it was told that more is odd in them than can be noted.
    private var overflowing: Set<String> = []
    /// In how many runs files had to wait for others.
    private var waits = FolderNotes<Int64>(bound: kept)
    /// After how many of them a person is told.
    static let patience: Int64 = 3
    /// Files that have settled as no bundles and are left where they are, by size and time of change.
    private(set) var left = FolderNotes<Left>(bound: kept)
    /// Where the next run goes on in crowded folders.
    private var tours: [String: FolderTour] = [:]
    /// Folders that count for themselves.
    private var own: Set<String> = []

    /// How long one is not looked at again although it did not change, in seconds.
    static let leftFor: Int64 = 86_400

    struct Left: Equatable {
        let size: Int64
        let modified: Int64
        let inode: UInt64
        let since: Timestamp
    }

    /// Notes a look at a file that does not verify.
    /// - Returns: whether it has settled.
    mutating func observe(_ name: String, size: Int64, digest: Digest, now: Timestamp) -> Bool {
        if let earlier = observations[name], earlier.size == size, earlier.digest == digest, earlier.since <= now {
            return earlier.isDue(now)
        }
        observations.note(Observation(size: size, digest: digest, since: now), at: name)
        return false
    }

    /// Files in a folder that were looked at long enough ago to be judged now: the first ones first, at most so many. Those
    /// that stay where they are, or wait for room, would take the turns of others in each run.
    func due(in folder: String, now: Timestamp, limit: Int) -> [String] {
        let due = observations.notes(in: folder).filter {
            $0.value.isDue(now) && !hasReported($0.key) && waits[$0.key] == nil
        }
        return due.sorted { ($0.value.since, $0.key) < ($1.value.since, $1.key) }.prefix(limit).map(\.key)
    }

    /// The files in a folder of which anything is noted.
    func noted(in folder: String) -> Set<String> {
        Set(observations.notes(in: folder).keys).union(oddities.notes(in: folder).keys)
            .union(zeros.notes(in: folder).keys).union(waits.notes(in: folder).keys)
            .union(left.notes(in: folder).keys)
    }

    /// What becomes of something that is to be told of a file.
    enum Report {
        case isNew
        /// It was told before.
        case isKnown
        /// It would be told in each run, since nobody can note that it was.
        case isOneTooMany
    }

    mutating func report(_ name: String) -> Report {
        if oddities[name] != nil { return .isKnown }
        return oddities.note(true, at: name) ? .isNew : .isOneTooMany
    }

    /// - Returns: whether it is new.
    mutating func reportZeros(_ name: String) -> Bool { zeros[name] == nil && zeros.note(true, at: name) }

    /// Whether nothing new would be said of it.
    func hasReported(_ name: String) -> Bool { oddities[name] != nil || zeros[name] != nil }

    /// Of each folder once, until there is room again: a run may happen to meet only what is noted.
    ///
    /// - Parameter hasRoom: whether more can be noted of what is seen elsewhere.
    /// - Returns: whether that is to be told now.
    mutating func reportOverflow(_ isOverflowing: Bool, in folder: String, hasRoom: Bool = true) -> Bool {
        if isOverflowing {
            return self.hasRoom(for: folder, among: overflowing) && overflowing.insert(folder).inserted
        }
        if hasRoom, oddities.hasRoom(at: folder + "/") { overflowing.remove(folder) }
        return false
    }

    /// Whether it is not copied as long as nobody does anything about it, and a person knows.
    func isSetAside(_ name: String) -> Bool { hasReported(name) || left[name] != nil }

    /// Of a file that has been taken, or put away, or whose notes are of no use.
    mutating func forget(_ name: String) {
        observations.remove(name)
        oddities.remove(name)
        zeros.remove(name)
        waits.remove(name)
    }

    /// - Returns: in how many runs the file has waited, this one among them.
    mutating func wait(_ name: String) -> Int64 {
        let runs = (waits[name] ?? 0) + 1
        return waits.note(runs, at: name) ? runs : 0
    }

    func tour(of folder: String) -> FolderTour? { tours[folder] }

    mutating func setTour(_ tour: FolderTour?, of folder: String) {
        if tour == nil || tours[folder] != nil || hasRoom(for: folder, among: tours.keys) { tours[folder] = tour }
    }

    /// Whoever makes many folders takes no room from those of known parties.
    private func hasRoom(for folder: String, among noted: some Collection<String>) -> Bool {
        own.contains(folder) || noted.count { !own.contains($0) } < Self.toursKept
    }

    /// - Parameter folders: those of which each has its own part of what can be noted.
    mutating func setOwn(_ folders: Set<String>) {
        own = folders
        observations.setOwn(folders)
        oddities.setOwn(folders)
        zeros.setOwn(folders)
        waits.setOwn(folders)
        left.setOwn(folders)
    }

    mutating func leave(_ file: InboxFile, now: Timestamp) {
        leave(file.name, size: file.size, modified: file.modified, inode: file.inode, now: now)
    }

    mutating func leave(_ name: String, size: Int64, modified: Int64, inode: UInt64 = 0, now: Timestamp) {
        guard left.note(Left(size: size, modified: modified, inode: inode, since: now), at: name) else { return }
        observations.remove(name)
    }

    /// Whether a file was left where it is within a day and did not change since, as far as can be seen without reading it.
    func isLeft(_ file: InboxFile, now: Timestamp) -> Bool {
        isLeft(file.name, size: file.size, modified: file.modified, inode: file.inode, now: now)
    }

    func isLeft(_ name: String, size: Int64, modified: Int64, inode: UInt64 = 0, now: Timestamp) -> Bool {
        guard let seen = left[name] else { return false }
        return seen.size == size && seen.modified == modified && seen.inode == inode && seen.since <= now
            && now.seconds - seen.since.seconds < Self.leftFor
    }

    /// Looks at all of them again.
    mutating func forgetLeft() { left.keepFolders { _ in false } }

    /// Forgets what is no longer in a folder.
    mutating func keep(in folder: String, _ isThere: (String) -> Bool) {
        observations.keep(in: folder, isThere)
        oddities.keep(in: folder, isThere)
        zeros.keep(in: folder, isThere)
        left.keep(in: folder, isThere)
        waits.keep(in: folder, isThere)
    }

    /// Forgets folders that are no longer there, and their tours.
    mutating func keepFolders(_ isThere: (String) -> Bool) {
        observations.keepFolders(isThere)
        oddities.keepFolders(isThere)
        zeros.keepFolders(isThere)
        left.keepFolders(isThere)
        waits.keepFolders(isThere)
        tours = tours.filter { isThere($0.key) }
        overflowing = overflowing.filter(isThere)
    }

    /// The folders of which anything is noted.
    var folderNames: Set<String> {
        observations.folderNames.union(oddities.folderNames).union(zeros.folderNames).union(left.folderNames)
            .union(waits.folderNames)
    }

    // MARK: file

    /// Starts anew if the file cannot be read.
    static func load(from path: FilePath, files: any FileSystem) -> Settling {
        var settling = Settling()
        guard let bytes = try? files.readFile(path, limit: maximumBytes),
            let json = try? StrictJSON.parse(bytes, maximumBytes: maximumBytes), case .object(let fields) = json,
            case .array(let items) = fields["files"], case .array(let oddities) = fields["oddities"]
        else { return settling }
        for item in items {
            guard var reader = try? ObjectReader(item, context: "settling.json"), let name = try? reader.string("name"),
                let size = try? reader.integer("size"), let digest = try? reader.digest("sha256"),
                let since = try? reader.integer("since")
            else { continue }
            settling.observations.note(
                Observation(size: size, digest: digest, since: Timestamp(seconds: since)), at: name)
        }
        for case .string(let name) in oddities { settling.oddities.note(true, at: name) }
        if case .array(let names) = fields["zeros"] {
            for case .string(let name) in names { settling.zeros.note(true, at: name) }
        }
        if case .array(let folders) = fields["overflow"] {
            for case .string(let folder) in folders { settling.overflowing.insert(folder) }
        }
        if case .array(let items) = fields["left"] {
            for item in items {
                guard var reader = try? ObjectReader(item, context: "settling.json"),
                    let name = try? reader.string("name"), let size = try? reader.integer("size"),
                    let modified = try? reader.integer("modified"), let inode = try? reader.integer("inode"),
                    let since = try? reader.integer("since")
                else { continue }
                settling.left.note(
                    Left(
                        size: size, modified: modified, inode: UInt64(bitPattern: inode),
                        since: Timestamp(seconds: since)), at: name)
            }
        }
        if case .object(let runs) = fields["waits"] {
            for case (let name, .integer(let count)) in runs { settling.waits.note(count, at: name) }
        }
        if case .object(let tours) = fields["tours"] {
            for case (let folder, .array(let numbers)) in tours {
                // All that were written: which of them are of known parties, nobody has said yet.
                settling.tours[folder] = FolderTour(
                    numbers.compactMap { if case .integer(let number) = $0 { number } else { nil } })
            }
        }
        return settling
    }

    private var isEmpty: Bool {
        folderNames.isEmpty && tours.isEmpty && overflowing.isEmpty
    }

    /// Where nothing is noted, no file is left.
    func save(to path: FilePath, files: any FileSystem) throws(MailboxError) {
        guard !isEmpty else { return try onDisk { () throws(FileError) in try files.remove(path) } }
        let items = observations.all.sorted { $0.key < $1.key }.map { name, seen -> JSONValue in
            [
                "name": .string(name), "size": .integer(seen.size), "sha256": .string(seen.digest.hex),
                "since": .integer(seen.since.seconds),
            ]
        }
        let left = left.all.sorted { $0.key < $1.key }.map { name, file -> JSONValue in
            [
                "name": .string(name), "size": .integer(file.size), "modified": .integer(file.modified),
                "inode": .integer(Int64(bitPattern: file.inode)), "since": .integer(file.since.seconds),
            ]
        }
        let json: JSONValue = [
            "files": .array(items), "oddities": .array(oddities.all.keys.sorted().map { .string($0) }),
            "zeros": .array(zeros.all.keys.sorted().map { .string($0) }),
            "overflow": .array(overflowing.sorted().map { .string($0) }),
            "left": .array(left),
            "waits": .object(waits.all.mapValues { .integer($0) }),
            "tours": .object(tours.mapValues { .array($0.numbers.map { .integer($0) }) }),
        ]
        try onDisk { () throws(FileError) in try files.writeFile(path, StrictJSON.serialize(json)) }
    }
}

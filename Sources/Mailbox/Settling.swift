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
    /// How many files of each sort are noted. Others name them; one more waits until there is room again.
    private static let kept = 5000

    struct Observation: Equatable {
        let size: Int64
        let digest: Digest
        let since: Timestamp
    }

    private(set) var observations: [String: Observation] = [:]
    /// Entries that are no files, and were reported once.
    private(set) var oddities: Set<String> = []
    /// In how many runs files had to wait for others.
    private(set) var waits: [String: Int64] = [:]
    /// After how many of them a person is told.
    static let patience: Int64 = 3
    /// Files that have settled as no bundles and are left where they are, by size and time of change.
    private(set) var left: [String: Left] = [:]

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
            return now.seconds - earlier.since.seconds >= Self.interval
        }
        if observations[name] != nil || observations.count < Self.kept {
            observations[name] = Observation(size: size, digest: digest, since: now)
        }
        return false
    }

    /// - Returns: whether it is new.
    mutating func report(_ name: String) -> Bool { oddities.count < Self.kept && oddities.insert(name).inserted }

    /// Whether nothing new would be said of it.
    func hasReported(_ name: String) -> Bool { oddities.contains(name) || oddities.count >= Self.kept }

    /// Whether it is not copied as long as nobody does anything about it, and a person knows.
    func isSetAside(_ name: String) -> Bool { hasReported(name) || left[name] != nil }

    mutating func forget(_ name: String) {
        observations[name] = nil
        waits[name] = nil
    }

    /// - Returns: in how many runs the file has waited, this one among them.
    mutating func wait(_ name: String) -> Int64 {
        guard waits[name] != nil || waits.count < Self.kept else { return 0 }
        waits[name, default: 0] += 1
        return waits[name, default: 0]
    }

    mutating func leave(_ file: InboxFile, now: Timestamp) {
        leave(file.name, size: file.size, modified: file.modified, inode: file.inode, now: now)
    }

    mutating func leave(_ name: String, size: Int64, modified: Int64, inode: UInt64 = 0, now: Timestamp) {
        guard left[name] != nil || left.count < Self.kept else { return }
        left[name] = Left(size: size, modified: modified, inode: inode, since: now)
        observations[name] = nil
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
    mutating func forgetLeft() { left = [:] }

    /// Forgets what is no longer there.
    mutating func keep(_ isThere: (String) -> Bool) {
        observations = observations.filter { isThere($0.key) }
        oddities = oddities.filter(isThere)
        left = left.filter { isThere($0.key) }
        waits = waits.filter { isThere($0.key) }
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
            settling.observations[name] = Observation(size: size, digest: digest, since: Timestamp(seconds: since))
        }
        for case .string(let name) in oddities { settling.oddities.insert(name) }
        if case .array(let items) = fields["left"] {
            for item in items {
                guard var reader = try? ObjectReader(item, context: "settling.json"),
                    let name = try? reader.string("name"), let size = try? reader.integer("size"),
                    let modified = try? reader.integer("modified"), let inode = try? reader.integer("inode"),
                    let since = try? reader.integer("since")
                else { continue }
                settling.left[name] = Left(
                    size: size, modified: modified, inode: UInt64(bitPattern: inode), since: Timestamp(seconds: since))
            }
        }
        if case .object(let runs) = fields["waits"] {
            for case (let name, .integer(let count)) in runs { settling.waits[name] = count }
        }
        return settling
    }

    func save(to path: FilePath, files: any FileSystem) throws(MailboxError) {
        let items = observations.sorted { $0.key < $1.key }.map { name, seen -> JSONValue in
            [
                "name": .string(name), "size": .integer(seen.size), "sha256": .string(seen.digest.hex),
                "since": .integer(seen.since.seconds),
            ]
        }
        let left = left.sorted { $0.key < $1.key }.map { name, file -> JSONValue in
            [
                "name": .string(name), "size": .integer(file.size), "modified": .integer(file.modified),
                "inode": .integer(Int64(bitPattern: file.inode)), "since": .integer(file.since.seconds),
            ]
        }
        let json: JSONValue = [
            "files": .array(items), "oddities": .array(oddities.sorted().map { .string($0) }), "left": .array(left),
            "waits": .object(waits.mapValues { .integer($0) }),
        ]
        try onDisk { () throws(FileError) in try files.writeFile(path, StrictJSON.serialize(json)) }
    }
}

import Bundles
import Files
import SystemPackage
import Wire

/// The folder of refused files: each with a note beside it, for a person to look at. Nothing in it is read again.
struct Quarantine {
    /// How many files are kept; the oldest go first.
    static let maximumFiles = 1000
    /// How many bytes are kept, and at most ``share`` of the room that is left on the disk.
    static let maximumBytes: Int64 = 20 << 30
    private static let share: Int64 = 4

    let home: Home

    /// Moves a spooled file in, or writes only the note where there is no room for it. The same content under the same name
    /// goes to the same place, so that a repeated run makes no second copy.
    ///
    /// - Returns: whether it is the first of its kind here.
    @discardableResult
    func take(
        _ spooled: FilePath, size: Int64, name: String, digest: Digest, reason: String, detail: String,
        signer: String? = nil, now: Timestamp
    ) throws(MailboxError) -> Bool {
        let stem = Self.safe(name) + "-" + digest.short
        let isEncrypted = try onDisk { () throws(FileError) in
            try AgeFile.isEncrypted(spooled, files: home.files)
        }
        let target = home.quarantine.appending(stem + ".tar" + (isEncrypted ? AgeFile.suffix : ""))
        let isKept = size <= Mailbox.smallBytes || hasRoom(for: size)
        // What a courier signed anew with a key of his own has the same id, and must not make the true one look known.
        let story = """
            file: \(Self.printable(name))
            reason: \(reason)
            \(signer.map { "signer: \($0)\n" } ?? "")
            """
        let note =
            story + "detail: \(Self.printable(detail))\ntaken: \(now.rfc3339)\n"
            + (isKept ? "" : "kept: no, there is no room for its \(size) bytes\n")
        let notePath = home.quarantine.appending(stem + ".reason.txt")
        return try onDisk { () throws(FileError) in
            let isThere = try home.files.exists(target)
            let earlier = try? home.files.readFile(notePath, limit: 64 << 10)
            let isNoted = earlier?.starts(with: story.utf8) ?? false
            try home.files.writeFile(notePath, Array(note.utf8))
            if isKept { try home.files.move(from: spooled, to: target) } else { try home.files.remove(spooled) }
            return !isNoted || isKept && !isThere
        }
    }

    /// Keeps the newest within the caps. The first bundles that show that a party contradicted itself go after all else, so that
    /// they cannot be pushed out by a flood of other things, nor by another party's: each has its part of half of the room.
    ///
    /// - Parameter evidence: the bundles of such contradictions, party by party.
    func prune(keeping evidence: [[Digest]]) throws(MailboxError) {
        let parties = Dictionary(
            evidence.enumerated().flatMap { party, bundles in bundles.map { ($0.short, party) } },
            uniquingKeysWith: { first, _ in first })
        try onDisk { () throws(FileError) in
            let entries = try home.files.list(home.quarantine)
            var found: [(path: FilePath, status: FileStatus)] = []
            for entry in entries where entry.kind == .regular {
                let path = home.quarantine.appending(entry.component)
                if let status = try home.files.status(path) { found.append((path, status)) }
            }
            guard !found.isEmpty else { return }
            let limit = limit(holding: found.reduce(0) { $0 + $1.status.size })
            var kept: Set<FilePath> = []
            var room = [Int64](repeating: limit / 2 / Int64(max(1, evidence.count)), count: evidence.count)
            for file in found.sorted(by: { $0.status.modified < $1.status.modified }) {
                guard kept.count < Self.maximumFiles, let party = parties[Self.digest(in: file.path)],
                    file.status.size <= room[party]
                else { continue }
                kept.insert(file.path)
                room[party] -= file.status.size
            }
            found.sort { first, second in
                let isKept = kept.contains(first.path)
                return isKept == kept.contains(second.path)
                    ? first.status.modified > second.status.modified : isKept
            }
            var bytes: Int64 = 0
            for (index, file) in found.enumerated() {
                bytes += file.status.size
                if index >= 2 * Self.maximumFiles || bytes > limit { try home.files.remove(file.path) }
            }
        }
    }

    /// The short digest that ``take(_:size:name:digest:reason:detail:now:)`` wrote into a file's name.
    private static func digest(in path: FilePath) -> String {
        let stem = (path.lastComponent?.string ?? "").prefix { $0 != "." }
        return stem.split(separator: "-").last.map(String.init) ?? ""
    }

    /// Whether a file of this size would not be pruned at once.
    func hasRoom(for size: Int64) -> Bool { size <= limit(holding: 0) }

    private func limit(holding bytes: Int64) -> Int64 { min(Self.maximumBytes, Self.room(of: home, holding: bytes)) }

    /// What others may make this home keep: a part of the room that is left on its disk, and of what they take of it already.
    static func room(of home: Home, holding bytes: Int64) -> Int64 {
        guard let volume = try? home.files.volume(of: home.root) else { return .max }
        return (volume.available + bytes) / share
    }

    /// A name for our own disk from a foreign one.
    private static func safe(_ name: String) -> String {
        let lowercased = name.lowercased()
        let name = lowercased.hasSuffix(AgeFile.suffix) ? lowercased.dropLast(AgeFile.suffix.count) : lowercased[...]
        let stem = name.hasSuffix(".tar") ? name.dropLast(4) : name
        let allowed = stem.unicodeScalars.map { scalar -> Character in
            let isPlain = ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "-" || scalar == "_"
            return isPlain ? Character(scalar) : "_"
        }
        return allowed.isEmpty ? "unnamed" : String(allowed.prefix(60))
    }

    /// A foreign text on one line, without what could move a terminal's cursor or turn the text around.
    static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: "?"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }
}

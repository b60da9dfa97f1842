import Files
import Glibc
import Mailbox
import SystemPackage

/// One look at everything of a home that decides, or that a run reads: who may write there besides its owner, and what its owner
/// may not use. The inbox is others' to write into, and what else lies in a home's folder is not its business.
struct HomeWalk {
    /// Where others may write, as a walk meets it: what lies above comes first.
    private(set) var open: [FilePath] = []
    /// Folders and files that whoever runs the tick may not use.
    private(set) var closed: [FilePath] = []
    private var left = Self.bound

    /// No home has so many files that a run would get through with them.
    private static let bound = 200_000
    /// The deepest is `sessions/ID/rounds/NNNN/model.safetensors`.
    private static let depth = 6

    init(_ home: Home) {
        guard let owner = Status(home.root) else { return }
        look(at: home.root, owner)
        let own = [
            home.configurationPath, home.identity, home.trust, home.root.appending("mailbox"), home.enrolments,
            home.requests, home.plans, home.updates, home.sessions, home.versions, home.models, home.quarantine,
            home.archive, home.audit, home.cache, home.history,
        ]
        for path in own {
            // Part of a home may lie on another disk.
            guard let status = Status(path, following: true) else { continue }
            // A key's folder and its secrets are looked at with the keys.
            if path != home.identity { look(at: path, status) }
            walk(path, status, home, depth: Self.depth)
        }
        // One that lies elsewhere has that medium's permissions.
        if let status = Status(home.outbox), status.isFolder, status.device == owner.device {
            look(at: home.outbox, status)
            walk(home.outbox, status, home, depth: 1)
        }
    }

    private mutating func walk(_ folder: FilePath, _ status: Status, _ home: Home, depth: Int) {
        guard status.isFolder, depth > 0, let entries = try? home.files.list(folder) else { return }
        for entry in entries.sorted(by: { $0.name < $1.name }) where entry.kind != .symlink && left > 0 {
            left -= 1
            let path = folder.appending(entry.component)
            guard let status = Status(path) else { continue }
            if folder != home.identity || entry.name.hasSuffix(".pub") { look(at: path, status) }
            walk(path, status, home, depth: depth - 1)
        }
    }

    private mutating func look(at path: FilePath, _ status: Status) {
        if status.othersMayWrite { open.append(path) }
        if status.isFolder || status.isFile, !status.isUsable(path) { closed.append(path) }
    }
}

/// What `lstat` says of who may do what.
private struct Status {
    private let raw: stat

    init?(_ path: FilePath, following: Bool = false) {
        var status = stat()
        let result = path.withPlatformString { following ? stat($0, &status) : lstat($0, &status) }
        guard result == 0 else { return nil }
        raw = status
    }

    var isFolder: Bool { raw.st_mode & S_IFMT == S_IFDIR }
    var isFile: Bool { raw.st_mode & S_IFMT == S_IFREG }
    var device: dev_t { raw.st_dev }

    var othersMayWrite: Bool {
        if raw.st_mode & S_IWOTH != 0 { return true }
        return raw.st_mode & S_IWGRP != 0 && !isGroupOfOwnerAlone
    }

    /// Many systems give each account a group of its own, with its name, and let the group write.
    private var isGroupOfOwnerAlone: Bool {
        // Root's has others in it on many systems.
        guard raw.st_uid != 0, let group = getgrgid(raw.st_gid) else { return false }
        let name = HomeOwner(uid: raw.st_uid).name
        guard String(cString: group.pointee.gr_name) == name else { return false }
        var member = group.pointee.gr_mem
        while let text = member?.pointee {
            if String(cString: text) != name { return false }
            member = member?.advanced(by: 1)
        }
        return true
    }

    /// Whether the account that looks could use it; for root in another's home, whether that one could.
    func isUsable(_ path: FilePath) -> Bool {
        let needed = isFolder ? S_IRWXU : S_IRUSR
        if geteuid() == 0, raw.st_uid != 0, raw.st_mode & needed != needed { return false }
        return path.withPlatformString { access($0, isFolder ? R_OK | W_OK | X_OK : R_OK) } == 0
    }
}

extension HomeCheck {
    private static let named = 4

    /// Whoever may write somewhere in a home may decide in it, or put something else in its place.
    func permissions() -> (good: Bool, text: String, advice: String) {
        let open = walk.open
        guard !open.isEmpty else { return (true, "only their owner may write to its folders and files", "") }
        let paths = open.prefix(Self.named).map(\.string.quotedForShell).joined(separator: " ")
        let names = open.prefix(Self.named).map(\.string.printable).joined(separator: ", ")
        let root = home.root.string.quotedForShell
        return (
            false,
            "others may write to \(names)" + (open.count > Self.named ? ", and \(open.count - Self.named) more" : "")
                + ": whoever may write there decides",
            open.count > Self.named
                ? "find \(root) -path \(home.inbox.string.quotedForShell) -prune -o ! -type l -perm /022 -exec chmod go-w {} +"
                : "chmod go-w \(paths)"
        )
    }

    /// Whether a run could read and write. Asks the system, and writes nothing itself. Links lead to shares, which are not the
    /// home's.
    func isUsable() throws -> (good: Bool, text: String, advice: String) {
        let advice = "mount it for writing, or give its folders to the user who runs the tick"
        let inbox = home.inbox
        var closed = walk.closed
        if try home.files.status(inbox)?.kind == .directory,
            inbox.withPlatformString({ access($0, R_OK | W_OK | X_OK) }) != 0
        {
            closed.append(inbox)
        }
        guard let first = closed.first else { return (true, "its folders can be written to", "") }
        if try home.files.volume(of: home.root)?.isReadOnly == true {
            return (false, "\(home.root) is on a file system that is mounted read-only", advice)
        }
        let more = closed.count > 1 ? ", nor \(closed.count - 1) more" : ""
        let isFolder = try home.files.status(first)?.kind != .regular
        return (
            false, "\(first.string.printable) cannot be \(isFolder ? "read and written to" : "read")\(more)",
            "\(advice); or, as its owner: chmod u+rw\(isFolder ? "x" : "") \(first.string.quotedForShell)"
        )
    }
}

extension String {
    /// As a shell takes it for one word.
    fileprivate var quotedForShell: String {
        let isPlain = utf8.allSatisfy {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || "/._-+,@%=:".utf8.contains($0)
        }
        return isPlain ? self : "'" + replacing("'", with: "'\\''").printable + "'"
    }
}

import SystemPackage

/// What chance makes of a loss of power.
struct PowerLoss {
    enum Way: CaseIterable, Sendable {
        /// Nothing is kept that was not flushed.
        case nothing
        /// Everything is kept: the process was killed, the machine went on.
        case everything
        /// Anything in between.
        case anything
    }

    let way: Way
    private var state: UInt64

    init(_ way: Way, seed: UInt64) {
        self.way = way
        state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    }

    /// xorshift64: the same choices for the same seed on every machine.
    private mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func isKept() -> Bool {
        switch way {
        case .nothing: false
        case .everything: true
        case .anything: next() % 2 == 0
        }
    }

    /// What a file holds whose first bytes are safe.
    mutating func content(_ written: [UInt8], flushed: [UInt8]) -> [UInt8] {
        switch way {
        case .nothing: return flushed
        case .everything: return written
        case .anything: break
        }
        switch next() % 4 {
        case 0: return flushed
        case 1: return written
        case 2:
            let most = max(0, written.count - flushed.count)
            return Array(written.prefix(flushed.count + Int(next() % UInt64(most + 1))))
        default:
            // Later blocks arrived and earlier ones did not; a hole reads as zeros.
            var bytes = written
            var start = flushed.count
            while start < bytes.count {
                let end = min(bytes.count, start + 4096)
                if next() % 2 == 0 { for index in start..<end { bytes[index] = 0 } }
                start = end
            }
            return bytes
        }
    }
}

/// Names and contents as they are seen and as they are safe; only what was touched since the start is known, all else is safe.
struct DiskModel {
    private struct Node {
        var written: [UInt8]
        var flushed: [UInt8]
    }

    /// A change of names that is not safe yet.
    private struct Change {
        /// What the paths lead to afterwards; nil where nothing is there any more.
        let effect: [(path: String, node: Int?)]
        /// The folder whose flush makes it safe.
        let folder: String
        let isFolder: Bool
    }

    var changes = 0
    var changed: Set<String> = []
    var operations = 0
    private var nodes: [Node] = []
    /// Nil: seen to be gone.
    private var seen: [String: Int?] = [:]
    private var safe: [String: Int?] = [:]
    private var seenFolders: [String: Bool] = [:]
    private var safeFolders: [String: Bool] = [:]
    private var pending: [Change] = []

    func knows(_ path: FilePath) -> Bool { seen[path.string] != nil }

    // MARK: changes

    /// A file from before the start.
    mutating func adopt(_ path: FilePath, _ bytes: [UInt8]) -> Int {
        if case .some(.some(let node)) = seen[path.string] { return node }
        nodes.append(Node(written: bytes, flushed: bytes))
        let node = nodes.count - 1
        seen[path.string] = .some(node)
        if safe[path.string] == nil { safe[path.string] = .some(node) }
        return node
    }

    mutating func create(_ path: FilePath) -> Int {
        if case .some(.some(let node)) = seen[path.string] { return node }
        nodes.append(Node(written: [], flushed: []))
        let node = nodes.count - 1
        change([(path.string, node)], in: path.removingLastComponent())
        return node
    }

    mutating func append(_ bytes: [UInt8], to node: Int) { nodes[node].written += bytes }
    /// Before it is flushed, a crash may bring the end back.
    mutating func truncate(_ node: Int, to size: Int) {
        nodes[node].written.removeLast(nodes[node].written.count - size)
    }
    mutating func flush(node: Int) { nodes[node].flushed = nodes[node].written }

    mutating func rename(_ from: FilePath, _ to: FilePath) {
        guard case .some(.some(let node)) = seen[from.string] else { return }
        change([(from.string, nil), (to.string, node)], in: to.removingLastComponent())
    }

    mutating func unlink(_ path: FilePath) { change([(path.string, nil)], in: path.removingLastComponent()) }

    mutating func makeFolder(_ path: FilePath) {
        if safeFolders[path.string] == nil { safeFolders[path.string] = false }
        seenFolders[path.string] = true
        pending.append(
            Change(effect: [(path.string, 0)], folder: path.removingLastComponent().string, isFolder: true))
    }

    mutating func removeFolder(_ path: FilePath) {
        if safeFolders[path.string] == nil { safeFolders[path.string] = true }
        seenFolders[path.string] = false
        pending.append(
            Change(effect: [(path.string, nil)], folder: path.removingLastComponent().string, isFolder: true))
    }

    private mutating func change(_ effect: [(String, Int?)], in folder: FilePath) {
        for (path, node) in effect {
            if safe[path] == nil { safe.updateValue(nil, forKey: path) }
            seen.updateValue(node, forKey: path)
        }
        pending.append(Change(effect: effect.map { (path: $0.0, node: $0.1) }, folder: folder.string, isFolder: false))
    }

    mutating func flush(folder: FilePath) {
        let name = folder.string
        var rest: [Change] = []
        for change in pending {
            if change.folder == name { apply(change) } else { rest.append(change) }
        }
        pending = rest
    }

    private mutating func apply(_ change: Change) {
        for (path, node) in change.effect {
            if change.isFolder { safeFolders[path] = node != nil } else { safe.updateValue(node, forKey: path) }
        }
    }

    // MARK: after a loss of power

    struct Remains {
        /// Nil where nothing is left.
        var files: [String: [UInt8]?] = [:]
        var folders: [FilePath] = []
        var lostFolders: [FilePath] = []
    }

    func remains(_ choice: inout PowerLoss) -> Remains {
        var model = self
        var lost: Set<String> = []
        for change in pending {
            let paths = change.effect.map(\.path)
            if paths.contains(where: lost.contains) || !choice.isKept() {
                lost.formUnion(paths)
            } else {
                model.apply(change)
            }
        }
        var remains = Remains()
        for (path, isThere) in model.safeFolders.sorted(by: { $0.key < $1.key }) {
            if isThere { remains.folders.append(FilePath(path)) } else { remains.lostFolders.append(FilePath(path)) }
        }
        for (path, node) in model.safe.sorted(by: { $0.key < $1.key }) {
            guard let node else {
                remains.files.updateValue(nil, forKey: path)
                continue
            }
            remains.files[path] = choice.content(nodes[node].written, flushed: nodes[node].flushed)
        }
        return remains
    }
}

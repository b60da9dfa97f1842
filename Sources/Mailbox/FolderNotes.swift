import SystemPackage

/// What is noted of files that others name, by path, up to a bound for all together.
///
/// Where it is full, the folder of which most is noted gives way: whoever fills it up crowds out only himself. Folders that
/// anybody can make count as one.
struct FolderNotes<Value: Equatable>: Equatable {
    private let bound: Int
    /// Folders that count for themselves.
    private var own: Set<String> = []
    private var groups: [String: [String: Value]] = [:]
    private(set) var count = 0

    init(bound: Int) { self.bound = bound }

    subscript(path: String) -> Value? { groups[group(of: path)]?[path] }

    var isEmpty: Bool { count == 0 }
    var all: [String: Value] {
        groups.values.reduce(into: [:]) { all, notes in all.merge(notes) { first, _ in first } }
    }

    /// Those of files in one folder.
    func notes(in folder: String) -> [String: Value] {
        let group = own.contains(folder) ? folder : ""
        return (groups[group] ?? [:]).filter { folderName(of: $0.key) == folder }
    }

    /// Whether something can be noted at a path without taking away from a folder of which no more is noted.
    func hasRoom(at path: String) -> Bool {
        let group = group(of: path)
        guard count >= bound, groups[group]?[path] == nil else { return true }
        return fullest.count > (groups[group]?.count ?? 0) + 1
    }

    /// - Returns: whether it is noted now.
    @discardableResult
    mutating func note(_ value: Value, at path: String) -> Bool {
        guard hasRoom(at: path) else { return false }
        let group = group(of: path)
        let isNew = groups[group, default: [:]].updateValue(value, forKey: path) == nil
        guard isNew else { return true }
        count += 1
        if count > bound, let victim = groups[fullest.group]?.keys.first { remove(victim) }
        return true
    }

    mutating func remove(_ path: String) {
        let group = group(of: path)
        guard groups[group]?.removeValue(forKey: path) != nil else { return }
        count -= 1
        if groups[group]?.isEmpty == true { groups[group] = nil }
    }

    mutating func keep(_ isThere: (String) -> Bool) {
        for path in all.keys where !isThere(path) { remove(path) }
    }

    /// - Parameter folders: those that count for themselves from now on.
    mutating func setOwn(_ folders: Set<String>) {
        guard folders != own else { return }
        let notes = all
        own = folders
        groups = [:]
        for (path, value) in notes { groups[group(of: path), default: [:]][path] = value }
    }

    private var fullest: (group: String, count: Int) {
        let most = groups.max { ($0.value.count, $1.key) < ($1.value.count, $0.key) }
        return (most?.key ?? "", most?.value.count ?? 0)
    }

    private func group(of path: String) -> String {
        let folder = folderName(of: path)
        return own.contains(folder) ? folder : ""
    }
}

/// Of a path; of a mere name, nothing.
func folderName(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    return String(path[..<slash])
}

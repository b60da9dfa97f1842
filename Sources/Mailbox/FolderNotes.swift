import SystemPackage

/// What is noted of files that others name, by path, up to a bound for all together.
///
/// Where it is full, the folder of which most is noted gives way: whoever fills it up crowds out only himself. Folders that
/// anybody can make count as one.
struct FolderNotes<Value: Equatable>: Equatable {
    private let bound: Int
    /// Folders that count for themselves.
    private var own: Set<String> = []
    private var folders: [String: [String: Value]] = [:]
    private(set) var count = 0

    init(bound: Int) { self.bound = bound }

    subscript(path: String) -> Value? { folders[folderName(of: path)]?[path] }

    var isEmpty: Bool { count == 0 }
    var all: [String: Value] {
        folders.values.reduce(into: [:]) { all, notes in all.merge(notes) { first, _ in first } }
    }

    /// Those of files in one folder.
    func notes(in folder: String) -> [String: Value] { folders[folder] ?? [:] }

    /// Whether something can be noted at a path without taking away from a folder of which no more is noted.
    func hasRoom(at path: String) -> Bool {
        guard count >= bound, self[path] == nil else { return true }
        let folder = folderName(of: path)
        let share = own.contains(folder) ? notes(in: folder).count : strangersCount
        return fullest.count > share + 1
    }

    /// - Returns: whether it is noted now.
    @discardableResult
    mutating func note(_ value: Value, at path: String) -> Bool {
        guard hasRoom(at: path) else { return false }
        let isNew = folders[folderName(of: path), default: [:]].updateValue(value, forKey: path) == nil
        guard isNew else { return true }
        count += 1
        if count > bound, let victim { remove(victim) }
        return true
    }

    mutating func remove(_ path: String) {
        let folder = folderName(of: path)
        guard folders[folder]?.removeValue(forKey: path) != nil else { return }
        count -= 1
        if folders[folder]?.isEmpty == true { folders[folder] = nil }
    }

    /// Keeps of one folder's what is still there.
    mutating func keep(in folder: String, _ isThere: (String) -> Bool) {
        guard let kept = folders[folder]?.filter({ isThere($0.key) }) else { return }
        count -= notes(in: folder).count - kept.count
        folders[folder] = kept.isEmpty ? nil : kept
    }

    /// Keeps the folders that are still there.
    mutating func keepFolders(_ isThere: (String) -> Bool) {
        for folder in folders.keys where !isThere(folder) { keep(in: folder) { _ in false } }
    }

    /// The folders of which anything is noted.
    var folderNames: Set<String> { Set(folders.keys) }

    /// - Parameter folders: those that count for themselves from now on.
    mutating func setOwn(_ folders: Set<String>) { own = folders }

    private var strangersCount: Int { count - own.reduce(0) { $0 + notes(in: $1).count } }

    /// Of which folder most is noted; nil: of strangers'.
    private var fullest: (folder: String?, count: Int) {
        let known = own.map { (folder: $0, count: notes(in: $0).count) }
            .max { ($0.count, $1.folder) < ($1.count, $0.folder) }
        guard let known, known.count > strangersCount else { return (nil, strangersCount) }
        return (known.folder, known.count)
    }

    /// What gives way.
    private var victim: String? {
        let folder = fullest.folder.flatMap { folders[$0] } ?? folders.first { !own.contains($0.key) }?.value
        return folder?.keys.first
    }
}

/// Of a path; of a mere name, nothing.
func folderName(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    return String(path[..<slash])
}

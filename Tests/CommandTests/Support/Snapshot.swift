import Bundles
import Foundation
import Wire

/// All files below a folder, with content and time of the last change.
struct Snapshot: Equatable {
    struct Entry: Equatable {
        let digest: Digest
        let modified: Date
    }

    let entries: [String: Entry]

    init(_ folder: String) throws {
        var entries: [String: Entry] = [:]
        let walk = FileManager.default.enumerator(atPath: folder)
        while let name = walk?.nextObject() as? String {
            let path = folder + "/" + name
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
            let content = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            entries[name] = Entry(
                digest: SHA256Hash.digest(of: content),
                modified: attributes[.modificationDate] as? Date ?? .distantPast)
        }
        self.entries = entries
    }

    private init(entries: [String: Entry]) { self.entries = entries }

    /// With what lies in another folder, as if it lay in `folder` here.
    func with(_ folder: String, _ other: Snapshot) -> Snapshot {
        let moved = other.entries.map { ("\(folder)/\($0.key)", $0.value) }
        return Snapshot(entries: entries.merging(moved) { $1 })
    }

    /// What came, went, or was written since, by name.
    func changes(to later: Snapshot) -> [String] {
        Set(entries.keys).union(later.entries.keys).filter { entries[$0] != later.entries[$0] }.sorted()
    }

    /// The same, but a file that was written again with the same content counts as unchanged.
    func contentChanges(to later: Snapshot) -> [String] {
        Set(entries.keys).union(later.entries.keys)
            .filter { entries[$0]?.digest != later.entries[$0]?.digest }.sorted()
    }
}

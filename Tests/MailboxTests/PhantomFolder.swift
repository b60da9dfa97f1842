import Files
import SupportForTests
import Synchronization
import SystemPackage

/// A folder with so many files of junk as no disk of a test shall make, before those that are really there. They can be read
/// and removed.
final class PhantomFolder: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    private let folder: FilePath
    private let count: Int
    private let pattern: @Sendable (Int) -> String
    private let kind: Content
    private let gone = Mutex<Set<String>>([])

    enum Content {
        /// Each has another one.
        case junk
        case bytes([UInt8])
        /// None may be opened.
        case withheld
    }

    init(
        _ folder: FilePath, count: Int, content: Content = .junk,
        named pattern: @escaping @Sendable (Int) -> String = { "scan-\($0).pdf" }
    ) {
        (self.folder, self.count, kind, self.pattern) = (folder, count, content, pattern)
    }

    /// How many of the phantoms are left.
    var left: Int { count - gone.withLock { $0.count } }
    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        guard folder == self.folder else { return try base.select(from: folder, limit: limit, selection) }
        let gone = gone.withLock { $0 }
        var selection = selection
        for number in 0..<min(count, limit) {
            let name = pattern(number)
            guard !gone.contains(name), let component = FilePath.Component(name) else { continue }
            selection.offer(DirectoryEntry(component: component, kind: .regular))
        }
        return try base.select(from: folder, limit: limit, selection)
    }

    func status(_ path: FilePath) throws(FileError) -> FileStatus? {
        guard let content = content(path) else { return try base.status(path) }
        return try content.status()
    }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        guard let content = content(path) else { return try base.openForReading(path) }
        if case .withheld = kind { throw FileError("open", path, .permissionDenied) }
        return content
    }

    func unlink(_ path: FilePath) throws(FileError) {
        guard content(path) != nil, let name = path.lastComponent?.string else { return try base.unlink(path) }
        gone.withLock { _ = $0.insert(name) }
    }

    private func content(_ path: FilePath) -> PhantomFile? {
        guard path.removingLastComponent() == folder, let name = path.lastComponent?.string,
            let number = Int(name.filter(\.isNumber)), number < count, name == pattern(number),
            !gone.withLock({ $0.contains(name) })
        else { return nil }
        let bytes =
            switch kind {
            case .junk, .withheld: Array("junk of \(name)".utf8)
            case .bytes(let bytes): bytes
            }
        return PhantomFile(bytes, inode: UInt64(number))
    }
}

/// A folder of which the system lists only what others have laid beside what is there.
final class CrowdedRoot: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    private let root: FilePath

    init(_ root: FilePath) { self.root = root }

    func select<Selection: NameSelection>(
        from folder: FilePath, limit: Int, _ selection: Selection
    ) throws(FileError) -> Selection {
        guard folder == root else { return try base.select(from: folder, limit: limit, selection) }
        var selection = selection
        for number in 0..<200_000 where !selection.isDone {
            guard let name = FilePath.Component("x\(number)") else { continue }
            selection.offer(DirectoryEntry(component: name, kind: .directory))
        }
        selection.breakOff()
        return selection
    }
}

private final class PhantomFile: ReadableFile {
    private let bytes: [UInt8]
    private let state: FileStatus

    init(_ bytes: [UInt8], inode: UInt64) {
        self.bytes = bytes
        state = FileStatus(
            kind: .regular, size: Int64(bytes.count), permissions: 0o644, owner: 0, modified: 1, device: 0,
            inode: inode)
    }

    func status() throws(FileError) -> FileStatus { state }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        let rest = bytes.dropFirst(Int(offset)).prefix(buffer.count)
        buffer.copyBytes(from: rest)
        return rest.count
    }
}

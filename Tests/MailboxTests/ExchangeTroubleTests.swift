import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import Synchronization
import SystemPackage
import Testing
import Wire

/// Trouble with folders of an exchange while a run works in them: it is told once, of the folder it is about, and the others
/// go on.
@Suite struct ExchangeTroubleTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private var root: FilePath { world.root.appending("exchange") }

    private func folder(_ party: String) throws -> FilePath {
        let folder = root.appending(party).appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        return folder
    }

    private func collect(
        _ files: any FileSystem = QuickFileSystem(), minute: Int
    ) throws -> (lines: [String], copied: [String]) {
        let home = try Home.open(world.server.root, files: files)
        let mailbox = try opened(home, at: start.adding(seconds: Int64(minute) * 61))
        var copied: [String] = []
        let lines = try mailbox.useExchange(at: root) {
            let summary = try mailbox.collect(from: $0)
            copied = summary.copied
            return summary
        }
        return (lines + mailbox.problems, copied)
    }

    private func enrol(_ party: String) throws {
        try world.lay(
            world.manifest(.enrol, from: party), as: "enrol.tar", in: try folder(party), key: SigningKey.generate())
    }

    enum Turn: CaseIterable { case link, noAnswer, unflushed }

    /// A hospital's folder that becomes a link, or whose own mount goes, between the copy and the look that follows it.
    @Test(arguments: Turn.allCases, [true, false])
    func aFolderThatTurnsWhileItsFileIsCopiedStopsNobodyElse(turn: Turn, isKnown: Bool) throws {
        if isKnown {
            try world.lay(world.manifest(), as: "request.tar", in: try folder("hospital-a"))
        } else {
            try enrol("hospital-0")
        }
        try world.lay(
            world.manifest(from: "hospital-b"), as: "request.tar", in: try folder("hospital-b"),
            key: world.key(of: world.hospitalB))
        try enrol("newcomer")
        let place = root.appending(isKnown ? "hospital-a" : "hospital-0").appending("inbox")
        let turning = TurningFolder(place, turn, spool: world.server.root.appending("mailbox/spool"))
        let first = try collect(turning, minute: 0)
        #expect(first.copied.count == 3, "\(first)")
        #expect(first.lines.count == 1 && first.lines[0].contains(place.string), "\(first)")
        let notes = ["exchange.json", "exchange-settling.json"].map { world.server.root.appending("mailbox/\($0)") }
        #expect(try notes.contains { try QuickFileSystem().exists($0) })
        let second = try collect(turning, minute: 1)
        #expect(second.lines.isEmpty && second.copied.isEmpty, "\(second)")
    }

    /// Somebody who is not enrolled yet, in a folder that is his alone.
    @Test func whatAStrangersFolderKeepsIsToldOnce() throws {
        try enrol("newcomer")
        try enrol("another")
        for minute in 0..<5 {
            let pass = try collect(KeptFolders(root, .permissionDenied), minute: minute)
            let expected = ["another", "newcomer"].map {
                "cannot write to \(root)/\($0)/inbox: permission denied "
                    + "(check the owner and the permissions of the file and its folder)"
            }
            #expect(pass.lines.sorted() == (minute == 0 ? expected : []), "\(minute)")
            #expect(pass.copied.count == (minute == 0 ? 2 : 0))
        }
        #expect(try collect(minute: 5).lines.isEmpty)
        try enrol("newcomer")
        #expect(try collect(KeptFolders(root, .permissionDenied), minute: 6).lines.count == 1, "it has come back")
    }

    @Test func aReadOnlyShareIsOneLineHoweverManyStrangersThereAre() throws {
        for number in 0..<6 { try enrol("newcomer-\(number)") }
        for minute in 0..<5 {
            let lines = try collect(KeptFolders(root, .readOnlyFileSystem), minute: minute).lines
            let expected = "cannot write to \(root): read-only file system (mount it for writing)"
            #expect(lines == (minute == 0 ? [expected] : []), "\(minute)")
        }
    }

    /// More folders than are told one by one are counted as folders, and not as files that nobody can read.
    @Test func ofManyFoldersThatKeepTheirFilesTheNumberIsTold() throws {
        for number in 0..<6 { try enrol("newcomer-\(number)") }
        let lines = try collect(KeptFolders(root, .permissionDenied), minute: 0).lines
        #expect(lines.count == 4 && lines[3] == "3 more folders in \(root) cannot be used", "\(lines)")
    }

    /// A disk that fails: other files have their turn first in each run, and it is the same trouble.
    @Test(arguments: ["flat", "strangers"], [3, 6])
    func filesThatCannotBeReadNowAreToldOnce(layout: String, count: Int) throws {
        for number in 0..<count {
            let folder = layout == "flat" ? root.appending("inbox") : try folder("newcomer-\(number)")
            try QuickFileSystem().makeDirectories(root.appending(layout == "flat" ? "outbox" : "hospital-a"))
            try QuickFileSystem().makeDirectories(folder)
            try write("sick \(number)", folder.appending("sick-\(number)"))
        }
        for minute in 0..<6 {
            let lines = try collect(SickFiles(), minute: minute).lines
            #expect(minute == 0 ? (1...4).contains(lines.count) : lines.isEmpty, "\(minute): \(lines)")
        }
    }
}

/// A folder that is another thing from the moment on at which one of its files is copied.
private final class TurningFolder: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    private let folder: FilePath
    private let turn: ExchangeTroubleTests.Turn
    private let spool: FilePath
    private let isCopied = Mutex(false)
    private let hasTurned = Mutex(false)

    init(_ folder: FilePath, _ turn: ExchangeTroubleTests.Turn, spool: FilePath) {
        (self.folder, self.turn, self.spool) = (folder, turn, spool)
    }

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        if operation == "open", path.removingLastComponent() == folder { isCopied.withLock { $0 = true } }
        if operation == "create", path.starts(with: spool), isCopied.withLock({ $0 }) {
            hasTurned.withLock { $0 = true }
            if turn == .link, try base.status(folder)?.kind == .directory {
                try base.rename(folder, to: folder.removingLastComponent().appending("aside"))
                symlink("/tmp", folder.string)
            }
        }
        guard hasTurned.withLock({ $0 }), path == folder else { return }
        switch turn {
        case .link: return
        case .noAnswer: if operation == "look at" { throw FileError(operation, path, .ioError) }
        case .unflushed: if operation == "flush folder" { throw FileError(operation, path, .ioError) }
        }
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) { try pass("flush folder", folder) }
}

/// Nothing goes from below a folder.
private struct KeptFolders: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let root: FilePath
    let code: Errno

    init(_ root: FilePath, _ code: Errno) { (self.root, self.code) = (root, code) }

    func unlink(_ path: FilePath) throws(FileError) {
        guard !path.starts(with: root) else { throw FileError("remove", path, code) }
        try base.unlink(path)
    }
}

/// No file that is called so can be read.
private struct SickFiles: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        guard operation == "open", path.lastComponent?.string.hasPrefix("sick-") == true else { return }
        throw FileError(operation, path, .ioError)
    }
}

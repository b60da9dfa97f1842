import Files
import Glibc
import SystemPackage
import Testing

@Suite("Local file system")
struct LocalFileSystemTests {
    private let files = LocalFileSystem()

    private func code(_ work: () throws -> Void) -> Errno? {
        do { try work() } catch { return (error as? FileError)?.code }
        return nil
    }

    @Test("reads regular files only, and never waits or follows a link")
    func regularOnly() throws {
        try withTemporaryFolder { folder in
            try files.writeFile(folder.appending("real"), [1])
            #expect(symlink("real", folder.appending("link").string) == 0)
            #expect(mkfifo(folder.appending("fifo").string, 0o600) == 0)
            #expect(code { _ = try files.readFile(folder.appending("link"), limit: 9) } == .tooManySymbolicLinkLevels)
            #expect(code { _ = try files.readFile(folder.appending("fifo"), limit: 9) } == .invalidArgument)
            #expect(code { _ = try files.readFile(folder, limit: 9) } == .invalidArgument)
            #expect(code { _ = try files.readFile(folder.appending("none"), limit: 9) } == .noSuchFileOrDirectory)
            #expect(code { try files.appendFile(folder.appending("link"), [1]) } == .tooManySymbolicLinkLevels)
            let kinds = try files.list(folder).map { "\($0.name) \($0.kind)" }
            #expect(kinds == ["fifo other", "link symlink", "real regular"])
            #expect(try files.list(folder, limit: 2).count == 2)
            #expect(try files.select(from: folder, limit: 2, NameCount()).count == 2)
            #expect(try files.select(from: folder, limit: 100, NameCount()).count == kinds.count)
        }
    }

    @Test("limits what it reads")
    func limits() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("file")
            let content = [UInt8](repeating: 5, count: 3_000_000)
            try files.writeFile(path, content)
            #expect(try files.readFile(path, limit: content.count) == content)
            #expect(code { _ = try files.readFile(path, limit: content.count - 1) } == .fileTooLarge)
            #expect(code { try files.copyFile(from: path, to: folder.appending("copy"), limit: 10) } == .fileTooLarge)
            #expect(try files.list(folder).count == 1)
        }
    }

    @Test("refuses a secret that others may read", arguments: [0o640, 0o604, 0o660, 0o644, 0o610] as [UInt32])
    func secrets(permissions: UInt32) throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("key")
            try files.writeFile(path, [1], permissions: 0o600)
            #expect(try files.status(path)?.permissions == 0o600)
            #expect(try files.readPrivateFile(path, limit: 9) == [1])
            #expect(chmod(path.string, permissions) == 0)
            #expect(code { _ = try files.readPrivateFile(path, limit: 9) } == .permissionDenied)
        }
    }

    @Test("makes folders and removes trees without following links out of them")
    func trees() throws {
        try withTemporaryFolder { folder in
            let outside = folder.appending("outside")
            try files.makeDirectories(outside)
            try files.writeFile(outside.appending("keep"), [1])
            let deep = folder.appending("a").appending("b").appending("c")
            try files.makeDirectories(deep)
            try files.makeDirectories(deep)
            try files.writeFile(deep.appending("file"), [1])
            #expect(symlink(outside.string, deep.appending("link").string) == 0)
            try files.removeTree(folder.appending("a"))
            try files.removeTree(folder.appending("a"))
            #expect(try !files.exists(folder.appending("a")))
            #expect(try files.exists(outside.appending("keep")))
            #expect(code { try files.makeDirectories(outside.appending("keep").appending("x")) } == .fileExists)
            #expect(code { try files.makeDirectories(outside.appending("keep")) } == .fileExists)
            try files.remove(outside.appending("keep"))
            try files.remove(outside.appending("keep"))
        }
    }

    @Test("moves files between folders")
    func moves() throws {
        try withTemporaryFolder { folder in
            let target = folder.appending("sub").appending("new")
            try files.makeDirectories(folder.appending("sub"))
            try files.writeFile(folder.appending("old"), [1, 2])
            try files.move(from: folder.appending("old"), to: target)
            #expect(try files.readFile(target, limit: 9) == [1, 2])
            #expect(try !files.exists(folder.appending("old")))
            #expect(code { try files.move(from: folder.appending("old"), to: target) } == .noSuchFileOrDirectory)
        }
    }

    @Test("a lock has one holder, and is free again once the holder is gone")
    func locks() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("lock")
            func isTaken() throws -> Bool {
                guard try files.lock(path) != nil else { return true }
                return false
            }
            // A tool that another test starts holds copies of all open locks for a moment, between fork and exec.
            func becomesFree() throws -> Bool {
                for _ in 0..<30_000 {
                    if try !isTaken() { return true }
                    usleep(1000)
                }
                return false
            }
            guard let lock = try files.lock(path) else {
                Issue.record("the lock of a new file is not free")
                return
            }
            #expect(try isTaken())
            _ = consume lock
            #expect(try becomesFree())
            #expect(try becomesFree())
        }
    }

    @Test("errors say what, where, why, and whether to try again")
    func errorTexts() {
        let full = FileError("write", "/media/stick/a.tar", .noSpace)
        #expect(
            full.description
                == "cannot write /media/stick/a.tar: no space left on device (free some space and run again)")
        #expect(full.isTransient)
        let hostile = FileError("open", "/inbox/x\nREQ-1 \u{1b}[31m.tar", .permissionDenied)
        #expect(hostile.description.hasPrefix("cannot open /inbox/x?REQ-1 ?[31m.tar: "))
        let missing = FileError("open", "x", .noSuchFileOrDirectory)
        #expect(missing.description == "cannot open x: no such file or directory")
        #expect(missing.isMissing && !missing.isTransient)
    }
}

private struct NameCount: NameSelection {
    var count = 0
    mutating func offer(_ entry: DirectoryEntry) { count += 1 }
}

import Bundles
import FaultRecords
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Where bundles may be laid, and what this program needs of it: the same for a local folder, a mount over SSH, and sticks.
enum Ground: String, CaseIterable, CustomTestStringConvertible {
    case local = "a local folder"
    case sshfs = "sshfs"
    case fat = "a FAT-like folder"
    case exfat = "exFAT"

    var testDescription: String { rawValue }

    /// A new folder there, and the file system that leads to it.
    /// - Throws: ``Unavailable`` where this machine has none.
    func prepare(_ scratch: FilePath) throws -> (folder: FilePath, files: any FileSystem) {
        let folder: FilePath
        switch self {
        case .local, .fat: folder = scratch.appending("share")
        case .sshfs: folder = FilePath(try LoopbackShare.shared.get().mount).appending(Self.newName())
        case .exfat: folder = FilePath(try ExFATStick.shared.get().mount).appending(Self.newName())
        }
        let files: any FileSystem = self == .fat ? FATFileSystem(stick: folder) : LocalFileSystem()
        try LocalFileSystem().makeDirectories(folder)
        return (folder, files)
    }

    private static func newName() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }
}

@Suite struct FileSystemConformanceTests {
    private func on(
        _ ground: Ground, test: String = #function, _ body: (FilePath, any FileSystem) throws -> Void
    ) throws {
        let scratch = FilePath("/tmp").appending("consilium-ground-\(UInt64.random(in: .min ... .max))")
        try LocalFileSystem().makeDirectories(scratch)
        defer { try? LocalFileSystem().removeTree(scratch) }
        let (folder, files): (FilePath, any FileSystem)
        do { (folder, files) = try ground.prepare(scratch) } catch let reason as Unavailable {
            // The other grounds are tried all the same.
            return FaultRecords.skip("\(ground.rawValue): \(reason)", test: test)
        }
        defer { try? LocalFileSystem().removeTree(folder) }
        try body(folder, files)
        FaultRecords.record(points: 1, test: test)
    }

    private func code(_ work: () throws(FileError) -> Void) -> Errno? {
        do throws(FileError) {
            try work()
            return nil
        } catch {
            return error.code
        }
    }

    private static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
    }

    @Test(arguments: Ground.allCases)
    func whatIsWrittenIsReadBack(ground: Ground) throws {
        try on(ground) { folder, files in
            let path = folder.appending("file.tar")
            for size in [0, 1, 4095, 4096, 70_001] {
                try files.writeFile(path, Self.pattern(size))
                #expect(try files.readFile(path, limit: 100_000) == Self.pattern(size), "\(size)")
                #expect(try files.status(path)?.size == Int64(size))
            }
            try files.appendFile(path, [1, 2, 3])
            #expect(try files.readFile(path, limit: 100_000) == Self.pattern(70_001) + [1, 2, 3])
            #expect(try files.list(folder).map(\.name) == ["file.tar"])
            let status = try #require(try files.status(path))
            #expect(status.kind == .regular && abs(status.modified / 1_000_000_000 - Int64(time(nil))) < 3600)
        }
    }

    /// More than one piece, so that short reads and writes show.
    @Test(arguments: [Ground.local, .sshfs, .exfat])
    func largeFilesArriveWhole(ground: Ground) throws {
        try on(ground) { folder, files in
            let source = folder.appending("source")
            let bytes = Self.pattern(3_500_001)
            try files.writeFile(source, bytes)
            try files.publishFile(from: source, to: folder.appending("copy"))
            #expect(try files.readFile(folder.appending("copy"), limit: 4_000_000) == bytes)
            #expect(try files.haveEqualContent(source, folder.appending("copy"), fromMedium: true))
        }
    }

    @Test(arguments: Ground.allCases)
    func filesAreCreatedOnce(ground: Ground) throws {
        try on(ground) { folder, files in
            let path = folder.appending("file")
            let file = try files.create(path, permissions: 0o600)
            try file.write([1])
            try file.close()
            // Which of them a share answers with is not the same everywhere.
            let refusal = code { () throws(FileError) in _ = try files.create(path, permissions: 0o600) }
            #expect(refusal == .fileExists || refusal == .notPermitted)
            #expect(try files.readFile(path, limit: 10) == [1])
        }
    }

    @Test(arguments: Ground.allCases)
    func aRenameReplacesAndARemovalIsDone(ground: Ground) throws {
        try on(ground) { folder, files in
            let (a, b) = (folder.appending("a"), folder.appending("b"))
            try files.writeFile(a, [1])
            try files.writeFile(b, [2])
            try files.move(from: a, to: b)
            #expect(try files.readFile(b, limit: 10) == [1])
            #expect(try files.list(folder).map(\.name) == ["b"])
            let inner = folder.appending("x/y")
            try files.makeDirectories(inner)
            try files.makeDirectories(inner)
            try files.move(from: b, to: inner.appending("c"))
            #expect(try files.list(inner).map(\.name) == ["c"])
            #expect(try files.list(folder).map(\.kind) == [.directory])
            try files.remove(inner.appending("c"))
            try files.remove(inner.appending("c"))
            try files.removeTree(folder.appending("x"))
            #expect(try files.list(folder).isEmpty && files.status(inner) == nil)
            #expect(code { () throws(FileError) in _ = try files.openForReading(b) } == .noSuchFileOrDirectory)
        }
    }

    @Test(arguments: Ground.allCases)
    func aPublishedFileIsNeverChanged(ground: Ground) throws {
        try on(ground) { folder, files in
            let (one, two) = (folder.appending("one"), folder.appending("two"))
            try files.writeFile(one, Self.pattern(50_000))
            try files.writeFile(two, Self.pattern(49_999))
            let target = folder.appending("update.tar")
            try files.publishFile(from: one, to: target)
            try files.publishFile(from: one, to: target)
            #expect(code { () throws(FileError) in try files.publishFile(from: two, to: target) } == .fileExists)
            #expect(try files.readFile(target, limit: 60_000) == Self.pattern(50_000))
            #expect(try files.list(folder).count == 3)
        }
    }

    @Test(arguments: Ground.allCases)
    func manyNamesAreListed(ground: Ground) throws {
        try on(ground) { folder, files in
            let names = (100..<180).map { "update-hospital-a-\($0).tar.age" }
            for name in names { try files.writeFile(folder.appending(name), [1]) }
            #expect(try files.list(folder).map(\.name) == names)
            #expect(try files.list(folder).allSatisfy { $0.kind == .regular })
            #expect(try files.list(folder, limit: 10).count == 10)
        }
    }

    @Test(arguments: [Ground.fat, .exfat])
    func namesOfOursAreSafeWhereOthersAreNot(ground: Ground) throws {
        try on(ground) { folder, files in
            for bad in [":", "?", "*", "\"", "<", ">", "|", "\\"] {
                let path = folder.appending("a\(bad)b")
                #expect(code { () throws(FileError) in try files.writeFile(path, [1]) } != nil, "\(bad)")
            }
            try files.writeFile(folder.appending("Update.TAR"), [1])
            #expect(try files.readFile(folder.appending("update.tar"), limit: 1) == [1])
            #expect(try files.list(folder).count == 1)
            let part = PartHeader(
                whole: PartHeader.Whole(
                    name: PartHeader.safeName("A:B?.tar"), size: 1, digest: SHA256Hash.digest(of: [1]), parts: 1),
                number: 1, size: 1, digest: SHA256Hash.digest(of: [1]))
            try files.writeFile(folder.appending(part.fileName), part.encoded)
            try files.writeFile(folder.appending(part.fileName), part.encoded)
            #expect(try files.list(folder).count == 2)
        }
    }

    @Test func aStickThatTakesNoLargeFileSaysWhatToDo() throws {
        try on(.fat) { folder, files in
            let source = folder.removingLastComponent().appending("large")
            try files.writeFile(source, Self.pattern(Int(FATFileSystem.largestFile) + 1))
            let error = #expect(throws: FileError.self) {
                try files.publishFile(from: source, to: folder.appending("x"))
            }
            #expect(error?.code == .fileTooLarge && error?.description.contains("bundle split") == true)
            #expect(try files.list(folder).isEmpty)
            let parts = try FileSplitter.split(
                source, into: folder, partSize: FATFileSystem.largestFile, files: files)
            #expect(parts.count == 2)
            let out = folder.removingLastComponent().appending("out")
            try files.makeDirectories(out)
            let joined = try FileJoiner.join([folder], into: out, files: files)
            #expect(try files.haveEqualContent(source, joined.path))
        }
    }

    /// A request goes to the server and a decision comes back, each home working on this ground alone.
    @Test(arguments: Ground.allCases, [Exchange.Layout.perClient, .flat])
    func aWholeRoundCrosses(ground: Ground, layout: Exchange.Layout) throws {
        try on(ground) { root, files in
            let world = try TestFederation()
            if layout == .flat {
                for folder in ["inbox", "outbox"] { try files.makeDirectories(root.appending(folder)) }
            }
            var received: [String: Int] = [:]
            func pass(_ home: Home, at seconds: Int64) throws -> MediaReport {
                let home = try Home.open(home.root, files: files)
                let mailbox = try opened(home, at: start.adding(seconds: seconds), encrypts: true)
                let exchange = try Exchange.detect(root, home: home)
                #expect(exchange.layout == layout || home.role == .client)
                let collected = try mailbox.collect(from: exchange)
                #expect(collected.problems == [])
                for delivery in try mailbox.receive().deliveries {
                    received[home.name.text, default: 0] += 1
                    try mailbox.commit(delivery, .accepted)
                    guard home.role == .server else { continue }
                    try mailbox.send(
                        key: "decision/\(delivery.sender)", kind: .decision, to: [delivery.sender],
                        payload: [.bytes(name: "decision.json", Self.pattern(30_000))])
                }
                try mailbox.publishPending()
                let delivered = try mailbox.deliver(to: exchange)
                #expect(delivered.problems == [])
                return try mailbox.verifyMedia(exchange)
            }
            for hospital in [world.hospitalA, world.hospitalB] {
                if layout == .perClient { try files.makeDirectories(root.appending(hospital.name.text)) }
                try opened(hospital, encrypts: true).send(
                    key: "request", kind: .request, to: [name("ministry")],
                    payload: [.bytes(name: "request.json", Self.pattern(20_000))])
                #expect(try pass(hospital, at: 0).count(.intact) == 1)
            }
            let report = try pass(world.server, at: 60)
            #expect(report.count(.intact) == 2 && report.isGood)
            for hospital in [world.hospitalA, world.hospitalB] { _ = try pass(hospital, at: 120) }
            #expect(received == ["ministry": 2, "hospital-a": 1, "hospital-b": 1])
            // And again: nothing is taken twice.
            _ = try pass(world.server, at: 180)
            for hospital in [world.hospitalA, world.hospitalB] { _ = try pass(hospital, at: 180) }
            #expect(received == ["ministry": 2, "hospital-a": 1, "hospital-b": 1])
            for home in [world.server, world.hospitalA, world.hospitalB] {
                #expect(try names(home.quarantine) == [], "\(home.name)")
            }
        }
    }
}

import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

@Suite struct ExchangeTests {
    let world: TestFederation

    init() throws {
        world = try TestFederation()
        try QuickFileSystem().makeDirectories(root)
    }

    private var root: FilePath { world.root.appending("exchange") }

    private func exchange(_ home: Home) throws -> Exchange { try Exchange.detect(root, home: home) }

    private func send(_ home: Home, _ key: String, _ kind: BundleKind, to recipients: [String]) throws -> String {
        let isForSession = kind == .global
        return try opened(home).send(
            key: key, kind: kind, to: recipients.map(name), session: isForSession ? session("1") : .none,
            round: isForSession ? 1 : 0, payload: [.bytes(name: "x.json", Array("{}\n".utf8))]
        ).name
    }

    @discardableResult
    private func collect(_ home: Home, at seconds: Int64 = 0, only: PartyName? = nil) throws -> ExchangeSummary {
        try opened(home, at: start.adding(seconds: seconds)).collect(from: try exchange(home), only: only)
    }

    @discardableResult
    private func deliver(
        _ home: Home, at seconds: Int64 = 0, only: PartyName? = nil, byHand: Bool = false
    ) throws -> ExchangeSummary {
        try opened(home, at: start.adding(seconds: seconds)).deliver(to: try exchange(home), only: only, byHand: byHand)
    }

    @Test func perClientFoldersShowEachHospitalOnlyWhatNamesIt() throws {
        let forBoth = try send(world.server, "global/1", .global, to: ["hospital-a", "hospital-b"])
        let forA = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        #expect(try deliver(world.server).problems.isEmpty)
        #expect(try names(root.appending("hospital-a/outbox")) == [forA, forBoth].sorted())
        #expect(try names(root.appending("hospital-b/outbox")) == [forBoth])
        #expect(try collect(world.hospitalA).copied.count == 2)
        #expect(try names(world.hospitalA.inbox) == [forA, forBoth].sorted())
        // Clients never delete there.
        #expect(try names(root.appending("hospital-a/outbox")).count == 2)
    }

    @Test func whatAClientSendsReachesTheServerAndIsTakenFromTheExchange() throws {
        try QuickFileSystem().makeDirectories(root.appending("hospital-a"))
        let request = try send(world.hospitalA, "request/1", .request, to: ["ministry"])
        try deliver(world.hospitalA)
        #expect(try names(root.appending("hospital-a/inbox")) == [request])
        let summary = try collect(world.server)
        #expect(summary.copied == [request] && summary.removed == [request])
        #expect(try names(world.server.inbox) == [request])
        #expect(try names(root.appending("hospital-a/inbox")) == [])
        // A crash test found a note about the file that was removed, which the next run took back: an idle run writes nothing.
        let remembered = world.server.root.appending("mailbox/exchange.json")
        #expect(!String(decoding: (try? content(remembered)) ?? [], as: UTF8.self).contains(request))
    }

    /// A share that refuses a removal in one run need not do so in the next, and the file is not copied again for that.
    @Test func whatCouldNotBeTakenAwayGoesLater() throws {
        try QuickFileSystem().makeDirectories(root.appending("hospital-a"))
        let request = try send(world.hospitalA, "request/1", .request, to: ["ministry"])
        try deliver(world.hospitalA)
        let refusing = try Home.open(world.server.root, files: KeepingFileSystem(folder: root))
        for copied in [[request], []] {
            let summary = try collect(refusing)
            #expect(summary.copied == copied && summary.removed.isEmpty && summary.problems.count == 1)
            #expect(try names(root.appending("hospital-a/inbox")) == [request])
        }
        let summary = try collect(world.server)
        #expect(summary.copied.isEmpty && summary.removed == [request] && summary.problems.isEmpty)
        #expect(try names(root.appending("hospital-a/inbox")).isEmpty)
    }

    /// Nobody knows who reads what a revoked key's home is sent.
    @Test func aRevokedHospitalGetsNoModelAndWhatLayThereIsTakenBack() throws {
        let global = try send(world.server, "global/1", .global, to: ["hospital-a", "hospital-b"])
        try deliver(world.server)
        #expect(try names(root.appending("hospital-b/outbox")) == [global])
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(try world.key(of: world.hospitalB).publicKey)
        try trust.save(to: world.server)
        #expect(try deliver(world.server).removed == [global])
        #expect(try names(root.appending("hospital-b/outbox")).isEmpty)
        #expect(try names(root.appending("hospital-a/outbox")) == [global])
        #expect(try deliver(world.server, at: 86_400).copied.isEmpty)
    }

    /// One file is for all there, and stays for those who may have it.
    @Test func aRevokedHospitalTakesNothingFromOthersInAFlatExchange() throws {
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        let global = try send(world.server, "global/1", .global, to: ["hospital-a", "hospital-b"])
        let own = try send(world.server, "global/2", .global, to: ["hospital-b"])
        let notice = try send(world.server, "decision/1", .decision, to: ["hospital-b"])
        try deliver(world.server)
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(try world.key(of: world.hospitalB).publicKey)
        try trust.save(to: world.server)
        #expect(try deliver(world.server).removed == [own])
        for _ in 1...2 {
            let summary = try deliver(world.server)
            #expect(summary.copied.isEmpty && summary.removed.isEmpty)
        }
        #expect(try names(root.appending("outbox")) == [notice, global].sorted())
    }

    /// For ever: whoever comes back may read with another key. What tells it of its revocation stays.
    @Test func whatNobodyMayHaveLeavesTheOutbox() throws {
        let global = try send(world.server, "global/1", .global, to: ["hospital-a", "hospital-b"])
        _ = try send(world.server, "global/2", .global, to: ["hospital-b"])
        let notice = try send(world.server, "decision/1", .decision, to: ["hospital-b"])
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(try world.key(of: world.hospitalB).publicKey)
        try trust.save(to: world.server)
        for _ in 1...2 {
            let mailbox = try opened(world.server)
            try mailbox.withdrawFromCutOff()
            try mailbox.publishPending()
            #expect(try names(world.server.outbox) == [notice, global].sorted())
        }
    }

    /// - Returns: what a person is told, and what was copied.
    private func deliverAndTell(_ home: Home) throws -> (lines: [String], copied: [String]) {
        let mailbox = try opened(home)
        var copied: [String] = []
        let lines = try mailbox.useExchange(at: root) {
            let summary = try mailbox.deliver(to: $0)
            copied += summary.copied
            return summary
        }
        return (lines + mailbox.problems, copied)
    }

    /// The folder that a share is mounted on is there without it too.
    @Test func aShareThatIsNotMountedIsNotWrittenBelow() throws {
        func told(_ mountPoint: FilePath) throws -> (lines: [String], copied: [String]) {
            try deliverAndTell(try Home.open(world.hospitalA.root, files: MountedFileSystem(mountPoint: mountPoint)))
        }
        #expect(try told("/").lines.isEmpty)
        #expect(try told(root).lines.isEmpty, "it was mounted since")
        let request = try send(world.hospitalA, "request/1", .request, to: ["ministry"])
        let away = try told("/")
        #expect(away.copied.isEmpty && away.lines.count == 1, "\(away)")
        #expect(away.lines.first?.contains("is the share mounted?") == true, "\(away)")
        #expect(try told("/").lines.isEmpty, "said once")
        #expect(try told(root).copied == [request])
        // Another exchange lies where it lies.
        let elsewhere = world.root.appending("elsewhere")
        try QuickFileSystem().makeDirectories(elsewhere)
        let home = try Home.open(world.hospitalA.root, files: MountedFileSystem(mountPoint: "/"))
        let mailbox = try opened(home)
        #expect(try mailbox.useExchange(at: elsewhere) { try mailbox.deliver(to: $0) }.isEmpty)
        #expect(mailbox.problems.isEmpty)
    }

    /// Each hospital's folder may be a mount of its own; one that is away keeps no other back.
    @Test func aClientsFolderThatIsNotMountedIsNotWrittenBelow() throws {
        func told(_ mounts: [FilePath]) throws -> (lines: [String], copied: [String]) {
            try deliverAndTell(
                try Home.open(world.server.root, files: MountedFileSystem(mountPoint: "/", folders: mounts)))
        }
        let mount = root.appending("hospital-a")
        try QuickFileSystem().makeDirectories(mount)
        #expect(try told([mount]).lines.isEmpty)
        let forA = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        let forB = try send(world.server, "decision/b", .decision, to: ["hospital-b"])
        let away = try told([])
        #expect(away.copied == [forB] && away.lines.count == 1, "\(away)")
        #expect(away.lines.first?.contains("a file system was mounted there") == true, "\(away)")
        #expect(try told([]).lines.isEmpty, "said once")
        #expect(try names(mount).isEmpty)
        #expect(try told([mount]).copied == [forA])
    }

    /// The system tells mount points without the link over which the configured path leads.
    @Test func aClientsFolderThatIsNotMountedIsNoticedBehindALink() throws {
        let real = world.root.appending("media")
        try QuickFileSystem().makeDirectories(real.appending("hospital-a"))
        try QuickFileSystem().removeTree(root)
        #expect(symlink(real.string, root.string) == 0)
        func told(_ mounts: [String: FilePath]) throws -> (lines: [String], copied: [String]) {
            try deliverAndTell(try Home.open(world.server.root, files: LinkedMounts(mounts: mounts)))
        }
        #expect(try told([root.appending("hospital-a").string: real.appending("hospital-a")]).lines.isEmpty)
        _ = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        let away = try told([:])
        #expect(away.copied.isEmpty && away.lines.count == 1, "\(away)")
        #expect(away.lines.first?.contains("a file system was mounted there") == true, "\(away)")
        #expect(try names(real.appending("hospital-a")).isEmpty)
    }

    @Test func theFlatLayoutIsFoundByItsFolders() throws {
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        #expect(try exchange(world.server).layout == .flat && exchange(world.hospitalA).layout == .flat)
        let decision = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        let request = try send(world.hospitalA, "request/1", .request, to: ["ministry"])
        try deliver(world.server)
        try deliver(world.hospitalA)
        #expect(try names(root.appending("outbox")) == [decision] && names(root.appending("inbox")) == [request])
        try collect(world.server)
        try collect(world.hospitalA)
        try collect(world.hospitalB)
        #expect(try names(world.server.inbox) == [request])
        #expect(try names(world.hospitalA.inbox) == [decision])
        #expect(try names(world.hospitalB.inbox) == [])
    }

    @Test func aStickForOneHospitalCarriesOnlyWhatNamesIt() throws {
        _ = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        let forB = try send(world.server, "decision/b", .decision, to: ["hospital-b"])
        try deliver(world.server, only: name("hospital-b"), byHand: true)
        #expect(try names(root) == ["hospital-b"])
        #expect(try names(root.appending("hospital-b/outbox")) == [forB])
    }

    @Test func anotherStickAtTheSamePlaceIsFilledToo() throws {
        _ = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        try deliver(world.server, byHand: true)
        try QuickFileSystem().removeTree(root)
        try QuickFileSystem().makeDirectories(root)
        #expect(try deliver(world.server).copied.isEmpty)
        #expect(try deliver(world.server, byHand: true).copied.count == 1)
    }

    @Test func whatIsGoneWithoutAnAnswerIsLaidThereAgainAfterADay() throws {
        try QuickFileSystem().makeDirectories(root.appending("hospital-a"))
        let request = try send(world.hospitalA, "request/1", .request, to: ["ministry"])
        try deliver(world.hospitalA)
        try QuickFileSystem().remove(root.appending("hospital-a/inbox").appending(request))
        #expect(try deliver(world.hospitalA, at: 86_399).copied == [])
        #expect(try deliver(world.hospitalA, at: 86_400).copied == [request])
    }

    @Test func whatIsRetiredIsTakenBack() throws {
        _ = try send(world.server, "global/1", .global, to: ["hospital-a"])
        try deliver(world.server)
        try opened(world.server).withdraw { $0.key == "global/1" }
        #expect(try deliver(world.server).removed.count == 1)
        #expect(try names(root.appending("hospital-a/outbox")) == [])
    }

    @Test func aGrowingFileIsCollectedWhenItIsWhole() throws {
        let folder = root.appending("hospital-a").appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        try world.lay(world.manifest(), as: "u.tar", in: folder)
        let whole = try content(folder.appending("u.tar"))
        for step in 1...3 {
            try QuickFileSystem().writeFile(folder.appending("u.tar"), Array(whole.prefix(600 * step)))
            #expect(try collect(world.server, at: Int64(step) * 600).copied.isEmpty)
        }
        try QuickFileSystem().writeFile(folder.appending("u.tar"), whole)
        #expect(try collect(world.server, at: 3000).copied.count == 1)
    }

    @Test func rubbishSettlesIntoQuarantineAndStaysWhereItIs() throws {
        let folder = root.appending("hospital-a").appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        try write("rubbish", folder.appending("u.tar"))
        #expect(try collect(world.server).problems.isEmpty)
        #expect(try collect(world.server, at: 60).problems.count == 1)
        #expect(try names(world.server.quarantine).count == 2)
        #expect(try names(folder) == ["u.tar"])
        #expect(try collect(world.server, at: 600).problems.isEmpty)
    }

    @Test func whatIsKnownAlreadyIsNotCollectedAgain() throws {
        let folder = root.appending("hospital-a").appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        try world.lay(world.manifest(), as: "u.tar", in: folder)
        let bytes = try content(folder.appending("u.tar"))
        try collect(world.server)
        do {
            let mailbox = try opened(world.server)
            for delivery in try mailbox.receive().deliveries { try mailbox.commit(delivery, .accepted) }
        }
        try QuickFileSystem().writeFile(folder.appending("other-name.tar"), bytes)
        let summary = try collect(world.server, at: 60)
        #expect(summary.copied.isEmpty && summary.removed == ["other-name.tar"])
        #expect(try names(world.server.inbox) == [])
    }

    @Test func anIdleRunReadsNoPayloadAndWritesNothing() throws {
        _ = try send(world.server, "global/1", .global, to: ["hospital-a"])
        try deliver(world.server)
        try collect(world.hospitalA)
        let before = try tree(world.root)
        let file = try #require(try names(root.appending("hospital-a/outbox")).first)
        let path = root.appending("hospital-a/outbox").appending(file)
        let log = OpenLog()
        let watched = try Home.open(world.hospitalA.root, files: WatchingFileSystem(log: log))
        _ = try opened(watched, at: start.adding(seconds: 60)).collect(from: try exchange(watched))
        try deliver(world.server, at: 60)
        #expect(!log.paths.contains(path.string) && !log.paths.isEmpty)
        #expect(try tree(world.root) == before)
    }

    @Test func anExchangeThatIsNotMountedIsSaidSo() throws {
        try QuickFileSystem().removeTree(root)
        let error = #expect(throws: MailboxError.self) { try exchange(world.server) }
        #expect(error?.description.contains("is the share mounted?") == true)
    }

    @Test func aShareThatIsAwayIsSaidOnceAndAgainWhenItGoesAgain() throws {
        func problems() throws -> [String] {
            let mailbox = try opened(world.server)
            _ = try mailbox.exchange(at: root)
            return mailbox.problems
        }
        let files = QuickFileSystem()
        #expect(try problems().isEmpty)
        try files.removeTree(root)
        #expect(try problems().count == 1)
        #expect(try problems().isEmpty)
        try write("a file in its place", root)
        #expect(try problems().isEmpty)
        try files.remove(root)
        try files.makeDirectories(root)
        #expect(try problems().isEmpty)
        #expect(try opened(world.server).exchange(at: root) != nil)
        try files.removeTree(root)
        #expect(try problems().count == 1)
    }

    /// Cron mails what is printed: one line when it begins or when its reason changes, whatever bundles are tried, and no
    /// random names in it.
    @Test func aShareThatIsFullIsSaidOnceAndAgainWhenItsReasonChanges() throws {
        _ = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        _ = try send(world.server, "decision/b", .decision, to: ["hospital-b"])
        func told(_ code: Errno?, at seconds: Int64) throws -> [String] {
            let files: any FileSystem = code.map { UnwritableFileSystem(folder: root, code: $0) } ?? QuickFileSystem()
            let mailbox = try opened(
                try Home.open(world.server.root, files: files), at: start.adding(seconds: seconds))
            // A hospital's tick delivers before its night of training and after it.
            var told = try mailbox.useExchange(at: root) { try mailbox.collect(from: $0) }
            for _ in 1...2 { told += try mailbox.useExchange(at: root) { try mailbox.deliver(to: $0) } }
            return told + mailbox.problems
        }
        let full = ["cannot write to \(root): no space left on device (free some space and run again)"]
        #expect(try told(.noSpace, at: 0) == full)
        #expect(try told(.noSpace, at: 60) == [])
        #expect(ExchangeUse.load(from: world.server).problems == full)
        // More that has no room is no news.
        _ = try send(world.server, "decision/c", .decision, to: ["hospital-a"])
        #expect(try told(.noSpace, at: 120) == [])
        #expect(
            try told(.readOnlyFileSystem, at: 180)
                == ["cannot write to \(root): read-only file system (mount it for writing)"])
        #expect(try told(.readOnlyFileSystem, at: 240) == [])
        // Each folder has its own owner.
        let denied = try told(.permissionDenied, at: 300)
        #expect(denied.count == 2 && denied.allSatisfy { $0.contains("/outbox: permission denied") }, "\(denied)")
        #expect(try told(nil, at: 360) == [])
        #expect(try names(root.appending("hospital-a/outbox")).count == 2)
        #expect(ExchangeUse.load(from: world.server).problems == [])
        _ = try send(world.server, "decision/d", .decision, to: ["hospital-a"])
        #expect(try told(.noSpace, at: 420) == full)
    }

    @Test func aFolderThatCannotBeWrittenIsAProblemAndNoEnd() throws {
        _ = try send(world.server, "decision/a", .decision, to: ["hospital-a"])
        let forB = try send(world.server, "decision/b", .decision, to: ["hospital-b"])
        try QuickFileSystem().makeDirectories(root.appending("hospital-a"))
        try write("a file in the way", root.appending("hospital-a/outbox"))
        let summary = try deliver(world.server)
        #expect(summary.problems.count == 1 && summary.copied == [forB])
    }
}

/// A share that can be read and not be written to.
private struct UnwritableFileSystem: ForwardingFileSystem {
    let folder: FilePath
    let code: Errno
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        guard path.starts(with: folder), path != folder, operation == "create" else { return }
        throw FileError(operation, path, code)
    }
}

/// Some paths lie on mounts of their own, wherever the system says that those are.
private struct LinkedMounts: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let mounts: [String: FilePath]

    init(mounts: [String: FilePath]) { self.mounts = mounts }

    func volume(of path: FilePath) throws(FileError) -> Volume? {
        Volume(type: "ext4", mountPoint: mounts[path.string] ?? "/", isReadOnly: false, available: 1 << 40)
    }
}

/// Everything seems to lie on a file system that is mounted at one place.
private struct MountedFileSystem: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let mountPoint: FilePath
    /// Mounts of their own.
    var folders: [FilePath] = []

    func volume(of path: FilePath) throws(FileError) -> Volume? {
        let mountPoint = folders.first { path.starts(with: $0) } ?? mountPoint
        return Volume(type: "ext4", mountPoint: mountPoint, isReadOnly: false, available: 1 << 40)
    }
}

/// Nothing goes from one folder.
private struct KeepingFileSystem: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()
    let folder: FilePath

    func unlink(_ path: FilePath) throws(FileError) {
        guard !path.starts(with: folder) else { throw FileError("remove", path, .permissionDenied) }
        try base.unlink(path)
    }
}

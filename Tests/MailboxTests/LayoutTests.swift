import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Which layout an exchange has is not for whoever may make a folder in its root to say: bundles would go where nobody looks.
@Suite struct LayoutTests {
    let world: TestFederation

    init() throws {
        world = try TestFederation()
        try QuickFileSystem().makeDirectories(root)
    }

    private var root: FilePath { world.root.appending("exchange") }
    private var memory: FilePath { world.server.root.appending("mailbox/exchange.json") }

    private func make(_ folders: String...) throws {
        for folder in folders { try QuickFileSystem().makeDirectories(root.appending(FilePath(folder).components)) }
    }

    private func takeAway(_ folders: String...) throws {
        for folder in folders { try QuickFileSystem().removeTree(root.appending(FilePath(folder).components)) }
    }

    /// A tick's use of the exchange: collects, and delivers.
    private func tick(_ home: Home) throws -> (lines: [String], carried: [String]) {
        let mailbox = try opened(home)
        var carried: [String] = []
        var lines = try mailbox.useExchange(at: root) {
            let summary = try mailbox.collect(from: $0)
            carried += summary.copied
            return summary
        }
        lines += try mailbox.useExchange(at: root) {
            let summary = try mailbox.deliver(to: $0)
            carried += summary.copied
            return summary
        }
        return (lines + mailbox.problems, carried)
    }

    private func request(_ number: Int) throws -> String {
        try opened(world.hospitalA).send(
            key: "request/\(number)", kind: .request, to: [name("ministry")],
            payload: [.bytes(name: "x.json", Array("{}\n".utf8))]
        ).name
    }

    private func decide(_ number: Int) throws -> String {
        try opened(world.server).send(
            key: "decision/\(number)", kind: .decision, to: [name("hospital-a")],
            payload: [.bytes(name: "x.json", Array("{}\n".utf8))]
        ).name
    }

    /// Told once, and again when it comes back; what is carried meanwhile is carried as before.
    private func expectToStay(
        _ home: Home, despite folders: [String], _ send: (Int) throws -> String, in place: String
    ) throws {
        let sent = try send(1)
        _ = try tick(home)
        #expect(try names(root.appending(FilePath(place).components)).contains(sent))
        for time in 1...2 {
            for folder in folders { try make(folder) }
            let next = try send(1 + time)
            let first = try tick(home)
            #expect(first.lines.count == 1 && first.lines[0].contains("remove what does not belong"), "\(first)")
            #expect(try first.carried == [next] && names(root.appending(FilePath(place).components)).contains(next))
            #expect(try tick(home).lines.isEmpty, "said once")
            #expect(ExchangeUse.load(from: home).problems.contains { $0.contains("remove what does not belong") })
            for folder in folders { try takeAway(folder) }
            #expect(try tick(home).lines.isEmpty)
            #expect(ExchangeUse.load(from: home).problems.isEmpty)
        }
    }

    @Test func aFolderWithAClientsNameTakesNoClientOutOfAFlatShare() throws {
        try make("inbox", "outbox")
        try expectToStay(world.hospitalA, despite: ["hospital-a"], request, in: "inbox")
    }

    @Test func aServerSaysThatAClientMayUseAFolderOfItsOwnInAFlatShare() throws {
        try make("inbox", "outbox")
        try expectToStay(world.server, despite: ["hospital-a"], decide, in: "outbox")
    }

    @Test func anInboxAndAnOutboxInTheRootDoNotBlindAServer() throws {
        try expectToStay(world.server, despite: ["inbox", "outbox"], decide, in: "hospital-a/outbox")
        let sent = try request(1)
        try make("inbox", "outbox")
        try make("hospital-a/inbox")
        try QuickFileSystem().copyFile(
            from: try outgoing(sent), to: root.appending("hospital-a/inbox").appending(sent))
        #expect(try tick(world.server).carried == [sent])
    }

    private func outgoing(_ name: String) throws -> FilePath {
        try opened(world.hospitalA).publishPending()
        return world.hospitalA.outbox.appending(name)
    }

    /// As of a share that is not mounted: nothing is laid where nobody looks, and it goes on when the folders are back.
    @Test(arguments: [false, true]) func aFlatShareThatLostItsFoldersIsNotUsed(isServer: Bool) throws {
        try make("inbox", "outbox")
        let (home, send) = isServer ? (world.server, decide) : (world.hospitalA, request)
        _ = try send(1)
        #expect(try tick(home).carried.count == 1)
        let next = try send(2)
        try QuickFileSystem().rename(root.appending("inbox"), to: root.appending("old"))
        try make("hospital-a")
        let away = try tick(home)
        #expect(away.carried.isEmpty && away.lines.count == 1, "\(away)")
        #expect(away.lines.first?.contains("exchange.json") == true, "\(away)")
        #expect(try tick(home).lines.isEmpty, "said once")
        #expect(try names(root.appending("hospital-a")).isEmpty)
        #expect(throws: MailboxError.self) { try Exchange.detect(root, home: home) }
        try QuickFileSystem().rename(root.appending("old"), to: root.appending("inbox"))
        try takeAway("hospital-a")
        let back = try tick(home)
        #expect(back.carried == [next] && back.lines.isEmpty, "\(back)")
    }

    @Test(arguments: [false, true]) func aShareWithAFolderForEachThatBecameFlatIsNotUsed(isServer: Bool) throws {
        try make("hospital-a")
        let (home, send) = isServer ? (world.server, decide) : (world.hospitalA, request)
        _ = try send(1)
        #expect(try tick(home).carried.count == 1)
        try takeAway("hospital-a")
        try make("inbox", "outbox")
        let next = try send(2)
        let away = try tick(home)
        #expect(away.carried.isEmpty && away.lines.count == 1, "\(away)")
        #expect(try tick(home).lines.isEmpty, "said once")
        // The change is meant: what was carried before is carried again, since it is not acknowledged.
        try QuickFileSystem().remove(home.root.appending("mailbox/exchange.json"))
        let meant = try tick(home)
        #expect(meant.carried.count == 2 && meant.carried.contains(next) && meant.lines.isEmpty, "\(meant)")
        #expect(try names(root.appending(isServer ? "outbox" : "inbox")).count == 2)
    }

    /// Nobody knows yet which is meant: it is said, and not remembered.
    @Test(arguments: [false, true]) func aShareThatLooksBothWaysIsSaid(isServer: Bool) throws {
        try make("inbox", "outbox", "hospital-a")
        let home = isServer ? world.server : world.hospitalA
        #expect(try tick(home).lines.count == 1)
        #expect(try tick(home).lines.isEmpty, "said once")
        if isServer { try takeAway("inbox", "outbox") } else { try takeAway("hospital-a") }
        #expect(try tick(home).lines.isEmpty)
        #expect(try opened(home).exchange(at: root)?.layout == (isServer ? .perClient : .flat))
    }

    /// Between the first delivery and the next run too.
    @Test func whatTheServerLaidDownItselfIsRemembered() throws {
        _ = try decide(1)
        #expect(try tick(world.server).carried.count == 1)
        try make("inbox", "outbox")
        #expect(try Exchange.detect(root, home: world.server).layout == .perClient)
    }

    /// Folders that are made before anything was carried are an admin's, who is not ready yet.
    @Test func anEmptyShareMayBecomeFlat() throws {
        #expect(try tick(world.server).lines.isEmpty && tick(world.hospitalA).lines.isEmpty)
        try make("inbox", "outbox")
        #expect(try tick(world.server).lines.isEmpty && tick(world.hospitalA).lines.isEmpty)
        for home in [world.server, world.hospitalA] {
            #expect(try Exchange.detect(root, home: home).layout == .flat)
        }
    }
}

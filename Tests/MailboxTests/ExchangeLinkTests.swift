import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Whoever may write below an exchange's root must not lead a home, by symbolic links, to files that are only its own.
@Suite struct ExchangeLinkTests {
    let world: TestFederation

    init() throws {
        world = try TestFederation()
        try QuickFileSystem().makeDirectories(root.appending("hospital-a"))
    }

    private var root: FilePath { world.root.appending("exchange") }
    private var folder: FilePath { root.appending("hospital-a") }

    private func link(_ path: FilePath, to target: FilePath) throws {
        guard symlink(target.string, path.string) == 0 else { throw TestTrouble("cannot link") }
    }

    private func exchange(_ home: Home) throws -> Exchange { try Exchange.detect(root, home: home) }

    private func collect() throws -> ExchangeSummary {
        try opened(world.server).collect(from: try exchange(world.server))
    }

    private func deliver(byHand: Bool = false) throws -> ExchangeSummary {
        try opened(world.server).deliver(to: try exchange(world.server), byHand: byHand)
    }

    /// One bundle that the server knows, in its archive.
    private func archived() throws -> FilePath {
        try world.lay(world.manifest(), as: "r.tar")
        let mailbox = try opened(world.server)
        let delivery = try #require(try mailbox.receive().deliveries.first)
        try mailbox.commit(delivery, .accepted)
        return world.server.archived(delivery.id)
    }

    private func sendDecision() throws {
        try opened(world.server).send(
            key: "decision/a", kind: .decision, to: [name("hospital-a")],
            payload: [.bytes(name: "decision.json", Array("{}\n".utf8))])
    }

    @Test func anInboxThatLeadsToTheArchiveTakesNothingFromIt() throws {
        let bundle = try archived()
        try link(folder.appending("inbox"), to: world.server.archive)
        let summary = try collect()
        #expect(summary.removed.isEmpty && summary.copied.isEmpty)
        #expect(summary.problems.count == 1 && summary.problems[0].contains("hospital-a/inbox"))
        #expect(try QuickFileSystem().exists(bundle))
    }

    @Test func aClientsFolderThatIsALinkIsSkippedToo() throws {
        let bundle = try archived()
        let files = QuickFileSystem()
        try files.makeDirectories(world.root.appending("elsewhere"))
        try files.copyFile(from: bundle, to: world.root.appending("elsewhere/r.tar"))
        try files.rename(world.root.appending("elsewhere"), to: world.root.appending("inbox"))
        try files.removeTree(folder)
        try link(folder, to: world.root)
        let summary = try collect()
        #expect(summary.removed.isEmpty && summary.problems.count == 1)
        #expect(try names(world.root.appending("inbox")) == ["r.tar"])
        try sendDecision()
        #expect(try deliver().copied.isEmpty)
        #expect(try !files.exists(world.root.appending("outbox")))
    }

    @Test func anOutboxThatLeadsToADeskGetsNothing() throws {
        let desk = world.server.requests.appending("approved")
        try link(folder.appending("outbox"), to: desk)
        try sendDecision()
        let summary = try deliver()
        #expect(summary.copied.isEmpty && summary.problems.count == 1)
        #expect(try names(desk) == [])
    }

    @Test func whatIsTakenBackIsNotTakenFromElsewhere() throws {
        try sendDecision()
        let file = try #require(try deliver().copied.first)
        let files = QuickFileSystem()
        try files.rename(folder.appending("outbox"), to: world.root.appending("elsewhere"))
        try link(folder.appending("outbox"), to: world.root.appending("elsewhere"))
        try opened(world.server).withdraw { $0.key == "decision/a" }
        #expect(try deliver().problems.count == 1)
        #expect(try names(world.root.appending("elsewhere")) == [file])
    }

    @Test func theFlatLayoutFollowsNoLinksEither() throws {
        let bundle = try archived()
        try link(root.appending("inbox"), to: world.server.archive)
        try QuickFileSystem().makeDirectories(root.appending("outbox"))
        let summary = try collect()
        #expect(summary.problems.count == 1 && summary.removed.isEmpty)
        #expect(try QuickFileSystem().exists(bundle))
    }

    @Test func aClientFollowsNoLinks() throws {
        try link(folder.appending("inbox"), to: world.hospitalA.models)
        try link(folder.appending("outbox"), to: world.hospitalA.models)
        let mailbox = try opened(world.hospitalA)
        try mailbox.send(
            key: "request/1", kind: .request, to: [name("ministry")],
            payload: [.bytes(name: "request.json", Array("{}\n".utf8))])
        let exchange = try exchange(world.hospitalA)
        #expect(try mailbox.collect(from: exchange).problems.count == 1)
        #expect(try mailbox.deliver(to: exchange).problems.count == 1)
        #expect(try names(world.hospitalA.models) == [])
    }

    @Test func theRootItselfMayBeALink() throws {
        let link = world.root.appending("share")
        try self.link(link, to: root)
        try sendDecision()
        let exchange = try Exchange.detect(link, home: world.server)
        let summary = try opened(world.server).deliver(to: exchange)
        #expect(summary.copied.count == 1 && summary.problems.isEmpty)
    }
}

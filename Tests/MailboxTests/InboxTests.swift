import Bundles
import FaultRecords
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What lies in an inbox need not be a bundle, nor whole, nor a file.
@Suite struct InboxTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private var inbox: FilePath { world.server.inbox }

    private func receive(after seconds: Int64) throws -> (received: Received, problems: [String]) {
        let mailbox = try opened(world.server, at: start.adding(seconds: seconds))
        return (try mailbox.receive(), mailbox.problems)
    }

    @Test func aFileThatDoesNotVerifyIsQuarantinedOnceItHasSettled() throws {
        try write("no tar", inbox.appending("Mail.TAR"))
        #expect(try receive(after: 0).received.settling == 1)
        #expect(try receive(after: 59).received.settling == 1)
        #expect(try names(inbox) == ["Mail.TAR"])
        let received = try receive(after: 60).received
        #expect(received.refusals.map(\.reason) == [.notABundle])
        #expect(try names(inbox) == [])
        let found = try names(world.server.quarantine)
        #expect(found.count == 2 && found.allSatisfy { $0.hasPrefix("mail-") })
    }

    @Test func aGrowingFileIsLeftAloneAndTakenWhenItIsWhole() throws {
        let manifest = try world.lay(world.manifest(), as: "u.tar", payload: [UInt8](repeating: 7, count: 5000))
        let whole = try content(inbox.appending("u.tar"))
        for step in 1...5 {
            try QuickFileSystem().writeFile(inbox.appending("u.tar"), Array(whole.prefix(whole.count * step / 6)))
            let received = try receive(after: Int64(step) * 600).received
            #expect(received.settling == 1 && received.refusals.isEmpty)
        }
        try QuickFileSystem().writeFile(inbox.appending("u.tar"), whole)
        #expect(try receive(after: 6000).received.deliveries.map(\.id) == [manifest.id])
    }

    @Test func equalSizeIsNotEnoughToSettle() throws {
        for step in 0..<4 {
            try write("torn \(step)", inbox.appending("u.tar"))
            #expect(try receive(after: Int64(step) * 600).received.refusals.isEmpty)
        }
    }

    @Test func aClockThatRunsBackwardsSettlesNothing() throws {
        try write("no tar", inbox.appending("u.tar"))
        _ = try receive(after: 600)
        #expect(try receive(after: 0).received.settling == 1)
        #expect(try receive(after: 30).received.settling == 1)
        #expect(try receive(after: 60).received.refusals.count == 1)
    }

    @Test func linksFifosAndFoldersAreNotOpenedAndReportedOnce() throws {
        try write("secret", world.root.appending("secret"))
        #expect(symlink(world.root.appending("secret").string, inbox.appending("link.tar").string) == 0)
        #expect(mkfifo(inbox.appending("fifo.tar").string, 0o600) == 0)
        try QuickFileSystem().makeDirectory(inbox.appending("folder.tar"), permissions: 0o755)
        let manifest = try world.lay(world.manifest(), as: "good.tar")
        let first = try receive(after: 0)
        #expect(first.received.deliveries.map(\.id) == [manifest.id])
        #expect(first.problems.count == 3)
        #expect(try receive(after: 600).problems.isEmpty)
        #expect(try names(inbox).count == 4)
    }

    @Test func unfinishedAndHiddenFilesAreOtherProgramsBusiness() throws {
        try write("", inbox.appending(".gitignore"))
        try write("half", inbox.appending("u.tar.part"))
        for seconds in [0, 600, 1200] {
            let received = try receive(after: Int64(seconds)).received
            #expect(received.settling == 0 && received.refusals.isEmpty)
        }
        #expect(try names(inbox) == ["u.tar.part"])
    }

    @Test func oneBundleUnderManyNamesIsDeliveredOnceAndCleanedEverywhere() throws {
        try world.lay(world.manifest(), as: "request.tar")
        for copy in ["request (1).tar", "REQUEST.TAR", "x"] {
            try QuickFileSystem().copyFile(from: inbox.appending("request.tar"), to: inbox.appending(copy))
        }
        let mailbox = try opened(world.server)
        let deliveries = try mailbox.receive().deliveries
        #expect(deliveries.count == 1)
        for delivery in deliveries { try mailbox.commit(delivery, .accepted) }
        #expect(try names(inbox) == [])
    }

    @Test func aFileThatWasReplacedMeanwhileIsNotRemoved() throws {
        try world.lay(world.manifest(), as: "request.tar")
        let mailbox = try opened(world.server)
        let delivery = try #require(try mailbox.receive().deliveries.first)
        try world.lay(world.manifest(seq: 2), as: "request.tar", payload: [UInt8](repeating: 7, count: 600))
        try mailbox.commit(delivery, .accepted)
        #expect(try names(inbox) == ["request.tar"])
        #expect(try mailbox.receive().deliveries.map(\.manifest.seq) == [2])
    }

    @Test func truncationAnywhereIsNeverAccepted() throws {
        try world.lay(world.manifest(), as: "u.tar")
        let whole = try content(inbox.appending("u.tar"))
        try QuickFileSystem().remove(inbox.appending("u.tar"))
        for count in stride(from: 0, to: whole.count, by: 97) {
            try QuickFileSystem().writeFile(inbox.appending("\(count).tar"), Array(whole.prefix(count)))
        }
        let expected = try names(inbox).count
        let received = try receive(after: 0).received
        #expect(received.deliveries.isEmpty && received.settling == expected)
        FaultRecords.record(points: expected)
        #expect(try receive(after: 60).received.refusals.count == expected)
    }

    @Test func aFloodIsWorkedOffOverSeveralRuns() throws {
        for number in 0..<1200 { try write("junk \(number)", inbox.appending("a\(number)")) }
        let manifest = try world.lay(world.manifest(), as: "zzz.tar")
        var delivered: [Digest] = []
        for minute in 0..<8 {
            let mailbox = try opened(world.server, at: start.adding(seconds: Int64(minute) * 61))
            let received = try mailbox.receive()
            for delivery in received.deliveries {
                delivered.append(delivery.id)
                try mailbox.commit(delivery, .accepted)
            }
            if minute == 0 { #expect(received.remaining == 0) }
        }
        #expect(delivered == [manifest.id])
        #expect(try names(inbox).count < 300)
    }

    @Test func aMillionFilesCostOneRunLittle() throws {
        let crowd = CrowdedFileSystem(folder: inbox, names: 1_000_000)
        let home = try Home.open(world.server.root, files: crowd)
        let mailbox = try opened(home)
        let clock = ContinuousClock()
        let started = clock.now
        #expect(try mailbox.receive().remaining == 990_000)
        #expect(crowd.looks == 10_000 && clock.now - started < .seconds(30))
    }

    @Test func anIdleRunWritesNothing() throws {
        _ = try receive(after: 0)
        let before = try tree(world.server.root)
        let mailbox = try opened(world.server, at: start.adding(seconds: 600))
        _ = try mailbox.receive(retryEarly: true)
        try mailbox.publishPending()
        try mailbox.sendReceipts()
        try mailbox.cleanUp()
        try mailbox.finish()
        #expect(try tree(world.server.root) == before)
    }
}

import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

@Suite struct DeskTests {
    let world: TestFederation
    let desk: Desk
    let request: Manifest

    /// One request lies in pending.
    init() throws {
        world = try TestFederation()
        desk = Desk.requests(world.server)
        request = try world.lay(world.manifest(), as: "r.tar")
        let mailbox = try opened(world.server)
        let delivery = try #require(try mailbox.receive().deliveries.first)
        let bundle = try mailbox.archive(delivery)
        try desk.place(bundle.path, as: DeskName(prefix: "REQ", number: 1, party: delivery.sender))
        try mailbox.commit(delivery, .accepted)
    }

    private var pending: FilePath { desk.folder(.pending).appending("REQ-1-hospital-a.tar") }

    private func scan() throws -> DeskScan {
        let mailbox = try opened(world.server)
        return try desk.scan(isAccepted: mailbox.isAccepted)
    }

    @Test func movingTheFileIsTheDecision() throws {
        #expect(try scan().items(.pending).map(\.id) == [request.id])
        try QuickFileSystem().makeDirectories(desk.folder(.approved, group: "spring"))
        try QuickFileSystem().rename(
            pending, to: desk.folder(.approved, group: "spring").appending("REQ-1-hospital-a.tar"))
        let item = try #require(try scan().items.first)
        #expect(item.state == .approved && item.group == "spring" && item.deskName?.short == "REQ-1")
    }

    /// A slip of the hand: nothing is decided by it, and the person waits for what does not come.
    @Test func aFileOfAnotherDeskIsSaid() throws {
        let other = Desk.enrolments(world.server)
        try QuickFileSystem().rename(pending, to: other.folder(.approved).appending("REQ-1-hospital-a.tar"))
        let mailbox = try opened(world.server)
        let scan = try other.scan(isAccepted: mailbox.isAccepted)
        #expect(scan.items.isEmpty)
        #expect(scan.refusals.count == 1 && scan.refusals[0].contains("belongs on another desk"))
    }

    @Test func theCommandMovesInTheSameWay() throws {
        let item = try #require(try scan().item(named: "REQ-1"))
        try desk.move(item, to: .approved, group: "spring")
        #expect(try scan().items.map(\.group) == ["spring"])
        #expect(try names(desk.folder(.pending)) == [])
        #expect(throws: MailboxError.self) { try desk.move(item, to: .approved, group: "../spring") }
    }

    @Test func rejectedWinsOverApprovedAndApprovedOverPending() throws {
        let files = QuickFileSystem()
        try files.copyFile(from: pending, to: desk.folder(.approved).appending("copy.tar"))
        #expect(try scan().items.map(\.state) == [.approved])
        #expect(try scan().superseded.map(\.state) == [.pending])
        try files.copyFile(from: pending, to: desk.folder(.rejected).appending("REQ-1-hospital-a.tar"))
        let both = try scan()
        #expect(both.items.map(\.state) == [.rejected])
        #expect(both.refusals.count == 1 && both.refusals[0].contains("rejected wins"))
    }

    /// What was decided lies there for years: nobody waits until its payload is read again, and its id is all that counts.
    @Test func thePayloadIsReadUntilItIsDecided() throws {
        var bytes = try content(pending)
        let end = try #require(bytes.lastIndex { $0 != 0 })
        bytes[end] ^= 1
        try QuickFileSystem().writeFile(pending, bytes)
        #expect(try scan().items.isEmpty && scan().refusals.count == 1)
        let mailbox = try opened(world.server)
        func decided() throws -> DeskScan {
            try desk.scan(isDecided: { $0 == request.id }, isAccepted: mailbox.isAccepted)
        }
        #expect(try decided().items.map(\.id) == [request.id])
        // The manifest's bytes are the id, and are always looked at.
        bytes[700] ^= 1
        try QuickFileSystem().writeFile(pending, bytes)
        #expect(try decided().items.isEmpty)
    }

    @Test func oneFolderCanBeLookedAtAlone() throws {
        try QuickFileSystem().copyFile(from: pending, to: desk.folder(.approved).appending("copy.tar"))
        let mailbox = try opened(world.server)
        let alone = try desk.scan(only: .pending, isAccepted: mailbox.isAccepted)
        #expect(alone.items.map(\.state) == [.pending] && alone.superseded.isEmpty)
    }

    /// What a disk withholds may be the rejection: nothing is decided then, and nobody is told that a file was edited.
    @Test func aFailingDiskIsNoEditedFile() throws {
        try QuickFileSystem().copyFile(from: pending, to: desk.folder(.approved).appending("copy.tar"))
        try QuickFileSystem().copyFile(from: pending, to: desk.folder(.rejected).appending("copy.tar"))
        let mailbox = try opened(world.server)
        var limit = 0
        while true {
            limit += 1
            let hook = FaultyFileSystem.Hook(failing: limit, .onceWithError)
            guard let home = try? Home.open(world.server.root, files: FaultyFileSystem(hook)) else { continue }
            do {
                let scan = try Desk.requests(home).scan(isAccepted: mailbox.isAccepted)
                #expect(!hook.hasFailed, "operation \(limit): \(scan.refusals)")
                break
            } catch {
                #expect(error.kind == .temporary, "operation \(limit): \(error)")
            }
        }
        #expect(limit > 10)
    }

    @Test func anEditedFileIsRefused() throws {
        var bytes = try content(pending)
        bytes[600] ^= 1
        try QuickFileSystem().writeFile(pending, bytes)
        let scan = try scan()
        #expect(scan.items.isEmpty && scan.refusals.count == 1)
    }

    @Test func aBundleThatThisHomeNeverTookIsRefused() throws {
        try world.lay(world.manifest(seq: 2), as: "REQ-2-hospital-a.tar", in: desk.folder(.approved))
        let scan = try scan()
        #expect(scan.items.count == 1 && scan.refusals.count == 1)
    }

    @Test func linksAndFoldersAreNotFollowed() throws {
        try QuickFileSystem().rename(pending, to: world.root.appending("elsewhere.tar"))
        #expect(
            symlink(world.root.appending("elsewhere.tar").string, desk.folder(.approved).appending("x.tar").string) == 0
        )
        try QuickFileSystem().makeDirectories(desk.folder(.pending).appending("folder"))
        let scan = try scan()
        #expect(scan.items.isEmpty && scan.refusals.count == 2)
    }

    @Test func aGroupHasAPlanAndAName() throws {
        try QuickFileSystem().makeDirectories(desk.folder(.approved, group: "spring"))
        try write("rounds: 3\n", desk.folder(.approved, group: "spring").appending("plan.yaml"))
        try QuickFileSystem().makeDirectories(desk.folder(.approved, group: "no good"))
        let scan = try scan()
        #expect(scan.groups == ["spring"] && Array(scan.planFiles.keys) == ["spring"])
        #expect(scan.refusals.count == 1)
    }

    @Test func placingTwiceMakesOneFileAndNumbersGoUp() throws {
        try desk.place(
            world.server.archived(request.id), as: DeskName(prefix: "REQ", number: 1, party: name("hospital-a")))
        let scan = try scan()
        #expect(scan.items.count == 1 && scan.nextNumber(prefix: "REQ") == 2)
        #expect(scan.nextNumber(prefix: "REQ", after: 7) == 8 && scan.nextNumber(prefix: "ENR") == 1)
    }

    @Test func pendingNamesWhoWhatAndTheExactLines() throws {
        let item = try #require(try scan().items.first)
        let pendingItem = PendingItem(
            item, lines: ["5 rounds; \u{1b}[2Jmessage"],
            moves: [
                .init("let it train alone", to: .approved),
                .init("let it train with others", to: .approved, group: "NAME"),
                .init("refuse it", to: .rejected),
            ])
        try desk.writePending([pendingItem])
        let path = desk.root.appending("PENDING.txt")
        let text = String(decoding: try content(path), as: UTF8.self)
        #expect(text.contains("REQ-1  from hospital-a"))
        #expect(text.contains(try world.key(of: world.hospitalA).publicKey.fingerprint))
        #expect(text.contains("mv \(pending.string) \(desk.folder(.rejected).string)/\n"))
        #expect(text.contains("mkdir -p \(desk.folder(.approved).string)/NAME && mv "))
        #expect(!text.contains("\u{1b}"))
        let before = try QuickFileSystem().status(path)
        try desk.writePending([pendingItem])
        #expect(try QuickFileSystem().status(path) == before)
        try desk.writePending([])
        #expect(try names(desk.root) == ["approved", "pending", "rejected"])
    }

    @Test func pendingStaysShortAndIsWrittenWhateverLiesThere() throws {
        let item = PendingItem(try #require(try scan().items.first), lines: [], moves: [])
        let path = desk.root.appending("PENDING.txt")
        try QuickFileSystem().writeFile(path, [UInt8](repeating: 0x20, count: 17 << 20))
        try desk.writePending([PendingItem](repeating: item, count: 503))
        let text = String(decoding: try content(path), as: UTF8.self)
        #expect(text.split(separator: "\n").count { $0.hasPrefix("REQ-1 ") } == 500)
        #expect(text.hasSuffix("\n... and 3 more, which come here when these are decided\n"))
    }

    @Test(arguments: [
        ("plain/path-1.tar", "plain/path-1.tar"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''"),
        ("-rf", "./-rf"), ("$(rm)", "'$(rm)'"), ("ä", "'ä'"), ("a\nb", "'a\nb'"),
    ])
    func quotingIsSafeForAShell(text: String, quoted: String) {
        #expect(ShellQuoting.quote(text) == quoted)
    }

    @Test(arguments: ["REQ-1-hospital-a.tar", "REQ-12-b", "ENR-3-x"])
    func namesReadBack(text: String) throws {
        let name = try #require(DeskName(text))
        #expect(DeskName(name.text) == name)
    }

    @Test(arguments: ["REQ-0-a", "REQ-1", "req-1-a", "REQ-1-", "REQ--a", "REQ-1-A", "REQ-9999999999-a", "", "REQ-+1-a"])
    func otherNamesAreNone(text: String) { #expect(DeskName(text) == nil) }

    @Test func theUpdatesDeskCallsApprovedAccepted() {
        #expect(Desk.updates(world.hospitalA).folder(.approved).lastComponent?.string == "accepted")
    }
}

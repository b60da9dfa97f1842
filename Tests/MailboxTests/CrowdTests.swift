import Bundles
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// More files in one folder than a run looks at: every one of them has its turn, nobody keeps another waiting by it, and
/// whoever reads the mail is not buried.
@Suite struct CrowdTests {
    private let world: TestFederation
    private var root: FilePath { world.root.appending("exchange") }
    private var server: Home { world.server }

    init() throws { world = try TestFederation() }

    private func run(_ home: Home, minute: Int) throws -> (received: Received, problems: [String]) {
        try world.run(home, at: Int64(minute) * 61) { _ in .accepted }
    }

    private func collect(
        _ home: Home, minute: Int, only: PartyName? = nil
    ) throws -> (lines: [String], copied: [String]) {
        let mailbox = try opened(home, at: start.adding(seconds: Int64(minute) * 61))
        var copied: [String] = []
        let lines = try mailbox.useExchange(at: root) {
            let summary = try mailbox.collect(from: $0, only: only)
            copied = summary.copied
            return summary
        }
        return (lines + mailbox.problems, copied)
    }

    private func flat() throws -> FilePath {
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        return root.appending("inbox")
    }

    private func folder(_ party: String) throws -> FilePath {
        let folder = root.appending(party).appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        return folder
    }

    // MARK: the inbox

    /// A bundle that its courier renamed, behind all others in the directory: ten thousand have their turn in each run.
    @Test func everyFileOfACrowdedInboxHasItsTurn() throws {
        let crowd = PhantomFolder(server.inbox, count: 105_000)
        let home = try Home.open(server.root, files: crowd)
        let renamed = try world.lay(world.manifest(), as: "from the courier.tar")
        var (taken, runs) = ([Digest](), 0)
        while taken.isEmpty, runs < 11 {
            taken = try run(home, minute: runs).received.deliveries.map(\.id)
            runs += 1
        }
        #expect(taken == [renamed.id])
        #expect(crowd.left <= 105_000 - 500 * (runs - 1), "\(crowd.left)")
    }

    /// What consilium itself has named has its turn at once, unless others imitate that, and then within two rounds.
    @Test(arguments: [false, true])
    func aNameOfOursIsLookedAtFirst(isImitated: Bool) throws {
        let pattern: @Sendable (Int) -> String = { number in
            let id = String(number)
            return "update-x-" + String(repeating: "0", count: 8 - id.count) + id + ".tar"
        }
        let crowd =
            isImitated
            ? PhantomFolder(server.inbox, count: 40_000, named: pattern)
            : PhantomFolder(server.inbox, count: 40_000)
        let home = try Home.open(server.root, files: crowd)
        try world.lay(world.manifest(), as: "request-hospital-a-0123abcd.tar")
        try world.lay(world.manifest(seq: 2), as: "from the courier.tar")
        let first = try run(home, minute: 0).received.deliveries.map(\.inboxName)
        // Of the two kinds of names, the one that nobody floods does not wait.
        #expect(first.contains(isImitated ? "from the courier.tar" : "request-hospital-a-0123abcd.tar"))
        var taken = first.count
        for minute in 1..<5 { taken += try run(home, minute: minute).received.deliveries.count }
        #expect(taken == 2)
    }

    /// It was looked at while it was growing: it need not wait for a whole round.
    @Test func whatGrewInACrowdedInboxIsTakenSoon() throws {
        // All have their turn in the first run. In the second one, among so many others, it would hardly have one.
        let home = try Home.open(server.root, files: PhantomFolder(server.inbox, count: 4000))
        let others = try Home.open(
            server.root, files: PhantomFolder(server.inbox, count: 200_000, named: { "other-\($0).pdf" }))
        let path = server.inbox.appending("from the courier.tar")
        try world.lay(world.manifest(), as: "from the courier.tar")
        let whole = try content(path)
        try QuickFileSystem().writeFile(path, Array(whole.prefix(700)))
        #expect(try run(home, minute: 0).received.deliveries.isEmpty)
        try QuickFileSystem().writeFile(path, whole)
        #expect(try run(others, minute: 1).received.deliveries.count == 1)
    }

    // MARK: what is told

    enum Junk: CaseIterable { case parts, unreadable, zeros }

    /// Whatever lies in a folder in great numbers, the mail is a few lines in the first runs, and none at all later.
    @Test(arguments: Junk.allCases, [false, true])
    func aCrowdOfAnySortIsAFewLines(junk: Junk, isInExchange: Bool) throws {
        let folder = isInExchange ? try folder("hospital-a") : server.inbox
        let content: PhantomFolder.Content =
            switch junk {
            case .parts: .bytes(try part())
            case .unreadable: .withheld
            case .zeros: .bytes([UInt8](repeating: 0, count: 1100 << 10))
            }
        let home = try Home.open(server.root, files: PhantomFolder(folder, count: 6000, content: content))
        for minute in 0..<9 {
            let lines =
                isInExchange ? try collect(home, minute: minute).lines : try run(home, minute: minute).problems
            #expect(lines.count <= 5, "\(lines)")
            #expect(minute < 7 || lines.isEmpty, "\(minute): \(lines)")
        }
    }

    /// The first block of a part, as somebody makes who has no bundle.
    private func part() throws -> [UInt8] {
        let source = world.root.appending("whole.bin")
        try QuickFileSystem().writeFile(source, [UInt8](repeating: 7, count: 5000))
        let target = world.root.appending("parts")
        try QuickFileSystem().makeDirectories(target)
        let parts = try FileSplitter.split(source, into: target, partSize: 2048, files: QuickFileSystem())
        return try content(try #require(parts.first))
    }

    /// Zeros cost nothing; what is told of other files has its own place.
    @Test func zerosSilenceNothingElse() throws {
        let zeros = PhantomFolder(
            server.inbox, count: 6000, content: .bytes([UInt8](repeating: 0, count: 1100 << 10)))
        let home = try Home.open(server.root, files: zeros)
        for minute in 0..<4 { _ = try run(home, minute: minute) }
        try QuickFileSystem().writeFile(server.inbox.appending("a part"), try part())
        let told = try run(home, minute: 4).problems
        #expect(told.contains { $0.contains("'consilium bundle join") }, "\(told)")
    }

    // MARK: the exchange

    /// Nothing leaves an exchange's folder, so that nothing may have to leave before the last one has its turn.
    @Test func everyFileOfACrowdedExchangeHasItsTurn() throws {
        let inbox = try flat()
        let home = try Home.open(server.root, files: PhantomFolder(inbox, count: 105_000))
        for number in 1...3 { try world.lay(world.manifest(seq: Int64(number)), as: "courier \(number)", in: inbox) }
        var copied: [String] = []
        for minute in 0..<11 where copied.count < 3 {
            let pass = try collect(home, minute: minute)
            copied += pass.copied
            // Three by name, the number of the others, and that of more nobody is told.
            #expect(pass.lines.count <= 5)
        }
        #expect(copied.count == 3)
    }

    /// More junk than can be noted: it is told up to there, and never again.
    @Test func aCrowdOfJunkInAnExchangeIsQuietInTheEnd() throws {
        let crowd = PhantomFolder(try flat(), count: 5600)
        let home = try Home.open(server.root, files: crowd)
        for minute in 0..<8 { #expect(try collect(home, minute: minute).lines.count <= 5) }
        let kept = try tree(server.quarantine)
        for minute in 8..<10 { #expect(try collect(home, minute: minute).lines.isEmpty) }
        #expect(try tree(server.quarantine) == kept, "nothing is put away a second time")
    }

    /// One hospital's broken file is told, however many another one lays down, and whether those are gone meanwhile or not.
    @Test(arguments: [false, true])
    func oneHospitalsCrowdSilencesNoOther(isAway: Bool) throws {
        let crowd = PhantomFolder(try folder("hospital-a"), count: 5600)
        let home = try Home.open(server.root, files: crowd)
        for minute in 0..<8 { _ = try collect(home, minute: minute) }
        if isAway { try QuickFileSystem().removeTree(root.appending("hospital-a")) }
        try write("broken", try folder("hospital-b").appending("request.tar"))
        _ = try collect(home, minute: 8)
        let told = try collect(home, minute: 9).lines
        #expect(told.contains { $0.contains("request.tar in the exchange is not a bundle") }, "\(told)")
    }

    /// As on a stick for one hospital: what is gone is forgotten there too.
    @Test func whatIsGoneIsForgottenWhereOneHospitalIsLookedAfter() throws {
        let path = try folder("hospital-a").appending("torn.tar")
        try write("torn", path)
        _ = try collect(server, minute: 0, only: name("hospital-a"))
        let notes = server.root.appending("mailbox").appending("exchange-settling.json")
        #expect(String(decoding: try content(notes), as: UTF8.self).contains("torn.tar"))
        // Another one's is not known to be gone.
        _ = try collect(server, minute: 0, only: name("hospital-b"))
        #expect(String(decoding: try content(notes), as: UTF8.self).contains("torn.tar"))
        try QuickFileSystem().remove(path)
        _ = try collect(server, minute: 1, only: name("hospital-a"))
        #expect(try !QuickFileSystem().exists(notes), "nothing is left to note")
    }

    /// A folder that somebody made and took away leaves nothing behind that silences others.
    @Test func aStrangersFolderThatIsGoneSilencesNoOther() throws {
        let crowd = PhantomFolder(try folder("ghost"), count: 5600)
        let home = try Home.open(server.root, files: crowd)
        for minute in 0..<8 { _ = try collect(home, minute: minute) }
        try QuickFileSystem().removeTree(root.appending("ghost"))
        try write("broken", try folder("newcomer").appending("request.tar"))
        _ = try collect(home, minute: 8)
        let told = try collect(home, minute: 9).lines
        #expect(told.count == 1 && told[0].contains("request.tar in the exchange is not a bundle"), "\(told)")
    }

    /// Whoever may write in the root of an exchange makes as many entries there as he likes.
    @Test func aKnownHospitalsFolderIsFoundInACrowdedRoot() throws {
        try QuickFileSystem().makeDirectories(root)
        try world.lay(world.manifest(), as: "request.tar", in: try folder("hospital-a"))
        let home = try Home.open(server.root, files: CrowdedRoot(root))
        #expect(try collect(home, minute: 0).copied.count == 1)
    }

    /// A folder is not crowded, and looking takes longer than a run has time; whether files change meanwhile or not.
    @Test(arguments: [false, true], [false, true])
    func whatARunHasNoTimeForHasItsTurnInTheNext(isInExchange: Bool, changes: Bool) throws {
        let folder = isInExchange ? try folder("hospital-a") : server.inbox
        for number in 0..<40 { try write(String(repeating: "\0", count: 2 << 20), folder.appending("a-\(number)")) }
        try world.lay(world.manifest(), as: "z.tar", in: folder)
        let home = try Home.open(server.root, files: SlowFiles())
        var taken = false
        for minute in 0..<60 where !taken {
            let mailbox = try opened(home, at: start.adding(seconds: Int64(minute) * 61))
            mailbox.lookSeconds = 0.4
            for number in 0..<(changes ? 40 : 0) {
                try write(String(repeating: "x", count: 10 + minute), folder.appending("a-\(number)"))
            }
            if isInExchange {
                _ = try mailbox.useExchange(at: root) { try mailbox.collect(from: $0) }
                taken = try names(server.inbox).contains { $0.hasPrefix("request-") }
            } else {
                taken = try !mailbox.receive().deliveries.isEmpty
            }
        }
        #expect(taken)
    }

    /// Each of many folders has one file that is no bundle, or is a link.
    @Test(arguments: [false, true]) func aCrowdOfFoldersIsAFewLines(isOfLinks: Bool) throws {
        for number in 0..<300 {
            if isOfLinks {
                try QuickFileSystem().makeDirectories(root)
                symlink("/tmp", root.appending("nobody-\(number)").string)
            } else {
                try write("junk \(number)", try folder("nobody-\(number)").appending("x.tar"))
            }
        }
        for minute in 0..<9 {
            let lines = try collect(server, minute: minute).lines
            #expect(lines.count <= 5, "\(minute): \(lines)")
            #expect(minute < 7 || lines.isEmpty, "\(minute): \(lines)")
        }
    }

    /// The same name, and the same words, in two hospitals' folders and in two runs.
    @Test func whatIsPutAwayIsToldOfEachFolder() throws {
        try write("torn", try folder("hospital-a").appending("x.tar"))
        _ = try collect(server, minute: 0)
        let first = try collect(server, minute: 1).lines
        try write("torn too", try folder("hospital-b").appending("x.tar"))
        _ = try collect(server, minute: 2)
        let second = try collect(server, minute: 3).lines
        #expect(first.count == 1 && first[0].hasPrefix("hospital-a/inbox/x.tar in the exchange is not a bundle"))
        #expect(second.count == 1 && second[0].hasPrefix("hospital-b/inbox/x.tar in the exchange is not a bundle"))
    }

    /// A link in the place of a hospital's folder is complained about, and forgotten once the folder is back.
    @Test func aLinkInTheFoldersPlaceLeavesNothingBehind() throws {
        let inbox = try folder("hospital-a")
        try world.lay(world.manifest(), as: "request.tar", in: inbox)
        let (place, aside) = (root.appending("hospital-a"), world.root.appending("aside"))
        try QuickFileSystem().rename(place, to: aside)
        // On another file system.
        symlink("/proc", place.string)
        #expect(try collect(server, minute: 0).lines.contains { $0.contains("only plain folders are used") })
        try QuickFileSystem().unlink(place)
        try QuickFileSystem().rename(aside, to: place)
        #expect(try collect(server, minute: 1).copied.count == 1)
    }

    /// In Swift a slash and a mark that follows it are one character.
    @Test func namesThatBeginWithAMarkAreNotedToo() throws {
        let crowd = PhantomFolder(try folder("hospital-a"), count: 1500, named: { "\u{301}j\($0)" })
        let home = try Home.open(server.root, files: crowd)
        for minute in 0..<4 { _ = try collect(home, minute: minute) }
        let kept = try tree(server.quarantine)
        for minute in 4..<9 { #expect(try collect(home, minute: minute).lines.isEmpty) }
        #expect(try tree(server.quarantine) == kept)
    }

    // MARK: names

    /// The reference's test vectors: the key 00 01 .. 0f, and texts 00 01 ...
    @Test(arguments: [(0, 0x726f_db47_dd0e_0e31), (1, 0x74f8_39c5_93dc_67fd), (15, 0xa129_ca61_49be_45e5)])
    func namesAreOrderedBySipHash(count: Int, expected: UInt64) {
        let hash = SipHash(key: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
        #expect(hash.hash((0..<count).map { UInt8($0) }) == expected)
    }
}

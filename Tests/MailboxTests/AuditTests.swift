import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Rules: 1. any change to a line, and any line that is taken out, put in or moved, is found; 2. so is a log that was cut off
/// or rewritten whole, by whoever has a head that was signed before; 3. a run never signs over a log that contradicts the
/// last head; 4. a kill between any two writes leaves a log that the next run mends and signs.
@Suite struct AuditTests {
    private let world: TestFederation
    private var path: FilePath { world.server.audit.appending("audit.jsonl") }
    private var key: PublicKey { get throws { try Identity.load(from: world.server).signing.publicKey } }

    init() throws { world = try TestFederation() }

    private func verified(_ audit: AuditLog) throws -> Int64 { try audit.verify(key: try key).chain.count }

    private func add(_ subjects: String...) throws {
        for subject in subjects {
            try AuditLog(world.server).append(event: "x", subject: subject, detail: "", actor: "tick", now: start)
        }
    }

    private func run(day: Int64 = 0) throws { try opened(world.server, at: start.adding(days: day)).finish() }

    private func heads() throws -> [String] { try names(world.server.audit).filter { $0.hasPrefix("head-") } }

    @Test func theAuditIsAChainThatAnyChangeBreaks() throws {
        let audit = AuditLog(world.server)
        for number in 1...3 {
            try audit.append(
                event: "request-approved", subject: "REQ-\(number)", detail: "ü", actor: "uid 1000", now: start)
        }
        #expect(try verified(audit) == 3)
        #expect(try audit.entries(limit: 2).map(\.subject) == ["REQ-2", "REQ-3"])
        let path = world.server.audit.appending("audit.jsonl")
        let text = String(decoding: try content(path), as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        let changes = [
            text.replacing("REQ-1", with: "REQ-9"), lines[1...].joined(separator: "\n") + "\n",
            [lines[0], lines[2]].joined(separator: "\n") + "\n",
            [lines[1], lines[0], lines[2]].joined(separator: "\n") + "\n",
        ]
        for changed in changes {
            try write(changed, path)
            #expect(throws: MailboxError.self) { try verified(audit) }
        }
    }

    @Test func theAuditSaysNothingTwice() throws {
        let audit = AuditLog(world.server)
        func add(_ event: String) throws {
            try audit.append(event: event, subject: "REQ-1", detail: "", actor: "tick", now: start)
        }
        try add("approved")
        try audit.append(event: "approved", subject: "REQ-2", detail: "", actor: "tick", now: start)
        try add("approved")
        try add("rejected")
        try add("approved")
        #expect(try audit.entries().map(\.event) == ["approved", "approved", "rejected", "approved"])
    }

    /// A person who does a thing twice did it twice; and what another one did is another thing.
    @Test func theAuditSaysEachCommand() throws {
        let audit = AuditLog(world.server)
        for actor in ["uid 1000", "uid 1000", "uid 0", "tick", "tick"] {
            try audit.append(event: "export", subject: "v1", detail: "to a", actor: actor, now: start)
        }
        #expect(try audit.entries().map(\.actor) == ["uid 1000", "uid 1000", "uid 0", "tick"])
        #expect(AuditLog.person(1000) == "uid 1000")
    }

    @Test func aTornAuditLineIsCutOff() throws {
        let audit = AuditLog(world.server)
        try audit.append(event: "a", subject: "x", detail: "", actor: "", now: start)
        let path = world.server.audit.appending("audit.jsonl")
        try QuickFileSystem().appendFile(path, Array("{\"actor\":\"".utf8))
        // The lines before it are whole, and are shown.
        let torn = try audit.verify(key: try key, newest: 9)
        #expect(torn.chain.isTorn && torn.newest.map(\.subject) == ["x"])
        // On a disk that is full still: nothing is written anew, only cut off and added to.
        let full = try Home.open(world.server.root, files: FullDisk())
        try AuditLog(full).append(event: "b", subject: "y", detail: "", actor: "", now: start)
        #expect(try verified(audit) == 2)
    }

    /// Bundles quote what others wrote.
    @Test func aTextOfAnyLengthMakesALineThatIsAddedOnce() throws {
        let audit = AuditLog(world.server)
        let long = "a" + String(repeating: "\u{301}", count: 100_000)
        for _ in 1...2 { try audit.append(event: "refused", subject: long, detail: long, actor: long, now: start) }
        let entry = try #require(try audit.entries().first)
        #expect(try verified(audit) == 1)
        #expect(entry.detail.utf8.starts(with: "a\u{301}".utf8) && entry.detail.utf8.count < 9000)
        #expect(entry.detail.contains(SHA256Hash.digest(of: Array(long.utf8)).hex))
    }

    /// A log of any length is checked in the same memory: no size stops all runs.
    @Test func aLineThatIsNoneEndsTheCheckSoon() throws {
        try add("a")
        try QuickFileSystem().appendFile(path, [UInt8](repeating: 7, count: 5 << 20))
        #expect { try verified(AuditLog(world.server)) } throws: { "\($0)".contains("has a line of more than") }
    }

    // MARK: heads

    @Test func aRunSignsWhatItAdded() throws {
        try run()
        #expect(try heads().isEmpty)
        try add("a", "b")
        try run()
        #expect(try heads() == ["head-2.json", "head-2.json.sig"])
        try run(day: 1)
        try add("c")
        try run(day: 1)
        #expect(try heads() == ["head-3.json", "head-3.json.sig"])
        let head = try #require(try AuditLog(world.server).verify(key: try key).head)
        #expect(head.number == 3 && head.party == world.server.name && head.at == start.adding(days: 1))
    }

    /// What a thief of the disk, but not of the key, could make of the log: each has a whole chain.
    @Test(arguments: ["cut off", "emptied", "rewritten"])
    func aLogThatIsNotTheSignedOneIsFound(how: String) throws {
        try add("a", "b", "c")
        try run()
        let signed = try content(path)
        let kept = try AuditHead.read(
            try content(world.server.audit.appending("head-3.json")),
            signature: try content(world.server.audit.appending("head-3.json.sig")), key: try key
        ).head
        let lines = String(decoding: signed, as: UTF8.self).split(separator: "\n").map { $0 + "\n" }
        try write("", path)
        switch how {
        case "cut off": try write(lines[..<2].joined(), path)
        case "rewritten": try add("a", "d", "c", "e")
        default: break
        }
        let audit = AuditLog(world.server)
        #expect(throws: MailboxError.self) { try verified(audit) }
        // No run signs over it.
        #expect(throws: MailboxError.self) { try run() }
        #expect(try heads() == ["head-3.json", "head-3.json.sig"])
        // Without the head the home still knows that it signed one; and so does whoever kept it.
        var heads: [(path: FilePath, content: [UInt8])] = []
        for name in try self.heads() {
            let path = world.server.audit.appending(FilePath.Component(name)!)
            heads.append((path, try content(path)))
            try QuickFileSystem().remove(path)
        }
        #expect(throws: MailboxError.self) { try verified(audit) }
        #expect(throws: MailboxError.self) { try run() }
        let chain = try AuditChain(checking: try content(path), name: "audit.jsonl")
        #expect(throws: MailboxError.self) { try kept.check(against: chain) }
        // The true log and its head are good again.
        try write(String(decoding: signed, as: UTF8.self), path)
        #expect(throws: MailboxError.self) { try run() }
        for head in heads { try QuickFileSystem().writeFile(head.path, head.content) }
        try run()
        #expect(try verified(audit) == 3)
    }

    /// What it does then it would write behind the damage, and take for it later.
    @Test(arguments: ["cut off", "rewritten"])
    func aDamagedLogStopsARunBeforeItDoesAnything(how: String) throws {
        try add("a", "b", "c")
        try run()
        let lines = String(decoding: try content(path), as: UTF8.self).split(separator: "\n").map { $0 + "\n" }
        try write(how == "cut off" ? lines[..<2].joined() : "", path)
        if how == "rewritten" { try add("a", "d", "c", "e") }
        #expect { try opened(world.server) } throws: { error in
            let text = "\(error)"
            return text.contains("put audit/ back") && text.contains("move audit/ away and remove")
        }
        // The way out that the line names.
        try QuickFileSystem().rename(world.server.audit, to: world.root.appending("kept"))
        try QuickFileSystem().remove(world.server.root.appending("mailbox/audit-head.json"))
        try run()
        try add("a")
        try run()
        #expect(try verified(AuditLog(world.server)) == 1)
    }

    @Test func whatATornRunLeftIsMendedByTheNextOneAndEntriesAreAddedOnce() throws {
        let audit = AuditLog(world.server)
        try audit.append(event: "e", subject: "s", details: ["1", "2"], actor: "", now: start)
        // Killed after the first of two lines.
        let both = try content(path)
        let first = try #require(both.firstIndex(of: UInt8(ascii: "\n")))
        try QuickFileSystem().writeFile(path, both[...(first + 9)] + [])
        try run()
        #expect(try verified(audit) == 1)
        for _ in 1...2 { try audit.append(event: "e", subject: "s", details: ["1", "2"], actor: "", now: start) }
        #expect(try audit.entries().map(\.detail) == ["1", "2"])
    }

    /// Who may write there, and has no key of ours, makes another log with a head of his own: no run signs over it.
    @Test func aHeadOfAnotherKeyIsNotSignedOver() throws {
        try add("a", "b")
        try run()
        try write("", path)
        try add("a", "c")
        let chain = try AuditChain(checking: try content(path), name: "audit.jsonl")
        let forged = AuditHead(
            federation: world.federation, party: world.server.name, number: 2,
            line: try #require(chain.digest(ofLine: 2)),
            at: start)
        let head = world.server.audit.appending("head-2.json")
        try QuickFileSystem().writeFile(head, forged.encoded)
        try QuickFileSystem().writeFile(
            FilePath(head.string + ".sig"),
            try SigningKey.generate().sign(forged.encoded, namespace: AuditHead.namespace))
        try add("d")
        #expect(throws: MailboxError.self) { try run() }
        #expect(try content(head) == forged.encoded)
    }

    @Test func anotherKeysHeadIsNotOurs() throws {
        try add("a")
        try run()
        let forged = AuditHead(
            federation: world.federation, party: world.server.name, number: 1,
            line: try AuditLog(world.server).verify(key: try key).chain.digest(ofLine: 1)!, at: start)
        let signature = try SigningKey.generate().sign(forged.encoded, namespace: AuditHead.namespace)
        #expect(throws: MailboxError.self) {
            try AuditHead.read(forged.encoded, signature: signature, key: try key)
        }
        // A signature that our key made of something else is none of a head.
        let own = try Identity.load(from: world.server).signing
        #expect(throws: MailboxError.self) {
            try AuditHead.read(
                forged.encoded, signature: try own.sign(forged.encoded, namespace: "global@consilium"), key: nil)
        }
        for index in forged.encoded.indices {
            var changed = forged.encoded
            changed[index] ^= 1
            #expect(throws: MailboxError.self) {
                try AuditHead.read(
                    changed, signature: try own.sign(forged.encoded, namespace: AuditHead.namespace), key: nil)
            }
        }
    }

    /// Many lines in one run, more than are looked at to find the last head.
    @Test func aHeadFarBackIsFound() throws {
        try add("a")
        try run()
        let long = String(repeating: "x", count: 30_000)
        for number in 0..<40 {
            try AuditLog(world.server).append(
                event: "x", subject: "\(number)", detail: long, actor: "tick", now: start)
        }
        try run()
        #expect(try heads() == ["head-41.json", "head-41.json.sig"])
        #expect(try verified(AuditLog(world.server)) == 41)
    }
}

/// Nothing new can be made.
private struct FullDisk: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        if operation == "create" { throw FileError(operation, path, .noSpace) }
    }
}

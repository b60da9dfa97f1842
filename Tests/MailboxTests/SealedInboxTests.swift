import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Encrypted files in an inbox or an exchange: opened in private, judged by the manifest, kept as they came.
@Suite struct SealedInboxTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private var inbox: FilePath { world.server.inbox }

    private func receive(_ home: Home? = nil, after seconds: Int64 = 0) throws -> Received {
        let mailbox = try opened(home ?? world.server, at: start.adding(seconds: seconds))
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, .accepted) }
        return received
    }

    private func lay(_ manifest: Manifest, to homes: [Home], as fileName: String? = nil) throws -> FilePath {
        try world.lay(manifest, as: "u.tar")
        return try world.seal(inbox.appending("u.tar"), to: homes, as: fileName)
    }

    private func quarantined() throws -> [String] {
        try names(world.server.quarantine).filter { !$0.hasSuffix(".reason.txt") }
    }

    @Test(arguments: ["u.tar.age", "u.tar", "anything (1)"])
    func anEncryptedBundleIsTakenUnderAnyNameAndNothingReadableIsLeft(fileName: String) throws {
        let manifest = world.manifest()
        let signed = try world.lay(manifest, as: "u.tar", in: world.root)
        let archive = try content(world.root.appending("u.tar"))
        _ = try lay(manifest, to: [world.hospitalB, world.server], as: fileName)
        #expect(try receive().deliveries.map(\.id) == [signed.id])
        #expect(try names(inbox) == [])
        #expect(try content(world.server.archived(signed.id)) == archive)
        #expect(try QuickFileSystem().status(world.server.archived(signed.id))?.permissions == 0o600)
        #expect(try names(world.server.root.appending("mailbox/spool")) == [])
    }

    @Test func thePlainAndTheEncryptedCopyAreOneBundle() throws {
        try world.lay(world.manifest(), as: "a.tar")
        try world.lay(world.manifest(), as: "b.tar")
        try world.seal(inbox.appending("b.tar"), to: [world.server])
        #expect(try receive().deliveries.count == 1)
        #expect(try names(inbox) == [])
        _ = try lay(world.manifest(), to: [world.server])
        let again = try receive(after: 60)
        #expect(again.deliveries.isEmpty && again.refusals.isEmpty)
        #expect(try names(inbox) == [] && quarantined() == [])
    }

    /// Somebody else can encrypt to us what was never meant for us: the manifest says whom it is for.
    @Test func whatAThirdPartyEncryptedToUsIsRefusedAndStaysEncrypted() throws {
        let file = try lay(world.manifest(to: "hospital-b"), to: [world.server])
        let bytes = try content(file)
        #expect(try receive().refusals.map(\.reason) == [.wrongRecipient])
        let kept = try quarantined()
        #expect(kept.count == 1 && kept[0].hasSuffix(".tar.age"))
        #expect(try content(world.server.quarantine.appending(kept[0])) == bytes)
    }

    @Test func whatIsEncryptedToOthersIsPutAwayAtOnce() throws {
        for (fileName, reason, isQuiet) in [
            ("update-hospital-a-r1-1234.tar.age", RefusalReason.notForThisIdentity, false),
            ("decision-ministry-to-hospital-b-1234.tar.age", .wrongRecipient, true),
            ("receipt-hospital-a-to-ministry-1234.tar.age", .notForThisIdentity, false),
        ] {
            _ = try lay(world.manifest(), to: [world.hospitalB], as: fileName)
            let refusals = try receive().refusals
            #expect(refusals.map(\.reason) == [reason] && refusals.map(\.isQuiet) == [isQuiet], "\(fileName)")
            #expect(try names(inbox) == [])
        }
        #expect(try quarantined().count == 3)
        // The same file once more, as from a stick that comes every night, is told no more.
        let again = try #require(try quarantined().first { $0.hasPrefix("update") })
        try QuickFileSystem().copyFile(
            from: world.server.quarantine.appending(again), to: inbox.appending("update-hospital-a-r1-1234.tar.age"))
        #expect(try receive().refusals.map(\.isQuiet) == [true])
        // A client that was given a whole outbox of another one's.
        try world.lay(world.manifest(), as: "u.tar")
        try world.seal(inbox.appending("u.tar"), to: [world.server], as: "update-hospital-a-r1-1234.tar.age")
        try QuickFileSystem().rename(
            inbox.appending("update-hospital-a-r1-1234.tar.age"),
            to: world.hospitalB.inbox.appending("update-hospital-a-r1-1234.tar.age"))
        #expect(try receive(world.hospitalB).refusals.map(\.isQuiet) == [true])
    }

    @Test func aReplacedIdentityStillOpensWhatWasUnderWay() throws {
        let old = try Identity.load(from: world.server).age
        _ = try lay(world.manifest(), to: [world.server])
        let identity = world.server.identity
        try QuickFileSystem().rename(identity.appending("age.txt"), to: identity.appending("age-2026.txt"))
        try AgeIdentity.generate().write(to: identity.appending("age.txt"), created: start, files: QuickFileSystem())
        let loaded = try Identity.load(from: world.server)
        #expect(loaded.ageIdentities.map(\.recipient) == [loaded.age.recipient, old.recipient])
        #expect(try receive().deliveries.count == 1)
        _ = try lay(world.manifest(seq: 2), to: [world.server])
        #expect(try receive().deliveries.count == 1)
        // Readable for others, it is nobody's secret any more.
        let text = try content(identity.appending("age-2026.txt"))
        try QuickFileSystem().writeFile(identity.appending("age-2026.txt"), text, permissions: 0o644)
        #expect(throws: MailboxError.self) { try Identity.load(from: world.server) }
    }

    // MARK: damage

    @Test func aCopyUnderWayIsLeftAloneAndTakenWhenItIsWhole() throws {
        let file = try lay(world.manifest(), to: [world.server])
        let whole = try content(file)
        for count in stride(from: 0, to: whole.count, by: 211) {
            try QuickFileSystem().writeFile(file, Array(whole.prefix(count)))
            let received = try receive(after: Int64(count) * 60)
            #expect(
                received.settling == 1 && received.refusals.isEmpty && received.deliveries.isEmpty, "\(count) bytes")
        }
        try QuickFileSystem().writeFile(file, whole)
        #expect(try receive(after: 1_000_000).deliveries.count == 1)
    }

    @Test func damageSettlesIntoQuarantineWithItsReason() throws {
        let file = try lay(world.manifest(), to: [world.server])
        let whole = try content(file)
        try QuickFileSystem().remove(file)
        func damaged(_ fileName: String, _ change: (inout [UInt8]) -> Void) throws {
            var bytes = whole
            change(&bytes)
            try QuickFileSystem().writeFile(inbox.appending(fileName), bytes)
        }
        try damaged("torn.tar.age") { $0.removeLast(700) }
        try damaged("header.tar.age") { $0[30] ^= 1 }
        try damaged("payload.tar.age") { $0[$0.count - 300] ^= 4 }
        try damaged("appended.tar.age") { $0 += [0] }
        try damaged("armoured.tar.age") { $0 = Array("-----BEGIN AGE ENCRYPTED FILE-----\n".utf8) + $0 }
        let files = try names(inbox)
        let first = try receive()
        #expect(first.deliveries.isEmpty && first.settling + first.refusals.count == files.count)
        let second = try receive(after: 60)
        #expect(first.refusals.count + second.refusals.count == files.count)
        #expect(try names(inbox) == [])
        let kept = try quarantined()
        #expect(kept.count == files.count && kept.allSatisfy { $0.hasSuffix(".tar.age") }, "\(kept)")
        let notes = try names(world.server.quarantine).filter { $0.hasPrefix("torn") && $0.hasSuffix(".reason.txt") }
        let note = String(
            decoding: try content(world.server.quarantine.appending(try #require(notes.first))), as: UTF8.self)
        #expect(note.contains("reason: incomplete"))
    }

    @Test func rubbishThatWasEncryptedIsNoBundleEither() throws {
        try write("no tar", inbox.appending("u.tar"))
        try world.seal(inbox.appending("u.tar"), to: [world.server])
        #expect(try receive().settling == 1)
        #expect(try receive(after: 60).refusals.map(\.reason) == [.notABundle])
        #expect(try quarantined().allSatisfy { $0.hasSuffix(".tar.age") })
    }

    // MARK: exchanges

    private func collect(_ home: Home, _ root: FilePath, after seconds: Int64 = 0) throws -> ExchangeSummary {
        try opened(home, at: start.adding(seconds: seconds)).collect(from: try Exchange.detect(root, home: home))
    }

    @Test func anExchangeIsCarriedWithoutOpeningAnythingForOthers() throws {
        let root = world.root.appending("exchange")
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        var sent: [String] = []
        for recipients in [["hospital-a"], ["hospital-b"], ["hospital-a", "hospital-b"]] {
            let mailbox = try opened(world.server, encrypts: true)
            sent.append(
                try mailbox.send(
                    key: recipients.joined(), kind: .decision, to: recipients.map(name),
                    payload: [.bytes(name: "x.json", Array("{}\n".utf8))]
                ).name)
        }
        let server = try opened(world.server, encrypts: true)
        #expect(try server.deliver(to: try Exchange.detect(root, home: world.server)).copied.count == 3)
        let summary = try collect(world.hospitalA, root)
        #expect(Set(summary.copied) == Set([sent[0], sent[2]]) && summary.problems.isEmpty)
        // Nothing readable comes into an inbox, which may lie on a share.
        for file in try names(world.hospitalA.inbox) {
            let (copy, original) = (world.hospitalA.inbox.appending(file), world.server.outbox.appending(file))
            #expect(try content(copy) == content(original))
        }
        #expect(try collect(world.hospitalA, root, after: 600).problems.isEmpty)
        #expect(try names(world.hospitalA.quarantine) == [])
        #expect(try receive(world.hospitalA).deliveries.count == 2)
    }

    /// What waits and came in the clear has come encrypted once its encrypted copy is there, by whichever way.
    @Test(arguments: [true, false])
    func theEncryptedCopyOfWhatWaitsInTheClearIsFetched(isEncrypted: Bool) throws {
        let signed = try world.lay(world.manifest(), as: "u.tar")
        do {
            let mailbox = try opened(world.server)
            for delivery in try mailbox.receive().deliveries { try mailbox.commit(delivery, .held("too early")) }
        }
        let root = world.root.appending("exchange")
        let folder = root.appending("hospital-a").appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        try world.lay(world.manifest(), as: "u.tar", in: folder)
        if isEncrypted { try world.seal(folder.appending("u.tar"), to: [world.server]) }
        let summary = try collect(world.server, root, after: 60)
        #expect(summary.copied.count == (isEncrypted ? 1 : 0))
        #expect(try names(folder) == [])
        let received = try opened(world.server, at: start.adding(seconds: 60)).receive(retryEarly: true)
        #expect(received.deliveries.map(\.id) == [signed.id])
        #expect(received.deliveries.map(\.cameInTheClear) == [!isEncrypted])
    }

    @Test func inAFolderOfOnesOwnWhatCannotBeOpenedIsToldOnce() throws {
        let root = world.root.appending("exchange")
        let folder = root.appending("hospital-a").appending("outbox")
        try QuickFileSystem().makeDirectories(folder)
        try world.lay(world.manifest(), as: "u.tar", in: folder)
        try world.seal(folder.appending("u.tar"), to: [world.hospitalB])
        #expect(try collect(world.hospitalA, root).problems.isEmpty)
        #expect(try collect(world.hospitalA, root, after: 60).problems.count == 1)
        #expect(try collect(world.hospitalA, root, after: 600).problems.isEmpty)
    }
}

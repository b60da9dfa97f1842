import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// Bundles that travel as `.tar.age`: what is sent, what is taken, and what is not.
@Suite struct EncryptionTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    private let payload = [PayloadSource.bytes(name: "x.json", Array("{}\n".utf8))]
    private var outbox: FilePath { world.server.outbox }
    private var inbox: FilePath { world.server.inbox }

    private func sealing(_ home: Home, after seconds: Int64 = 0) throws -> Mailbox {
        try opened(home, at: start.adding(seconds: seconds), encrypts: true)
    }

    private func global(_ mailbox: Mailbox, to recipients: [String]) throws -> OutgoingRecord {
        try mailbox.send(
            key: "global/1", kind: .global, to: recipients.map(name), session: session("1"), round: 1,
            retention: .untilWithdrawn, payload: payload)
    }

    private func receive(_ home: Home, after seconds: Int64 = 0) throws -> Received {
        let mailbox = try sealing(home, after: seconds)
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, .accepted) }
        return received
    }

    private func permissions(_ path: FilePath) throws -> UInt32? {
        try QuickFileSystem().status(path)?.permissions
    }

    // MARK: sending

    @Test func whatIsSentIsEncryptedToAllWhomItIsForAndToItsSender() throws {
        let record = try global(try sealing(world.server), to: ["hospital-a", "hospital-b"])
        #expect(record.name.hasSuffix(".tar.age"))
        #expect(try names(outbox) == [record.name])
        let sent = outbox.appending(record.name)
        for home in [world.hospitalA, world.hospitalB, world.server] {
            let bundle = try BundleReader.open(try world.unseal(sent, with: home), files: QuickFileSystem()).verified()
            #expect(bundle.id == record.id, "\(home.name)")
        }
        // Three shares and no more; the archive that is kept here is nobody else's.
        let header = String(decoding: try content(sent).prefix(4096), as: UTF8.self)
        #expect(header.hasPrefix("age-encryption.org/v1\n") && header.split(separator: "-> X25519 ").count == 4)
        let kept = try sealing(world.server).sentPath(record)
        #expect(try permissions(kept) == 0o600)
        #expect(try BundleReader.open(kept, files: QuickFileSystem()).verified().id == record.id)
    }

    @Test func whoIsNotAmongTheRecipientsCannotOpenIt() throws {
        let record = try global(try sealing(world.server), to: ["hospital-a"])
        let error = #expect(throws: BundleError.self) {
            try world.unseal(outbox.appending(record.name), with: world.hospitalB)
        }
        #expect(error?.reason == .notForThisIdentity)
    }

    @Test func anInviteIsForAnybodyAndInTheClear() throws {
        let record = try sealing(world.server).send(
            key: "invite", kind: .invite, to: [], retention: .days(30), payload: payload)
        #expect(record.name.hasSuffix(".tar"))
        #expect(
            try BundleReader.open(outbox.appending(record.name), files: QuickFileSystem()).verified().id == record.id)
    }

    @Test func whatIsSentAgainIsTheSameFile() throws {
        let record = try sealing(world.server).send(
            key: "decision/1", kind: .decision, to: [name("hospital-a")], payload: payload)
        let sent = outbox.appending(record.name)
        let bytes = try content(sent)
        #expect(try sealing(world.server).send(key: "decision/1", kind: .decision, to: [], payload: payload) == record)
        try QuickFileSystem().remove(sent)
        try sealing(world.server, after: 86_400).publishPending()
        #expect(try content(sent) == bytes)
        // Whatever the configuration says now, a bundle that was made stays what it is.
        try QuickFileSystem().remove(sent)
        try opened(world.server, at: start.adding(seconds: 2 * 86_400)).publishPending()
        #expect(try content(sent) == bytes)
    }

    @Test func whatIsWithdrawnLeavesNothingBehind() throws {
        let mailbox = try sealing(world.server)
        let record = try global(mailbox, to: ["hospital-a"])
        #expect(try names(world.server.root.appending("mailbox/outgoing")).count == 2)
        try mailbox.withdraw { $0.key == record.key }
        #expect(try names(world.server.root.appending("mailbox/outgoing")) == [])
        #expect(try names(outbox) == [])
    }

    @Test func whoHasNoRecipientGetsNothingAndTheOthersDo() throws {
        try write(
            "# consilium: whom to encrypt to, 'NAME age1...' a line\nhospital-b "
                + "\(try Identity.load(from: world.hospitalB).age.recipient)\n",
            world.server.trust.appending("recipients"))
        for (hospital, text) in [(world.hospitalA, "a"), (world.hospitalB, "b")] {
            try world.lay(
                world.manifest(from: "hospital-\(text)"), as: "\(text).tar", key: try world.key(of: hospital))
        }
        _ = try receive(world.server)
        do {
            let mailbox = try sealing(world.server)
            let error = #expect(throws: MailboxError.self) { try global(mailbox, to: ["hospital-a", "hospital-b"]) }
            #expect(error?.message.hasPrefix("nothing is sent to hospital-a: its age recipient is not in") == true)
            #expect(error?.hint?.contains("hospital-a age1...") == true)
            try mailbox.sendReceipts()
            #expect(mailbox.problems.count == 1 && mailbox.problems[0].contains("hospital-a"))
            #expect(mailbox.outgoing.map(\.recipients) == [[name("hospital-b")]])
            #expect(try names(outbox).allSatisfy { $0.hasSuffix(".tar.age") })
        }
        // Only who says so sends in the clear.
        #expect(try global(try opened(world.server), to: ["hospital-a"]).name.hasSuffix(".tar"))
    }

    /// An update that was made in the clear is offered to nobody once bundles are encrypted here and it cannot be: a person is
    /// told, and it goes when it can.
    @Test func whatCannotBeEncryptedYetIsKeptBack() throws {
        let (home, recipients) = (world.hospitalA, world.hospitalA.trust.appending("recipients"))
        let known = try content(recipients)
        let root = world.root.appending("exchange")
        let folder = root.appending("hospital-a").appending("inbox")
        try QuickFileSystem().makeDirectories(folder)
        let update = try opened(home).send(
            key: "update/1", kind: .update, to: [name("ministry")], session: session("1"), round: 1, payload: payload)
        let deliver = { (mailbox: Mailbox) throws in
            #expect(try mailbox.deliver(to: try Exchange.detect(root, home: home), byHand: true).problems.isEmpty)
        }
        try deliver(try opened(home))
        #expect(try names(folder) == [update.name])

        try write("", recipients)
        for day in [0, 1, 2] as [Int64] {
            let mailbox = try sealing(home, after: day * 86_400)
            for _ in 1...2 { try mailbox.publishPending() }
            let says = "the update of round 1 is kept back: nothing is sent to ministry: its age recipient is not in"
            #expect(mailbox.problems.count == 1 && mailbox.problems[0].hasPrefix(says), "\(mailbox.problems)")
            try deliver(mailbox)
            #expect(try names(home.outbox) == [] && names(folder) == [])
        }
        // Nor by a command that does not read the configuration.
        try deliver(try opened(home, at: start.adding(days: 3)))
        #expect(try names(folder) == [])

        try QuickFileSystem().writeFile(recipients, known)
        let mailbox = try sealing(home, after: 4 * 86_400)
        try mailbox.publishPending()
        try deliver(mailbox)
        #expect(try names(home.outbox) == [update.name + ".age"] && names(folder) == [update.name + ".age"])
        let copy = try world.unseal(home.outbox.appending(update.name + ".age"), with: world.server)
        #expect(try BundleReader.open(copy, files: QuickFileSystem()).verified().id == update.id)
    }
}

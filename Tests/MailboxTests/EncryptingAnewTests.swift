import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// What waits for a server whose age identity somebody else has too.
@Suite struct EncryptingAnewTests {
    private func send(_ world: TestFederation, _ key: String) throws -> OutgoingRecord {
        try opened(world.hospitalA, encrypts: true).send(
            key: key, kind: .request, to: [name("ministry")],
            payload: [.bytes(name: "request.json", Array("{}\n".utf8))])
    }

    private func isReadable(_ file: FilePath, with identity: AgeIdentity) throws -> Bool {
        (try? AgeReader.decrypt(try content(file), with: [identity], limit: 1 << 24)) != nil
    }

    @Test func eachTimeItGetsANameOfItsOwnAndStaysTheSameBundle() throws {
        let world = try TestFederation()
        let record = try send(world, "request/1")
        let stem = record.name.replacing(".tar.age", with: "")
        for turn in 2...11 {
            let mailbox = try opened(world.hospitalA, encrypts: true)
            try mailbox.encryptAnew(for: name("ministry"))
            #expect(try names(world.hospitalA.outbox) == [])
            try mailbox.publishPending()
            #expect(try names(world.hospitalA.outbox) == ["\(stem)-\(turn).tar.age"])
            let file = world.hospitalA.outbox.appending("\(stem)-\(turn).tar.age")
            let bundle = try BundleReader.open(try world.unseal(file, with: world.server), files: QuickFileSystem())
            #expect(try bundle.verified().id == record.id)
        }
    }

    /// Each file operation fails in turn, as an error and as the end of the process.
    @Test(arguments: FaultyFileSystem.Mode.allCases)
    func whereverItStopsTheNextCallBringsItToItsEnd(mode: FaultyFileSystem.Mode) throws {
        var limit = 1
        while true {
            let world = try TestFederation()
            let stolen = try Identity.load(from: world.server).age
            let next = AgeIdentity.generate()
            let ministry = name("ministry")
            let records = [try send(world, "request/1"), try send(world, "request/2")]
            func change(_ home: Home, at seconds: Int64) throws {
                let mailbox = try opened(home, at: start.adding(seconds: seconds), encrypts: true)
                if mailbox.trust.party(ministry)?.ageRecipient != next.recipient {
                    try mailbox.encryptAnew(for: ministry)
                    try mailbox.updateTrust { (trust) throws(MailboxError) in trust.set(next.recipient, of: ministry) }
                }
                try mailbox.publishPending()
            }
            let hook = FaultyFileSystem.Hook(failing: limit, mode)
            try? change(try Home.open(world.hospitalA.root, files: FaultyFileSystem(hook)), at: 1)
            // A run in between, of whatever is believed by then.
            try opened(world.hospitalA, at: start.adding(seconds: 2), encrypts: true).publishPending()
            try change(world.hospitalA, at: 3)
            let outbox = world.hospitalA.outbox
            let step = "operation \(limit), \(mode)"
            let present = try names(outbox)
            #expect(present.count == records.count, "\(step): \(present)")
            for file in present {
                #expect(try isReadable(outbox.appending(file), with: next), "\(step): \(file)")
                #expect(try !isReadable(outbox.appending(file), with: stolen), "\(step): \(file)")
            }
            guard hook.hasFailed else { break }
            limit += 1
        }
        #expect(limit > 20)
    }

    @Test func whatIsForNobodyWhoIsBelievedWaitsInTheHome() throws {
        let world = try TestFederation()
        let record = try send(world, "request/1")
        let server = try world.key(of: world.server).publicKey
        let mailbox = try opened(world.hospitalA, at: start.adding(days: 1), encrypts: true)
        try mailbox.updateTrust { (trust) throws(MailboxError) in trust.revoke(server) }
        for _ in 1...2 {
            try mailbox.publishPending()
            try mailbox.layAgain(record)
            #expect(try names(world.hospitalA.outbox) == [])
        }
        #expect(mailbox.sent(key: "request/1")?.isRetired == false)
        let next = SigningKey.generate().publicKey
        try mailbox.updateTrust { (trust) throws(MailboxError) in
            try trust.add(name("ministry"), role: .server, key: next, ageRecipient: nil)
        }
        try mailbox.publishPending()
        #expect(try names(world.hospitalA.outbox) == [record.name])
    }
}

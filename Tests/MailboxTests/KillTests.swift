import Bundles
import FaultRecords
import Files
import Mailbox
import SystemPackage
import Testing
import Wire

/// Each operation of a whole run fails in turn, once as an error and once as the end of the process. Afterwards a run on a
/// sound disk must come to the same end as if nothing had happened.
@Suite struct KillTests {
    /// One run of a server that takes everything and answers with a decision.
    private func tick(
        _ home: Home, at now: Timestamp, encrypts: Bool = false, seen: inout Set<Digest>
    ) throws {
        let mailbox = try opened(home, at: now, encrypts: encrypts)
        for delivery in try mailbox.receive().deliveries {
            try mailbox.archive(delivery)
            // The caller's own state: applying the same bundle twice is a no-op.
            seen.insert(delivery.id)
            try mailbox.commit(delivery, .accepted)
        }
        for id in seen.sorted() {
            try mailbox.send(
                key: "decision/\(id)", kind: .decision, to: [name("hospital-a")],
                payload: [.bytes(name: "decision.json", Array("{}\n".utf8))])
        }
        try mailbox.publishPending()
        try mailbox.sendReceipts()
        try mailbox.cleanUp()
        try mailbox.finish()
    }

    /// The plain and the encrypted copy of a request lie in the inbox, or two plain ones.
    @Test(arguments: FaultyFileSystem.Mode.allCases, [false, true])
    func aRunThatStopsAnywhereIsRepeatedToTheSameEnd(mode: FaultyFileSystem.Mode, encrypts: Bool) throws {
        var limit = 1
        while true {
            let world = try TestFederation()
            let request = try world.lay(world.manifest(), as: "request.tar")
            let original = try content(world.server.inbox.appending("request.tar"))
            try QuickFileSystem().copyFile(
                from: world.server.inbox.appending("request.tar"),
                to: world.server.inbox.appending("request (1).tar"))
            if encrypts { try world.seal(world.server.inbox.appending("request (1).tar"), to: [world.server]) }

            let hook = FaultyFileSystem.Hook(failing: limit, mode)
            var seen: Set<Digest> = []
            try? tick(
                try Home.open(world.server.root, files: FaultyFileSystem(hook)), at: start, encrypts: encrypts,
                seen: &seen)
            let published = try tree(world.server.outbox).filter { !$0.key.hasSuffix(".part") }

            try tick(world.server, at: start.adding(seconds: 600), encrypts: encrypts, seen: &seen)
            let outbox = try names(world.server.outbox)
            let step = "operation \(limit), \(mode)"
            #expect(seen == [request.id], "\(step)")
            #expect(try content(world.server.archived(request.id)) == original, "\(step)")
            #expect(try names(world.server.inbox) == [], "\(step)")
            #expect(try names(world.server.quarantine) == [], "\(step)")
            #expect(outbox.count == 1, "\(step): \(outbox)")
            for (path, bytes) in published { #expect(try content(FilePath(path)) == bytes, "\(step)") }
            let sent = world.server.outbox.appending(try #require(outbox.first))
            let bundle = try BundleReader.open(
                encrypts ? try world.unseal(sent, with: world.hospitalA) : sent, files: QuickFileSystem()
            ).verified()
            // No plaintext is left of what was only looked at.
            #expect(try names(world.server.root.appending("mailbox/spool")) == [], "\(step)")
            // One number at most was used, at the first run's time or at this one's.
            #expect(
                [1, 10].contains(bundle.manifest.seq) && bundle.manifest.acks == [request.id], "\(step)")

            // And then there is nothing left to do.
            let before = try tree(world.server.root)
            try tick(world.server, at: start.adding(seconds: 1200), encrypts: encrypts, seen: &seen)
            let after = try tree(world.server.root)
            let changed = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
            #expect(changed == [], "\(step)")
            guard hook.hasFailed else { break }
            limit += 1
        }
        #expect(limit > 80)
        FaultRecords.record(points: limit)
    }

    @Test(arguments: FaultyFileSystem.Mode.allCases)
    func aHeldBundleSurvivesAStopAnywhere(mode: FaultyFileSystem.Mode) throws {
        var limit = 1
        while true {
            let world = try TestFederation()
            var trust = try TrustStore.load(from: world.server)
            trust.remove(name("hospital-a"))
            try trust.save(to: world.server)
            let request = try world.lay(world.manifest(), as: "request.tar")
            let hook = FaultyFileSystem.Hook(failing: limit, mode)
            var seen: Set<Digest> = []
            try? tick(try Home.open(world.server.root, files: FaultyFileSystem(hook)), at: start, seen: &seen)
            #expect(seen.isEmpty)
            try world.trust(world.hospitalA, in: world.server)
            let second = FaultyFileSystem.Hook(failing: limit, mode)
            try? tick(
                try Home.open(world.server.root, files: FaultyFileSystem(second)), at: start.adding(seconds: 300),
                seen: &seen)
            try tick(world.server, at: start.adding(seconds: 600), seen: &seen)
            #expect(seen == [request.id], "operation \(limit)")
            #expect(try names(world.server.archive) == ["\(request.id).tar"], "operation \(limit)")
            #expect(try names(world.server.outbox).count == 1, "operation \(limit)")
            #expect(try opened(world.server, at: start.adding(seconds: 700)).held.isEmpty)
            guard hook.hasFailed || second.hasFailed else { break }
            limit += 1
        }
        FaultRecords.record(points: limit)
    }

    /// Sent by one home, carried by an exchange, taken in by another, with a stop anywhere on both sides.
    @Test(arguments: FaultyFileSystem.Mode.allCases)
    func anEncryptedBundleCrossesAnExchangeThroughAStopAnywhere(mode: FaultyFileSystem.Mode) throws {
        var limit = 1
        while true {
            let world = try TestFederation()
            let root = world.root.appending("exchange")
            try QuickFileSystem().makeDirectories(root)
            var seen: Set<Digest> = []
            func pass(_ home: Home, at seconds: Int64) throws {
                let mailbox = try opened(home, at: start.adding(seconds: seconds), encrypts: true)
                let exchange = try Exchange.detect(root, home: home)
                _ = try mailbox.collect(from: exchange)
                for delivery in try mailbox.receive().deliveries {
                    seen.insert(delivery.id)
                    try mailbox.commit(delivery, .accepted)
                }
                if home.role == .server {
                    try mailbox.send(
                        key: "decision", kind: .decision, to: [name("hospital-a")],
                        payload: [.bytes(name: "decision.json", Array("{}\n".utf8))])
                }
                try mailbox.publishPending()
                _ = try mailbox.deliver(to: exchange)
            }
            let hooks = [world.server, world.hospitalA].map { home in
                let hook = FaultyFileSystem.Hook(failing: limit, mode)
                try? pass(try Home.open(home.root, files: FaultyFileSystem(hook)), at: 0)
                return hook
            }
            let step = "operation \(limit), \(mode)"
            let onTheRoad = try tree(root).filter { !$0.key.hasSuffix(".part") }
            for (path, bytes) in onTheRoad {
                #expect(bytes.starts(with: Array("age-encryption.org/v1\n".utf8)), "\(step): \(path)")
            }
            try pass(world.server, at: 90_000)
            for (path, bytes) in onTheRoad { #expect(try content(FilePath(path)) == bytes, "\(step)") }
            try pass(world.hospitalA, at: 90_000)
            #expect(seen.count == 1, "\(step)")
            #expect(try names(world.hospitalA.archive) == seen.map { "\($0).tar" }, "\(step)")
            for home in [world.server, world.hospitalA] {
                #expect(try names(home.inbox) == [] && names(home.quarantine) == [], "\(step)")
                #expect(try names(home.root.appending("mailbox/spool")) == [], "\(step)")
            }
            guard hooks.contains(where: \.hasFailed) else { break }
            limit += 1
        }
        #expect(limit > 60)
        FaultRecords.record(points: limit)
    }

    @Test func aHomeThatIsLockedIsLeftAlone() throws {
        let world = try TestFederation()
        let mailbox = try opened(world.server)
        #expect(try Mailbox.open(world.server, now: start) == nil)
        withExtendedLifetime(mailbox) {}
    }

    @Test func onlyTheLockEndsWithTheRun() throws {
        let world = try TestFederation()
        do { _ = try opened(world.server) }
        #expect(throws: Never.self) { try opened(world.server) }
    }
}

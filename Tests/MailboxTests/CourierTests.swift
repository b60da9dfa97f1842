import Bundles
import Files
import Mailbox
import SystemPackage
import Testing
import Wire

/// Whole rows of the fault matrix about what is fresh, whose it is, and for whom, with real bundles in a real inbox.
@Suite struct CourierTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    /// One run that accepts what the caller wants.
    @discardableResult
    private func run(
        _ home: Home? = nil, at now: Timestamp = start, _ verdict: (VerifiedDelivery) -> Verdict = { _ in .accepted }
    ) throws -> Received {
        let mailbox = try opened(home ?? world.server, at: now)
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, verdict(delivery)) }
        try mailbox.finish()
        return received
    }

    // MARK: in which order the rules speak

    @Test func theFirstRuleThatIsBrokenIsTheOneThatIsNamed() throws {
        var manifest = world.manifest(
            .global, from: "hospital-b", to: "hospital-b", seq: 2_000_000, session: session("1"))
        manifest.federation = session("e")
        manifest.created = start.adding(days: -200)
        manifest.expires = start.adding(days: -100)
        let key = try world.key(of: world.hospitalA)
        func refusal() throws -> RefusalReason? {
            try world.lay(manifest, as: "x.tar", key: key)
            return try run().refusals.first?.reason
        }
        var trust = try TrustStore.load(from: world.server)
        let trusted = trust
        trust.revoke(key.publicKey)
        try trust.save(to: world.server)
        #expect(try refusal() == .revoked)
        try trusted.save(to: world.server)
        #expect(try refusal() == .wrongSender)
        manifest.sender = name("hospital-a")
        #expect(try refusal() == .wrongKind)
        manifest.kind = .update
        #expect(try refusal() == .wrongFederation)
        manifest.federation = world.federation
        #expect(try refusal() == .wrongRecipient)
        manifest.recipients = [name("ministry")]
        #expect(try refusal() == .expired)
        manifest.expires = start.adding(days: 90)
        #expect(try refusal() == .fastForward)
        manifest.seq = 1
        #expect(try refusal() == nil)
    }

    @Test func eachKindComesFromItsSideOnly() throws {
        let inSession: Set<BundleKind> = [.global, .update, .abort, .recovery]
        for (sender, receiver, own) in [
            (world.hospitalA, world.server, BundleKind.ofClients), (world.server, world.hospitalA, BundleKind.ofServer),
        ] {
            let key = try world.key(of: sender)
            for (number, kind) in BundleKind.allCases.enumerated() where kind != .invite {
                var manifest = world.manifest(
                    kind, from: sender.name.text, to: receiver.name.text, seq: Int64(number + 1),
                    session: inSession.contains(kind) ? session("1") : .none, round: kind == .global ? 1 : 0)
                if kind == .update { manifest.round = 1 }
                try world.lay(manifest, as: "\(kind).tar", in: receiver.inbox, key: key)
                let received = try run(receiver)
                #expect(received.deliveries.count == (own.contains(kind) ? 1 : 0), "\(kind) from \(sender.name)")
                #expect(received.refusals.map(\.reason) == (own.contains(kind) ? [] : [.wrongKind]))
            }
        }
    }

    // MARK: keys

    @Test func whatWasAcceptedBeforeARevocationStaysAccepted() throws {
        let manifest = try world.lay(world.manifest(), as: "a.tar")
        let copy = try content(world.server.inbox.appending("a.tar"))
        try run()
        let mailbox = try opened(world.server)
        let key = try world.key(of: world.hospitalA).publicKey
        try mailbox.updateTrust { (trust) in trust.revoke(key) }
        #expect(mailbox.isAccepted(manifest.id))
        try QuickFileSystem().writeFile(world.server.inbox.appending("a (1).tar"), copy)
        try world.lay(world.manifest(seq: 2), as: "b.tar")
        let received = try mailbox.receive()
        #expect(received.deliveries.isEmpty && received.refusals.map(\.reason) == [.revoked])
        #expect(try names(world.server.archive) == ["\(manifest.id).tar"])
    }

    /// The old key ends, a new one begins, and bundles of both are still under way.
    @Test func aKeyRotatedMidRoundLeavesWhatWasUnderWayValid() throws {
        let (old, new) = (try world.key(of: world.hospitalA), SigningKey.generate())
        let rotation = start.adding(days: 10)
        let digits = rotation.rfc3339.filter(\.isNumber) + "Z"
        let namespaces = BundleKind.ofClients.map(\.namespace).joined(separator: ",")
        try write(
            "hospital-a namespaces=\"\(namespaces)\",valid-before=\"\(digits)\" \(old.publicKey.openSSHLine)\n"
                + "hospital-a namespaces=\"\(namespaces)\",valid-after=\"\(digits)\" \(new.publicKey.openSSHLine)\n",
            world.server.trust.appending("allowed_signers"))
        func outcome(_ key: SigningKey, _ seq: Int64, made: Int64, received: Int64) throws -> RefusalReason? {
            var manifest = world.manifest(.update, seq: seq, session: session("1"), round: 1)
            manifest.created = start.adding(days: made)
            try world.lay(manifest, as: "u.tar", key: key)
            let result = try run(at: start.adding(days: received))
            #expect(result.deliveries.count == (result.refusals.isEmpty ? 1 : 0) && result.alarms.isEmpty)
            return result.refusals.first?.reason
        }
        #expect(try outcome(old, 1, made: 9, received: 20) == nil)
        #expect(try outcome(old, 2, made: 11, received: 20) == .keyExpired)
        #expect(try outcome(new, 1, made: 8, received: 20) == .keyNotYetValid)
        // A new key counts anew: its number 1 is no second number 1 of the old key.
        #expect(try outcome(new, 1, made: 11, received: 20) == nil)
        #expect(try outcome(old, 3, made: 9, received: 71) == .keyExpired)
    }

    // MARK: numbers and sessions

    @Test func aRunawayNumberSpoilsItsSessionOnly() throws {
        func seq(_ number: Int64, _ digit: Character) throws -> [RefusalReason] {
            try world.lay(world.manifest(.update, seq: number, session: session(digit), round: 1), as: "u.tar")
            return try run().refusals.map(\.reason)
        }
        var highest: Int64 = 0
        // As far as it goes, a million at a time.
        while highest < 5_000_000 {
            highest += 1_000_000
            #expect(try seq(highest, "1") == [])
        }
        #expect(try seq(highest + 1_000_001, "1") == [.fastForward])
        #expect(try seq(1, "2") == [])
        // Gaps and lower numbers are no fault either.
        for number in [40, 7, 39] as [Int64] { #expect(try seq(number, "2") == []) }
    }

    @Test func equivocationInOneSessionLeavesTheOthersAlone() throws {
        func lay(_ digit: Character, _ loss: Int, from hospital: Home) throws {
            try world.lay(
                world.manifest(.update, from: hospital.name.text, session: session(digit), round: 1),
                as: "\(hospital.name)-\(digit)-\(loss).tar", key: try world.key(of: hospital),
                payload: Array("{\"x\":\(loss)}\n".utf8))
        }
        try lay("1", 1, from: world.hospitalA)
        try run()
        try lay("1", 2, from: world.hospitalA)
        try lay("2", 3, from: world.hospitalA)
        try lay("1", 4, from: world.hospitalB)
        let received = try run()
        #expect(
            received.alarms.map(\.session) == [session("1")] && received.alarms.map(\.sender) == [name("hospital-a")])
        #expect(
            received.deliveries.map { "\($0.sender) \($0.manifest.session.hex.prefix(1))" } == [
                "hospital-a 2", "hospital-b 1",
            ])
    }

    // MARK: clocks

    @Test func noClockThatMayRunLetsInWhatExpiredADayBefore() throws {
        try run(at: start.adding(days: 200))
        let floor = start.adding(days: 200)
        for hours in stride(from: Int64(-24), through: 48, by: 6) {
            let now = floor.adding(seconds: 3600 * hours)
            var manifest = world.manifest(seq: 100 + hours)
            manifest.expires = floor.adding(seconds: -86_401)
            try world.lay(manifest, as: "x.tar")
            #expect(try run(at: now).refusals.map(\.reason) == [.expired])
        }
    }

    @Test(arguments: [1, 2, 30, 3650] as [Int64])
    func aClockThatWasAheadStopsTheNextRunAndSaysHowToGoOn(days: Int64) throws {
        try world.lay(world.manifest(), as: "a.tar")
        try run(at: start.adding(days: days))
        try world.lay(world.manifest(seq: 2), as: "b.tar")
        guard days > 1 else { return #expect(try run().deliveries.count == 1) }
        let error = #expect(throws: MailboxError.self) { try opened(world.server) }
        #expect(error?.kind == .clock && error?.description.contains(start.rfc3339) == true)
        #expect(error?.hint?.contains("mailbox/clock.json") == true)
        #expect(try names(world.server.inbox).contains("b.tar"))
        // What the message advises works.
        try QuickFileSystem().remove(world.server.root.appending("mailbox").appending("clock.json"))
        #expect(try run().deliveries.map(\.manifest.seq).contains(2))
    }

    // MARK: twins

    // The id is the digest of the manifest, which is no secret on its way: anybody can sign the same manifest with a key of
    // his own. Such a twin has the real bundle's id and must not stand in its way.

    private func lay(_ manifest: Manifest, _ real: String, twin: String, _ key: SigningKey) throws -> [UInt8] {
        try world.lay(manifest, as: twin, key: SigningKey.generate())
        try world.lay(manifest, as: real, key: key)
        return try content(world.server.inbox.appending(real))
    }

    @Test(arguments: [("a.tar", "b.tar"), ("b.tar", "a.tar")])
    func aStrangersTwinInTheSameRunTakesNothingAway(real: String, twin: String) throws {
        let key = try world.key(of: world.hospitalA)
        _ = try lay(world.manifest(), real, twin: twin, key)
        let deliveries = try run().deliveries + run().deliveries
        #expect(deliveries.map(\.signer) == [key.publicKey])
        #expect(try run(at: start.adding(seconds: 60)).deliveries.isEmpty)
        #expect(try names(world.server.inbox).isEmpty && opened(world.server).held.isEmpty)
    }

    @Test func aTwinThatCameFirstAndIsHeldTakesNothingAway() throws {
        let manifest = try world.lay(world.manifest(), as: "twin.tar", key: SigningKey.generate())
        #expect(try run().held.map(\.id) == [manifest.id])
        try world.lay(world.manifest(), as: "real.tar")
        #expect(try run(at: start.adding(seconds: 60)).deliveries.map(\.sender) == [name("hospital-a")])
        #expect(try opened(world.server).isAccepted(manifest.id) && opened(world.server).held.isEmpty)
        #expect(try names(world.server.root.appending("mailbox").appending("held")).isEmpty)
    }

    @Test func aTwinDoesNotReplaceWhatWaitsForItsSession() throws {
        let update = world.manifest(.update, session: session("1"), round: 1)
        let real = try world.key(of: world.hospitalA).publicKey
        try world.lay(update, as: "real.tar")
        try run { _ in .held("its session is not open yet") }
        try world.lay(update, as: "twin.tar", key: SigningKey.generate())
        try run(at: start.adding(seconds: 60))
        let mailbox = try opened(world.server, at: start.adding(seconds: 120))
        #expect(mailbox.held.map(\.fingerprint) == [real.fingerprint])
        #expect(try mailbox.receive(retryEarly: true).deliveries.map(\.signer) == [real])
    }

    @Test func aTwinOfAnEnrolmentIsJudgedApart() throws {
        let key = SigningKey.generate()
        for (real, twin) in [("a.tar", "b.tar"), ("b.tar", "a.tar")] {
            let seq = Int64(real == "a.tar" ? 1 : 2)
            _ = try lay(world.manifest(.enrol, from: "hospital-c", seq: seq), real, twin: twin, key)
            var accepted: [PublicKey] = []
            for minute in 0..<3 {
                try run(at: start.adding(seconds: Int64(minute) * 60)) { delivery in
                    guard delivery.signer == key.publicKey else {
                        return .rejected("its key is not the one that it names")
                    }
                    accepted.append(delivery.signer)
                    return .accepted
                }
            }
            #expect(accepted == [key.publicKey])
            #expect(try names(world.server.inbox).isEmpty)
        }
    }

    /// Whom a run takes from a flat exchange that accepts all it is given, minute by minute.
    private func takenFromExchange(minutes: Int, laying: (_ minute: Int, _ folder: FilePath) throws -> Void) throws
        -> [PublicKey]
    {
        let root = world.root.appending("exchange")
        for folder in ["inbox", "outbox"] { try QuickFileSystem().makeDirectories(root.appending(folder)) }
        var senders: [PublicKey] = []
        for minute in 0..<minutes {
            try laying(minute, root.appending("inbox"))
            let mailbox = try opened(world.server, at: start.adding(seconds: Int64(minute) * 60))
            _ = try mailbox.collect(from: try Exchange.detect(root, home: world.server))
            for delivery in try mailbox.receive().deliveries {
                senders.append(delivery.signer)
                try mailbox.commit(delivery, .accepted)
            }
        }
        return senders
    }

    @Test(arguments: [("a.tar", "b.tar"), ("b.tar", "a.tar")])
    func aTwinInTheExchangeTakesNothingAway(real: String, twin: String) throws {
        let senders = try takenFromExchange(minutes: 3) { minute, shared in
            guard minute == 0 else { return }
            try world.lay(world.manifest(), as: twin, in: shared, key: SigningKey.generate())
            try world.lay(world.manifest(), as: real, in: shared)
        }
        #expect(senders == [try world.key(of: world.hospitalA).publicKey])
        #expect(try names(world.root.appending("exchange").appending("inbox")).isEmpty)
    }

    /// Twins of one bundle, each under another stranger's signature, do not keep the true one out.
    @Test func anyNumberOfTwinsInTheExchangeTakesNothingAway() throws {
        let senders = try takenFromExchange(minutes: 4) { minute, shared in
            guard minute < 3 else { return }
            let key = minute < 2 ? SigningKey.generate() : try world.key(of: world.hospitalA)
            try world.lay(world.manifest(), as: "\(minute).tar", in: shared, key: key)
        }
        #expect(senders == [try world.key(of: world.hospitalA).publicKey])
    }

    // MARK: whose name stands in it

    /// Anybody can write a name into a manifest, and lay the file down again every night.
    @Test func aRefusalNamesTheKeyUnlessItIsTheSendersOwn() throws {
        func refusal(_ key: SigningKey?) throws -> Refusal {
            var manifest = world.manifest(.update, session: session("1"), round: 1)
            manifest.federation = session("e")
            try world.lay(manifest, as: "x.tar", key: key)
            return try #require(try run().refusals.first)
        }
        let stranger = SigningKey.generate()
        let first = try refusal(stranger)
        let fingerprint = stranger.publicKey.fingerprint
        #expect(
            first.line.hasPrefix("a bundle that says it is from hospital-a, signed by \(fingerprint), was put into "))
        #expect(first.record.hasSuffix(", signed by \(fingerprint)") && !first.isQuiet)
        #expect(try refusal(stranger).isQuiet)
        let own = try refusal(nil)
        #expect(own.line.hasPrefix("a bundle of hospital-a was put into ") && own.signer != fingerprint)
    }

    /// A run that is stopped then refuses the same once more.
    @Test func whatWasRefusedIsWrittenDownBeforeItIsForgotten() throws {
        var manifest = world.manifest()
        manifest.federation = session("e")
        manifest = try world.lay(manifest, as: "x.tar")
        let mailbox = try opened(world.server)
        #expect(throws: MailboxError.self) {
            try mailbox.receive { (_) throws(MailboxError) in throw MailboxError(.temporary, "stopped") }
        }
        #expect(try names(world.server.inbox) == ["x.tar"])
        var noted: [Refusal] = []
        _ = try mailbox.receive { (refusals) throws(MailboxError) in noted = refusals }
        #expect(noted.count == 1 && noted.first?.subject == manifest.id)
    }
}

import Bundles
import FaultRecords
import Files
import Glibc
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

@Suite struct HomeTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    @Test func aHomeOpensAgainAsItWasMade() throws {
        let home = try Home.open(world.server.root, role: .server, files: QuickFileSystem())
        #expect(home.record == world.server.record)
        #expect(home.version(7).lastComponent?.string == "0007" && home.version(12345).lastComponent?.string == "12345")
    }

    @Test func anotherFolderIsNoHomeAndTheErrorSaysWhatToDo() throws {
        let error = #expect(throws: MailboxError.self) {
            try Home.open(world.root, files: QuickFileSystem())
        }
        #expect(error?.kind == .notAHome && error?.hint?.contains("--home") == true)
    }

    @Test func theWrongRoleIsSaidSo() throws {
        let error = #expect(throws: MailboxError.self) {
            try Home.open(world.server.root, role: .client, files: QuickFileSystem())
        }
        #expect(error?.kind == .wrongRole)
    }

    @Test func aHomeIsNotMadeOverAnother() throws {
        let error = #expect(throws: MailboxError.self) {
            try Home.create(
                at: world.server.root, record: world.hospitalA.record, configuration: "", files: QuickFileSystem())
        }
        #expect(error?.kind == .exists)
    }

    /// A server's home that is made in a folder of its own.
    private func create(
        _ text: String = "new", federation: RandomID, files: any FileSystem = QuickFileSystem(),
        equip: (Home, Identity) throws -> Void = { _, _ in }
    ) throws -> Home {
        let record = HomeRecord(
            role: .server, name: name(text), federation: federation, server: name(text), created: start)
        return try Home.create(
            at: world.root.appending("new"), record: record, configuration: "name: \(text)\n", files: files,
            equip: equip)
    }

    @Test func anInitThatFailedIsFinishedByTheSameOne() throws {
        #expect(throws: TestTrouble.self) {
            try create(federation: session("1")) { _, _ in throw TestTrouble("no server answered") }
        }
        let error = #expect(throws: MailboxError.self) {
            try Home.open(world.root.appending("new"), files: QuickFileSystem())
        }
        #expect(error?.kind == .notAHome)
        let other = #expect(throws: MailboxError.self) { try create("other", federation: session("1")) }
        #expect(other?.kind == .exists)
        // What was signed meanwhile names the first federation and key.
        let key = try content(world.root.appending("new/identity/id_ed25519"))
        let home = try create(federation: session("2"))
        #expect(home.federation == session("1"))
        #expect(try Home.open(home.root, files: QuickFileSystem()).record == home.record)
        #expect(try content(world.root.appending("new/identity/id_ed25519")) == key)
        #expect(try names(home.root.appending("mailbox")).contains("init.json") == false)
    }

    @Test func anInitThatRefusesAKeyLeavesTheNameOpen() throws {
        let identity = world.root.appending("new/identity")
        try QuickFileSystem().makeDirectories(identity, permissions: 0o700)
        try write("no key", identity.appending("id_ed25519"))
        let error = #expect(throws: MailboxError.self) { try create(federation: session("1")) }
        #expect(error?.kind == .identity)
        try QuickFileSystem().remove(identity.appending("id_ed25519"))
        #expect(try create("other", federation: session("2")).name == name("other"))
    }

    @Test func anInitThatStopsAnywhereIsFinishedByTheSameOne() throws {
        for mode in FaultyFileSystem.Mode.allCases {
            var limit = 1
            while true {
                let hook = FaultyFileSystem.Hook(failing: limit, mode)
                let isMade = (try? create(federation: session("1"), files: FaultyFileSystem(hook))) != nil
                if !isMade, !Home.isHome(world.root.appending("new"), files: QuickFileSystem()) {
                    _ = try create(federation: session("1"))
                }
                let home = try Home.open(world.root.appending("new"), files: QuickFileSystem())
                #expect(throws: Never.self, "operation \(limit), \(mode)") { try opened(home) }
                try QuickFileSystem().removeTree(home.root)
                guard hook.hasFailed else { break }
                limit += 1
            }
            #expect(limit > 40)
            FaultRecords.record(points: limit)
        }
    }

    @Test func whatKilledRunsLeftUnfinishedIsCleared() throws {
        let home = world.server
        let unfinished = ".update.tar.0123456789abcdef.part"
        let files = QuickFileSystem()
        let round = home.session(session("3")).appending("rounds/0001")
        try files.makeDirectories(round)
        try files.makeDirectories(home.version(7))
        try files.makeDirectories(home.requests.appending("approved/spring"))
        let folders = [
            round, home.outbox, home.requests.appending("pending"), home.requests.appending("approved/spring"),
            home.version(7),
            home.sessions, home.archive,
        ]
        for folder in folders {
            try write("half", folder.appending(unfinished))
            try write("somebody else's", folder.appending("model.part"))
        }
        _ = try opened(home)
        for folder in folders {
            let left = try files.list(folder).filter { $0.kind == .regular }.map(\.name)
            #expect(left == ["model.part"], "\(folder)")
        }
    }

    @Test func foldersThatWereRemovedComeBack() throws {
        try QuickFileSystem().removeTree(world.server.requests)
        _ = try opened(world.server)
        #expect(try names(world.server.requests) == ["approved", "pending", "rejected"])
    }

    @Test(arguments: ["id_ed25519", "age.txt"])
    func aPrivateKeyThatOthersMayReadIsRefused(file: String) throws {
        #expect(chmod(world.server.identity.appending(file).string, 0o640) == 0)
        let error = #expect(throws: MailboxError.self) { try opened(world.server) }
        #expect(error?.kind == .identity)
    }

    @Test func keysThatAreThereAreKept() throws {
        let before = try content(world.server.identity.appending("id_ed25519"))
        _ = try Identity.create(in: world.server)
        #expect(try content(world.server.identity.appending("id_ed25519")) == before)
        let mode = try QuickFileSystem().status(world.server.identity.appending("id_ed25519"))?.permissions
        #expect(mode == 0o600)
        #expect(try QuickFileSystem().status(world.server.identity)?.permissions == 0o700)
    }

    /// Weights say something about what they were trained on.
    @Test func whereModelsAndBundlesLieOthersHaveNoBusiness() throws {
        for home in [world.server, world.hospitalA] {
            for folder in try QuickFileSystem().list(home.root) where folder.kind == .directory {
                let isOpen = [
                    "inbox", "outbox", "trust", "audit", "enrolments", "requests", "plans", "updates",
                ].contains(folder.name)
                let status = try #require(try QuickFileSystem().status(home.root.appending(folder.component)))
                #expect(status.permissions & 0o077 == (isOpen ? 0o055 : 0), "\(folder.name)")
            }
        }
    }

    // MARK: trust

    @Test(arguments: ["revoked", "allowed_signers", "recipients"])
    func aMissingTrustFileStopsEverything(file: String) throws {
        try QuickFileSystem().remove(world.server.trust.appending(file))
        let error = #expect(throws: MailboxError.self) { try opened(world.server) }
        #expect(error?.kind == .trust)
    }

    @Test(arguments: ["", "ssh-ed25519 garbled\n", "# consilium: revoked keys, one public key a line\nnonsense\n"])
    func anEmptyOrGarbledRevocationFileStopsEverything(text: String) throws {
        try write(text, world.server.trust.appending("revoked"))
        let error = #expect(throws: MailboxError.self) { try opened(world.server) }
        #expect(error?.kind == .trust)
    }

    @Test func trustReadsBack() throws {
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(SigningKey.generate().publicKey)
        try trust.save(to: world.server)
        #expect(try TrustStore.load(from: world.server) == trust)
        #expect(trust.parties.map(\.name) == [name("hospital-a"), name("hospital-b")])
        #expect(trust.party(name("hospital-a"))?.role == .client)
        #expect(try TrustStore.load(from: world.hospitalA).parties.map(\.role) == [.server])
        #expect(trust.party(name("hospital-a"))?.ageRecipient != nil)
    }

    @Test func oneKeyIsOnePartyAndARevokedOneNobody() throws {
        var trust = try TrustStore.load(from: world.server)
        let key = try world.key(of: world.hospitalA).publicKey
        #expect(throws: MailboxError.self) {
            try trust.add(name("hospital-c"), role: .client, key: key, ageRecipient: nil)
        }
        trust.revoke(key)
        #expect(trust.party(name("hospital-a"))?.keys == [])
        #expect(throws: MailboxError.self) {
            try trust.add(name("hospital-a"), role: .client, key: key, ageRecipient: nil)
        }
        trust.remove(name("hospital-a"))
        #expect(trust.party(name("hospital-a")) == nil)
    }

    /// A share or disk that fails for a moment is told as that: not as a lost key, no trust, or no home.
    @Test func anErrorWhileAHomeIsOpenedIsTheDisks() throws {
        var limit = 1
        while true {
            let hook = FaultyFileSystem.Hook(failing: limit, .onceWithError)
            do throws(MailboxError) {
                let home = try Home.open(world.server.root, files: FaultyFileSystem(hook))
                _ = try home.readConfiguration()
                // As in `opened`: another test's tool may hold a copy of the lock for a moment.
                guard try Mailbox.open(home, now: start) != nil else {
                    usleep(1000)
                    continue
                }
            } catch {
                #expect(error.kind == .temporary || error.kind == .storage, "operation \(limit): \(error)")
            }
            guard hook.hasFailed else { break }
            limit += 1
        }
        #expect(limit > 10)
        FaultRecords.record(points: limit)
    }

    // MARK: clock

    @Test func aClockThatRunsADayBehindStopsTheRun() throws {
        try opened(world.server, at: start.adding(days: 10)).finish()
        #expect(throws: Never.self) { try opened(world.server, at: start.adding(days: 9)) }
        let error = #expect(throws: MailboxError.self) {
            try opened(world.server, at: start.adding(days: 9).adding(seconds: -1))
        }
        #expect(error?.kind == .clock)
    }
}

import Bundles
import Files
import Glibc
import Mailbox
import SystemPackage
import Testing
import Wire

/// The moment at which most tests begin.
let start = Timestamp(seconds: 1_800_000_000)

func name(_ text: String) -> PartyName {
    guard let name = PartyName(text) else { preconditionFailure("not a name: \(text)") }
    return name
}

func session(_ digit: Character) -> RandomID {
    guard let id = RandomID(hex: String(repeating: digit, count: 32)) else { preconditionFailure("not a digit") }
    return id
}

struct TestTrouble: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

/// A server and two hospitals that know each other, in a temporary folder of their own, which goes with the value.
final class TestFederation {
    let root: FilePath
    let federation = session("f")
    let server: Home
    let hospitalA: Home
    let hospitalB: Home

    init() throws {
        let files = QuickFileSystem()
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        root = Self.temporaryFolder.appending("mailbox-test-\(random)")
        func home(_ role: HomeRole, _ text: String, _ root: FilePath, _ federation: RandomID) throws -> Home {
            let record = HomeRecord(
                role: role, name: name(text), federation: federation, server: name("ministry"), created: start)
            let home = try Home.create(
                at: root.appending(text), record: record, configuration: "name: \(text)\n", files: files)
            _ = try Identity.create(in: home)
            try TrustStore.create(in: home)
            return home
        }
        server = try home(.server, "ministry", root, federation)
        hospitalA = try home(.client, "hospital-a", root, federation)
        hospitalB = try home(.client, "hospital-b", root, federation)
        for hospital in [hospitalA, hospitalB] {
            try trust(hospital, in: server)
            try trust(server, in: hospital)
        }
    }

    /// In memory where the system has such a place: these tests make some ten thousand small files.
    private static var temporaryFolder: FilePath {
        if let folder = getenv("TMPDIR") { return FilePath(platformString: folder) }
        return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    }

    deinit { try? QuickFileSystem().removeTree(root) }

    func key(of home: Home) throws -> SigningKey { try Identity.load(from: home).signing }

    func trust(_ other: Home, in home: Home) throws {
        var store = try TrustStore.load(from: home)
        try store.add(
            other.name, role: other.role, key: try key(of: other).publicKey,
            ageRecipient: try Identity.load(from: other).age.recipient)
        try store.save(to: home)
    }

    /// A manifest from hospital-a to the server, to be changed by the test.
    func manifest(
        _ kind: BundleKind = .request, from sender: String = "hospital-a", to recipient: String = "ministry",
        seq: Int64 = 1,
        session: RandomID = .none, round: Int = 0, acks: [Digest] = []
    ) -> Manifest {
        Manifest(
            kind: kind, federation: federation, session: session, round: round, seq: seq, sender: name(sender),
            recipients: [name(recipient)], created: start, expires: start.adding(days: 90), acks: acks)
    }

    /// Writes a bundle into a folder, by default the server's inbox.
    @discardableResult
    func lay(
        _ manifest: Manifest, as fileName: String, in folder: FilePath? = nil, key: SigningKey? = nil,
        payload: [UInt8] = Array("{}\n".utf8)
    ) throws -> Manifest {
        try BundleWriter.write(
            manifest, payload: [.bytes(name: "request.json", payload)], key: try key ?? self.key(of: hospitalA),
            to: (folder ?? server.inbox).appending(fileName), files: QuickFileSystem())
    }
}

extension TestFederation {
    /// Encrypts a bundle that lies somewhere to homes, in its place, under its name or another one.
    @discardableResult
    func seal(_ file: FilePath, to homes: [Home], as fileName: String? = nil) throws -> FilePath {
        let name = try #require(fileName ?? file.lastComponent.map { $0.string + ".age" })
        let target = file.removingLastComponent().appending(name)
        let sealed = try AgeWriter.encrypt(
            try content(file), to: homes.map { try Identity.load(from: $0).age.recipient })
        try QuickFileSystem().remove(file)
        try QuickFileSystem().writeFile(target, sealed)
        return target
    }

    /// The signed archive in an encrypted file, opened with a home's own key, beside the homes.
    func unseal(_ file: FilePath, with home: Home) throws -> FilePath {
        let target = root.appending("unsealed")
        try QuickFileSystem().remove(target)
        try AgeReader.decrypt(
            file, with: [try Identity.load(from: home).age], to: target, limit: 1 << 24, files: QuickFileSystem())
        return target
    }
}

extension TestFederation {
    /// One run over a home's inbox that answers all deliveries alike.
    func run(
        _ home: Home, at seconds: Int64, _ verdict: (VerifiedDelivery) -> Verdict
    ) throws -> (received: Received, problems: [String]) {
        let mailbox = try opened(home, at: start.adding(seconds: seconds))
        let received = try mailbox.receive()
        for delivery in received.deliveries { try mailbox.commit(delivery, verdict(delivery)) }
        try mailbox.finish()
        return (received, mailbox.problems)
    }
}

/// Tries for half a minute: a tool that another test starts holds copies of all open locks for a moment, between fork and exec, longer on a busy machine.
///
/// Most tests read what they sent, so that the outbox is in the clear unless they say something else.
func opened(_ home: Home, at now: Timestamp = start, encrypts: Bool = false) throws -> Mailbox {
    for _ in 0..<30_000 {
        if let mailbox = try Mailbox.open(home, now: now, encrypts: encrypts) { return mailbox }
        usleep(1000)
    }
    throw TestTrouble("the home is locked")
}

/// Names in a folder, without hidden ones.
func names(_ folder: FilePath) throws -> [String] {
    try QuickFileSystem().list(folder).map(\.name).filter { !$0.hasPrefix(".") }
}

func content(_ path: FilePath) throws -> [UInt8] { try QuickFileSystem().readFile(path, limit: 1 << 24) }

func write(_ text: String, _ path: FilePath) throws { try QuickFileSystem().writeFile(path, Array(text.utf8)) }

/// Every file below a folder with its content, to compare before and after.
func tree(_ folder: FilePath) throws -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for entry in try QuickFileSystem().list(folder) {
        let path = folder.appending(entry.component)
        if entry.kind == .directory {
            result.merge(try tree(path)) { first, _ in first }
        } else {
            result[path.string] = try content(path)
        }
    }
    return result
}

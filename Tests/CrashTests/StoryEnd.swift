import Bundles
import Client
import Federation
import Files
import Mailbox
import Server
import SystemPackage
import Testing
import Wire

/// What a story has come to: the parts of it that must not depend on what went wrong on the way.
struct StoryEnd: Equatable {
    /// SHA-256 of files whose bytes must be the same: the new version and the installed model.
    let models: [Digest]
    /// Each round with who was counted, with what weight.
    let rounds: [String]
    let sessions: Int
    let versions: [Int]
    let enrolled: [String]
    /// How each hospital's requests stand.
    let requests: [String: [String]]
    /// How many keys each home believes of whom, how many of those have an end, and which files its own keys are in.
    let keys: [String]
    let offers: [String]

    init(_ story: Story) throws {
        let server = try story.home(.server)
        let files = LocalFileSystem()
        let loaded = try SessionStore(home: server).load()
        sessions = loaded.count
        versions = try VersionStore(home: server).numbers()
        let installed = try files.list(story.path(.alpha).appending("models")).filter { $0.kind == .regular }
            .map { story.path(.alpha).appending("models").appending($0.component) }
        models = try ([VersionStore(home: server).modelPath(1)] + installed).map {
            try SHA256Hash.digest(of: $0, files: files).digest
        }
        rounds = loaded.flatMap { session in
            session.history.map { round in
                let weights = round.participants.map { "\($0.client) \($0.counted?.weight ?? 0)" }
                return "\(round.number) \(round.model.hex) \(weights.joined(separator: ", "))"
            }
        }
        enrolled = try TrustStore.load(from: server).parties.map(\.name.text).sorted()
        var requests: [String: [String]] = [:]
        var offers: [String] = []
        for party in [Story.Party.alpha, .beta] {
            let state = try ClientState.load(from: try story.home(party))
            requests[party.rawValue] = state.requests.map(\.status.rawValue)
            offers += state.offers.map { "\(party.rawValue) \($0.version) \($0.status.rawValue)" }
        }
        self.requests = requests
        keys = try Story.Party.allCases.flatMap { party in
            let home = try story.home(party)
            let trust = try TrustStore.load(from: home)
            let believed = trust.parties.map { known in
                let ends = trust.signers.entries(of: known.name).count { $0.validBefore != nil }
                return "\(party.rawValue) \(known.name) \(known.keys.count), \(ends)"
            }
            let own = try files.list(home.identity).map { $0.name.replacing(/[0-9]{8}/, with: "DAY") }.sorted()
            return believed.sorted() + ["\(party.rawValue) \(own.joined(separator: " "))"]
        }
        self.offers = offers
    }
}

extension Story {
    /// What holds at the end of every story, however it went: nothing was put away, no alarm was raised, each log is whole.
    func expectSound(_ point: String) throws {
        for party in Party.allCases {
            let home = try home(party)
            let quarantine = try LocalFileSystem().list(home.quarantine).map(\.name)
            #expect(quarantine == [], "\(point): quarantine of \(party.rawValue)")
            let key = try Identity.load(from: home).signing.publicKey
            #expect(throws: Never.self, "\(point): audit of \(party.rawValue)") { try AuditLog(home).verify(key: key) }
            let mailbox = try Self.patiently(party) { try Mailbox.open(home, now: Story.start.adding(days: 2)) }
            #expect(mailbox.equivocations.isEmpty, "\(point): alarms of \(party.rawValue)")
        }
    }

    /// What may never be told where only a disk failed.
    static func isAlarm(_ line: String) -> Bool {
        ["backup", "equivocation", "another bundle", "numbering", "quarantine", "forged", "other content"].contains {
            line.contains($0)
        }
    }

    /// Every bundle that others may have seen, by path.
    func published() throws -> [String: Digest] {
        var found: [String: Digest] = [:]
        let files = LocalFileSystem()
        func look(_ folder: FilePath) throws {
            for entry in try files.list(folder) {
                let path = folder.appending(entry.component)
                if entry.kind == .directory {
                    try look(path)
                } else if !TemporaryName.isUnfinished(entry.name), !entry.name.hasPrefix(".") {
                    found[path.string] = try SHA256Hash.digest(of: path, files: files).digest
                }
            }
        }
        try look(exchange)
        for party in Party.allCases { try look(path(party).appending("outbox")) }
        return found
    }
}

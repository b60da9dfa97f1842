import Bundles
import Files
import Foundation
import Glibc
import SystemPackage
import Testing
import Wire

/// One tick that was disturbed, and what has to hold afterwards.
struct Disturbance {
    private let tick: Journey.Tick
    private let stage: Journey.Stage
    private let step: String
    private let outcome: Outcome
    private let isPermissionDenied: Bool
    private let look: (World) throws -> Snapshot

    /// - Parameters:
    ///   - fault: what went wrong, for people.
    ///   - outcome: what the disturbed run said.
    ///   - isPermissionDenied: whether something could not be opened that was there.
    ///   - look: at all files of the homes.
    init(
        _ tick: Journey.Tick, _ stage: Journey.Stage, _ fault: String, _ outcome: Outcome,
        isPermissionDenied: Bool = false, look: @escaping (World) throws -> Snapshot = { try Snapshot($0.root) }
    ) {
        (self.tick, self.stage, self.outcome, self.look) = (tick, stage, outcome, look)
        self.isPermissionDenied = isPermissionDenied
        step = "\(tick.name), \(fault)"
    }

    /// Zero: what failed was not needed, or is left to the next run. A key, or a list of whom to believe, that may not be read
    /// is a refusal.
    func endsWithALine() {
        let isRefusal = outcome.status == 77 && isPermissionDenied
        #expect([0, 73, 74, 75].contains(outcome.status) || isRefusal, "\(step): \(outcome)")
        guard outcome.status != 0, !isUntrained else { return }
        let lines = outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("hint: ") }
        #expect(lines.last?.hasPrefix("consilium: ") == true, "\(step): \(outcome)")
    }

    /// A tensor or archive file is, under its name, as before, as after, or not there. JSON, which a tick may write several
    /// times, is whole.
    func noFileIsHalf(_ world: World) throws {
        let isOther = isWithoutAPicture
        for (name, entry) in try look(world).entries where isComparable(name) && !name.hasSuffix(".part") {
            if isOther, isOfPictures(name) { continue }
            if name.hasSuffix(".json") {
                #expect(throws: Never.self, "\(step): \(name)") {
                    try StrictJSON.parse(world.bytes(name), maximumBytes: 1 << 26)
                }
            }
            guard [".tar", ".safetensors"].contains(where: name.hasSuffix), let after = stage.stable[name] else {
                continue
            }
            // A run that put off a change of keys signs with the old one.
            let isWhole =
                entry.digest == after || entry.digest == stage.begin.entries[name]?.digest || isBundle(world.path(name))
            #expect(isWhole, "\(step): \(name) is half there")
        }
        for folder in ["S/outbox", "a/outbox"] {
            for name in world.names(folder) where name.hasSuffix(".age") {
                #expect(throws: Never.self, "\(step): \(name)") { try world.opened("\(folder)/\(name)") }
            }
        }
    }

    private func isBundle(_ path: String) -> Bool {
        (try? BundleReader.open(FilePath(path), files: LocalFileSystem()).verified()) != nil
    }

    /// The same command again comes to the end of an undisturbed run, and what follows works. The world is gone afterwards.
    func converges(_ world: World) throws {
        // It did without what the disk withheld, said so, and left that to the next run.
        let hasPutOff = (outcome.status == 0 || isUntrained) && world.words(of: outcome) != stage.said
        func isComparable(_ name: String) -> Bool {
            // What was put off acknowledges nothing yet, so that a receipt did.
            let tellsOfReceipts = [
                "/outbox/receipt-", "/inbox/receipt-", "/mailbox/outgoing/", "/mailbox/ledger.json",
            ].contains { name.contains($0) }
            return self.isComparable(name) && !(hasPutOff && tellsOfReceipts)
        }
        let isOther = isWithoutAPicture
        func names(_ snapshot: Snapshot) -> [String] {
            snapshot.entries.keys.filter(isComparable).map { $0.replacing(/[0-9a-f]{8,64}/, with: "#") }.sorted()
        }
        let again = try tick.resume?(world) ?? world.run(tick.command)
        // A command that came to its end before it was killed says so, where a tick has nothing to do.
        let isDone = tick.refusal.map { again.errors.contains($0) } ?? false
        #expect(again.status == 0 || isDone, "\(step), run again: \(again)")
        let end = try look(world)
        let difference = Array(names(end).difference(from: names(stage.after)))
        #expect(difference.isEmpty, "\(step): \(difference)")
        for (name, digest) in stage.stable where isComparable(name) && !Journey.isHistory(name) {
            if isOther, isOfPictures(name) { continue }
            let isSame =
                try end.entries[name]?.digest == digest
                || hasPutOff && Self.remembering.contains(name)
                    && content(of: name, in: world.root) == content(of: name, in: stage.undisturbed)
            #expect(isSame, "\(step): \(name) is not as in an undisturbed run")
        }
        let isSameHistory = try Journey.history(world) == stage.history
        #expect(isSameHistory || isOther, "\(step): the hospital's history is not as in an undisturbed run")
        #expect(throws: Never.self, "\(step), what follows") { try tick.follow(world) }
        try remembersItsHead(world)
        if world.exists("S/audit/audit.jsonl") {
            let audit = try world.run("server", "audit", "--home", "S")
            #expect(audit.status == 0, "\(step): \(audit)")
        }
        try FileManager.default.removeItem(atPath: world.root)
    }

    /// It did all that does not hang on the training, and the exit status tells of that.
    private var isUntrained: Bool { outcome.output.contains(": cannot be trained: ") }

    /// A picture that may not be opened is left out, said and counted: another training, and another fit, but a whole one.
    private var isWithoutAPicture: Bool {
        isPermissionDenied
            && outcome.output.contains(/cannot be read and (is|are) skipped/)
    }

    private func isOfPictures(_ name: String) -> Bool {
        Journey.isHistory(name) || name.hasSuffix("/metrics.json") || name.hasPrefix("a/models/") || isOfARequest(name)
    }

    /// A request says how many pictures there are.
    private func isOfARequest(_ name: String) -> Bool {
        name == "a/sessions/state.json" || name == "a/mailbox/ledger.json" || name.hasPrefix("a/mailbox/outgoing/")
            || name.hasPrefix("a/outbox/request-")
    }

    /// A run that was disturbed may have written more lines of what it did; `server audit` looks at those. What it left
    /// unfinished in an exchange stays there, since another party may be writing it.
    private func isComparable(_ name: String) -> Bool {
        !name.contains("audit/") && !name.hasSuffix("/audit-head.json") && !name.hasPrefix("opened/")
            && !(name.hasPrefix("exchange/") && name.hasSuffix(".part"))
    }

    /// A home remembers the newest head that it signed, whatever came between.
    private func remembersItsHead(_ world: World) throws {
        for home in ["S", "a"] where world.exists("\(home)/audit") {
            let numbers = world.names("\(home)/audit").compactMap { name in
                name.wholeMatch(of: /head-(\d+)\.json/).flatMap { Int($0.output.1) }
            }
            guard let newest = numbers.max() else { continue }
            let isSame =
                try world.exists("\(home)/mailbox/audit-head.json")
                && world.text("\(home)/mailbox/audit-head.json") == world.text("\(home)/audit/head-\(newest).json")
            #expect(isSame, "\(step): \(home) does not remember head \(newest)")
        }
    }

    /// Where a home keeps, among other things, what it has told a person once.
    private static let remembering = ["S/requests/records.json", "a/sessions/state.json"]

    private func content(of name: String, in root: String) throws -> [String: JSONValue] {
        guard case .object(var fields) = try StrictJSON.parse(World(root: root).bytes(name), maximumBytes: 1 << 26)
        else {
            throw TestTrouble("\(name) is no object")
        }
        fields["announced"] = nil
        return fields
    }
}

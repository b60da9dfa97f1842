import FaultRecords
import Foundation
import Glibc
import Testing
import Wire

/// The program itself, killed in a system call or told that the disk will not do, at points over a whole session.
///
/// Each point begins with a copy of the homes, disturbs one tick, and asks for what docs/FAULTS.md promises: the homes are as
/// before the tick or as after it, or in between and no file is half there; the same command run again comes to the end of
/// an undisturbed run; the next bundle works. `Scripts/torture.sh` tries every point, each test run a sample.
@Suite(.enabled(if: Strace.isUsable, "strace is missing or may not trace here"))
struct TortureTests {
    private static let sample = 10
    /// Points of each tick: all with `CONSILIUM_TORTURE=1`, with a larger number so many.
    private static let wanted: Int = {
        let wish = ProcessInfo.processInfo.environment["CONSILIUM_TORTURE"].flatMap { Int($0) }
        return wish == 1 ? .max : wish ?? sample
    }()
    /// Another seed tries other points.
    private static let seed = ProcessInfo.processInfo.environment["CONSILIUM_SEED"].flatMap { UInt64($0) } ?? 1

    /// All ticks, or those that `CONSILIUM_TICKS` names, with commas between them.
    private static let ticks: [Journey.Tick] = {
        let wish = ProcessInfo.processInfo.environment["CONSILIUM_TICKS"]?.split(separator: ",")
        return Journey.ticks.filter { tick in wish?.contains { $0 == tick.name } ?? true }
    }()

    /// All, or some that lie evenly and differ from tick to tick and from seed to seed.
    private func chosen(_ points: [Strace.Point], of tick: Journey.Tick) -> [Strace.Point] {
        guard points.count > Self.wanted else { return points }
        let offset = tick.name.utf8.reduce(Int(Self.seed % 9973)) { ($0 &* 31 &+ Int($1)) & 0xffff }
        return (0..<Self.wanted).map { points[(offset + $0 * points.count / Self.wanted) % points.count] }
    }

    @Test(arguments: ticks) func aKillAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try #require(Journey.stages.get()[tick.name])
        let counts = try Strace.count(
            Strace.writing, of: tick.command, home: tick.home, in: try World.copy(of: stage.before, isPassing: true))
        let points = Strace.writing.flatMap { call in
            (counts[call].map(Array.init) ?? []).map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        let tried = chosen(points, of: tick)
        var killed = 0
        for point in tried {
            let world = try World.copy(of: stage.before, isPassing: true)
            let (outcome, isHit) = try Strace.run(tick.command, injecting: point, in: world)
            killed += isHit ? 1 : 0
            try #require(isHit || outcome.status == 0, "\(tick.name), \(point): \(outcome)")
            try converges(world, tick, stage, point, outcome)
        }
        report(tick, killed, tried.count, of: points.count)
        FaultRecords.record(points: killed)
    }

    @Test(arguments: ticks) func anErrorOfTheDiskAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try #require(Journey.stages.get()[tick.name])
        let counts = try Strace.count(
            Set(Strace.writing + Strace.reading).sorted(), of: tick.command, home: tick.home,
            in: try World.copy(of: stage.before, isPassing: true))
        func points(_ calls: [String], _ error: String) -> [Strace.Point] {
            calls.flatMap { call in
                (counts[call].map(Array.init) ?? []).map {
                    Strace.Point(call: call, number: $0, fault: .error(error))
                }
            }
        }
        let all =
            points(["openat", "write", "rename", "mkdir", "fsync"], "ENOSPC")
            + points(["write", "fsync", "close", "pread64", "getdents64", "rename"], "EIO")
            + points(["openat", "unlink"], "EACCES") + points(["openat", "rename"], "EROFS")
            + points(["openat", "newfstatat"], "ENOTCONN") + points(["openat"], "EMFILE")
        let tried = chosen(all, of: tick)
        var failed = 0
        for point in tried {
            let world = try World.copy(of: stage.before, isPassing: true)
            let (outcome, isHit) = try Strace.run(tick.command, injecting: point, in: world)
            failed += isHit ? 1 : 0
            let step = "\(tick.name), \(point)"
            // Zero: what failed was not needed, or is left to the next run. A key, or a list of whom to believe, that may not
            // be read is a refusal.
            let isRefusal = outcome.status == 77 && point.isPermissionDenied
            #expect([0, 73, 74, 75].contains(outcome.status) || isRefusal, "\(step): \(outcome)")
            if outcome.status != 0, !isUntrained(outcome) {
                let lines = outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("hint: ") }
                #expect(lines.last?.hasPrefix("consilium: ") == true, "\(step): \(outcome)")
            }
            try noFileIsHalf(world, stage, point, outcome, step)
            try converges(world, tick, stage, point, outcome)
        }
        report(tick, failed, tried.count, of: all.count)
        FaultRecords.record(points: failed)
    }

    /// The ledger is under its name already when its folder cannot be flushed, and may say that a bundle is settled.
    @Test func aCommitThatIsDoneAndSaysOtherwiseLosesNoDecision() throws {
        let stage = try #require(Journey.stages.get()["enrolled"])
        let tick = try #require(Journey.ticks.first { $0.name == "enrolled" })
        var number = 0
        while true {
            number += 1
            let world = try World.copy(of: stage.before, isPassing: true)
            let point = Strace.Point(call: "openat", number: number, fault: .error("EACCES"))
            let (_, isHit) = try Strace.run(tick.command, injecting: point, at: [world.path("a/mailbox")], in: world)
            guard isHit else { break }
            try world.succeed("client", "run", "--home", "a")
            let status = try world.json("client", "status", "--home", "a")
            #expect(status["enrolled"] == true, "openat \(number) of a/mailbox")
        }
        #expect(number > 3)
        FaultRecords.record(points: number - 1)
    }

    /// A disk that withholds a folder of pictures is no bad data, and what it withheld was not counted as missing.
    @Test(arguments: [
        ("getdents64", "EIO", Int32(75)), ("openat", "EROFS", 75), ("openat", "ENOTCONN", 75), ("openat", "EACCES", 74),
    ])
    func aDataFolderThatIsWithheldIsTheDisksFault(call: String, error: String, status: Int32) throws {
        let world = try World.enrolled()
        let folder = try Material.pictures.get() + "/client-1/glioma"
        let outcome = try Strace.run(
            ["client", "request", "--home", "a", "--rounds", "1"], failing: [call], with: error, at: [folder], in: world
        )
        #expect(outcome.status == status, "\(outcome)")
        #expect(outcome.errors.hasPrefix("consilium: data folder: cannot "), "\(outcome)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome)")
        #expect(world.names("a/outbox", "request").isEmpty)
    }

    /// Whoever decides by command decides about the file on the desk: while that may not be opened, nothing is decided.
    @Test func aDecisionWaitsForAFileThatIsWithheld() throws {
        let world = try World.enrolled()
        try world.request(["a", "b"])
        let request = try #require(world.names("S/requests/pending", "REQ").first)
        try refused(
            ["server", "approve", "REQ-1", "--home", "S"], withholding: "S/requests/pending/\(request)", in: world)
        try world.approveAll("spring")
        try world.journey(["a", "b"])
        try world.visit("a")
        let offer = try #require(world.names("a/updates/pending", "UPD").first)
        for decision in ["accept", "reject"] {
            try refused(
                ["client", decision, "1", "--home", "a"], withholding: "a/updates/pending/\(offer)", in: world)
            #expect(world.names("a/updates/pending", "UPD") == [offer])
            #expect(world.names("a/models").isEmpty)
        }
        try world.succeed("client", "accept", "1", "--home", "a")
        #expect(world.names("a/updates/accepted", "UPD") == [offer])
    }

    private func refused(_ command: [String], withholding file: String, in world: World) throws {
        let outcome = try Strace.run(command, failing: ["openat"], with: "EACCES", at: [world.path(file)], in: world)
        #expect(outcome.status == 74, "\(command): \(outcome)")
        #expect(outcome.errors.hasPrefix("consilium: cannot open "), "\(outcome)")
        #expect(outcome.errors.contains(file), "\(outcome)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome)")
    }

    // MARK: the invariant

    /// - Parameter hit: how many of those that were tried came to pass. A test that hardly ever does what it is for must fail.
    private func report(_ tick: Journey.Tick, _ hit: Int, _ tried: Int, of count: Int, test: String = #function) {
        #expect(hit >= tried - tried / 10, "\(tick.name): \(hit) of \(tried) faults came to pass")
        guard Self.wanted > Self.sample else { return }
        print("torture: \(tick.name): \(test.prefix { $0 != "(" }): \(hit) of \(count) points")
    }

    /// A tensor or archive file is, under its name, as before, as after, or not there. JSON, which a tick may write several
    /// times, is whole.
    private func noFileIsHalf(
        _ world: World, _ stage: Journey.Stage, _ point: Strace.Point, _ disturbed: Outcome, _ step: String
    ) throws {
        let isOther = isWithoutAPicture(disturbed, point)
        for (name, entry) in try Snapshot(world.root).entries where isComparable(name) && !name.hasSuffix(".part") {
            if isOther, isOfPictures(name) { continue }
            if name.hasSuffix(".json") {
                #expect(throws: Never.self, "\(step): \(name)") {
                    try StrictJSON.parse(world.bytes(name), maximumBytes: 1 << 26)
                }
            }
            guard [".tar", ".safetensors"].contains(where: name.hasSuffix), let after = stage.stable[name] else {
                continue
            }
            let isWhole = entry.digest == after || entry.digest == stage.begin.entries[name]?.digest
            #expect(isWhole, "\(step): \(name) is half there")
        }
        for folder in ["S/outbox", "a/outbox"] {
            for name in world.names(folder) where name.hasSuffix(".age") {
                #expect(throws: Never.self, "\(step): \(name)") { try world.opened("\(folder)/\(name)") }
            }
        }
    }

    private func converges(
        _ world: World, _ tick: Journey.Tick, _ stage: Journey.Stage, _ point: Strace.Point, _ disturbed: Outcome
    ) throws {
        let step = "\(tick.name), \(point)"
        // It did without what the disk withheld, said so, and left that to the next run.
        let hasPutOff = (disturbed.status == 0 || isUntrained(disturbed)) && world.words(of: disturbed) != stage.said
        func isComparable(_ name: String) -> Bool {
            // What was put off acknowledges nothing yet, so that a receipt did.
            let tellsOfReceipts = ["/outbox/receipt-", "/mailbox/outgoing/", "/mailbox/ledger.json"].contains {
                name.contains($0)
            }
            return self.isComparable(name) && !(hasPutOff && tellsOfReceipts)
        }
        let isOther = isWithoutAPicture(disturbed, point)
        func names(_ snapshot: Snapshot) -> [String] {
            snapshot.entries.keys.filter(isComparable).map { $0.replacing(/[0-9a-f]{8,64}/, with: "#") }.sorted()
        }
        let again = try tick.resume?(world) ?? world.run(tick.command)
        // A command that came to its end before it was killed says so, where a tick has nothing to do.
        let isDone = tick.refusal.map { again.errors.contains($0) } ?? false
        #expect(again.status == 0 || isDone, "\(step), run again: \(again)")
        let end = try Snapshot(world.root)
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
        try remembersItsHead(world, step)
        if world.exists("S/audit/audit.jsonl") {
            let audit = try world.run("server", "audit", "--home", "S")
            #expect(audit.status == 0, "\(step): \(audit)")
        }
        try FileManager.default.removeItem(atPath: world.root)
    }

    /// It did all that does not hang on the training, and the exit status tells of that.
    private func isUntrained(_ outcome: Outcome) -> Bool { outcome.output.contains(": cannot be trained: ") }

    /// A picture that may not be opened is left out, said and counted: another training, and another fit, but a whole one.
    private func isWithoutAPicture(_ disturbed: Outcome, _ point: Strace.Point) -> Bool {
        point.isPermissionDenied
            && disturbed.output.contains(/cannot be read and (is|are) skipped/)
    }

    private func isOfPictures(_ name: String) -> Bool {
        Journey.isHistory(name) || name.hasSuffix("/metrics.json") || name.hasPrefix("a/models/") || isOfARequest(name)
    }

    /// A request says how many pictures there are.
    private func isOfARequest(_ name: String) -> Bool {
        name == "a/sessions/state.json" || name == "a/mailbox/ledger.json" || name.hasPrefix("a/mailbox/outgoing/")
            || name.hasPrefix("a/outbox/request-")
    }

    /// A run that was disturbed may have written more lines of what it did; `server audit` looks at those.
    private func isComparable(_ name: String) -> Bool {
        !name.contains("audit/") && !name.hasSuffix("/audit-head.json") && !name.hasPrefix("opened/")
    }

    /// A home remembers the newest head that it signed, whatever came between.
    private func remembersItsHead(_ world: World, _ step: String) throws {
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

extension Journey.Stage {
    /// What two undisturbed runs made alike.
    var stable: [String: Digest] {
        after.entries.filter { again.entries[$0.key]?.digest == $0.value.digest }.mapValues(\.digest)
    }
}

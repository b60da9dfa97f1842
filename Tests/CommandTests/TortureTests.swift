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
@Suite(
    .enabled(
        if: Strace.isUsable && ProcessInfo.processInfo.environment["CONSILIUM_TORTURE"] == "1",
        "only with CONSILIUM_TORTURE=1, where strace may trace"))
struct TortureTests {
    /// What changes a disk, and what only looks.
    private static let writing = ["openat", "write", "fsync", "rename", "unlink", "mkdir", "close"]
    private static let reading = ["openat", "pread64", "read", "getdents64", "newfstatat"]

    private static let isThorough = ProcessInfo.processInfo.environment["CONSILIUM_TORTURE"] == "1"
    /// Another seed tries other points.
    private static let seed = ProcessInfo.processInfo.environment["CONSILIUM_SEED"].flatMap { UInt64($0) } ?? 1
    /// Points of each tick in a sample.
    private static let sampleSize = 5

    /// All, or some that differ from tick to tick and from seed to seed.
    private func chosen(_ points: [Strace.Point], of tick: Journey.Tick) -> [Strace.Point] {
        guard !Self.isThorough, points.count > Self.sampleSize else { return points }
        let stride = points.count / Self.sampleSize
        let offset = tick.name.utf8.reduce(Int(Self.seed % 9973)) { ($0 &* 31 &+ Int($1)) & 0xffff } % stride
        return (0..<Self.sampleSize).map { points[$0 * stride + offset] }
    }

    /// Not in a common run yet: after some kills a hospital's `history/rounds.jsonl` or `mailbox/ledger.json` is another than
    /// in an undisturbed run, which has to be understood first.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["CONSILIUM_TORTURE"] == "1", "only with CONSILIUM_TORTURE=1"),
        arguments: Journey.ticks)
    func aKillAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try #require(Journey.stages.get()[tick.name])
        let counts = try Strace.count(
            Self.writing, of: tick.command, home: tick.home, in: try World.copy(of: stage.before))
        let points = Self.writing.flatMap { call in
            (counts[call] ?? 1...1).map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        let tried = chosen(points, of: tick)
        for point in tried {
            let world = try World.copy(of: stage.before)
            let outcome = try Strace.run(tick.command, injecting: point, in: world)
            // The count of calls differs a little from run to run: then nothing was killed.
            try #require([0, 128 + SIGKILL].contains(outcome.status), "\(tick.name), \(point): \(outcome)")
            try converges(world, tick, stage, point)
        }
        report(tick, tried.count, of: points.count)
        FaultRecords.record(points: tried.count)
    }

    @Test(arguments: Journey.ticks) func anErrorOfTheDiskAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try #require(Journey.stages.get()[tick.name])
        let counts = try Strace.count(
            Set(Self.writing + Self.reading).sorted(), of: tick.command, home: tick.home,
            in: try World.copy(of: stage.before))
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
        for point in tried {
            let world = try World.copy(of: stage.before)
            let outcome = try Strace.run(tick.command, injecting: point, in: world)
            let step = "\(tick.name), \(point)"
            // Zero: what failed was not needed, or is left to the next run.
            #expect([0, 73, 74, 75].contains(outcome.status), "\(step): \(outcome)")
            if outcome.status != 0 {
                let lines = outcome.errors.split(separator: "\n").filter { !$0.hasPrefix("hint: ") }
                #expect(lines.last?.hasPrefix("consilium: ") == true, "\(step): \(outcome)")
            }
            try noFileIsHalf(world, stage, step)
            try converges(world, tick, stage, point)
        }
        report(tick, tried.count, of: all.count)
        FaultRecords.record(points: tried.count)
    }

    // MARK: the invariant

    private func report(_ tick: Journey.Tick, _ tried: Int, of count: Int, test: String = #function) {
        guard Self.isThorough else { return }
        print("torture: \(tick.name): \(test.prefix { $0 != "(" }): \(tried) of \(count) points")
    }

    /// A tensor or archive file is, under its name, as before, as after, or not there. JSON, which a tick may write several
    /// times, is whole.
    private func noFileIsHalf(_ world: World, _ stage: Journey.Stage, _ step: String) throws {
        let before = try Snapshot(stage.before)
        for (name, entry) in try Snapshot(world.root).entries where isComparable(name) && !name.hasSuffix(".part") {
            if name.hasSuffix(".json") {
                #expect(throws: Never.self, "\(step): \(name)") {
                    try StrictJSON.parse(world.bytes(name), maximumBytes: 1 << 26)
                }
            }
            guard [".tar", ".safetensors"].contains(where: name.hasSuffix), let after = stage.stable[name] else {
                continue
            }
            let isWhole = entry.digest == after || entry.digest == before.entries[name]?.digest
            #expect(isWhole, "\(step): \(name) is half there")
        }
        for folder in ["S/outbox", "a/outbox"] {
            for name in world.names(folder) where name.hasSuffix(".age") {
                #expect(throws: Never.self, "\(step): \(name)") { try world.opened("\(folder)/\(name)") }
            }
        }
    }

    private func converges(
        _ world: World, _ tick: Journey.Tick, _ stage: Journey.Stage, _ point: Strace.Point
    ) throws {
        let step = "\(tick.name), \(point)"
        let again = try tick.resume?(world) ?? world.run(tick.command)
        // A command that came to its end before it was killed says so, where a tick has nothing to do.
        let isDone = tick.refusal.map { again.errors.contains($0) } ?? false
        #expect(again.status == 0 || isDone, "\(step), run again: \(again)")
        let end = try Snapshot(world.root)
        let difference = names(end).difference(from: names(stage.after))
        #expect(difference.isEmpty, "\(step)")
        for (name, digest) in stage.stable where isComparable(name) {
            let isSame = end.entries[name]?.digest == digest
            #expect(isSame, "\(step): \(name) is not as in an undisturbed run")
        }
        #expect(throws: Never.self, "\(step), what follows") { try tick.follow(world) }
        if world.exists("S/audit/audit.jsonl") {
            let audit = try world.run("server", "audit", "--home", "S")
            #expect(audit.status == 0, "\(step): \(audit)")
        }
        try FileManager.default.removeItem(atPath: world.root)
    }

    /// A run that was disturbed may have written more lines of what it did; `server audit` looks at those.
    private func isComparable(_ name: String) -> Bool { !name.contains("audit/") && !name.hasPrefix("opened/") }

    /// Names of all files; digests and random numbers in them left out, and what only counts runs.
    private func names(_ snapshot: Snapshot) -> [String] {
        snapshot.entries.keys.filter(isComparable).map { $0.replacing(/[0-9a-f]{8,64}/, with: "#") }.sorted()
    }
}

extension Journey.Stage {
    /// What two undisturbed runs made alike.
    var stable: [String: Digest] {
        after.entries.filter { again.entries[$0.key]?.digest == $0.value.digest }.mapValues(\.digest)
    }
}

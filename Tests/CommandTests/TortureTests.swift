import FaultRecords
import Testing
import Wire

/// The program itself, killed in a system call or told that the disk will not do, at points over a whole session.
///
/// Each point begins with a copy of the homes, disturbs one tick, and asks for what docs/FAULTS.md promises: the homes are as
/// before the tick or as after it, or in between and no file is half there; the same command run again comes to the end of
/// an undisturbed run; the next bundle works. `Scripts/torture.sh` tries every point, each test run a sample.
@Suite(.enabled(if: Strace.isUsable, "strace is missing or may not trace here"))
struct TortureTests {
    private static let ticks = Torture.named(Journey.ticks + JourneyOfChanges.ticks)

    private func stage(of tick: Journey.Tick) throws -> Journey.Stage {
        let isOfChanges = JourneyOfChanges.ticks.contains { $0.name == tick.name }
        return try #require((isOfChanges ? JourneyOfChanges.stages : Journey.stages).get()[tick.name])
    }

    /// Of each tick and test, in a test run.
    private static let sample = 3

    @Test(arguments: ticks) func aKillAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try stage(of: tick)
        let counts = try Strace.count(
            Strace.writing, of: tick.command, home: tick.home, in: try World.copy(of: stage.before, isPassing: true))
        let points = Strace.writing.flatMap { call in
            (counts[call].map(Array.init) ?? []).map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        let tried = Torture.chosen(points, of: tick.name, sample: Self.sample)
        var killed = 0
        for point in tried {
            let world = try World.copy(of: stage.before, isPassing: true)
            let (outcome, isHit) = try Strace.run(tick.command, injecting: point, in: world)
            killed += isHit ? 1 : 0
            try #require(isHit || outcome.status == 0, "\(tick.name), \(point): \(outcome)")
            try Disturbance(tick, stage, "\(point)", outcome).converges(world)
        }
        Torture.report(tick.name, "kills", hit: killed, tried: tried.count, of: points.count)
    }

    @Test(arguments: ticks) func anErrorOfTheDiskAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try stage(of: tick)
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
        let tried = Torture.chosen(all, of: tick.name, sample: Self.sample)
        var failed = 0
        for point in tried {
            let world = try World.copy(of: stage.before, isPassing: true)
            let (outcome, isHit) = try Strace.run(tick.command, injecting: point, in: world)
            failed += isHit ? 1 : 0
            let disturbance = Disturbance(
                tick, stage, "\(point)", outcome, isPermissionDenied: point.isPermissionDenied)
            disturbance.endsWithALine()
            try disturbance.noFileIsHalf(world)
            try disturbance.converges(world)
        }
        Torture.report(tick.name, "errors", hit: failed, tried: tried.count, of: all.count)
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

    /// Whatever is left undone when the new key begins to sign, nobody does later: the key before it would have no end.
    @Test(arguments: ["identity", "trust"]) func aKilledChangeOfKeysIsDoneByTheNextRun(folder: String) throws {
        let tick = try #require(JourneyOfChanges.ticks.first { $0.name == "key in use" })
        let stage = try stage(of: tick)
        var number = 0
        while true {
            number += 1
            let world = try World.copy(of: stage.before, isPassing: true)
            let point = Strace.Point(call: "openat", number: number, fault: .kill)
            let (outcome, isHit) = try Strace.run(
                tick.command, injecting: point, at: [world.path("a/\(folder)")], in: world)
            guard isHit else { break }
            try Disturbance(tick, stage, "\(point) of \(folder)", outcome).converges(world)
        }
        #expect(number > 1)
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
}

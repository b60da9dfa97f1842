import Bundles
import Client
import FaultRecords
import Files
import Foundation
import Mailbox
import Synchronization
import SystemPackage
import Testing
import Wire

/// Every run of a federation is stopped, or fails, at every one of its operations, and its machine may lose what was not
/// flushed. Afterwards the run is repeated on a sound disk, the story goes on, and must come to the same end: the same model
/// to the byte, nothing counted twice, nothing published that changed, no alarm.
///
/// A test run samples the points of each step. `CONSILIUM_TORTURE=1` tries every one, a larger number so many of each kind.
/// `CONSILIUM_STEP=20` keeps to one step, counted from 0. To play a story to its end takes half a second, and most of the
/// points of a step leave one of few states behind once their run is repeated: each state's story is played once.
@Suite(.serialized) struct CrashTests {
    /// How many points of each kind are tried in each step; nil: the test run's sample.
    private static let wish = ProcessInfo.processInfo.environment["CONSILIUM_TORTURE"].flatMap { Int($0) }
        .map { $0 == 1 ? Int.max : $0 }

    /// Another seed tries other points.
    private static let seed = ProcessInfo.processInfo.environment["CONSILIUM_SEED"].flatMap { Int($0) } ?? 0

    private static let onlyStep = ProcessInfo.processInfo.environment["CONSILIUM_STEP"].flatMap { Int($0) }

    /// The story undisturbed: its end, each step's beginning as a folder, and how many operations each step has.
    final class Reference: Sendable {
        let end: StoryEnd
        let snapshots: [FilePath]
        let changes: [Int]
        let operations: [Int]
        let root: FilePath
        /// The one reference lives as long as the process, and is never deinitialised.
        private static let base: FilePath = {
            atexit { try? LocalFileSystem().removeTree(Reference.base) }
            return Story.scratch()
        }()

        init() throws {
            let base = Self.base
            root = base.appending("work")
            let files = LocalFileSystem()
            try files.makeDirectories(base)
            let story = try Story.begin(at: root)
            var snapshots: [FilePath] = []
            var counts: [(Int, Int)] = []
            for (number, step) in Story.steps.enumerated() {
                try step.before(story)
                let snapshot = base.appending("step-\(number)")
                try copyTree(root, to: snapshot)
                snapshots.append(snapshot)
                let disk = SimulatedDisk(.none)
                _ = try step.run(story, disk, Reference.time(of: number))
                counts.append((disk.changes, disk.operations))
            }
            self.snapshots = snapshots
            changes = counts.map(\.0)
            operations = counts.map(\.1)
            end = try StoryEnd(story)
            try story.expectSound("undisturbed")
        }

        /// Half an hour between steps, so that all of them are within the day after which bundles are offered again; ten minutes
        /// between a failed run and the next.
        static func time(of step: Int, again: Bool = false) -> Timestamp {
            Story.start.adding(seconds: Int64(step + 1) * 1800 + (again ? 600 : 0))
        }
    }

    static let reference = Result { try Reference() }

    /// The states from which a story has been played to its end already, step by step.
    private static let played = Mutex<[Int: Set<Digest>]>([:])

    private static func isNew(_ state: Digest, after step: Int) -> Bool {
        played.withLock { $0[step, default: []].insert(state).inserted }
    }

    /// One disturbed run, by what goes wrong and where.
    struct Point: CustomStringConvertible {
        let step: Int
        let fault: SimulatedDisk.Fault
        var loss: PowerLoss?

        var description: String {
            "\(Story.steps[step].name), \(fault)" + (loss.map { ", keeping \($0.way)" } ?? "")
        }
    }

    /// Plays a story with one fault in it, to its end unless one from the same state was.
    private func play(_ point: Point, _ reference: Reference) throws {
        let files = LocalFileSystem()
        try files.removeTree(reference.root)
        try copyTree(reference.snapshots[point.step], to: reference.root)
        let story = Story(root: reference.root)
        let disk = SimulatedDisk(point.fault)
        var told: [String] = []
        do {
            told += try Story.steps[point.step].run(story, disk, Reference.time(of: point.step))
        } catch {
            // What a run says of a failing disk is one line; that it ends with one is all that is asked of it here.
            #expect(!"\(error)".contains("\n"), "\(point): \(error)")
        }
        if var loss = point.loss { try disk.losePower(&loss) }
        let published = try story.published()
        told += try Story.steps[point.step].run(story, files, Reference.time(of: point.step, again: true))
        for (path, digest) in try story.published() {
            #expect(published[path] == nil || published[path] == digest, "\(point): \(path) changed")
        }
        guard Self.isNew(try StateDigest.of(story), after: point.step) else {
            #expect(told.filter(Story.isAlarm) == [], "\(point)")
            return
        }
        for number in (point.step + 1)..<Story.steps.count {
            try Story.steps[number].before(story)
            told += try Story.steps[number].run(story, files, Reference.time(of: number))
        }
        let end = try StoryEnd(story)
        #expect(end == reference.end, "\(point)")
        #expect(told.filter(Story.isAlarm) == [], "\(point)")
        try story.expectSound("\(point)")
        let idle = SimulatedDisk(.none)
        for files in [LocalFileSystem(), idle] as [any FileSystem] {
            // Later, so that the first one moves the clock's floor and the second has no need to.
            let time = Reference.time(of: Story.steps.count + 4, again: files is SimulatedDisk)
            for party in Story.Party.allCases { #expect(try story.tick(party, files, time) == [], "\(point)") }
        }
        #expect(idle.changes == 0, "\(point): an idle run writes \(idle.changed)")
    }

    /// All points of one kind, or so many of each step, which lie evenly and differ from step to step and kind to kind.
    /// - Parameter isSampled: whether a test run's sample has a point of that step.
    private func points(
        _ counts: [Int], offset: Int, isSampled: (Int) -> Bool
    ) -> [(step: Int, operation: Int)] {
        counts.enumerated().filter { Self.onlyStep == nil || $0.offset == Self.onlyStep }.flatMap { step, count in
            let wanted = min(count, Self.wish ?? (isSampled(step + Self.seed) ? 1 : 0))
            let first = wanted == count ? 0 : offset + step * 7 + Self.seed
            return (0..<wanted).map { (step: step, operation: (first + $0 * count / wanted) % count) }
        }
    }

    @Test(arguments: PowerLoss.Way.allCases)
    func aLossOfPowerAnywhereEndsTheSame(way: PowerLoss.Way) throws {
        let reference = try Self.reference.get()
        let offset = way == .nothing ? 6 : way == .everything ? 10 : 20
        // A test run cuts the power in every second step, and keeps something else each time; the other steps get an error.
        let points = points(reference.changes, offset: offset) { ($0 + offset) % 6 == 0 }
        for (index, place) in points.enumerated() {
            let loss = PowerLoss(way, seed: UInt64(index + 1))
            try play(Point(step: place.step, fault: .stop(at: place.operation), loss: loss), reference)
        }
        report("stops, keeping \(way) of what was not flushed", points, reference.changes)
    }

    /// Stopped after it was sent and before it was noted, a request that is repeated is the same one and no second.
    @Test func aRequestThatIsRepeatedAfterAStopIsSentOnce() throws {
        let reference = try Self.reference.get()
        let step = try #require(Story.steps.firstIndex { $0.name == "alpha asks to train" })
        for operation in 0..<reference.changes[step] {
            try LocalFileSystem().removeTree(reference.root)
            try copyTree(reference.snapshots[step], to: reference.root)
            let story = Story(root: reference.root)
            let disk = SimulatedDisk(.stop(at: operation))
            _ = try? Story.steps[step].run(story, disk, Reference.time(of: step))
            _ = try Story.steps[step].run(story, LocalFileSystem(), Reference.time(of: step, again: true))
            let home = try story.home(.alpha)
            #expect(try ClientState.load(from: home).requests.count == 1, "operation \(operation)")
            #expect(try LocalFileSystem().list(home.outbox).count { $0.name.hasPrefix("request-") } == 1)
        }
    }

    /// Once an update is sent its bundle is kept, and no copy beside it, which after the last round nobody would remove.
    @Test func anUpdateThatIsSentLeavesNoCopyWhereverItsRunWasStopped() throws {
        let reference = try Self.reference.get()
        let step = try #require(Story.steps.firstIndex { $0.name == "alpha trains" })
        // From the end back to a little before the state says that the round is answered.
        var earlier = 0
        for operation in (0..<reference.changes[step]).reversed() where earlier < 20 {
            try LocalFileSystem().removeTree(reference.root)
            try copyTree(reference.snapshots[step], to: reference.root)
            let story = Story(root: reference.root)
            let disk = SimulatedDisk(.stop(at: operation))
            _ = try? Story.steps[step].run(story, disk, Reference.time(of: step))
            let home = try story.home(.alpha)
            earlier += try ClientState.load(from: home).sessions.first?.answeredRound == 1 ? 0 : 1
            _ = try Story.steps[step].run(story, LocalFileSystem(), Reference.time(of: step, again: true))
            let session = try #require(try ClientState.load(from: home).sessions.first)
            #expect(session.answeredRound == 1, "operation \(operation)")
            let names = try LocalFileSystem().list(home.session(session.id)).map(\.name)
            #expect(!names.contains("update.safetensors"), "operation \(operation)")
        }
    }

    /// Stopped between writing down what the last global says and settling its bundle: the same bundle comes again, and is
    /// no old one because its session is over now.
    @Test func theLastGlobalIsAcceptedWhereverItsRunWasStopped() throws {
        let reference = try Self.reference.get()
        let step = try #require(Story.steps.firstIndex { $0.name == "alpha is offered the version" })
        // The way from the state to the bundle has more operations than that.
        for operation in stride(from: 0, to: reference.changes[step], by: 5) {
            try LocalFileSystem().removeTree(reference.root)
            try copyTree(reference.snapshots[step], to: reference.root)
            let story = Story(root: reference.root)
            let disk = SimulatedDisk(.stop(at: operation))
            _ = try? Story.steps[step].run(story, disk, Reference.time(of: step))
            let again = Reference.time(of: step, again: true)
            _ = try Story.steps[step].run(story, LocalFileSystem(), again)
            let home = try story.home(.alpha)
            let offer = try #require(try ClientState.load(from: home).offers.first)
            let mailbox = try Story.patiently(.alpha) { try Mailbox.open(home, now: again) }
            #expect(mailbox.isAccepted(offer.bundle), "operation \(operation)")
        }
    }

    @Test func anErrorAnywhereEndsTheSame() throws {
        let reference = try Self.reference.get()
        let codes: [Errno] = [
            .noSpace, .ioError, .permissionDenied, .readOnlyFileSystem, .tooManyOpenFiles, .socketNotConnected,
        ]
        let points = points(reference.operations, offset: 5) { !$0.isMultiple(of: 2) }
        for (index, place) in points.enumerated() {
            let code = codes[index % codes.count]
            try play(Point(step: place.step, fault: .error(at: place.operation, code)), reference)
        }
        report("single errors (\(codes.count) codes in turn)", points, reference.operations)
    }

    private func report(
        _ kind: String, _ tried: [(step: Int, operation: Int)], _ counts: [Int], test: String = #function
    ) {
        for (step, count) in counts.enumerated() where Self.onlyStep == nil || Self.onlyStep == step {
            FaultRecords.sweep(
                step: "\(step) \(Story.steps[step].name)", kind: kind, tried: tried.count { $0.step == step },
                of: count)
        }
        FaultRecords.record(points: tried.count, test: test)
        print(
            "crash points: \(tried.count) of \(counts.reduce(0, +)) \(kind), over \(Story.steps.count) runs; "
                + "\(Self.played.withLock { $0.values.reduce(0) { $0 + $1.count } }) states played to the end so far")
    }
}

/// `cp -a`.
private func copyTree(_ source: FilePath, to target: FilePath) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/cp")
    process.arguments = ["-a", source.string, target.string]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Story.Trouble("cp -a \(source) \(target) fails") }
}

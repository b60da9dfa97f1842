import Foundation
import Glibc
import SupportForTests
import Testing

/// The program killed, or failed by the share, at any call that it makes into an exchange; once with the exchange in a
/// folder of the same disk, once over SSH. TortureTests have the homes' own disk.
@Suite(.enabled(if: Interposer.isUsable, "no C compiler (cc) to build the library that makes calls fail"))
struct ShareTortureTests {
    private static let ticks = Torture.named(ShareJourney.ticks)

    @Test(arguments: ticks) func aKillAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        try kill(in: tick, on: nil, "kills at an exchange")
    }

    @Test(.enabled(if: LoopbackShare.isUsable, "sshfs cannot be used here"), arguments: ticks)
    func aKillAtAnyCallOverSSHIsSurvived(tick: Journey.Tick) throws {
        try kill(in: tick, on: LoopbackShare.shared.get(), "kills at an exchange over SSH")
    }

    @Test(arguments: ticks) func anErrorOfTheShareAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        try fail(in: tick, on: nil, "errors of an exchange")
    }

    @Test(.enabled(if: LoopbackShare.isUsable, "sshfs cannot be used here"), arguments: ticks)
    func anErrorAtAnyCallOverSSHIsSurvived(tick: Journey.Tick) throws {
        try fail(in: tick, on: LoopbackShare.shared.get(), "errors of an exchange over SSH")
    }

    /// A stick that is pulled out, or a mount whose other side has died: nothing that follows works either.
    @Test(arguments: ticks) func aShareThatGoesAwayAtAnyCallIsSurvived(tick: Journey.Tick) throws {
        let stage = try #require(ShareJourney.stages.get()[tick.name])
        let points = try calls(of: tick, stage, on: nil, besides: false).map {
            Interposer.Point(number: $0.number, call: $0.name, name: $0.file, error: ENOTCONN, isLasting: true)
        }
        try disturb(tick, stage, points, on: nil, besides: false, "departures of an exchange", #function)
    }

    /// Of each tick and test, in a test run.
    private static let sample = 1

    /// At calls into the exchange, and at those that change a home while bundles are under way between the two.
    private func kill(
        in tick: Journey.Tick, on share: LoopbackShare?, _ kind: String, test: String = #function
    ) throws {
        let stage = try #require(ShareJourney.stages.get()[tick.name])
        let changing = ["create", "write", "fsync", "rename", "unlink", "mkdir"]
        let points = try calls(of: tick, stage, on: share, besides: share == nil).filter { call in
            call.isInExchange || changing.contains(call.name)
        }.map { Interposer.Point(number: $0.number, call: $0.name, name: $0.file, error: nil) }
        try disturb(tick, stage, points, on: share, besides: share == nil, kind, test)
    }

    private func fail(
        in tick: Journey.Tick, on share: LoopbackShare?, _ kind: String, test: String = #function
    ) throws {
        let stage = try #require(ShareJourney.stages.get()[tick.name])
        let errors: [String: [Int32]] = [
            "create": [ENOSPC, EIO, EACCES, EROFS, ENOTCONN, EMFILE], "open": [EACCES, EIO, ENOTCONN, EMFILE, ESTALE],
            "write": [ENOSPC, EIO], "fsync": [ENOSPC, EIO], "close": [EIO], "pread": [EIO, ESTALE],
            "rename": [ENOSPC, EIO, EROFS], "mkdir": [ENOSPC, EACCES], "unlink": [EACCES, EIO],
            "opendir": [EIO, ENOTCONN, EACCES], "readdir": [EIO], "stat": [ENOTCONN, EIO, ESTALE],
        ]
        let points = try calls(of: tick, stage, on: share, besides: false).flatMap { call in
            errors[call.name, default: [EIO]].map {
                Interposer.Point(number: call.number, call: call.name, name: call.file, error: $0)
            }
        }
        try disturb(tick, stage, points, on: share, besides: false, kind, test)
    }

    private struct Call {
        let number: Int
        let name: String
        let file: String
        let isInExchange: Bool
    }

    /// - Parameter besides: whether calls into the homes are counted too.
    private func calls(
        of tick: Journey.Tick, _ stage: Journey.Stage, on share: LoopbackShare?, besides: Bool
    ) throws -> [Call] {
        let shared = try SharedWorld(copyOf: stage.before, on: share)
        defer { shared.remove() }
        let folders = besides ? [shared.world.root] : shared.folders
        return try Interposer.count(tick.command, under: folders, in: shared.world).enumerated().map { index, call in
            Call(
                number: index + 1, name: call.call, file: (call.path as NSString).lastPathComponent,
                isInExchange: shared.folders.contains { call.path.hasPrefix($0) })
        }
    }

    private func disturb(
        _ tick: Journey.Tick, _ stage: Journey.Stage, _ points: [Interposer.Point], on share: LoopbackShare?,
        besides: Bool, _ kind: String, _ test: String
    ) throws {
        let tried = Torture.chosen(points, of: tick.name, sample: Self.sample)
        var hit = 0
        for point in tried {
            let shared = try SharedWorld(copyOf: stage.before, on: share)
            defer { shared.remove() }
            let folders = besides ? [shared.world.root] : shared.folders
            let (outcome, isHit) = try Interposer.run(
                tick.command, injecting: point, under: folders, in: shared.world)
            hit += isHit ? 1 : 0
            let disturbance = Disturbance(
                tick, stage, "\(point)", outcome, isPermissionDenied: point.isPermissionDenied
            ) { _ in try shared.files }
            if point.error == nil {
                #expect(outcome.status == (isHit ? 128 + SIGKILL : 0), "\(tick.name), \(point): \(outcome)")
            } else {
                disturbance.endsWithALine()
            }
            try shared.exchangeIsSound(tick, stage, "\(point)")
            try disturbance.noFileIsHalf(shared.world)
            try disturbance.converges(shared.world)
        }
        Torture.report(tick.name, kind, hit: hit, tried: tried.count, of: points.count, test: test)
    }
}

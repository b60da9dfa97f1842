import FaultRecords
import Foundation
import Testing

/// Which faults of a sweep are tried, and what is told of it.
enum Torture {
    private static let environment = ProcessInfo.processInfo.environment
    /// Points of each tick: all with `CONSILIUM_TORTURE=1`, with a larger number so many; nil: a test run's sample.
    private static let wish = environment["CONSILIUM_TORTURE"].flatMap { Int($0) }.map { $0 == 1 ? .max : $0 }
    /// Another seed tries other points.
    private static let seed = environment["CONSILIUM_SEED"].flatMap { UInt64($0) } ?? 1

    /// All ticks, or those that `CONSILIUM_TICKS` names, with commas between them.
    static func named(_ ticks: [Journey.Tick]) -> [Journey.Tick] {
        let wish = environment["CONSILIUM_TICKS"]?.split(separator: ",")
        return ticks.filter { tick in wish?.contains { $0 == tick.name } ?? true }
    }

    /// All, or some that lie evenly and differ from name to name and from seed to seed.
    static func chosen<Point>(_ points: [Point], of name: String, sample: Int) -> [Point] {
        let wanted = wish ?? sample
        guard points.count > wanted else { return points }
        let offset = name.utf8.reduce(Int(seed % 9973)) { ($0 &* 31 &+ Int($1)) & 0xffff }
        return (0..<wanted).map { points[(offset + $0 * points.count / wanted) % points.count] }
    }

    /// - Parameter hit: how many of those that were tried came to pass. A test that hardly ever does what it is for must fail.
    static func report(
        _ step: String, _ kind: String, hit: Int, tried: Int, of count: Int, file: String = #fileID,
        test: String = #function
    ) {
        #expect(hit >= tried - tried / 10, "\(step): \(hit) of \(tried) faults came to pass")
        FaultRecords.record(points: hit, file: file, test: test)
        FaultRecords.sweep(step: step, kind: kind, tried: hit, of: count, file: file)
        guard wish != nil else { return }
        print("torture: \(step): \(test.prefix { $0 != "(" }): \(hit) of \(count) points")
    }
}

import Foundation
import Wire

/// Runs the program under `strace`, which can make a system call fail or kill the program in it.
enum Strace {
    /// Where `strace` is missing or may not trace (a container without ptrace), tests that need it skip.
    static let isUsable: Bool =
        (try? Program.shell("strace -f -e trace=openat -o /dev/null true", in: "/").status == 0) ?? false

    /// What happens to one call.
    enum Fault: CustomStringConvertible {
        case kill
        case error(String)

        var description: String {
            switch self {
            case .kill: "signal=SIGKILL"
            case .error(let name): "error=\(name)"
            }
        }
    }

    /// The `number`-th call (from 1) of `call` within a thread.
    struct Point: CustomStringConvertible {
        let call: String
        let number: Int
        let fault: Fault

        var description: String { "\(call) \(number), \(fault)" }
    }

    static func run(_ arguments: [String], injecting point: Point, in world: World) throws -> Outcome {
        try run(
            [
                "-o", "/dev/null", "-e", "trace=\(point.call)", "-e",
                "inject=\(point.call):\(point.fault):when=\(point.number)",
            ],
            arguments, in: world)
    }

    /// Counts how often a run makes each of these calls, beginning where it first names `home`: before that the system's
    /// loader is at work, not this program.
    /// - Returns: the numbers that a fault can name, of the thread with the most calls.
    static func count(
        _ calls: [String], of arguments: [String], home: String, in world: World
    ) throws -> [String: ClosedRange<Int>] {
        let log = world.path("strace.log")
        let outcome = try run(
            ["-o", log, "-s", "4096", "-e", "trace=\(calls.joined(separator: ","))"], arguments, in: world)
        guard outcome.status == 0 else { throw TestTrouble("\(arguments): \(outcome)") }
        defer { try? FileManager.default.removeItem(atPath: log) }
        var counts: [String: Int] = [:]
        var first: [String: Int]?
        for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
            guard words.count == 2, let end = words[1].firstIndex(of: "("), words[1].first?.isLetter == true else {
                continue
            }
            let call = String(words[1][..<end])
            counts["\(words[0]) \(call)", default: 0] += 1
            if first == nil, line.contains(world.path(home)) {
                first = Dictionary(counts.map { (String($0.key.split(separator: " ")[1]), $0.value) }) { max($0, $1) }
            }
        }
        var ranges: [String: ClosedRange<Int>] = [:]
        for call in calls {
            let most = counts.filter { $0.key.hasSuffix(" \(call)") }.values.max() ?? 0
            let start = max(1, first?[call] ?? 1)
            if most >= start { ranges[call] = start...most }
        }
        return ranges
    }

    private static func run(_ options: [String], _ arguments: [String], in world: World) throws -> Outcome {
        try RunningProgram(
            "strace", ["-f", "-qq"] + options + [Program.path] + arguments, in: world.root,
            environment: world.environment.merging(["CONSILIUM_NOW": world.now.rfc3339]) { $1 }
        ).wait()
    }
}

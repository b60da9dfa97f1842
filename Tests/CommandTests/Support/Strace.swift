import Foundation
import Glibc
import Wire

/// Runs the program under `strace`, which can make a system call fail or kill the program in it.
enum Strace {
    /// What changes a disk, and what only looks. On another architecture than x86-64 some have other names.
    static let writing = ["openat", "write", "fsync", "rename", "unlink", "mkdir"]
    static let reading = ["openat", "pread64", "read", "getdents64", "newfstatat", "close"]

    /// Where `strace` is missing or may not trace (a container without ptrace), tests that need it skip.
    static let isUsable: Bool =
        (try? Program.shell(
            "strace -f --seccomp-bpf -e trace=\((writing + reading).joined(separator: ",")) -o /dev/null true", in: "/"
        ).status == 0) ?? false

    /// What happens to one call.
    enum Fault: Equatable, CustomStringConvertible {
        case kill
        case error(String)

        var description: String {
            switch self {
            case .kill: "signal=SIGKILL"
            case .error(let name): "error=\(name)"
            }
        }
    }

    /// The `number`-th call (from 1) of `call` in the program's only thread.
    struct Point: CustomStringConvertible {
        let call: String
        let number: Int
        let fault: Fault

        var description: String { "\(call) \(number), \(fault)" }
        var isPermissionDenied: Bool { fault == .error("EACCES") }
    }

    /// - Parameter paths: calls are counted that name one of these, or a descriptor of one; all without any.
    /// - Returns: what the run did, and whether the fault came to pass: the count of calls differs a little from run to run.
    static func run(
        _ arguments: [String], injecting point: Point, at paths: [String] = [], in world: World
    ) throws -> (outcome: Outcome, isHit: Bool) {
        let log = world.root + ".strace"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let outcome = try run(
            ["-o", log, "-e", "inject=\(point.call):\(point.fault):when=\(point.number)"]
                + paths.flatMap { ["-P", $0] },
            tracing: [point.call], arguments, isKilled: point.fault == .kill, in: world)
        if point.fault == .kill { return (outcome, outcome.status == 128 + SIGKILL) }
        // Not as text: what a program writes is anything.
        return (outcome, try Data(contentsOf: URL(fileURLWithPath: log)).range(of: Data("(INJECTED)".utf8)) != nil)
    }

    /// Lets calls fail only where they name one of these paths, or a descriptor of one.
    static func run(
        _ arguments: [String], failing calls: [String], with error: String, at paths: [String], in world: World
    ) throws -> Outcome {
        try run(
            ["-o", "/dev/null"] + paths.flatMap { ["-P", $0] }
                + calls.flatMap { ["-e", "inject=\($0):error=\(error)"] },
            tracing: calls, arguments, in: world)
    }

    /// Counts how often a run makes each of these calls from where it first names `home`: what comes before is the system's
    /// loader, and a program that cannot even be loaded shows nothing.
    ///
    /// Faults are numbered for each thread, so that a number names one call only where one thread makes all of them. The looks
    /// whether inbox and outbox are shares are made in threads of their own; being the first calls there, they bear numbers
    /// that in the first thread are the loader's, and no fault.
    /// - Returns: the numbers that a fault can name.
    static func count(
        _ calls: [String], of arguments: [String], home: String, in world: World
    ) throws -> [String: ClosedRange<Int>] {
        let log = world.path("strace.log")
        let outcome = try run(["-o", log, "-s", "4096"], tracing: calls, arguments, in: world)
        guard outcome.status == 0 else { throw TestTrouble("\(arguments): \(outcome)") }
        var thread: Substring?
        var counts: [String: Int] = [:]
        var loader: [String: Int]?
        for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
            // A short number is followed by more than one space; what is no call is the word of a signal.
            let number = line.prefix { $0.isNumber }
            let call = line.dropFirst(number.count).drop { $0 == " " }
            guard let end = call.firstIndex(of: "("), call.first?.isLetter == true else { continue }
            if let thread, thread != number {
                let isLook = ["/inbox\"", "/outbox\""].contains { line.contains(world.path(home) + $0) }
                guard call.hasPrefix("newfstatat("), isLook else {
                    throw TestTrouble("\(arguments): a second thread makes calls: \(line)")
                }
                continue
            }
            thread = number
            if loader == nil, line.contains(world.path(home)) { loader = counts }
            counts[String(call[..<end]), default: 0] += 1
        }
        guard let loader else { throw TestTrouble("\(arguments): no call names \(home)") }
        return counts.reduce(into: [:]) { ranges, entry in
            let first = loader[entry.key, default: 0] + 1
            if first <= entry.value { ranges[entry.key] = first...entry.value }
        }
    }

    private static func run(
        _ options: [String], tracing calls: [String], _ arguments: [String], isKilled: Bool = false, in world: World
    ) throws -> Outcome {
        // Without the filter in the kernel every call stops the program, which takes three times as long; but the kernel takes
        // no signal from where the filter stops it.
        let filter = isKilled ? [] : ["--seccomp-bpf"]
        return try RunningProgram(
            "strace",
            ["-f", "-qq"] + filter + ["-e", "trace=\(calls.joined(separator: ","))"] + options + [Program.path]
                + arguments, in: world.root,
            environment: world.environment.merging(["CONSILIUM_NOW": world.now.rfc3339]) { $1 }
        ).wait()
    }
}

import Foundation
import Glibc
import Wire

/// Runs a command that touches a share with one of its calls going wrong; see faults.c for why not with `strace`.
enum Interposer {
    struct Point: CustomStringConvertible {
        /// From 1, in the order in which all threads make them.
        let number: Int
        let call: String
        /// What it names, without the folders above.
        let name: String
        /// nil: the process is killed.
        let error: Int32?
        /// Whether all calls that follow fail in the same way.
        var isLasting = false

        var description: String {
            let fault = error.map { String(cString: strerror($0)).lowercased() } ?? "killed"
            return "call \(number): \(call) \(name): \(fault)\(isLasting ? " from there on" : "")"
        }
        var isPermissionDenied: Bool { error == EACCES }
    }

    /// What lies in faults.c, compiled; it brings no library of its own.
    private static let library = Result { () throws -> String in
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("faults.c").path
        let library = try Scratch.folder() + "/faults.so"
        let outcome = try RunningProgram(
            "sh", ["-c", "$(command -v cc || command -v clang) -shared -fPIC -O1 -o '\(library)' '\(source)'"], in: "/",
            environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        ).wait()
        guard outcome.status == 0 else { throw TestTrouble("no C compiler: \(outcome)") }
        return library
    }

    static let isUsable: Bool = (try? library.get()) != nil

    /// The calls below these folders that an undisturbed run makes, in their order.
    static func count(
        _ arguments: [String], under folders: [String], in world: World
    ) throws -> [(call: String, path: String)] {
        let (outcome, log) = try run(arguments, under: folders, [:], in: world)
        guard outcome.status == 0 else { throw TestTrouble("\(arguments): \(outcome)") }
        return log.split(separator: "\n").map { line in
            let call = line.prefix { $0 != " " }
            return (String(call), String(line.dropFirst(call.count + 1)))
        }
    }

    /// - Returns: what the run did, and whether the fault came to pass: the count of calls differs a little from run to run.
    static func run(
        _ arguments: [String], injecting point: Point, under folders: [String], in world: World
    ) throws -> (outcome: Outcome, isHit: Bool) {
        var faults = ["FAULTS_AT": "\(point.number)"]
        faults["FAULTS_ERROR"] = point.error.map { "\($0)" }
        faults["FAULTS_LASTING"] = point.isLasting ? "1" : nil
        let (outcome, log) = try run(arguments, under: folders, faults, in: world)
        return (outcome, log.hasPrefix("HIT "))
    }

    private static func run(
        _ arguments: [String], under folders: [String], _ faults: [String: String], in world: World
    ) throws -> (Outcome, log: String) {
        let log = world.root + ".calls"
        defer { try? FileManager.default.removeItem(atPath: log) }
        var environment = world.environment.merging(faults) { $1 }
        environment["CONSILIUM_NOW"] = world.now.rfc3339
        environment["LD_PRELOAD"] = try library.get()
        environment["FAULTS_UNDER"] = folders.joined(separator: ":")
        environment["FAULTS_LOG"] = log
        let outcome = try RunningProgram(
            Program.path, arguments, in: world.root, environment: environment
        ).wait()
        return (outcome, (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }
}

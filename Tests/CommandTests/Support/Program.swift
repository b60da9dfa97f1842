import Foundation
import Glibc
import Testing

/// What one run of a program did.
struct Outcome: CustomStringConvertible {
    /// The exit status; 128 and the signal's number where a signal ended it.
    let status: Int32
    let output: String
    let errors: String

    var description: String { "status \(status)\n--- output\n\(output)--- errors\n\(errors)" }
    /// Nothing was printed anywhere, and all is well.
    var isSilentSuccess: Bool { status == 0 && output.isEmpty && errors.isEmpty }
}

/// Trouble of the test's own.
struct TestTrouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A started program. What it prints goes to files, so that no pipe can fill up and block it.
struct RunningProgram {
    let pid: pid_t
    private let output: String
    private let errors: String

    /// Starts a program under an environment as bare as cron's.
    ///
    /// - Parameters:
    ///   - folder: the working directory.
    ///   - environment: beside `PATH`.
    init(_ path: String, _ arguments: [String], in folder: String, environment: [String: String] = [:]) throws {
        let scratch = try Scratch.folder()
        output = scratch + "/stdout"
        errors = scratch + "/stderr"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let variables = ["PATH": "/usr/bin:/bin"].merging(environment) { $1 }
        // `env` goes to the folder and then becomes the program, under the same process number.
        let argv = (["env", "-C", folder, path] + arguments).map { strdup($0) }
        let envp = variables.map { strdup("\($0.key)=\($0.value)") }
        defer { for pointer in argv + envp { free(pointer) } }
        // The threads that run tests block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var started = pid_t()
        let code = posix_spawn(&started, "/usr/bin/env", &actions, &attributes, argv + [nil], envp + [nil])
        guard code == 0 else { throw TestTrouble("cannot start \(path): \(String(cString: strerror(code)))") }
        pid = started
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    func wait() throws -> Outcome {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 {
            guard errno == EINTR else { throw TestTrouble("the program was lost: \(String(cString: strerror(errno)))") }
        }
        let signal = status & 0x7f
        defer { try? FileManager.default.removeItem(atPath: (output as NSString).deletingLastPathComponent) }
        return Outcome(
            status: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
            output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }
}

/// The program under test, and the tools of other makers.
enum Program {
    /// Beside the test bundle, where one build has put both; `CONSILIUM_BINARY` names another.
    static let path: String = {
        if let given = ProcessInfo.processInfo.environment["CONSILIUM_BINARY"], !given.isEmpty { return given }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let candidates = [CommandLine.arguments[0], own].map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("consilium").path
        }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) } ?? candidates[0]
    }()

    static func run(
        _ arguments: [String], in folder: String, environment: [String: String] = [:]
    ) throws -> Outcome {
        try start(arguments, in: folder, environment: environment).wait()
    }

    static func start(
        _ arguments: [String], in folder: String, environment: [String: String] = [:]
    ) throws -> RunningProgram {
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw TestTrouble("there is no program at \(path): build it, or name one in CONSILIUM_BINARY")
        }
        return try RunningProgram(path, arguments, in: folder, environment: environment)
    }

    /// A line in a shell.
    static func shell(_ line: String, in folder: String) throws -> Outcome {
        try RunningProgram("sh", ["-c", line], in: folder).wait()
    }

    static func has(_ tool: String) -> Bool {
        (try? shell("command -v \(tool)", in: "/").status == 0) ?? false
    }
}

import Foundation
import Glibc

/// Why something cannot be tested on this machine: one line.
package struct Unavailable: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// A shell that waits for the end of the test process, however that ends, and then clears up.
final class Caretaker: Sendable {
    let process: pid_t

    /// - Parameters:
    ///   - beginning: shell text that is run at once, such as a program that stays until the end.
    ///   - end: shell text for the end.
    init(_ beginning: String = "", atEnd end: String) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Unavailable("no pipe can be made") }
        // The other end stays open in this process and in no other.
        for descriptor in ends { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        process = try Tool.spawn("/bin/sh", ["-c", "\(beginning)\nread -r _\n\(end)\n"], input: ends[0])
        close(ends[0])
    }
}

enum TestFolder {
    static func make() throws -> String {
        var template = Array("/tmp/consilium-mount-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Unavailable("no temporary folder can be made") }
        return String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Programs of other makers.
enum Tool {
    static func path(_ name: String) -> String? {
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    @discardableResult
    static func run(
        _ name: String, _ arguments: [String], mustSucceed: Bool = true
    ) throws -> (status: Int32, output: String) {
        // To a file: a program that stays in the background would keep a pipe open.
        let log = "/tmp/consilium-tool-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: log) }
        let process = try spawn(path(name) ?? name, arguments, output: log)
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1, errno == EINTR {}
        let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        guard status == 0 || !mustSucceed else {
            throw Unavailable("\(name) fails: \(output.split(separator: "\n").last ?? "")")
        }
        return (status, output)
    }

    /// Starts a program that holds nothing of this process open. Foundation's `Process` would wait for whatever the program
    /// leaves in the background as well.
    static func spawn(
        _ path: String, _ arguments: [String], input: Int32? = nil, output: String = "/dev/null"
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The threads that run tests block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let argv = ([path] + arguments).map { strdup($0) }
        let variables: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin")]
        defer { for pointer in argv + variables { free(pointer) } }
        var process = pid_t()
        let code = posix_spawn(&process, path, &actions, &attributes, argv + [nil], variables + [nil])
        guard code == 0 else { throw Unavailable("\(path) cannot be started") }
        return process
    }

    /// All processes that a process started, and that those started.
    static func descendants(of root: pid_t) -> [pid_t] {
        var parents: [pid_t: pid_t] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let process = pid_t(name),
                let status = try? String(contentsOfFile: "/proc/\(name)/stat", encoding: .utf8),
                let fields = status.split(separator: ")").last?.split(separator: " "), fields.count > 1
            else { continue }
            parents[process] = pid_t(fields[1])
        }
        var found: [pid_t] = []
        var next = [root]
        while let parent = next.popLast() {
            let children = parents.filter { $0.value == parent }.map(\.key)
            found += children
            next += children
        }
        return found
    }
}

import Glibc
import Wire

/// Another program that times the same work: a process that answers a line of JSON with a line of JSON.
///
/// `{"prepare": {...}}` is answered by `{"ok": true}` or `{"skip": "why"}`, `{"run": N}` by `{"seconds": S}`, the mean of
/// N runs by its own clock, with `"accuracy": A` where they train a model that can be scored. It ends when its standard input does.
final class Peer {
    let name: String
    private let process: pid_t
    private let input: Int32
    private let output: Int32
    private var pending: [UInt8] = []

    /// - Parameters:
    ///   - command: a shell command.
    ///   - workers: threads that it may use, told as `OMP_NUM_THREADS`.
    init(name: String, command: String, workers: Int) throws {
        self.name = name
        var (toPeer, fromPeer) = ([Int32](repeating: 0, count: 2), [Int32](repeating: 0, count: 2))
        guard pipe(&toPeer) == 0, pipe(&fromPeer) == 0 else {
            throw CommandFailure(.inputOutput, "no pipe for the peer '\(name)'")
        }
        // A second peer must not hold the first one's input open.
        for descriptor in toPeer + fromPeer { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toPeer[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromPeer[1], 1)
        let arguments = ["/bin/sh", "-c", "OMP_NUM_THREADS=\(workers) exec \(command)"]
        var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for argument in vector { free(argument) } }
        var process = pid_t()
        let status = posix_spawn(&process, "/bin/sh", &actions, nil, &vector, environ)
        close(toPeer[0])
        close(fromPeer[1])
        (input, output, self.process) = (toPeer[1], fromPeer[0], process)
        guard status == 0 else { throw CommandFailure(.unavailable, "the peer '\(name)' cannot be started") }
    }

    deinit {
        close(input)
        close(output)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    /// - Returns: false where the peer has no such thing.
    func prepare(_ request: JSONValue) throws -> Bool {
        var answer = try ask(["prepare": request])
        if answer.has("skip") {
            Console.warn("\(name): \(try answer.string("skip", maximumLength: 1_000).printable)")
            return false
        }
        return try answer.bool("ok")
    }

    /// - Returns: seconds of a run, the mean of `count`; and the accuracy of the model that the last one made, if it did.
    func run(_ count: Int) throws -> (seconds: Double, accuracy: Double?) {
        var answer = try ask(["run": .integer(Int64(count))])
        return (
            try answer.number("seconds", in: 0...1e6),
            answer.has("accuracy") ? try answer.number("accuracy", in: 0...1) : nil
        )
    }

    /// The most memory that it held since the last ``ProcessMemory/restart(of:)``.
    var peakBytes: Int? { ProcessMemory.peak(of: process) }
    func restartPeak() { ProcessMemory.restart(of: process) }

    private func ask(_ request: JSONValue) throws -> ObjectReader {
        let line = StrictJSON.serialize(request)
        guard write(input, line, line.count) == line.count else { throw ended }
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                let answer = Array(pending[...end])
                pending.removeFirst(end + 1)
                return try ObjectReader(
                    try StrictJSON.parse(answer, maximumBytes: 1 << 20), context: "answer of '\(name)'")
            }
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = read(output, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ended }
            pending += bytes.prefix(count)
        }
    }

    private var ended: CommandFailure {
        CommandFailure(.unavailable, "the peer '\(name)' ended", hint: "run its command by itself to see why")
    }
}

/// The most memory that a process held, as the kernel counts it.
enum ProcessMemory {
    /// Begins to count anew; older kernels and other people's processes go on.
    static func restart(of process: pid_t) {
        let descriptor = open("/proc/\(process)/clear_refs", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, "5", 1)
        close(descriptor)
    }

    /// `VmHWM` in bytes.
    static func peak(of process: pid_t) -> Int? {
        let descriptor = open("/proc/\(process)/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(descriptor, &bytes, bytes.count)
        let lines = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("VmHWM:") }) else { return nil }
        return Int(line.filter(\.isNumber)).map { $0 << 10 }
    }
}

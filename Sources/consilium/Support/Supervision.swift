import Glibc
import Mailbox
import Synchronization
import SystemPackage

/// A command that touches a share, a mount or a stick, and so may be held by the kernel for ever.
protocol UsesShares {
    /// Whether this call of the command does.
    func touchesShare() throws -> Bool
}

/// A command in a process of its own, and a parent that waits for its word and not for its end.
///
/// A call into a mount whose other side is gone cannot be ended, not even by SIGKILL: a process that made one stays until the
/// mount answers. cron and timers wait for the process that they started, so that one must never make such a call. The
/// child does the work, closes what it prints to, and tells its exit status; then the parent ends, whatever becomes of the
/// child. It ends with the parent: a killed run must not go on behind the back of whoever killed it.
enum Supervision {
    private static let variable = "CONSILIUM_SUPERVISED"
    /// In the child: where it tells its exit status, and where it sees its parent end.
    private static let reportDescriptor: Int32 = 3
    private static let lifeDescriptor: Int32 = 4
    private static let child = Atomic<pid_t>(0)

    static var isChild: Bool { Environment.value(variable) != nil }

    // MARK: the parent

    /// Runs this same command in a child.
    /// - Returns: its exit status.
    static func run() throws -> Int32 {
        let report = try pipe()
        let life = try pipe()
        child.store(try spawn(report: report.write, life: life.read), ordering: .relaxed)
        close(report.write)
        close(life.read)
        // A terminal's Ctrl-C reaches the child by itself.
        signal(SIGINT, SIG_IGN)
        let forward: @convention(c) (Int32) -> Void = { kill(Supervision.child.load(ordering: .relaxed), $0) }
        signal(SIGTERM, forward)
        signal(SIGHUP, forward)
        var status: UInt8 = 0
        while true {
            let count = read(report.read, &status, 1)
            if count == 1 { return Int32(status) }
            if count == 0 || errno != EINTR { break }
        }
        return ended()
    }

    /// The status of a child that ended without a word.
    private static func ended() -> Int32 {
        var status: Int32 = 0
        while waitpid(child.load(ordering: .relaxed), &status, 0) == -1 {
            if errno != EINTR { return ExitStatus.internalError.rawValue }
        }
        let number = status & 0x7f
        guard number != 0 else { return (status >> 8) & 0xff }
        // Ends as the child did, so that whoever started this sees the same.
        signal(number, SIG_DFL)
        raise(number)
        return 128 + number
    }

    private static func spawn(report: Int32, life: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // First out of the way of each other's places.
        let (high, higher) = (reportDescriptor + 100, lifeDescriptor + 100)
        for (from, to) in [(report, high), (life, higher), (high, reportDescriptor), (higher, lifeDescriptor)] {
            posix_spawn_file_actions_adddup2(&actions, from, to)
        }
        for descriptor in [high, higher] { posix_spawn_file_actions_addclose(&actions, descriptor) }
        let argv = CommandLine.arguments.map { strdup($0) }
        let marked = strdup("\(variable)=1")
        defer { for pointer in argv + [marked] { free(pointer) } }
        var variables: [UnsafeMutablePointer<CChar>?] = [marked]
        var next = environ
        while let entry = next.pointee {
            variables.append(entry)
            next += 1
        }
        var pid = pid_t()
        let code = posix_spawn(&pid, "/proc/self/exe", &actions, nil, argv + [nil], variables + [nil])
        guard code == 0 else {
            throw CommandFailure(
                .temporary, "cannot start a process: \(Errno(rawValue: code).description.lowercased())")
        }
        return pid
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            throw CommandFailure(.temporary, "cannot make a pipe: \(Errno(rawValue: errno).description.lowercased())")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    // MARK: the child

    /// Ends this process when its parent ends.
    static func followParent() {
        for descriptor in [reportDescriptor, lifeDescriptor] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { _ in
                var byte: UInt8 = 0
                while read(Supervision.lifeDescriptor, &byte, 1) == -1, errno == EINTR {}
                kill(getpid(), SIGKILL)
                return nil
            }, nil)
        if code == 0 { pthread_detach(thread) }
    }

    /// Lets the parent end, and whoever reads what this process prints. Nothing is printed after it.
    static func report(_ status: Int32) {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] { close(descriptor) }
        var byte = UInt8(truncatingIfNeeded: status)
        _ = write(reportDescriptor, &byte, 1)
    }
}

import Files
import Glibc
import Mailbox
import SystemPackage
import Wire

/// The process that holds a home, as the kernel knows it. Asking for the lock itself would be in the way of a run that begins.
struct LockHolder {
    let pid: Int
    /// When the process began; nil where the system does not say.
    let since: Timestamp?
    /// It was stopped, as by SIGSTOP or a debugger, and goes on only when told to.
    let isStopped: Bool

    /// - Returns: nil where nobody holds it, or the kernel shows no locks.
    init?(of lock: FilePath) {
        var status = stat()
        guard lock.withPlatformString({ lstat($0, &status) }) == 0, let locks = Self.read("/proc/locks") else {
            return nil
        }
        // "1: FLOCK  ADVISORY  WRITE 1234 fd:01:56789 0 EOF"
        let holder = locks.split(separator: "\n").lazy.compactMap { line -> Int? in
            let words = line.split(separator: " ")
            guard words.count >= 6, words[1] == "FLOCK", words[5].hasSuffix(":\(status.st_ino)"),
                Self.device(words[5]) == Self.device(status.st_dev)
            else { return nil }
            return Int(words[4])
        }.first
        guard let holder, holder > 0 else { return nil }
        pid = holder
        guard let process = Self.read("/proc/\(holder)/stat"), let end = process.lastIndex(of: ")") else {
            since = nil
            isStopped = false
            return
        }
        // What follows the name: the third field of the line is the first here.
        let fields = process[process.index(after: end)...].split(separator: " ")
        isStopped = ["T", "t"].contains(fields.first)
        let ticks = fields.indices.contains(19) ? Int64(fields[19]) : nil
        let boot = Self.read("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }?.dropFirst(6)
        let second = Int64(sysconf(Int32(_SC_CLK_TCK)))
        since = ticks.flatMap { ticks in
            boot.flatMap { Int64($0) }.map { Timestamp(seconds: $0 + ticks / max(1, second)) }
        }
    }

    /// Major and minor number, of `fd:01:56789`.
    private static func device(_ text: Substring) -> [UInt64] {
        text.split(separator: ":").dropLast().compactMap { UInt64($0, radix: 16) }
    }

    /// As `makedev` of the C library puts them together.
    private static func device(_ raw: dev_t) -> [UInt64] {
        let raw = UInt64(raw)
        return [(raw >> 8) & 0xfff | (raw >> 32) & ~0xfff, raw & 0xff | (raw >> 12) & ~0xff]
    }

    /// Such files have no size.
    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < 1 << 24 {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension HomeCheck {
    /// Longer no night is, in seconds.
    private static let longestRun: Int64 = 86_400

    /// Under cron each run that finds the home held ends without a word.
    func run() -> (good: Bool, text: String, advice: String) {
        guard let holder = LockHolder(of: home.lockFile) else { return (true, "none is seen at work", "") }
        let since = holder.since.map { " since \($0.rfc3339)" } ?? ""
        let isLong = holder.since.map { now.seconds - $0.seconds > Self.longestRun } ?? false
        guard isLong || holder.isStopped else { return (true, "process \(holder.pid) is at work\(since)", "") }
        return (
            false,
            "process \(holder.pid) holds the home\(since)\(holder.isStopped ? " and is stopped" : ""): no other run does anything",
            "see what it does; if it hangs: kill \(holder.pid), and the next run goes on"
                + (holder.isStopped ? "; or kill -CONT \(holder.pid)" : "")
        )
    }
}

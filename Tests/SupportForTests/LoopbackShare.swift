import Foundation
import Glibc

/// A folder that is reached over SSH on this machine alone: an sshd of the test's own on a port of 127.0.0.1 with throw-away
/// keys, and an sshfs mount of it. Both go when the test process ends.
package final class LoopbackShare: Sendable {
    /// Where the share is mounted.
    package let mount: String
    /// The same folder without the mount.
    package let export: String
    private let caretaker: Caretaker
    private let folder: String
    private let port: Int

    /// One for all tests that leave it as they found it.
    package static let shared = Result { try LoopbackShare() }

    /// Whether this machine can do that. Where it cannot, one line says why.
    package static let isUsable: Bool = {
        do { _ = try shared.get() } catch {
            print("skipped: sshfs: \(error)")
            return false
        }
        return true
    }()

    /// - Parameter isTraced: the other side serves files under `strace`; see ``mountAgain(tracing:)``.
    /// - Throws: ``Unavailable`` with one line where this machine has no sshd, no sshfs, or no FUSE.
    package init(isTraced: Bool = false) throws {
        folder = try TestFolder.make()
        (mount, export) = (folder + "/mount", folder + "/export")
        for tool in ["sshfs", "fusermount3", "ssh-keygen", "pkill"] where Tool.path(tool) == nil {
            throw Unavailable("\(tool) is not installed")
        }
        guard let sshd = Tool.path("sshd") else { throw Unavailable("sshd is not installed") }
        guard access("/dev/fuse", R_OK | W_OK) == 0 else { throw Unavailable("/dev/fuse cannot be used") }
        // sshd refuses to start as root without it; packages leave its making to the init system.
        if getuid() == 0 {
            try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        }
        for path in [mount, export] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        for key in ["host", "user"] {
            try Tool.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(key)"])
        }
        port = try Self.freePort()
        let subsystem = isTraced ? try Self.tracedServer(folder) : "internal-sftp"
        try Self.configuration(folder, port, subsystem).write(
            toFile: folder + "/sshd", atomically: true, encoding: .utf8)
        caretaker = try Caretaker(
            "\(sshd) -D -e -f \(folder)/sshd & daemon=$!",
            atEnd: "fusermount3 -u -z \(mount); pkill -KILL -P $daemon; kill -KILL $daemon; rm -rf \(folder)")
        try mountShare()
    }

    /// Mounts the share once more, whatever became of the mount. On the other side a new process serves it.
    ///
    /// - Parameter options: for `strace`, where the other side is traced; empty: it serves without.
    package func mountAgain(tracing options: [String] = []) throws {
        try Tool.run("fusermount3", ["-u", "-z", mount], mustSucceed: false)
        try? FileManager.default.removeItem(atPath: trace)
        try options.joined(separator: " ").write(toFile: folder + "/options", atomically: true, encoding: .utf8)
        try mountShare()
    }

    /// What `strace` wrote of the calls on the other side since the share was mounted.
    package var trace: String { folder + "/trace" }

    /// The program that serves files, under `strace` where there are options for it.
    private static func tracedServer(_ folder: String) throws -> String {
        guard let strace = Tool.path("strace") else { throw Unavailable("strace is not installed") }
        let known = ["/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec"].map {
            $0 + "/sftp-server"
        }
        guard let server = known.first(where: { access($0, X_OK) == 0 }) else {
            throw Unavailable("sftp-server is not installed")
        }
        let script = folder + "/serve"
        try """
        #!/bin/sh
        [ -s \(folder)/options ] || exec \(server)
        exec \(strace) -q -s 4096 -o \(folder)/trace $(cat \(folder)/options) \(server)

        """.write(toFile: script, atomically: true, encoding: .utf8)
        chmod(script, 0o755)
        return script
    }

    private func mountShare() throws {
        let options = [
            "IdentityFile=\(folder)/user", "UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR",
            "BatchMode=yes",
        ]
        var last = ""
        for _ in 0..<100 {
            let target = "\(NSUserName())@127.0.0.1:\(export)"
            let outcome = try Tool.run(
                "sshfs", options.flatMap { ["-o", $0] } + ["-p", "\(port)", target, mount], mustSucceed: false)
            if outcome.status == 0 { return }
            last = outcome.output
            // The daemon may not listen yet.
            usleep(20_000)
        }
        throw Unavailable("sshfs does not mount: \(last.split(separator: "\n").last ?? "")")
    }

    /// Holds everything that serves the mount: operations on it do not come back, and SIGKILL does not end them.
    package func freeze() { for process in Tool.descendants(of: caretaker.process) { kill(process, SIGSTOP) } }
    package func thaw() { for process in Tool.descendants(of: caretaker.process) { kill(process, SIGCONT) } }

    private static func configuration(_ folder: String, _ port: Int, _ subsystem: String) -> String {
        """
        Port \(port)
        ListenAddress 127.0.0.1
        HostKey \(folder)/host
        AuthorizedKeysFile \(folder)/user.pub
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        Subsystem sftp \(subsystem)

        """
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Unavailable("no socket can be made") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1
            }
        }
        guard code == 0 else { throw Unavailable("no port of 127.0.0.1 can be had") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

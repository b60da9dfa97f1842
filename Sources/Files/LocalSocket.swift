import Glibc
package import SystemPackage

/// One question and one answer over a Unix socket, each with its length in four bytes before it, as ssh-agent speaks.
package enum LocalSocket {
    /// The socket that an environment variable names, such as `SSH_AUTH_SOCK`; nil where it is unset or empty.
    package static func named(by variable: String) -> FilePath? {
        guard let pointer = getenv(variable) else { return nil }
        let path = FilePath(platformString: pointer)
        return path.isEmpty ? nil : path
    }

    /// - Parameters:
    ///   - seconds: for the whole exchange; whoever sends a byte a minute gains nothing.
    ///   - limit: of the answer, in bytes. A longer one is refused by its length, before it is read.
    package static func ask(
        _ question: [UInt8], at path: FilePath, seconds: Int, limit: Int
    ) throws(FileError) -> [UInt8] {
        let socket = try OpenSocket.connected(to: path, deadline: MonotonicClock.seconds() + Double(seconds))
        try socket.write(frame(question))
        let head = try socket.read(4)
        let count = head.reduce(0) { $0 << 8 | Int($1) }
        guard count <= limit else {
            throw FileError("read from", path, .fileTooLarge, hint: "it answers with more than \(limit) bytes")
        }
        return try socket.read(count)
    }

    private static func frame(_ bytes: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * $0)) } + bytes
    }
}

/// A connected socket that never blocks past its deadline.
private struct OpenSocket: ~Copyable {
    private let path: FilePath
    private let deadline: Double
    private let descriptor: Int32

    private init(path: FilePath, deadline: Double, descriptor: Int32) {
        self.path = path
        self.deadline = deadline
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    static func connected(to path: FilePath, deadline: Double) throws(FileError) -> OpenSocket {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = Glibc.socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw FileError("connect to", path, Errno(rawValue: errno)) }
        let socket = OpenSocket(path: path, deadline: deadline, descriptor: descriptor)
        try socket.connect()
        return socket
    }

    private func connect() throws(FileError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.string.utf8.map { CChar(bitPattern: $0) }
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else {
            throw FileError("connect to", path, .fileNameTooLong, hint: "a socket's path has at most \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { buffer in
            bytes.withUnsafeBytes { buffer.copyMemory(from: $0) }
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        while true {
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, size) }
            }
            if result == 0 { return }
            // A full queue of waiting connections: a Unix socket cannot be polled for that.
            guard errno == EAGAIN || errno == EINTR, MonotonicClock.seconds() < deadline else {
                throw FileError("connect to", path, Errno(rawValue: errno))
            }
            usleep(20_000)
        }
    }

    func write(_ bytes: [UInt8]) throws(FileError) {
        var done = 0
        while done < bytes.count {
            try wait(for: Int16(POLLOUT))
            // Without a signal where the other side is gone.
            let count = bytes.withUnsafeBytes { buffer in
                send(
                    descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, Int32(MSG_NOSIGNAL))
            }
            done += try progress(count)
        }
    }

    func read(_ count: Int) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            try wait(for: Int16(POLLIN))
            let got = bytes.withUnsafeMutableBytes { buffer in
                recv(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, 0)
            }
            if got == 0 { throw FileError("read from", path, .connectionReset, hint: "it ended in the middle") }
            done += try progress(got)
        }
        return bytes
    }

    private func progress(_ result: Int) throws(FileError) -> Int {
        if result >= 0 { return result }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw FileError("talk to", path, Errno(rawValue: errno))
    }

    private func wait(for events: Int16) throws(FileError) {
        while true {
            let left = deadline - MonotonicClock.seconds()
            guard left > 0 else { throw FileError("talk to", path, .timedOut) }
            var poller = pollfd(fd: descriptor, events: events, revents: 0)
            let ready = poll(&poller, 1, Int32(left * 1000) + 1)
            if ready > 0 { return }
            if ready < 0, errno != EINTR { throw FileError("talk to", path, Errno(rawValue: errno)) }
        }
    }
}

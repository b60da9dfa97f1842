import Glibc
package import SystemPackage

/// The file system that a path lies on, for people and for limits that are known beforehand.
package struct Volume: Equatable, Sendable {
    /// A FAT32 file's size has 32 bits.
    package static let largestFATFile: Int64 = 0xffff_ffff

    /// As the kernel names it: `ext4`, `vfat`, `exfat`, `fuse.sshfs`, `nfs4`, ...
    package let type: String
    package let mountPoint: FilePath
    package let isReadOnly: Bool
    /// What this user may still write, in bytes.
    package let available: Int64

    package init(type: String, mountPoint: FilePath, isReadOnly: Bool, available: Int64) {
        self.type = type
        self.mountPoint = mountPoint
        self.isReadOnly = isReadOnly
        self.available = available
    }

    /// In bytes; nil where no file that we make reaches the limit.
    package var largestFile: Int64? { ["vfat", "msdos"].contains(type) ? Self.largestFATFile : nil }
}

extension Volume {
    init(of path: FilePath) throws(FileError) {
        var space = statvfs()
        try check("look at", path) { path.withPlatformString { statvfs($0, &space) } }
        let mount = Self.mount(of: path)
        let available = UInt64(space.f_bavail).multipliedReportingOverflow(by: UInt64(space.f_frsize))
        self.init(
            type: mount?.type ?? "unknown", mountPoint: mount?.point ?? "/",
            isReadOnly: space.f_flag & UInt(ST_RDONLY) != 0,
            available: available.overflow ? .max : Int64(clamping: available.partialValue))
    }

    /// The mount with the longest path that leads to `path`; of several at one place the last one counts.
    private static func mount(of path: FilePath) -> (point: FilePath, type: String)? {
        guard let resolved = path.withPlatformString({ realpath($0, nil) }) else { return nil }
        defer { free(resolved) }
        let target = FilePath(platformString: resolved)
        guard let table = try? LocalFileSystem().readFile("/proc/self/mountinfo", limit: 16 << 20) else { return nil }
        var best: (point: FilePath, type: String)?
        for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
            guard let (point, type) = mount(line), target.starts(with: point) else { continue }
            if point.components.count >= best?.point.components.count ?? 0 { best = (point, type) }
        }
        return best
    }

    /// One line: `36 35 98:0 /root /mount/point options [optional fields] - type source options`, spaces written as `\040`.
    private static func mount(_ line: Substring) -> (point: FilePath, type: String)? {
        let fields = line.split(separator: " ")
        guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { return nil }
        return (FilePath(unescape(fields[4])), String(fields[dash + 1]))
    }

    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

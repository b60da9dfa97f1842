import Glibc

/// How much memory this process may have: the machine's, or less where its control group says so, as in a container.
package enum MachineMemory {
    /// What a computation may take where nobody configured it: the rest is for the system and the hospital's other work.
    package static let usualPercent = 80

    /// In bytes. Read once: neither a machine nor a container grows under a running process in ways worth following.
    package static let bytes: Int = {
        let physical = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        let groups = contents(of: "/proc/self/cgroup").map(controlGroupFiles(in:)) ?? []
        return groups.compactMap { contents(of: $0).flatMap(limit(in:)) }.reduce(physical, min)
    }()

    /// ``usualPercent`` of ``bytes``.
    package static var usual: Int { bytes / 100 * usualPercent }

    /// The files that may limit a process, of its own control group and of all groups around it.
    ///
    /// - Parameter text: `/proc/self/cgroup`, one `id:controllers:path` a line; version 2 has no controllers.
    package static func controlGroupFiles(in text: String) -> [String] {
        text.split(separator: "\n").flatMap { line -> [String] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[2].hasPrefix("/") else { return [] }
            let (root, name): (String, String)
            if fields[1].isEmpty {
                (root, name) = ("/sys/fs/cgroup", "memory.max")
            } else if fields[1].split(separator: ",").contains("memory") {
                (root, name) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                return []
            }
            let parts = fields[2].split(separator: "/")
            return (0...parts.count).map { count in
                ([root] + parts.prefix(count).map(String.init) + [name]).joined(separator: "/")
            }
        }
    }

    /// - Parameter text: of a limit's file; `max` and absurdly large numbers mean none.
    /// - Returns: bytes, or nil for no limit.
    package static func limit(in text: String) -> Int? {
        guard let value = Int(text.prefix { $0.isNumber }), value > 0, value < 1 << 50 else { return nil }
        return value
    }

    /// The first 64 KiB of a small file of the kernel's; nil where it is not there.
    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = read(descriptor, &bytes, bytes.count)
        return count >= 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}

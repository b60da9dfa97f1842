import Glibc

/// Owns one read-only mapping of a local file, or of a part of it. Only files that nobody else writes are mapped: one that is
/// cut short under a mapping would end the process.
package final class MappedFile: @unchecked Sendable {
    /// The asked-for bytes. Never written to, which makes sharing sound.
    package let bytes: UnsafeRawBufferPointer
    private let base: UnsafeMutableRawPointer?
    private let size: Int

    /// - Throws: ``SafetensorsError`` `.inputOutput`.
    package init(path: String, offset: Int64 = 0, length: Int64? = nil) throws(SafetensorsError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure("cannot open the file") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SafetensorsError(.inputOutput, "not a regular file")
        }
        let available = Int64(status.st_size) - offset
        guard offset >= 0, available >= 0, let count = Int(exactly: length ?? available), count >= 0, count <= available
        else {
            throw SafetensorsError(.inputOutput, "the file is shorter than expected")
        }
        guard count > 0 else {
            (bytes, base, size) = (UnsafeRawBufferPointer(start: nil, count: 0), nil, 0)
            return
        }
        let page = Int64(sysconf(Int32(_SC_PAGESIZE)))
        let lead = Int(offset % page)
        let mapped = mmap(nil, lead + count, PROT_READ, MAP_PRIVATE, descriptor, Int(offset) - lead)
        guard let mapped, mapped != MAP_FAILED else { throw Self.failure("cannot map the file") }
        base = mapped
        size = lead + count
        bytes = UnsafeRawBufferPointer(start: mapped + lead, count: count)
    }

    /// Lets go of the memory of what was read; bytes come back from the file when they are read again. The whole mapping goes:
    /// to a page that is touched Linux maps its neighbours too, up to megabytes of them. Whoever reads another part at the
    /// time pays a page fault, not a wrong byte.
    package func release() {
        if let base { _ = madvise(base, size, MADV_DONTNEED) }
    }

    deinit {
        if let base { munmap(base, size) }
    }

    private static func failure(_ what: String) -> SafetensorsError {
        SafetensorsError(.inputOutput, "\(what): \(String(cString: strerror(errno)))")
    }
}

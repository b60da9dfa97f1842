import Glibc

/// One block of zero-filled floats, aligned to 2 MiB and backed by huge pages where the kernel grants them. Every page is
/// touched when it is made, so a training step never waits for a page fault; it is freed with its last reference, which
/// must therefore be kept for as long as any address from it is in use.
package final class AlignedArena {
    package let count: Int
    package let base: UnsafeMutablePointer<Float>

    /// Size of a huge page on x86-64 and on most arm64 systems, bytes.
    package static let alignment = 2 << 20

    /// - Parameter count: floats; 0 is allowed and still gives an aligned address.
    /// - Precondition: the memory can be had. Callers know their peak beforehand and refuse plans that do not fit.
    package init(count: Int) {
        precondition(count >= 0, "an arena cannot be negative")
        let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        precondition(!overflow, "an arena of \(count) floats is larger than the address space")
        let bytes = (max(1, size) + AlignedArena.alignment - 1) / AlignedArena.alignment * AlignedArena.alignment
        var memory: UnsafeMutableRawPointer?
        let status = posix_memalign(&memory, AlignedArena.alignment, bytes)
        guard status == 0, let memory else { preconditionFailure("no memory for an arena of \(bytes) bytes") }
        // A hint only: without huge pages everything works, a little slower.
        _ = madvise(memory, bytes, MADV_HUGEPAGE)
        memset(memory, 0, bytes)
        self.count = count
        base = memory.bindMemory(to: Float.self, capacity: bytes / MemoryLayout<Float>.stride)
    }

    deinit { free(base) }

    /// The floats from `offset` on.
    /// - Precondition: `offset + count` floats lie inside of the arena.
    package func slice(offset: Int, count: Int) -> UnsafeMutableBufferPointer<Float> {
        precondition(offset >= 0 && count >= 0 && offset + count <= self.count, "a slice must lie inside of its arena")
        return UnsafeMutableBufferPointer(start: base + offset, count: count)
    }
}

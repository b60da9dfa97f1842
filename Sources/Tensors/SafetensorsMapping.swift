import Glibc

/// A safetensors file, or a part of a larger file, mapped read-only: tensors are paged in as they are used.
///
/// Only local files that nobody else writes are mapped; a file cut short under a mapping would end the process. Bundles
/// are copied from a share before they get here.
package final class MappedSafetensors: TensorSource, Sendable {
    package let header: SafetensorsHeader
    private let mapping: Mapping
    /// From the mapping's start to the first tensor's byte.
    private let dataOffset: Int

    /// - Parameters:
    ///   - path: of a regular file.
    ///   - offset: where the safetensors begin, in bytes; a payload lies uncompressed in its bundle.
    ///   - length: in bytes; nil: to the end of the file.
    package init(
        path: String, offset: Int64 = 0, length: Int64? = nil, profile: SafetensorsHeader.Profile = .bundle
    ) throws(SafetensorsError) {
        let mapping = try Mapping(path: path, offset: offset, length: length)
        let start = mapping.bytes
        let first = Array(start.prefix(8))
        let size = try SafetensorsHeader.size(first: first)
        header = try SafetensorsHeader(parsing: Array(start.prefix(size)), fileSize: start.count, profile: profile)
        dataOffset = header.headerSize
        self.mapping = mapping
    }

    package var layouts: [TensorLayout] { header.entries.map(\.layout) }
    package var metadata: [String: String] { header.metadata }

    package func withFloats<Result>(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        guard let entry = header[name] else { throw SafetensorsError(.missingTensor, "there is no tensor \(name)") }
        let begin = dataOffset + entry.offset
        let raw = UnsafeRawBufferPointer(rebasing: mapping.bytes[begin..<begin + entry.byteCount])
        let isAligned = UInt(bitPattern: raw.baseAddress) % UInt(MemoryLayout<Float>.alignment) == 0
        if entry.type == .float32, isAligned, Self.isLittleEndian {
            return try body(raw.assumingMemoryBound(to: Float.self))
        }
        return try Safetensors.floats(raw, as: entry.type).withUnsafeBufferPointer(body)
    }

    private static var isLittleEndian: Bool { 1.littleEndian == 1 }
}

/// Owns one memory mapping.
private final class Mapping: @unchecked Sendable {
    /// The asked-for bytes. Never written to, which makes sharing sound.
    let bytes: UnsafeRawBufferPointer
    private let base: UnsafeMutableRawPointer?
    private let size: Int

    init(path: String, offset: Int64, length: Int64?) throws(SafetensorsError) {
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

    deinit {
        if let base { munmap(base, size) }
    }

    private static func failure(_ what: String) -> SafetensorsError {
        SafetensorsError(.inputOutput, "\(what): \(String(cString: strerror(errno)))")
    }
}

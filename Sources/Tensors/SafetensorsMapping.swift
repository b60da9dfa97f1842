/// A safetensors file, or a part of a larger file, mapped read-only: tensors are paged in as they are used.
///
/// Only local files that nobody else writes are mapped; a file cut short under a mapping would end the process. Bundles
/// are copied from a share before they get here.
package final class MappedSafetensors: TensorSource, Sendable {
    package let header: SafetensorsHeader
    private let mapping: MappedFile
    /// From the mapping's start to the first tensor's byte.
    private let dataOffset: Int

    /// - Parameters:
    ///   - path: of a regular file.
    ///   - offset: where the safetensors begin, in bytes; a payload lies uncompressed in its bundle.
    ///   - length: in bytes; nil: to the end of the file.
    package init(
        path: String, offset: Int64 = 0, length: Int64? = nil, profile: SafetensorsHeader.Profile = .bundle
    ) throws(SafetensorsError) {
        let mapping = try MappedFile(path: path, offset: offset, length: length)
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
        _ name: String, in positions: Range<Int>?, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        guard let entry = header[name] else { throw SafetensorsError(.missingTensor, "there is no tensor \(name)") }
        let count = entry.layout.count
        let positions = positions ?? 0..<count
        try SafetensorsError.check(positions, isInside: count, of: name)
        let begin = dataOffset + entry.offset
        let width = entry.type.size
        let range = begin + positions.lowerBound * width..<begin + positions.upperBound * width
        let raw = UnsafeRawBufferPointer(rebasing: mapping.bytes[range])
        defer { mapping.release() }
        let isAligned = UInt(bitPattern: raw.baseAddress) % UInt(MemoryLayout<Float>.alignment) == 0
        if entry.type == .float32, isAligned, Self.isLittleEndian {
            return try body(raw.assumingMemoryBound(to: Float.self))
        }
        return try Safetensors.floats(raw, as: entry.type).withUnsafeBufferPointer(body)
    }

    private static var isLittleEndian: Bool { 1.littleEndian == 1 }
}

import Wire

/// Writes a safetensors file tensor by tensor, so that memory does not grow with the model.
///
/// One encoding: tensors in byte order of their names, Float32, keys sorted, no white space but the spaces that bring
/// the header to a multiple of 8 bytes. Same tensors, same bytes.
package struct SafetensorsWriter: Sendable {
    /// In the order of the file.
    package let layouts: [TensorLayout]
    /// Length and JSON.
    package let header: [UInt8]

    /// - Parameters:
    ///   - layouts: in any order; names unique, shapes without overflow.
    ///   - metadata: further texts; no key is a tensor's name.
    package init(_ layouts: [TensorLayout], metadata: [String: String] = [:]) throws(SafetensorsError) {
        let sorted = layouts.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        var fields: [String: JSONValue] = [:]
        var texts = metadata.mapValues { JSONValue.string($0) }
        var offset = 0
        for layout in sorted {
            guard SafetensorsHeader.isName(layout.name), fields[layout.name] == nil, metadata[layout.name] == nil else {
                throw SafetensorsError(.badHeader, "tensor name \(layout.name) is not allowed or used twice")
            }
            guard SafetensorsHeader.isPart(layout.part) else {
                throw SafetensorsError(.badHeader, "tensor \(layout.name) has no valid part")
            }
            var size = MemoryLayout<Float>.size
            for length in layout.shape {
                let (product, overflow) = size.multipliedReportingOverflow(by: length)
                guard !overflow, length >= 0 else {
                    throw SafetensorsError(.badOffsets, "the size of tensor \(layout.name) overflows")
                }
                size = product
            }
            let (end, overflow) = offset.addingReportingOverflow(size)
            guard !overflow else { throw SafetensorsError(.badOffsets, "the size of all tensors overflows") }
            fields[layout.name] = [
                "dtype": "F32", "shape": .array(layout.shape.map { .integer(Int64($0)) }),
                "data_offsets": [.integer(Int64(offset)), .integer(Int64(end))],
            ]
            texts[layout.name] = .string("\(layout.part)/\(layout.role.rawValue)")
            offset = end
        }
        if !texts.isEmpty { fields[SafetensorsHeader.metadataKey] = .object(texts) }
        var text = StrictJSON.serialize(.object(fields))
        text.removeLast()
        text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        guard text.count <= SafetensorsHeader.maximumHeaderBytes else {
            throw SafetensorsError(
                .badHeader, "the header takes more than \(SafetensorsHeader.maximumHeaderBytes) bytes")
        }
        self.layouts = sorted
        header = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
    }

    /// Bytes of the whole file.
    package var fileSize: Int { header.count + layouts.reduce(0) { $0 + $1.count } * MemoryLayout<Float>.size }

    /// - Parameters:
    ///   - sink: takes the file's bytes, in order.
    ///   - fill: writes every value of one tensor, which is called for each in the order of ``layouts``.
    package func write(
        to sink: (UnsafeRawBufferPointer) throws -> Void,
        fill: (TensorLayout, UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        try header.withUnsafeBytes(sink)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: layouts.map(\.count).max() ?? 0)
        values.initialize(repeating: 0)
        defer { values.deallocate() }
        for layout in layouts {
            let tensor = UnsafeMutableBufferPointer(rebasing: values[..<layout.count])
            try fill(layout, tensor)
            try sink(UnsafeRawBufferPointer(tensor))
        }
    }
}

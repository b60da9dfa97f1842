/// Safetensors in memory. For files, and models that should not be loaded whole, see ``MappedSafetensors``.
package enum Safetensors {
    /// Strict; see ``SafetensorsHeader``. Values of other types than F32 are converted: F16 and BF16 exactly, F64 to
    /// the nearest Float.
    package static func decode(
        _ bytes: [UInt8], profile: SafetensorsHeader.Profile = .bundle
    ) throws(SafetensorsError) -> (tensors: TensorDictionary, metadata: [String: String]) {
        let header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, profile: profile)
        var tensors = TensorDictionary()
        bytes.withUnsafeBytes { file in
            for entry in header.entries {
                let begin = header.headerSize + entry.offset
                let values = floats(
                    UnsafeRawBufferPointer(rebasing: file[begin..<begin + entry.byteCount]), as: entry.type)
                tensors[entry.layout.name] = TensorDictionary.Entry(
                    tensor: Tensor(shape: entry.layout.shape, values: values), part: entry.layout.part,
                    role: entry.layout.role)
            }
        }
        return (tensors, header.metadata)
    }

    /// - Throws: for names, parts and metadata that the format cannot carry.
    package static func encode(
        _ tensors: TensorDictionary, metadata: [String: String] = [:]
    ) throws(SafetensorsError) -> [UInt8] {
        let writer = try SafetensorsWriter(tensors.layouts, metadata: metadata)
        var bytes = writer.header
        bytes.reserveCapacity(writer.fileSize)
        for layout in writer.layouts {
            guard let entry = tensors[layout.name] else { continue }
            entry.tensor.values.withUnsafeBytes { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// Little-endian values at any alignment, as Float.
    static func floats(_ bytes: UnsafeRawBufferPointer, as type: SafetensorsHeader.ElementType) -> [Float] {
        let count = bytes.count / type.size
        // An empty array has no storage of its own, and the initializer would write to the one that all share.
        guard count > 0 else { return [] }
        return [Float](unsafeUninitializedCapacity: count) { values, initialized in
            for index in 0..<count {
                let value: Float
                switch type {
                case .float32:
                    value = Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
                case .float16:
                    value = widened(half: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                case .bfloat16:
                    let half = bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                    value = Float(bitPattern: UInt32(half) << 16)
                case .float64:
                    value = Float(
                        Double(bitPattern: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)))
                case .int64: value = Float(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self))
                }
                values.initializeElement(at: index, to: value)
            }
            initialized = count
        }
    }

    /// IEEE 754 binary16 to binary32, exactly. Swift has no Float16 on every platform.
    static func widened(half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10) & 0x1f
        let fraction = UInt32(half & 0x3ff)
        switch exponent {
        case 0:
            // Subnormal: fraction x 2^-24, exact in binary32.
            let magnitude = Float(fraction) * 0x1p-24
            return Float(bitPattern: magnitude.bitPattern | sign)
        case 0x1f: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}

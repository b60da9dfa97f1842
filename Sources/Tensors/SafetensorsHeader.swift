import Wire

/// One tensor of a model, without its values.
package struct TensorLayout: Equatable, Sendable {
    package let name: String
    package let shape: [Int]
    package let part: String
    package let role: TensorRole

    package init(name: String, shape: [Int], part: String, role: TensorRole) {
        self.name = name
        self.shape = shape
        self.part = part
        self.role = role
    }

    /// Values; the checked product of the shape.
    package var count: Int { shape.reduce(1, *) }
}

/// The front of a safetensors file: 8 bytes little-endian header length, then JSON, then the tensors' bytes.
/// Format: https://huggingface.co/docs/safetensors
///
/// `part` and `role` travel in `__metadata__`, one key for each tensor: `"conv1.weight": "stem/weight"`. Other metadata
/// keys are free text, and are never the name of a tensor.
package struct SafetensorsHeader: Equatable, Sendable {
    /// What is accepted. Both are strict about offsets, sizes and JSON.
    package enum Profile: Sendable {
        /// What bundles carry: Float32 only, part and role given, and exactly the bytes that ``SafetensorsWriter``
        /// makes.
        case bundle
        /// What other programs write: F32, F16, BF16 and F64, any order, metadata or none. The counters that torch keeps
        /// beside its BatchNorm statistics (`...num_batches_tracked`, I64) mean nothing to a model and are left out.
        case interchange
    }

    package enum ElementType: String, Sendable, CaseIterable {
        case float32 = "F32"
        case float16 = "F16"
        case bfloat16 = "BF16"
        case float64 = "F64"
        /// Of torch's counters only.
        case int64 = "I64"

        var size: Int {
            switch self {
            case .float32: 4
            case .float16, .bfloat16: 2
            case .float64, .int64: 8
            }
        }
    }

    package struct Entry: Equatable, Sendable {
        package let layout: TensorLayout
        package let type: ElementType
        /// Bytes from the end of the header.
        package let offset: Int
        package let byteCount: Int
    }

    /// In byte order of the names.
    package let entries: [Entry]
    /// Metadata that is not about a tensor.
    package let metadata: [String: String]
    /// Bytes before the first tensor: 8 + the JSON's length.
    package let headerSize: Int
    /// Bytes of all tensors.
    package let dataSize: Int

    package static let maximumHeaderBytes = 4 << 20
    package static let maximumTensors = 20_000
    package static let maximumDimensions = 8
    package static let maximumNameBytes = 256
    static let metadataKey = "__metadata__"

    package subscript(name: String) -> Entry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            let other = entries[middle].layout.name
            if other == name { return entries[middle] }
            if other.utf8.lexicographicallyPrecedes(name.utf8) { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// - Parameter bytes: at least the first 8 bytes of a file.
    /// - Returns: how many bytes ``init(parsing:fileSize:profile:)`` needs.
    package static func size(first bytes: [UInt8]) throws(SafetensorsError) -> Int {
        guard bytes.count >= 8 else { throw SafetensorsError(.badHeader, "the file ends in its first 8 bytes") }
        let length = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard (2...UInt64(maximumHeaderBytes)).contains(length) else {
            throw SafetensorsError(
                .badHeader, "the header says \(length) bytes, allowed are 2 to \(maximumHeaderBytes)")
        }
        return 8 + Int(length)
    }

    /// - Parameters:
    ///   - bytes: the header at least; more is not looked at.
    ///   - fileSize: of the whole file, in bytes; the tensors must fill it exactly.
    package init(parsing bytes: [UInt8], fileSize: Int, profile: Profile) throws(SafetensorsError) {
        headerSize = try Self.size(first: bytes)
        guard bytes.count >= headerSize, fileSize >= headerSize else {
            throw SafetensorsError(.badHeader, "the file ends in the header")
        }
        let text = Array(bytes[8..<headerSize])
        guard text.first == UInt8(ascii: "{") else {
            throw SafetensorsError(.badHeader, "the header must begin with '{'")
        }
        let value: JSONValue
        do {
            value = try StrictJSON.parse(text, maximumBytes: Self.maximumHeaderBytes, maximumDepth: 4)
        } catch {
            throw SafetensorsError(.badHeader, error.description)
        }
        guard case .object(var fields) = value else { throw SafetensorsError(.badHeader, "must be an object") }
        let texts = try Self.texts(fields.removeValue(forKey: Self.metadataKey))
        guard fields.count <= Self.maximumTensors else {
            throw SafetensorsError(.badHeader, "more than \(Self.maximumTensors) tensors")
        }
        var entries: [Entry] = []
        for (name, value) in fields {
            entries.append(try Self.entry(name, value, attributes: texts[name], profile: profile))
        }
        entries.sort { $0.layout.name.utf8.lexicographicallyPrecedes($1.layout.name.utf8) }
        dataSize = try Self.checkOffsets(entries)
        guard fileSize - headerSize == dataSize else {
            throw SafetensorsError(
                .badOffsets, "\(fileSize - headerSize) bytes follow the header, the tensors take \(dataSize)")
        }
        self.entries = entries.filter { $0.type != .int64 }
        metadata = texts.filter { fields[$0.key] == nil }
        guard profile == .bundle else { return }
        let layouts = entries.map(\.layout)
        let writer = try SafetensorsWriter(layouts, metadata: metadata)
        guard writer.header == Array(bytes[..<headerSize]) else {
            throw SafetensorsError(.notCanonical, "the header is not in the one encoding of bundles")
        }
    }

    private static func texts(_ value: JSONValue?) throws(SafetensorsError) -> [String: String] {
        guard let value else { return [:] }
        guard case .object(let fields) = value else { throw SafetensorsError(.badHeader, "metadata must be an object") }
        var texts: [String: String] = [:]
        for (key, value) in fields {
            guard case .string(let text) = value else {
                throw SafetensorsError(.badHeader, "metadata must map strings to strings")
            }
            texts[key] = text
        }
        return texts
    }

    private static func entry(
        _ name: String, _ value: JSONValue, attributes: String?, profile: Profile
    ) throws(SafetensorsError) -> Entry {
        guard isName(name) else {
            throw SafetensorsError(.badHeader, "a tensor's name must be 1 to \(maximumNameBytes) printable ASCII bytes")
        }
        guard case .object(let fields) = value, fields.count == 3, case .string(let typeName)? = fields["dtype"],
            case .array(let dimensions)? = fields["shape"], case .array(let offsets)? = fields["data_offsets"],
            dimensions.count <= maximumDimensions, offsets.count == 2,
            case .integer(let begin) = offsets[0], case .integer(let end) = offsets[1]
        else {
            throw SafetensorsError(
                .badHeader, "tensor \(name) must have dtype, shape and two data_offsets, and no more")
        }
        guard let type = ElementType(rawValue: typeName), profile == .interchange || type == .float32,
            type != .int64 || name.hasSuffix(".num_batches_tracked")
        else {
            let allowed = profile == .bundle ? "F32" : "F32, F16, BF16 or F64"
            throw SafetensorsError(.unsupportedType, "tensor \(name) must be \(allowed)")
        }
        var byteCount = type.size
        var shape: [Int] = []
        for dimension in dimensions {
            guard case .integer(let length) = dimension, length >= 0 else {
                throw SafetensorsError(.badHeader, "tensor \(name) has a shape that is not of whole numbers from 0")
            }
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: Int(length))
            guard !overflow else { throw SafetensorsError(.badOffsets, "the size of tensor \(name) overflows") }
            byteCount = product
            shape.append(Int(length))
        }
        guard begin >= 0, end >= begin, end - begin == Int64(byteCount) else {
            throw SafetensorsError(.badOffsets, "the offsets of tensor \(name) do not fit its shape and type")
        }
        let (part, role) = try Self.attributes(attributes, name: name, profile: profile)
        return Entry(
            layout: TensorLayout(name: name, shape: shape, part: part, role: role), type: type, offset: Int(begin),
            byteCount: byteCount)
    }

    static func isName(_ name: String) -> Bool {
        (1...maximumNameBytes).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            && name != metadataKey
    }

    static func isPart(_ part: String) -> Bool {
        (1...32).contains(part.utf8.count)
            && part.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) }
    }

    private static func attributes(
        _ text: String?, name: String, profile: Profile
    ) throws(SafetensorsError) -> (String, TensorRole) {
        guard let text else { return try guess(name, profile: profile) }
        let pieces = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if pieces.count == 2, isPart(pieces[0]), let role = TensorRole(rawValue: pieces[1]) { return (pieces[0], role) }
        if profile == .interchange { return try guess(name, profile: profile) }
        throw SafetensorsError(.badHeader, "tensor \(name) must have metadata such as \"layer1/weight\"")
    }

    /// Other programs' files say nothing of parts; the network that imports them does.
    private static func guess(_ name: String, profile: Profile) throws(SafetensorsError) -> (String, TensorRole) {
        guard profile == .interchange else {
            throw SafetensorsError(.badHeader, "tensor \(name) has no part and role in the metadata")
        }
        if name.hasSuffix("running_mean") || name.hasSuffix("running_var") { return ("", .bnStatistic) }
        return ("", name.hasSuffix("bias") ? .bias : .weight)
    }

    /// - Returns: bytes of all tensors, which lie side by side without hole or overlap.
    private static func checkOffsets(_ entries: [Entry]) throws(SafetensorsError) -> Int {
        var end = 0
        for entry in entries.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
            guard entry.offset == end else {
                throw SafetensorsError(.badOffsets, "a hole or an overlap lies before tensor \(entry.layout.name)")
            }
            let (sum, overflow) = end.addingReportingOverflow(entry.byteCount)
            guard !overflow else { throw SafetensorsError(.badOffsets, "the size of all tensors overflows") }
            end = sum
        }
        return end
    }
}

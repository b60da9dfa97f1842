/// Bytes of a checkpoint: little-endian, in an order that ``Trainer`` fixes, closed by a digest.
///
/// `"consilium checkpoint 1\n"`, fingerprint, state, float arrays with their counts, digest of all before. A checkpoint
/// never leaves the machine that wrote it; the digest finds damage, it does not authenticate.
struct CheckpointWriter {
    static let magic = Array("consilium checkpoint 1\n".utf8)

    private(set) var bytes: [UInt8] = magic

    mutating func write(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ value: Int) { write(UInt64(bitPattern: Int64(value))) }
    mutating func write(_ value: Double) { write(value.bitPattern) }

    mutating func write(_ values: UnsafeBufferPointer<Float>) {
        write(values.count)
        bytes.append(contentsOf: UnsafeRawBufferPointer(values))
    }

    /// Appends the digest.
    consuming func finished() -> [UInt8] {
        var fingerprint = Fingerprint()
        fingerprint.add(bytes)
        write(fingerprint.value)
        return bytes
    }
}

/// Reads what ``CheckpointWriter`` wrote; the digest has been checked before the first value is read.
struct CheckpointReader {
    private let bytes: [UInt8]
    private var position: Int

    init(_ bytes: [UInt8]) throws(NetworkError) {
        let head = CheckpointWriter.magic.count
        guard bytes.count >= head + 8, bytes.starts(with: CheckpointWriter.magic) else {
            throw NetworkError(.invalidCheckpoint, "the checkpoint is no checkpoint of this program's version")
        }
        self.bytes = bytes
        var fingerprint = Fingerprint()
        fingerprint.add(bytes.dropLast(8))
        position = bytes.count - 8
        guard try readWord() == fingerprint.value else {
            throw NetworkError(.invalidCheckpoint, "the checkpoint is damaged: its digest does not match")
        }
        position = head
    }

    private mutating func readWord() throws(NetworkError) -> UInt64 {
        guard bytes.count - position >= 8 else { throw Self.short }
        defer { position += 8 }
        return (0..<8).reduce(0) { $0 | UInt64(bytes[position + $1]) << (8 * $1) }
    }

    mutating func readUnsigned() throws(NetworkError) -> UInt64 { try readWord() }
    mutating func readInteger() throws(NetworkError) -> Int { Int(Int64(bitPattern: try readWord())) }
    mutating func readDouble() throws(NetworkError) -> Double { Double(bitPattern: try readWord()) }

    /// Fills `values`, which must have the count that was written.
    mutating func readFloats(into values: UnsafeMutableBufferPointer<Float>) throws(NetworkError) {
        let size = values.count * MemoryLayout<Float>.stride
        guard try readInteger() == values.count, bytes.count - position >= size + 8 else { throw Self.short }
        UnsafeMutableRawBufferPointer(values).copyBytes(from: bytes[position..<position + size])
        position += size
    }

    /// - Throws: ``NetworkError`` unless everything but the digest has been read.
    func finish() throws(NetworkError) {
        guard bytes.count - position == 8 else { throw Self.short }
    }

    private static let short = NetworkError(.invalidCheckpoint, "the checkpoint does not have this network's layout")
}

/// A 64-bit digest against mistakes, not against malice: words of eight bytes, each multiplied and folded in.
struct Fingerprint: Equatable {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ word: UInt64) {
        let product = (value ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        value = (product.high ^ product.low) &+ 0x2545_f491_4f6c_dd1d
    }

    mutating func add(_ bytes: some Collection<UInt8>) {
        var word: UInt64 = 0
        var filled: UInt64 = 0
        for byte in bytes {
            word |= UInt64(byte) << (8 * filled)
            filled += 1
            if filled == 8 {
                add(word)
                (word, filled) = (0, 0)
            }
        }
        add(word)
        add(UInt64(bytes.count))
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ values: [Float]) {
        for value in values { add(UInt64(value.bitPattern)) }
        add(UInt64(values.count))
    }
}

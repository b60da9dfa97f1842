import Crypto

/// The payload's encryption: STREAM with ChaCha20-Poly1305 over chunks of 64 KiB (age v1, "Payload").
///
/// A chunk's nonce counts the chunks in eleven bytes, big-endian, and says in the twelfth whether it is the last. Chunks can
/// therefore not be left out, moved, repeated, added or cut off.
struct AgeStream {
    /// Bytes of plaintext in each chunk but the last.
    static let chunkSize = 64 * 1024
    static let tagSize = 16
    private static let nonceSize = 12
    /// Bytes in the file of a whole chunk.
    static let sealedChunkSize = chunkSize + tagSize
    static let cannotEncrypt = BundleError(.fileTrouble, "the cryptography library could not encrypt; try again")

    private let key: SymmetricKey
    /// Chunks so far. 64 bits suffice for 2^80 bytes.
    private(set) var count: UInt64 = 0

    init(_ fileKey: AgeFileKey, nonce: [UInt8]) { key = fileKey.payloadKey(nonce: nonce) }

    mutating func seal(_ chunk: [UInt8], isLast: Bool) throws(BundleError) -> [UInt8] {
        precondition(chunk.count <= AgeStream.chunkSize, "a chunk has 64 KiB at most")
        guard let nonce = nonce(isLast: isLast), let box = try? ChaChaPoly.seal(chunk, using: key, nonce: nonce) else {
            throw AgeStream.cannotEncrypt
        }
        count += 1
        return Array(box.combined.dropFirst(AgeStream.nonceSize))
    }

    /// - Returns: nil unless the chunk is the next one and the flag is right; nothing has changed then.
    mutating func open(_ chunk: ArraySlice<UInt8>, isLast: Bool) -> [UInt8]? {
        guard let nonce = nonce(isLast: isLast),
            let box = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: chunk.dropLast(AgeStream.tagSize), tag: chunk.suffix(AgeStream.tagSize)),
            let data = try? ChaChaPoly.open(box, using: key)
        else { return nil }
        count += 1
        return Array(data)
    }

    private func nonce(isLast: Bool) -> ChaChaPoly.Nonce? {
        let counter = (0..<11).map { $0 < 3 ? 0 : UInt8(truncatingIfNeeded: count >> (8 * UInt64(10 - $0))) }
        return try? ChaChaPoly.Nonce(data: counter + [isLast ? 1 : 0])
    }
}

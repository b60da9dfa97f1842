package import Files
package import SystemPackage

/// Decrypts age files (age v1, age-encryption.org/v1) that were encrypted to X25519 recipients.
///
/// 1. The header is parsed under caps, its MAC verified before anything of the payload is looked at.
/// 2. Every stanza is tried with every identity: a bad one is refused wherever it stands, before or after ours.
/// 3. No plaintext leaves this type before the file's last chunk has proved that it is the last and nothing follows: there
///    is a whole plaintext, or an error and nothing. Only ``beginning(of:with:count:)`` shows the first chunks alone, to
///    whoever wants to know whether the rest is worth its while.
/// 4. The plaintext has as many bytes as it may have, at most.
/// 5. A file that breaks off is ``BundleError/Reason/incomplete``, and so is one that is damaged in a last chunk shorter
///    than the others, which looks the same. Every other fault is final.
///
/// Whoever knows a recipient can encrypt to it: who wrote a file is said by the signature inside, never by age.
package struct AgeReader {
    private let file: any ReadableFile
    private let fileKey: AgeFileKey
    /// Of the payload's nonce, from the start of the file.
    private let payloadOffset: Int64

    private init(_ file: any ReadableFile, identities: [AgeIdentity]) throws(BundleError) {
        self.file = file
        let start = try readingFiles { () throws(FileError) in
            try file.bytes(at: 0, count: AgeLimits.headerBytes + 1)
        }
        let header = try AgeHeader(parsing: start)
        var found: AgeFileKey?
        for identity in identities {
            for stanza in header.stanzas {
                let key = try AgeX25519.unwrap(stanza, with: identity)
                found = found ?? key
            }
        }
        guard let found else { throw header.mismatch }
        guard found.isValid(header.mac, of: header.authenticated) else {
            throw BundleError(.badHeaderMAC, "the encrypted file's header has been changed")
        }
        fileKey = found
        payloadOffset = Int64(header.size)
    }

    /// Decrypts into a file of mode 0600, which gets its name only when the whole plaintext is authentic and stored.
    ///
    /// After an error nothing is left, neither at `target` nor under a temporary name beside it. The bytes that stood on the
    /// disk meanwhile are freed, not overwritten.
    ///
    /// - Parameters:
    ///   - source: a file on local disk where nobody else writes.
    ///   - identities: ours, one or more, such as one that has been replaced and its successor.
    ///   - target: where nothing is yet. Its folder should be closed to others.
    ///   - limit: the most bytes that the plaintext may have.
    /// - Returns: the plaintext's size in bytes.
    @discardableResult
    package static func decrypt(
        _ source: FilePath, with identities: [AgeIdentity], to target: FilePath, limit: Int64, files: any FileSystem
    ) throws(BundleError) -> Int64 {
        let reader = try AgeReader(
            try readingFiles { () throws(FileError) in try files.openForReading(source) }, identities: identities)
        try readingFiles { () throws(FileError) in
            guard try !files.exists(target) else {
                throw FileError("decrypt to", target, .fileExists, hint: "remove what is there first")
            }
        }
        var size: Int64 = 0
        do {
            try files.writeFile(target, permissions: 0o600) { output in
                size = try reader.writePlaintext(to: output, limit: limit)
            }
        } catch {
            // Where flushing the folder failed, the file has its name already.
            try? files.remove(target)
            throw BundleError(rethrown: error)
        }
        return size
    }

    /// Decrypts what is in memory.
    /// - Parameter limit: the most bytes that the plaintext may have.
    package static func decrypt(
        _ bytes: [UInt8], with identities: [AgeIdentity], limit: Int
    ) throws(BundleError) -> [UInt8] {
        let output = MemoryOutput()
        try AgeReader(MemoryInput(bytes), identities: identities).writePlaintext(to: output, limit: Int64(limit))
        return output.bytes
    }

    /// The first bytes of a plaintext, each chunk of them authentic, and how many bytes the whole would have.
    static func beginning(
        of file: any ReadableFile, with identities: [AgeIdentity], count: Int
    ) throws(BundleError) -> (bytes: [UInt8], size: Int64) {
        let reader = try AgeReader(file, identities: identities)
        let fileSize = try readingFiles { () throws(FileError) in try file.status().size }
        let sealed = fileSize - reader.payloadOffset - Int64(AgeFileKey.nonceSize)
        let chunks = max(0, sealed + Int64(AgeStream.sealedChunkSize) - 1) / Int64(AgeStream.sealedChunkSize)
        let nonce = try reader.bytes(at: reader.payloadOffset, count: AgeFileKey.nonceSize)
        guard nonce.count == AgeFileKey.nonceSize else { throw incomplete("before its payload") }
        var stream = AgeStream(reader.fileKey, nonce: nonce)
        var offset = reader.payloadOffset + Int64(AgeFileKey.nonceSize)
        var plaintext: [UInt8] = []
        while plaintext.count < count, Int64(stream.count) < chunks {
            let chunk = try reader.bytes(at: offset, count: AgeStream.sealedChunkSize)
            plaintext += try open(chunk[...], isLast: Int64(stream.count) == chunks - 1, &stream)
            offset += Int64(AgeStream.sealedChunkSize)
        }
        return (plaintext, sealed - chunks * Int64(AgeStream.tagSize))
    }

    /// Writes chunk by chunk. What is written before this returns is not to be used.
    @discardableResult
    private func writePlaintext(to output: any WritableFile, limit: Int64) throws(BundleError) -> Int64 {
        let nonce = try bytes(at: payloadOffset, count: AgeFileKey.nonceSize)
        guard nonce.count == AgeFileKey.nonceSize else { throw AgeReader.incomplete("before its payload") }
        var stream = AgeStream(fileKey, nonce: nonce)
        var offset = payloadOffset + Int64(AgeFileKey.nonceSize)
        var size: Int64 = 0
        while true {
            // One byte more than a chunk shows whether it is the last.
            let ahead = try bytes(at: offset, count: AgeStream.sealedChunkSize + 1)
            let isLast = ahead.count <= AgeStream.sealedChunkSize
            let plaintext = try AgeReader.open(ahead.prefix(AgeStream.sealedChunkSize), isLast: isLast, &stream)
            guard Int64(plaintext.count) <= limit - size else {
                throw BundleError(.tooLarge, "what is encrypted has more than the limit of \(limit) bytes")
            }
            size += Int64(plaintext.count)
            try readingFiles { () throws(FileError) in try output.write(plaintext) }
            offset += Int64(AgeStream.sealedChunkSize)
            if isLast { return size }
        }
    }

    /// Opens the next chunk, or finds out what is wrong with it.
    private static func open(
        _ chunk: ArraySlice<UInt8>, isLast: Bool, _ stream: inout AgeStream
    ) throws(BundleError) -> [UInt8] {
        let number = stream.count
        guard chunk.count >= AgeStream.tagSize else { throw incomplete("at chunk \(number)") }
        if let plaintext = stream.open(chunk, isLast: isLast) {
            guard !plaintext.isEmpty || number == 0 else { throw damaged("ends with an empty chunk") }
            return plaintext
        }
        if !isLast {
            guard stream.open(chunk, isLast: true) == nil else { throw damaged("has bytes after its end") }
            throw damaged("is damaged in chunk \(number)")
        }
        // A short chunk that does not open is damaged or cut off: nothing tells which.
        guard chunk.count == AgeStream.sealedChunkSize else { throw incomplete("or is damaged in chunk \(number)") }
        guard stream.open(chunk, isLast: false) == nil else { throw incomplete("after chunk \(number)") }
        throw damaged("is damaged in chunk \(number)")
    }

    private func bytes(at offset: Int64, count: Int) throws(BundleError) -> [UInt8] {
        try readingFiles { () throws(FileError) in try file.bytes(at: offset, count: count) }
    }

    private static func incomplete(_ place: String) -> BundleError {
        BundleError(.incomplete, "the encrypted file ends too early \(place); its copy may still be under way")
    }

    private static func damaged(_ what: String) -> BundleError {
        BundleError(.damagedPayload, "the encrypted file \(what)")
    }
}

package import Files
package import SystemPackage

/// Encrypts to age X25519 recipients (age v1, age-encryption.org/v1), piece by piece in the memory of one chunk.
///
/// Every file has a file key, a payload nonce and, for each recipient, a share of its own: encrypting twice gives other
/// bytes, so that a message that is sent again is the stored file.
package struct AgeWriter: ~Copyable {
    private let output: any WritableFile
    private var stream: AgeStream
    /// Plaintext that waits until it is known whether its chunk is the last.
    private var chunk: [UInt8]

    /// Writes the header.
    /// - Parameter recipients: one to ``AgeLimits/stanzas``. Everybody can count them; nobody can tell who they are.
    package init(to recipients: [AgeRecipient], output: any WritableFile) throws(BundleError) {
        guard !recipients.isEmpty else {
            throw BundleError(.malformedKey, "nothing can be encrypted without a recipient")
        }
        guard recipients.count <= AgeLimits.stanzas else {
            let limit = AgeLimits.stanzas
            throw BundleError(.tooLarge, "\(recipients.count) recipients are more than the limit of \(limit)")
        }
        let fileKey = AgeFileKey()
        var stanzas: [AgeStanza] = []
        for recipient in recipients { stanzas.append(try AgeX25519.wrap(fileKey, to: recipient)) }
        let nonce = (0..<AgeFileKey.nonceSize).map { _ in UInt8.random(in: .min ... .max) }
        let header = AgeHeader.encoded(stanzas, fileKey: fileKey)
        try readingFiles { () throws(FileError) in try output.write(header + nonce) }
        self.output = output
        stream = AgeStream(fileKey, nonce: nonce)
        chunk = []
        chunk.reserveCapacity(AgeStream.chunkSize)
    }

    package mutating func write(_ bytes: [UInt8]) throws(BundleError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if chunk.count == AgeStream.chunkSize { try writeChunk(isLast: false) }
            let piece = rest.prefix(AgeStream.chunkSize - chunk.count)
            chunk += piece
            rest = rest.dropFirst(piece.count)
        }
    }

    /// Writes the last chunk. Without it there is no age file, only the beginning of one, which nobody will open.
    package consuming func finish() throws(BundleError) { try writeChunk(isLast: true) }

    private mutating func writeChunk(isLast: Bool) throws(BundleError) {
        let sealed = try stream.seal(chunk, isLast: isLast)
        chunk.removeAll(keepingCapacity: true)
        let output = output
        try readingFiles { () throws(FileError) in try output.write(sealed) }
    }
}

extension AgeWriter {
    /// Encrypts a file through the crash-safe writer: there is a whole encrypted file at `target` afterwards, or what was
    /// there before.
    package static func encrypt(
        _ source: FilePath, to recipients: [AgeRecipient], at target: FilePath, files: any FileSystem,
        permissions: UInt32 = 0o600
    ) throws(BundleError) {
        let input = try readingFiles { () throws(FileError) in try files.openForReading(source) }
        do {
            try files.writeFile(target, permissions: permissions) { output in
                var writer = try AgeWriter(to: recipients, output: output)
                let size = try input.status().size
                var offset: Int64 = 0
                while true {
                    let piece = try input.bytes(at: offset, count: AgeStream.chunkSize)
                    if piece.isEmpty { break }
                    try writer.write(piece)
                    offset += Int64(piece.count)
                }
                guard offset == size, try input.status().size == size else {
                    throw FileError("encrypt", source, .ioError, hint: "the file changed while it was read; run again")
                }
                try writer.finish()
            }
        } catch {
            throw BundleError(rethrown: error)
        }
    }

    /// Encrypts what is in memory.
    package static func encrypt(_ bytes: [UInt8], to recipients: [AgeRecipient]) throws(BundleError) -> [UInt8] {
        let output = MemoryOutput()
        var writer = try AgeWriter(to: recipients, output: output)
        try writer.write(bytes)
        try writer.finish()
        return output.bytes
    }
}

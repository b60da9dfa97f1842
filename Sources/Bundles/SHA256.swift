import Crypto
package import Wire

/// SHA-256 of what is in memory.
package enum SHA256Hash {
    package static func digest(of bytes: [UInt8]) -> Digest {
        var stream = SHA256Stream()
        stream.update(bytes)
        return stream.finish()
    }
}

/// SHA-256 of what passes by.
package struct SHA256Stream {
    private var hash = SHA256()

    package init() {}

    package mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }
    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The digest of everything so far; more may follow.
    package func finish() -> Digest { Digest(sha256: hash.finalize()) }
}

extension Digest {
    fileprivate init(sha256: SHA256.Digest) {
        guard let digest = Digest(bytes: Array(sha256)) else { preconditionFailure("SHA-256 has 32 bytes") }
        self = digest
    }
}

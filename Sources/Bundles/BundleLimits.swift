/// Every cap on what a bundle may hold, in one place. Whatever exceeds one is refused before it is read.
package struct BundleLimits: Sendable {
    package var manifestBytes = 256 * 1024
    /// Of the armoured signature; an Ed25519 one has about 300.
    package var signatureBytes = 4 * 1024
    /// Payload files.
    package var files = 64
    /// Of one payload file: what eleven octal digits of a tar header can say, 8 GiB - 1.
    package var fileBytes: Int64 = 0o777_7777_7777
    /// Of the whole archive.
    package var totalBytes: Int64 = 16 << 30
    /// Of a file's name.
    package var nameBytes = 64
    package var recipients = 1024
    package var acks = 2048
    package var round: Int64 = 1_000_000
    /// Sequence numbers stay exact in programs that read every JSON number as a double.
    package var sequence: Int64 = 1 << 53

    package static let standard = BundleLimits()
}

/// Caps on files that are read whole, beside bundles.
package enum KeyFileLimits {
    package static let keyBytes = 16 * 1024
    package static let trustBytes = 1024 * 1024
}

/// Caps on the headers of age files, for which the specification sets none. 1,024 X25519 recipients take 100,422 bytes.
package enum AgeLimits {
    /// Up to and including the line with the MAC.
    package static let headerBytes = 128 * 1024
    /// Of a file that is read, and recipients of one that is written.
    package static let stanzas = 1024
}

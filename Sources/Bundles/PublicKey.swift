import Wire

import enum Crypto.Curve25519

/// An Ed25519 public key as OpenSSH writes it.
package struct PublicKey: Hashable, Sendable {
    static let algorithm = "ssh-ed25519"

    /// The 32 bytes of the key.
    package let raw: [UInt8]

    init?(raw: [UInt8]) {
        guard raw.count == 32 else { return nil }
        self.raw = raw
    }

    /// Reads the key's SSH encoding, as it stands in signatures and, in Base64, in key lines.
    init(blob: [UInt8]) throws(BundleError) {
        var reader = SSHReader(blob)
        let algorithm = reader.text()
        guard algorithm == PublicKey.algorithm else {
            let name = algorithm.map { "'\($0.excerpt)'" } ?? "unreadable"
            throw BundleError(
                .malformedKey, "the key's type is \(name); only \(PublicKey.algorithm) keys are used here")
        }
        guard let key = reader.string().flatMap(PublicKey.init(raw:)), reader.isAtEnd else {
            throw BundleError(.malformedKey, "the public key is not a well-formed \(PublicKey.algorithm) key")
        }
        self = key
    }

    /// Reads `ssh-ed25519 AAAA... [comment]`: the content of a `.pub` file, with or without its newline.
    package init(openSSHLine line: String) throws(BundleError) {
        let text = line.hasSuffix("\n") ? line.dropLast() : line[...]
        let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, !text.contains(where: \.isNewline) else {
            throw BundleError(.malformedKey, "a public key must be one line 'ssh-ed25519 BASE64 [comment]'")
        }
        guard words[0] == PublicKey.algorithm else {
            let type = words[0].excerpt
            throw BundleError(.malformedKey, "the key's type is '\(type)'; make one with ssh-keygen -t ed25519")
        }
        guard let blob = Base64.decode(String(words[1])) else {
            throw BundleError(.malformedKey, "the public key is not valid Base64")
        }
        try self.init(blob: blob)
    }

    var blob: [UInt8] {
        var writer = SSHWriter()
        writer.string(PublicKey.algorithm)
        writer.string(raw)
        return writer.bytes
    }

    /// `ssh-ed25519 AAAA...` without comment and newline.
    package var openSSHLine: String { "\(PublicKey.algorithm) \(Base64.encode(blob))" }

    /// `SHA256:...` as `ssh-keygen -lf` prints it: what two people read to each other by telephone.
    package var fingerprint: String {
        let text = Base64.encode(SHA256Hash.digest(of: blob).bytes)
        return "SHA256:" + String(text.prefix { $0 != "=" })
    }

    /// Whether `signature` is 64 bytes and this key's Ed25519 signature of `message`.
    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == 64, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw) else {
            return false
        }
        return key.isValidSignature(signature, for: message)
    }
}

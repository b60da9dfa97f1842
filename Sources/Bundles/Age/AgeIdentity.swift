import Crypto
package import Files
package import SystemPackage
package import Wire

/// An age X25519 identity (age v1, "The X25519 recipient type"), stored as `age-keygen` stores it.
///
/// Neither printing nor dumping shows more than the recipient. Not `Equatable`: compare recipients.
package struct AgeIdentity: Sendable {
    private static let prefix = "AGE-SECRET-KEY-"
    /// What every text of an identity holds, and nothing that may be shown.
    static let marker = prefix
    private static let byteCount = 32

    let key: Curve25519.KeyAgreement.PrivateKey

    /// A new identity from the system's random generator.
    package static func generate() -> AgeIdentity { AgeIdentity(key: Curve25519.KeyAgreement.PrivateKey()) }

    private init(key: Curve25519.KeyAgreement.PrivateKey) { self.key = key }

    /// Reads `AGE-SECRET-KEY-1...`, upper case, without anything around it.
    package init(_ text: String) throws(BundleError) {
        var secret = Array(text.utf8)
        defer { Secrets.wipe(&secret) }
        try self.init(secret: secret)
    }

    private init(secret: [UInt8]) throws(BundleError) {
        var raw = Bech32.decode(prefix: AgeIdentity.prefix, secret, .upper) ?? []
        defer { Secrets.wipe(&raw) }
        guard raw.count == AgeIdentity.byteCount,
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: raw)
        else {
            throw BundleError(.malformedKey, "the age identity is not a whole AGE-SECRET-KEY-1 line")
        }
        self.init(key: key)
    }

    /// Its public half.
    package var recipient: AgeRecipient { AgeRecipient(key.publicKey) }
}

// MARK: files

extension AgeIdentity {
    /// Reads an identity file: comments, blank lines, and exactly one `AGE-SECRET-KEY-1...` line. Lines end with LF or CRLF.
    ///
    /// Reading it through `readPrivateFile` refuses one that others may read.
    package init(identityFile bytes: [UInt8]) throws(BundleError) {
        var lines: [[UInt8]] = []
        defer { for index in lines.indices { Secrets.wipe(&lines[index]) } }
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let content = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if !content.isEmpty, content.first != UInt8(ascii: "#") { lines.append(Array(content)) }
        }
        guard lines.count == 1 else {
            let hint = "make one with age-keygen"
            throw BundleError(.malformedKey, "the age identity must hold one AGE-SECRET-KEY-1 line; \(hint)")
        }
        try self.init(secret: lines[0])
    }

    /// As from the file's bytes; a `String` cannot be cleared afterwards, bytes can.
    package init(identityFile text: String) throws(BundleError) {
        var bytes = Array(text.utf8)
        defer { Secrets.wipe(&bytes) }
        try self.init(identityFile: bytes)
    }

    /// The content of an identity file. Belongs in a file of mode 0600.
    package func identityFile(created: Timestamp) -> String {
        var bytes = identityFileBytes(created: created)
        defer { Secrets.wipe(&bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes an identity file of mode 0600, which `age -d -i` reads.
    /// - Throws: EEXIST if anything is at `path`: what was encrypted to a lost identity cannot be read again.
    package func write(to path: FilePath, created: Timestamp, files: any FileSystem) throws(BundleError) {
        var bytes = identityFileBytes(created: created)
        defer { Secrets.wipe(&bytes) }
        try readingFiles { () throws(FileError) in
            guard try !files.exists(path) else {
                throw FileError("create", path, .fileExists, hint: "an identity is never overwritten")
            }
            try files.writeFile(path, bytes, permissions: 0o600)
        }
    }

    private func identityFileBytes(created: Timestamp) -> [UInt8] {
        // A copy: swift-crypto's `Data` is the key's own memory, and clearing it would destroy the key.
        var raw = Array(key.rawRepresentation)
        var secret = Bech32.encode(prefix: AgeIdentity.prefix, raw, .upper)
        defer {
            Secrets.wipe(&raw)
            Secrets.wipe(&secret)
        }
        let head = Array("# created: \(created.rfc3339)\n# public key: \(recipient)\n".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head.count + secret.count + 1)
        bytes += head
        bytes += secret
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }
}

// MARK: printing

extension AgeIdentity: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "identity of \(recipient)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

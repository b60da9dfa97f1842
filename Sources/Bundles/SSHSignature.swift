import Crypto

/// A detached signature in OpenSSH's format (PROTOCOL.sshsig of OpenSSH), as `ssh-keygen -Y sign` makes it.
///
/// Stricter than OpenSSH, whose parser lets one signature be written in many ways:
/// 1. Version 1, empty reserved field, hash sha512, key and signature of type ssh-ed25519.
/// 2. The armour is byte for byte the one that OpenSSH writes: lines of 70, LF, one newline at the end, nothing around it.
package struct SSHSignature: Hashable, Sendable {
    private static let magic = Array("SSHSIG".utf8)
    private static let hash = "sha512"
    private static let armour = SSHArmour("SSH SIGNATURE")

    package let publicKey: PublicKey
    package let namespace: String
    /// 64 bytes.
    private let signature: [UInt8]

    init(publicKey: PublicKey, namespace: String, signature: [UInt8]) {
        self.publicKey = publicKey
        self.namespace = namespace
        self.signature = signature
    }

    package init(armoured bytes: [UInt8]) throws(BundleError) {
        guard let text = String(validating: bytes, as: UTF8.self), let blob = SSHSignature.armour.decode(text) else {
            throw BundleError(.malformedSignature, "the signature is not an armoured SSH signature")
        }
        guard Array(SSHSignature.armour.encode(blob).utf8) == bytes else {
            throw BundleError(.malformedSignature, "the signature's armour is not written as ssh-keygen writes it")
        }
        try self.init(blob: blob)
    }

    private init(blob: [UInt8]) throws(BundleError) {
        var reader = SSHReader(blob)
        func malformed(_ what: String) -> BundleError { BundleError(.malformedSignature, "the signature \(what)") }
        guard reader.raw(6) == SSHSignature.magic else { throw malformed("does not begin with SSHSIG") }
        guard reader.number() == 1 else { throw malformed("is not of version 1") }
        guard let keyBlob = reader.string(), let namespace = reader.text(), !namespace.isEmpty else {
            throw malformed("lacks its key or its namespace")
        }
        guard reader.string() == [] else { throw malformed("has something in its reserved field") }
        guard reader.text() == SSHSignature.hash else { throw malformed("does not use sha512") }
        guard let inner = reader.string(), reader.isAtEnd else { throw malformed("is cut short or too long") }
        var innerReader = SSHReader(inner)
        guard innerReader.text() == PublicKey.algorithm, let signature = innerReader.string(), signature.count == 64,
            innerReader.isAtEnd
        else { throw malformed("is not a well-formed \(PublicKey.algorithm) signature") }
        self.init(publicKey: try PublicKey(blob: keyBlob), namespace: namespace, signature: signature)
    }

    package var armoured: [UInt8] {
        var inner = SSHWriter()
        inner.string(PublicKey.algorithm)
        inner.string(signature)
        var writer = SSHWriter()
        writer.raw(SSHSignature.magic)
        writer.number(1)
        writer.string(publicKey.blob)
        writer.string(namespace)
        writer.string("")
        writer.string(SSHSignature.hash)
        writer.string(inner.bytes)
        return Array(SSHSignature.armour.encode(writer.bytes).utf8)
    }

    /// Whether the key that the signature names has signed `message` in the namespace that it names. Whether that key may be
    /// trusted with it is another question.
    package func isValid(for message: [UInt8]) -> Bool {
        publicKey.verifies(signature, of: SSHSignature.signedData(message, namespace: namespace))
    }

    /// What Ed25519 really signs: namespace, hash name and the hash of the message.
    static func signedData(_ message: [UInt8], namespace: String) -> [UInt8] {
        var writer = SSHWriter()
        writer.raw(magic)
        writer.string(namespace)
        writer.string("")
        writer.string(hash)
        writer.string(Array(SHA512.hash(data: message)))
        return writer.bytes
    }
}

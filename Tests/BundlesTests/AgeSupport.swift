import Bundles
import Crypto
import Files
import Foundation
import SupportForTests
import SystemPackage

/// Puts together age files, good and bad, from the specification and by another road than the program's own writer.
struct AgeForge {
    var fileKey = [UInt8](repeating: 0x42, count: 16)
    var nonce = (0..<16).map { UInt8($0) }

    static func base64(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("=", with: "")
    }

    /// A stanza with one body line of less than 64 characters.
    func stanza(to recipient: AgeRecipient) throws -> String {
        let ephemeral = Curve25519.KeyAgreement.PrivateKey()
        let share = Array(ephemeral.publicKey.rawRepresentation)
        let point = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: recipient.raw)
        let secret = try ephemeral.sharedSecretFromKeyAgreement(with: point)
        return try stanza(share: share, salt: share + recipient.raw, secret: secret.withUnsafeBytes { Array($0) })
    }

    /// A stanza with a share of low order, as whoever knows the all-zero secret can make it for anybody.
    func stanza(lowOrder share: [UInt8], for recipient: AgeRecipient) throws -> String {
        try stanza(share: share, salt: share + recipient.raw, secret: [UInt8](repeating: 0, count: 32))
    }

    private func stanza(share: [UInt8], salt: [UInt8], secret: [UInt8]) throws -> String {
        let key = derive(secret, salt: salt, info: "age-encryption.org/v1/X25519")
        let box = try ChaChaPoly.seal(fileKey, using: key, nonce: .init(data: [UInt8](repeating: 0, count: 12)))
        return "-> X25519 \(AgeForge.base64(share))\n\(AgeForge.base64(box.ciphertext + box.tag))\n"
    }

    /// The stanzas' text under a right version line and a right MAC.
    func header(_ stanzas: String) -> [UInt8] {
        let head = Array("age-encryption.org/v1\n\(stanzas)---".utf8)
        let mac = HMAC<SHA256>.authenticationCode(for: head, using: derive(fileKey, salt: [], info: "header"))
        return head + Array(" \(AgeForge.base64(mac))\n".utf8)
    }

    func chunk(_ plaintext: [UInt8], number: UInt8, isLast: Bool) throws -> [UInt8] {
        let key = derive(fileKey, salt: nonce, info: "payload")
        let counter = [UInt8](repeating: 0, count: 10) + [number, isLast ? 1 : 0]
        let box = try ChaChaPoly.seal(plaintext, using: key, nonce: .init(data: counter))
        return Array(box.ciphertext + box.tag)
    }

    /// A whole file under any header's text.
    func file(_ stanzas: String, _ plaintext: [UInt8] = Array("text".utf8)) throws -> [UInt8] {
        try header(stanzas) + nonce + chunk(plaintext, number: 0, isLast: true)
    }

    private func derive(_ key: [UInt8], salt: [UInt8], info: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: key), salt: salt, info: Array(info.utf8), outputByteCount: 32)
    }
}

/// What stands at fault with age files, or how they come out.
enum AgeProbe {
    static let identity = AgeIdentity.generate()

    static func refusal(
        _ bytes: [UInt8], _ identities: [AgeIdentity] = [identity], limit: Int = 1 << 24
    ) -> BundleError? {
        do throws(BundleError) {
            _ = try AgeReader.decrypt(bytes, with: identities, limit: limit)
            return nil
        } catch {
            return error
        }
    }

    static func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }
}

/// The local file system without waiting for the disk, with a look at every operation before it happens and, if asked for,
/// another file in the place of those that are opened for reading by a name.
final class AgeFileSystem: ForwardingFileSystem {
    typealias Hook = @Sendable (_ operation: String, _ path: FilePath) throws(FileError) -> Void

    let base: any FileSystem = LocalFileSystem()
    fileprivate let hook: Hook
    private let sources: [String: @Sendable () -> any ReadableFile]

    init(sources: [String: @Sendable () -> any ReadableFile] = [:], hook: @escaping Hook = { _, _ in }) {
        self.sources = sources
        self.hook = hook
    }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile {
        try hook("open", path)
        if let source = sources[path.lastComponent?.string ?? ""] { return source() }
        return HookedReadable(try base.openForReading(path), path, self)
    }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        try hook("create", path)
        return HookedWritable(try base.create(path, permissions: permissions), path, self)
    }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) { try hook("flush folder", folder) }
    func pass(_ operation: String, _ path: FilePath) throws(FileError) { try hook(operation, path) }
}

private final class HookedReadable: ReadableFile {
    private let file: any ReadableFile
    private let path: FilePath
    private let system: AgeFileSystem

    init(_ file: any ReadableFile, _ path: FilePath, _ system: AgeFileSystem) {
        (self.file, self.path, self.system) = (file, path, system)
    }

    func status() throws(FileError) -> FileStatus {
        try system.hook("fstat", path)
        return try file.status()
    }
    /// Reads in two pieces, to show that the caller goes on.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        try system.hook("read", path)
        let half = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(max(1, buffer.count / 2)))
        return try file.read(into: half, at: offset)
    }
}

private final class HookedWritable: WritableFile {
    private let file: any WritableFile
    private let path: FilePath
    private let system: AgeFileSystem

    init(_ file: any WritableFile, _ path: FilePath, _ system: AgeFileSystem) {
        (self.file, self.path, self.system) = (file, path, system)
    }

    /// A write that fails has written half of its bytes.
    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        let half = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(1, bytes.count / 2)))
        let count = try file.writeSome(half)
        try system.hook("write", path)
        return count
    }
    func synchronize() throws(FileError) { try system.hook("flush", path) }
    func close() throws(FileError) {
        try system.hook("close", path)
        try file.close()
    }
}

import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// What a courier or a member can lay into somebody's inbox.
extension World {
    typealias Payload = [(name: String, bytes: [UInt8])]

    /// Makes another bundle of one, as somebody with `key` could: encrypted to whom it is laid before, where the first one was.
    func forge(
        _ file: String, key: SigningKey, to target: String, _ change: (inout Manifest, inout Payload) throws -> Void
    ) throws {
        let bundle = try BundleReader.open(FilePath(path(try opened(file))), files: LocalFileSystem()).verified()
        var manifest = bundle.manifest
        var payload: Payload = try manifest.files.map { ($0.name, try bundle.payload($0.name, limit: 1 << 26)) }
        try change(&manifest, &payload)
        manifest.files = []
        let isSealed = file.hasSuffix(AgeFile.suffix)
        let archive = isSealed ? path("opened/forged.tar") : path(target)
        _ = try BundleWriter.write(
            manifest, payload: payload.map { .bytes(name: $0.name, $0.bytes) }, key: key,
            to: FilePath(archive), files: LocalFileSystem())
        if isSealed { try seal("opened/forged.tar", to: String(target.prefix { $0 != "/" }), as: target) }
    }

    /// Encrypts a file to a home, as anybody can.
    func seal(_ file: String, to home: String, as target: String) throws {
        let recipient = try AgeIdentity(identityFile: try bytes("\(home)/identity/age.txt")).recipient
        try Data(AgeWriter.encrypt(try bytes(file), to: [recipient])).write(to: URL(fileURLWithPath: path(target)))
    }

    func key(of home: String) throws -> SigningKey {
        try SigningKey(openSSHPrivateKey: try bytes("\(home)/identity/id_ed25519"))
    }

    /// The files of a bundle, signature and all, in a folder.
    func unpack(_ bundle: String, to folder: String) throws {
        try shell("mkdir -p \(folder) && tar xf '\(try opened(bundle))' -C \(folder)")
    }

    /// The one archive of these files that a receiver would read, made with GNU tar.
    func pack(_ folder: String, _ files: [String], to target: String) throws {
        let form = "--format=ustar --mode=0644 --owner=0 --group=0 --numeric-owner --mtime=@0 -b1"
        try shell("tar \(form) -C \(folder) -cf '\(target)' \(files.joined(separator: " "))")
    }

    /// Whatever is still broken after a minute is put away.
    func serveTwice() throws -> String {
        let first = try serve().output
        advance(seconds: 61)
        return first + (try serve().output)
    }

    /// What the notes in a home's quarantine say.
    func reasons(_ home: String) throws -> String {
        try names("\(home)/quarantine").filter { $0.hasSuffix(".reason.txt") }
            .map { try text("\(home)/quarantine/\($0)") }.joined(separator: "\n")
    }
}

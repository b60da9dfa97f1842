import Bundles
import Files
import Foundation
import SystemPackage
import Wire

/// What a story stands at, as far as anything that follows may depend on it: every file of all homes and of the exchange,
/// by path, mode and content.
///
/// Two things are random or the clock's, and nothing is decided by them: how a bundle was encrypted, so that its name stands
/// for it and for its digest where that is noted; and when a file was written, where a cache keeps that.
enum StateDigest {
    static func of(_ story: Story) throws -> Digest {
        let files = LocalFileSystem()
        var found: [(path: String, mode: UInt32, bytes: [UInt8])] = []
        var sealed: [String: String] = [:]
        func look(_ folder: FilePath) throws {
            for entry in try files.list(folder).sorted(by: { $0.name < $1.name }) {
                let path = folder.appending(entry.component)
                guard !Story.isPicture(path), let status = try files.status(path) else { continue }
                if entry.kind == .directory {
                    found.append((path.string + "/", status.permissions, []))
                    try look(path)
                    continue
                }
                let bytes = try files.readFile(path, limit: 1 << 30)
                let isSealed = entry.name.hasSuffix(".age")
                if isSealed { sealed[SHA256Hash.digest(of: bytes).hex] = entry.name }
                found.append((path.string, status.permissions, isSealed ? Array("\(bytes.count)".utf8) : bytes))
            }
        }
        try look(story.root)
        var hash = SHA256Stream()
        for file in found {
            let bytes = file.path.hasSuffix(".json") ? plain(file.bytes, sealed) : file.bytes
            hash.update(Array("\(file.path)\u{0}\(file.mode)\u{0}\(bytes.count)\u{0}".utf8))
            hash.update(bytes)
        }
        return hash.finish()
    }

    private static func plain(_ json: [UInt8], _ sealed: [String: String]) -> [UInt8] {
        var text = String(decoding: json, as: UTF8.self)
        for (digest, name) in sealed where text.contains(digest) {
            text = text.replacingOccurrences(of: digest, with: name)
        }
        return Array(text.replacing(/"(inode|modified)":-?[0-9]+/) { "\"\($0.output.1)\":0" }.utf8)
    }
}

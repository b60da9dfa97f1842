import Files
import SystemPackage

/// A file inside an archive: where its content lies, uncompressed and in one piece.
struct ArchiveEntry: Equatable {
    let name: String
    /// Of the content's first byte, from the start of the archive.
    let offset: Int64
    let size: Int64
}

/// The table of contents of a bundle's archive, read under caps and without touching payload.
///
/// 1. Entries are exactly ``UstarHeader``s with allowed names, `manifest.json` and `manifest.json.sig` first.
/// 2. What fills the last block of a file is zero.
/// 3. Two zero blocks end the archive and the file.
/// 4. A file that breaks off before that is ``BundleError/Reason/incomplete``; every other fault is final.
/// 5. libarchive sees the same entries: no other program is led to read the archive differently.
struct Archive {
    private let file: any ReadableFile
    private let limits: BundleLimits
    private let fileSize: Int64
    private(set) var entries: [ArchiveEntry] = []

    init(_ file: any ReadableFile, limits: BundleLimits) throws(BundleError) {
        self.file = file
        self.limits = limits
        fileSize = try readingFiles { () throws(FileError) in try file.status().size }
        guard fileSize <= limits.totalBytes else {
            throw BundleError(
                .tooLarge, "the bundle has \(fileSize) bytes, more than the limit of \(limits.totalBytes)")
        }
        var position: Int64 = 0
        while let entry = try nextEntry(at: position) {
            entries.append(entry)
            position = try end(of: entry)
        }
        try requireEnd(at: position)
        try ArchiveAgreement.check(file, entries: entries, fileSize: fileSize)
    }

    /// - Returns: nil at a zero block.
    private func nextEntry(at position: Int64) throws(BundleError) -> ArchiveEntry? {
        let block = try bytes(at: position, count: UstarHeader.blockSize)
        guard block.count == UstarHeader.blockSize else {
            // A beginning that no bundle has needs no waiting for its rest.
            let begins = UstarHeader(name: Manifest.fileName, size: 0).encoded.prefix(124).starts(
                with: block.prefix(124))
            throw position > 0 || begins ? Archive.incomplete : Archive.notCanonical("does not begin as a bundle does")
        }
        if entries.count >= 2, block.allSatisfy({ $0 == 0 }) { return nil }
        guard let header = UstarHeader(block: block) else {
            throw Archive.notCanonical("has an entry at byte \(position) that is not in the one encoding of bundles")
        }
        let expected = [Manifest.fileName, Manifest.signatureName]
        if entries.count < expected.count, header.name != expected[entries.count] {
            throw Archive.notCanonical("must hold \(expected[0]) and \(expected[1]) first")
        }
        if entries.count >= expected.count, !PayloadFile.isAllowed(name: header.name, limits: limits) {
            throw Archive.notCanonical("has an entry at byte \(position) with a name that is not allowed")
        }
        guard !entries.contains(where: { $0.name == header.name }) else {
            throw Archive.notCanonical("holds '\(header.name)' twice")
        }
        guard entries.count < limits.files + expected.count else {
            throw BundleError(.tooLarge, "the bundle holds more than \(limits.files) files")
        }
        let limit = [Int64(limits.manifestBytes), Int64(limits.signatureBytes)]
        guard header.size <= (entries.count < limit.count ? limit[entries.count] : limits.fileBytes) else {
            throw BundleError(.tooLarge, "'\(header.name)' in the bundle is larger than allowed")
        }
        return ArchiveEntry(name: header.name, offset: position + Int64(UstarHeader.blockSize), size: header.size)
    }

    /// The position after an entry's content and the zeros that follow it.
    private func end(of entry: ArchiveEntry) throws(BundleError) -> Int64 {
        let end = entry.offset + UstarHeader.padded(entry.size)
        guard end <= limits.totalBytes else {
            throw BundleError(.tooLarge, "the bundle has more than \(limits.totalBytes) bytes")
        }
        let padding = try bytes(at: entry.offset + entry.size, count: Int(UstarHeader.padded(entry.size) - entry.size))
        guard padding.allSatisfy({ $0 == 0 }) else {
            throw Archive.notCanonical("has bytes after the end of '\(entry.name)'")
        }
        guard end <= fileSize else { throw Archive.incomplete }
        return end
    }

    private func requireEnd(at position: Int64) throws(BundleError) {
        let end = try bytes(at: position, count: 2 * UstarHeader.blockSize + 1)
        guard end.prefix(2 * UstarHeader.blockSize).allSatisfy({ $0 == 0 }) else {
            throw Archive.notCanonical("must end with two zero blocks")
        }
        guard end.count >= 2 * UstarHeader.blockSize else { throw Archive.incomplete }
        guard end.count == 2 * UstarHeader.blockSize else { throw Archive.notCanonical("has bytes after its end") }
    }

    /// The whole content of an entry whose size has been limited.
    func content(_ entry: ArchiveEntry) throws(BundleError) -> [UInt8] {
        let content = try bytes(at: entry.offset, count: Int(entry.size))
        guard content.count == Int(entry.size) else { throw Archive.incomplete }
        return content
    }

    private func bytes(at offset: Int64, count: Int) throws(BundleError) -> [UInt8] {
        try readingFiles { () throws(FileError) in try file.bytes(at: offset, count: count) }
    }

    static let incomplete = BundleError(.incomplete, "the bundle ends too early; its copy may still be under way")

    static func notCanonical(_ what: String) -> BundleError { BundleError(.notCanonical, "the bundle \(what)") }
}

import CArchive
import Files

/// Asks libarchive, an independent reader, for its view of an archive, and requires it to be ours: names, sizes, order.
///
/// It is called on archives that passed the exact check of ``Archive`` already, so it meets plain ustar headers only. Only
/// the tar format and no filter are enabled; content is skipped, and nothing is ever written to disk.
enum ArchiveAgreement {
    static func check(_ file: any ReadableFile, entries: [ArchiveEntry], fileSize: Int64) throws(BundleError) {
        let source = unsafe ArchiveSource(file: file, fileSize: fileSize)
        let seen = unsafe withExtendedLifetime(source) { unsafe read(source) }
        if let failure = unsafe source.failure { throw BundleError(failure) }
        guard let seen, seen == entries else {
            throw BundleError(.notCanonical, "another reader would see other files in the bundle than we do")
        }
    }

    /// - Returns: nil if libarchive refuses the archive.
    private static func read(_ source: ArchiveSource) -> [ArchiveEntry]? {
        guard let archive = unsafe archive_read_new() else { return nil }
        defer { unsafe archive_read_free(archive) }
        guard unsafe archive_read_support_format_tar(archive) == ARCHIVE_OK,
            unsafe archive_read_set_callback_data(archive, Unmanaged.passUnretained(source).toOpaque()) == ARCHIVE_OK,
            unsafe archive_read_set_read_callback(archive, readBlock) == ARCHIVE_OK,
            unsafe archive_read_set_skip_callback(archive, skipBytes) == ARCHIVE_OK,
            unsafe archive_read_open1(archive) == ARCHIVE_OK
        else { return nil }
        var entries: [ArchiveEntry] = []
        var entry: OpaquePointer?
        while true {
            let status = unsafe archive_read_next_header(archive, &entry)
            if status == ARCHIVE_EOF { return entries }
            guard status == ARCHIVE_OK, let entry = unsafe entry, let name = unsafe archive_entry_pathname(entry),
                unsafe archive_entry_filetype(entry) == regularFile, unsafe archive_entry_hardlink(entry) == nil,
                unsafe archive_entry_symlink(entry) == nil, unsafe archive_entry_sparse_count(entry) == 0
            else { return nil }
            let header = unsafe archive_read_header_position(archive)
            entries.append(
                ArchiveEntry(
                    name: unsafe String(cString: name), offset: header + Int64(UstarHeader.blockSize),
                    size: unsafe archive_entry_size(entry)))
        }
    }

    /// AE_IFREG, which is a cast in C and so not imported.
    private static let regularFile: UInt32 = 0o100000
}

/// What libarchive's callbacks read from.
@unsafe private final class ArchiveSource {
    let file: any ReadableFile
    let fileSize: Int64
    var position: Int64 = 0
    /// Lent to libarchive until it asks for the next block.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    var failure: FileError?

    init(file: any ReadableFile, fileSize: Int64) {
        unsafe self.file = file
        unsafe self.fileSize = fileSize
    }

    deinit { unsafe buffer.deallocate() }
}

/// An `archive_read_callback`.
private func readBlock(
    _: OpaquePointer?, data: UnsafeMutableRawPointer?, block: UnsafeMutablePointer<UnsafeRawPointer?>?
) -> Int {
    guard let data = unsafe data else { return -1 }
    let source = unsafe Unmanaged<ArchiveSource>.fromOpaque(data).takeUnretainedValue()
    do throws(FileError) {
        let count = try unsafe source.file.readFully(into: source.buffer, at: source.position)
        unsafe source.position += Int64(count)
        unsafe block?.pointee = UnsafeRawPointer(source.buffer.baseAddress)
        return count
    } catch {
        unsafe source.failure = error
        return -1
    }
}

/// An `archive_skip_callback`.
private func skipBytes(_: OpaquePointer?, data: UnsafeMutableRawPointer?, request: Int64) -> Int64 {
    guard let data = unsafe data else { return 0 }
    let source = unsafe Unmanaged<ArchiveSource>.fromOpaque(data).takeUnretainedValue()
    let count = unsafe max(0, min(request, source.fileSize - source.position))
    unsafe source.position += count
    return count
}

import Files

/// Bytes that are read as if they were a file, so that one reader serves both.
final class MemoryInput: ReadableFile {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func status() throws(FileError) -> FileStatus {
        FileStatus(
            kind: .regular, size: Int64(bytes.count), permissions: 0o600, owner: 0, modified: 0, device: 0, inode: 0)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
        guard offset < bytes.count else { return 0 }
        let piece = bytes[Int(offset)...].prefix(buffer.count)
        unsafe buffer.copyBytes(from: piece)
        return piece.count
    }
}

/// Collects what is written.
final class MemoryOutput: WritableFile {
    private(set) var bytes: [UInt8] = []

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        unsafe self.bytes.append(contentsOf: bytes)
        return bytes.count
    }

    func synchronize() throws(FileError) {}
    func close() throws(FileError) {}
}

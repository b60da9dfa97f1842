import Bundles
import FaultRecords
import Files
import FuzzTargets
import Synchronization
import SystemPackage
import Testing
import Wire

/// Every single damage, and archives that promise more than anybody should read.
@Suite struct BundleDamageTests {
    private static let key = SigningKey.generate()

    private static func bundle() throws -> (head: [UInt8], payload: [UInt8]) {
        let now = Timestamp(seconds: 1_772_337_906)
        var manifest = Manifest(
            kind: .request, federation: try #require(RandomID(hex: String(repeating: "01", count: 16))), session: .none,
            round: 0, seq: 7, sender: try #require(PartyName("a")), recipients: [try #require(PartyName("s"))],
            created: now, expires: now.adding(days: 90))
        let content = Array("{}\n".utf8)
        manifest.files = [PayloadFile(name: "request.json", size: 3, sha256: SHA256Hash.digest(of: content))]
        let signature = try key.sign(manifest.encoded, namespace: "request@consilium")
        return (
            TarBlocks.entry("manifest.json", manifest.encoded) + TarBlocks.entry("manifest.json.sig", signature),
            TarBlocks.entry("request.json", content)
        )
    }

    private static let end = [UInt8](repeating: 0, count: 1024)

    private func refusal(_ bytes: [UInt8]) -> BundleError.Reason? {
        do throws(BundleError) {
            _ = try BundleReader.open("bundle.tar", files: MemoryFileSystem(bytes: bytes)).verified()
            return nil
        } catch {
            return error.reason
        }
    }

    @Test(arguments: 0..<8) func noBitMayFlip(bit: Int) throws {
        let (head, payload) = try Self.bundle()
        var bytes = head + payload + Self.end
        #expect(refusal(bytes) == nil)
        FaultRecords.record(points: bytes.count)
        for index in bytes.indices {
            bytes[index] ^= 1 << UInt8(bit)
            if refusal(bytes) == nil { Issue.record("taken with bit \(bit) of byte \(index) flipped") }
            bytes[index] ^= 1 << UInt8(bit)
        }
    }

    @Test func noByteMayBeInsertedOrDeleted() throws {
        let (head, payload) = try Self.bundle()
        let good = head + payload + Self.end
        FaultRecords.record(points: 3 * good.count)
        for index in good.indices {
            for byte in [0, 0x41] as [UInt8] {
                var longer = good
                longer.insert(byte, at: index)
                if refusal(longer) == nil { Issue.record("taken with \(byte) inserted at \(index)") }
            }
            var shorter = good
            shorter.remove(at: index)
            if refusal(shorter) == nil { Issue.record("taken without byte \(index)") }
        }
    }

    // MARK: bounded reading

    /// What a hostile archive declares, how it begins, and its size on disk.
    static let promises: [(String, Int64)] = [
        ("manifest of 1 GB", 1 << 30), ("signature of 1 GB", 1 << 30), ("pax of 8 GiB", 8 << 30),
        ("long name of 8 GiB", 8 << 30),
        ("million entries", 512_000_000), ("16 GiB of zeros", 16 << 30), ("more than 16 GiB", 16 << 30 + 1),
        ("payload of 8 GiB", 8 << 30 + 1 << 20), ("rubbish", 16 << 30),
    ]

    private func begin(_ name: String) throws -> [UInt8] {
        func header(_ name: String, size: String, type: UInt8 = 0x30) -> [UInt8] {
            var block = TarBlocks.entry(name, [])
            block.replaceSubrange(124..<135, with: Array(size.utf8))
            block[156] = type
            return TarBlocks.checksummed(block)
        }
        let (head, _) = try Self.bundle()
        switch name {
        case "manifest of 1 GB": return header("manifest.json", size: "10000000000")
        case "signature of 1 GB":
            return TarBlocks.entry("manifest.json", [0x7b]) + header("manifest.json.sig", size: "10000000000")
        case "pax of 8 GiB": return head + header("pax", size: "77777777777", type: UInt8(ascii: "x"))
        case "long name of 8 GiB": return head + header("././@LongLink", size: "77777777777", type: UInt8(ascii: "L"))
        case "million entries": return head + (0..<5000).flatMap { TarBlocks.entry("f\($0)", []) }
        case "payload of 8 GiB": return head + header("request.json", size: "77777777777")
        case "rubbish": return [UInt8](repeating: 0x5a, count: 2000)
        default: return []
        }
    }

    @Test(arguments: promises) func littleIsReadOfWhatPromisesMuch(name: String, size: Int64) throws {
        let files = VirtualFileSystem(beginning: try begin(name), size: size)
        let clock = ContinuousClock()
        let took = clock.measure {
            #expect(throws: BundleError.self) { try BundleReader.open("bundle.tar", files: files).manifest() }
        }
        #expect(files.bytesRead < 1 << 20, "\(files.bytesRead) bytes were read")
        #expect(files.largestRead <= 256 << 10, "\(files.largestRead) bytes at once")
        #expect(took < .seconds(1))
    }
}

/// One file that begins as given and is zero up to its size, however large; counts what is read.
private final class VirtualFileSystem: FileSystem {
    private let beginning: [UInt8]
    private let size: Int64
    private let counts = Mutex((bytes: 0, largest: 0))

    init(beginning: [UInt8], size: Int64) {
        self.beginning = beginning
        self.size = size
    }

    var bytesRead: Int { counts.withLock { $0.bytes } }
    var largestRead: Int { counts.withLock { $0.largest } }

    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile { File(self) }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile { throw refusal(path) }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        throw refusal(path)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) { throw refusal(from) }
    func unlink(_ path: FilePath) throws(FileError) { throw refusal(path) }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) { throw refusal(path) }
    func removeDirectory(_ path: FilePath) throws(FileError) { throw refusal(path) }
    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] { [] }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? { state }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { nil }

    private func refusal(_ path: FilePath) -> FileError { FileError("change", path, .readOnlyFileSystem) }

    private var state: FileStatus {
        FileStatus(kind: .regular, size: size, permissions: 0o644, owner: 0, modified: 0, device: 1, inode: 1)
    }

    private final class File: ReadableFile {
        private let disk: VirtualFileSystem
        init(_ disk: VirtualFileSystem) { self.disk = disk }

        func status() throws(FileError) -> FileStatus { disk.state }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
            let count = Int(max(0, min(Int64(buffer.count), disk.size - offset)))
            for index in 0..<count {
                let position = offset + Int64(index)
                buffer[index] = position < disk.beginning.count ? disk.beginning[Int(position)] : 0
            }
            disk.counts.withLock { $0 = ($0.bytes + count, max($0.largest, buffer.count)) }
            return count
        }
    }
}

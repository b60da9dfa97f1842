import Files
import Glibc
import Images
import SystemPackage

/// A folder of its own for one test, removed with the value.
final class TemporaryFolder {
    let path: FilePath

    init() throws {
        var template = Array("/tmp/consilium-images-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }

    deinit { try? LocalFileSystem().removeTree(path) }

    /// Writes a file, with the folders above it.
    @discardableResult
    func write(_ relative: String, _ bytes: [UInt8]) throws -> FilePath {
        let file = path.pushing(FilePath(relative))
        try LocalFileSystem().makeDirectories(file.removingLastComponent())
        try LocalFileSystem().writeFile(file, bytes)
        return file
    }

    func makeFolder(_ relative: String) throws {
        try LocalFileSystem().makeDirectories(path.pushing(FilePath(relative)))
    }
}

/// Real pictures beside the package, which whoever clones the project does not have.
enum SharedData {
    static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        .removingLastComponent().appending("shared").appending("data")

    static func has(_ name: String) -> Bool { ((try? LocalFileSystem().exists(folder.appending(name))) ?? false) }
    static let absent: String = "skipped: ../shared/data is not there"

    /// All files below a folder whose names end so, in byte order.
    static func files(_ name: String, ending: [String]) throws -> [FilePath] {
        func walk(_ folder: FilePath) throws -> [FilePath] {
            try LocalFileSystem().list(folder).flatMap { entry in
                let path = folder.appending(entry.component)
                if entry.kind == .directory { return try walk(path) }
                return ending.contains(path.extension ?? "") ? [path] : []
            }
        }
        return try walk(folder.pushing(FilePath(name)))
    }

    static func read(_ path: FilePath) throws -> [UInt8] { try LocalFileSystem().readFile(path, limit: 1 << 27) }
}

/// FNV-1a: enough to pin bytes that must never change.
func fingerprint(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

/// A smooth gray picture with some structure, and no symmetry.
func sample(_ width: Int, _ height: Int, phase: Int = 0) -> LumaImage {
    let pixels = (0..<(width * height)).map { index -> UInt8 in
        let (x, y) = (index % width, index / width)
        let blob = max(0, 90 - abs(3 * x - width - phase) - abs(2 * y - height / 2))
        return UInt8(clamping: 20 + (x * 90) / width + (y * 50) / height + blob)
    }
    return LumaImage(width: width, height: height, pixels: pixels)
}

/// The same with colours.
func colourSample(_ width: Int, _ height: Int) -> DecodedImage {
    let pixels = (0..<(width * height)).flatMap { index -> [UInt8] in
        let (x, y) = (index % width, index / width)
        return [UInt8(255 * x / max(1, width - 1)), UInt8(255 * y / max(1, height - 1)), UInt8((x + y) & 127)]
    }
    return DecodedImage(width: width, height: height, channels: 3, pixels: pixels)
}

/// The reason of the error that `body` throws; nil when it throws none.
func reason(_ body: () throws(ImageError) -> Void) -> ImageError.Reason? {
    do {
        try body()
        return nil
    } catch { return error.reason }
}

/// What the network sees of one picture; every place that stays unwritten is NaN.
func input(_ data: LoadedDataset, _ index: Int, _ epoch: Int?) throws -> [Float] {
    var floats = [Float](repeating: .nan, count: data.preprocessing.inputCount)
    try floats.withUnsafeMutableBufferPointer { try data.fill(index, epoch: epoch, into: $0) }
    return floats
}

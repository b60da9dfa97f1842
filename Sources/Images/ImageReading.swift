import Files
import SystemPackage
import Tensors

/// Reads and decodes the pictures of a scan in parallel.
struct ImageReading: Sendable {
    let files: any FileSystem
    let limits: ImageLimits

    /// A picture as far as it got: gray values in its own size, and what it was stored as.
    struct Picture {
        let luma: LumaImage
        let kind: ImageDecoder.Kind
        let bytes: Int
    }

    func read(_ path: FilePath) throws(ImageError) -> Picture {
        let bytes: [UInt8]
        do {
            bytes = try files.readFile(path, limit: limits.maximumFileBytes)
        } catch {
            // The path is the caller's to tell.
            throw ImageError(Self.reason(of: error), "cannot be read: \(error.code)")
        }
        let image = try ImageDecoder.decode(bytes, as: .luma, limits: limits)
        return Picture(luma: LumaImage(image), kind: ImageDecoder.kind(of: bytes) ?? .jpeg, bytes: bytes.count)
    }

    private static func reason(of error: FileError) -> ImageError.Reason {
        error.code == .fileTooLarge ? .tooLarge : ImageError.isStorageFault(error) ? .storageFailed : .unreadable
    }

    /// Calls `body` once for each item of the scan, from several threads and in no order.
    func forEach(
        _ scan: DatasetScan, context: ComputeContext,
        _ body: @Sendable (_ index: Int, _ picture: Result<Picture, ImageError>) -> Void
    ) {
        context.parallel(tasks: scan.items.count) { index, _ in
            let path = scan.folder.pushing(scan.items[index].path)
            do throws(ImageError) {
                body(index, .success(try read(path)))
            } catch {
                body(index, .failure(error))
            }
        }
    }
}

/// One place for each item, written by whichever thread has the item; no two threads share a place.
final class Slots<Value>: @unchecked Sendable {
    private let storage: UnsafeMutableBufferPointer<Value>

    init(count: Int, repeating value: Value) {
        storage = .allocate(capacity: count)
        storage.initialize(repeating: value)
    }

    deinit {
        storage.deinitialize()
        storage.deallocate()
    }

    subscript(index: Int) -> Value {
        get { storage[index] }
        set { storage[index] = newValue }
    }

    var values: [Value] { Array(storage) }

    /// The places of `range`, for a caller that owns all of them.
    func slice(_ range: Range<Int>) -> UnsafeMutableBufferPointer<Value> {
        UnsafeMutableBufferPointer(rebasing: storage[range])
    }
}

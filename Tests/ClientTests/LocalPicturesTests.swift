import Client
import Federation
import Files
import Glibc
import Images
import NeuralNetworks
import SupportForTests
import SystemPackage
import Tensors
import Testing

/// A broken picture is skipped, and training goes on; a disk that fails is no broken picture: nothing is trained without
/// what it withholds.
@Suite struct LocalPicturesTests {
    @Test(arguments: ["a", "b"]) func aFailingFolderIsTheDisksFault(name: String) throws {
        for code in [Errno.ioError, .tooManyOpenFiles, .socketNotConnected, .readOnlyFileSystem] {
            let error = #expect(throws: ClientError.self) { try Self.load(FailingPictures(name: name, code: code)) }
            #expect(error?.code == .temporary)
            #expect(error?.message.hasPrefix("data folder: cannot list ") == true, "\(String(describing: error))")
        }
        let error = #expect(throws: ImageError.self) {
            try Self.load(FailingPictures(name: name, code: .permissionDenied))
        }
        #expect(error?.reason == .folderUnreadable)
    }

    @Test(arguments: [
        (Errno.ioError, true), (.tooManyOpenFiles, true), (.socketNotConnected, true), (.staleNFSFileHandle, true),
        (.permissionDenied, false),
    ])
    func aFailingDiskIsNoBrokenPicture(code: Errno, stops: Bool) throws {
        let files = FailingPictures(name: "3.png", code: code)
        if stops {
            let error = #expect(throws: ClientError.self) { try Self.load(files) }
            #expect(error?.code == .temporary)
            #expect(
                error?.message.hasPrefix("1 of the 12 pictures cannot be read") == true, "\(String(describing: error))")
        } else {
            #expect(try Self.load(files).skipped.count == 1)
        }
    }

    private static func load(_ files: any FileSystem) throws -> LocalPictures {
        let folder = try pictures()
        defer { try? LocalFileSystem().removeTree(folder) }
        let specification = try ModelSpecification(
            architecture: try #require(Architecture(rawValue: "smallcnn")), classes: ["a", "b"], imageSize: 32)
        return try LocalPictures.load(
            folder, specification: specification,
            augmentation: .init(rotation: 0, zoom: 0, shift: 0, horizontalFlip: false, brightness: 0, contrast: 0),
            validation: 0.2, seed: 1, files: files, context: ComputeContext(workers: 2))
    }

    private static func pictures() throws -> FilePath {
        var template = Array("/tmp/consilium-pictures-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        let folder = FilePath(String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        let files = LocalFileSystem()
        for name in ["a", "b"] { try files.makeDirectories(folder.appending(name)) }
        for index in 0..<12 {
            let phantom = PhantomGenerator.draw(PhantomClass.allCases[index % 2], seed: 1, index: index, size: 40)
            let image = DecodedImage(width: 40, height: 40, channels: 1, pixels: phantom.pixels)
            try files.writeFile(
                folder.appending(index % 2 == 0 ? "a" : "b").appending("\(index).png"), try ImageEncoder.png(image))
        }
        return folder
    }
}

/// The local file system, but for one file that does not open, or one folder that cannot be listed.
private struct FailingPictures: ForwardingFileSystem {
    let name: String
    let code: Errno
    let base: any FileSystem = LocalFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        guard path.lastComponent?.string == name, ["open", "list"].contains(operation) else { return }
        throw FileError(operation, path, code)
    }
}

import Files
import Images
import SystemPackage
import Testing

/// The two rows of the fault matrix about pictures and data folders, whole: one folder with everything that a hospital's
/// folder may hold, through the reader that training uses and through `data check`.
@Suite struct HospitalFolderTests {
    private static let gray = sample(40, 30)

    private static func png(_ depth: Int, _ colour: PNGFixture.Colour, palette: [[UInt8]] = []) -> [UInt8] {
        let shape = PNGFixture(width: 20, height: 15, depth: depth, colour: colour, samples: [], palette: palette)
        var file = shape
        file.samples = (0..<(20 * 15 * shape.samplesPerPixel)).map { $0 * 37 % (1 << depth) }
        return file.bytes
    }

    /// What is a picture, whatever it is called and however it is stored.
    private static func good() throws -> [(name: String, bytes: [UInt8])] {
        let jpeg = try ImageEncoder.jpeg(gray.decoded)
        let inks = (0..<(16 * 16)).flatMap { _ -> [UInt8] in [155, 205, 255, 204] }
        // An EXIF block that points out of itself.
        let exif: [UInt8] =
            [0xff, 0xe1, 0, 18] + Array("Exif\0\0".utf8) + [0x4d, 0x4d, 0, 0x2a, 0xff, 0xff, 0xff, 0xf0, 0, 0]
        return [
            ("baseline.jpg", jpeg), ("colour.JPEG", try ImageEncoder.jpeg(colourSample(33, 21))),
            ("progressive.jpg", try ImageEncoder.jpeg(gray.decoded, progressive: true)),
            ("cmyk.jpg", try ImageEncoder.jpegCMYK(inks, width: 16, height: 16)),
            ("broken-exif.jpg", Array(jpeg[..<2]) + exif + jpeg[2...]),
            ("one-pixel.jpg", try ImageEncoder.jpeg(sample(1, 1).decoded)),
            ("one-pixel.png", PNGFixture(width: 1, height: 1, depth: 8, colour: .gray, samples: [90]).bytes),
            ("1-bit.png", png(1, .gray)), ("16-bit.png", png(16, .gray)), ("16-bit-colour.png", png(16, .rgb)),
            ("palette.png", png(4, .palette, palette: (0..<16).map { [UInt8($0 * 16), 9, 200] })),
            ("alpha.png", png(8, .rgba)), ("gray-alpha.png", png(16, .grayAlpha)),
            ("jpeg-inside.png", jpeg), ("png-inside.jpg", png(8, .rgb)), ("no-extension", jpeg),
            ("wide.png", try ImageEncoder.png(sample(600, 2).decoded)),
        ]
    }

    /// What is none, and the line that a person reads.
    private static func bad() throws -> [(name: String, bytes: [UInt8], line: String)] {
        let jpeg = try ImageEncoder.jpeg(gray.decoded)
        let whole = try ImageEncoder.png(gray.decoded)
        var tall = jpeg
        let frame = try #require(tall.indices.dropLast().first { tall[$0] == 0xff && tall[$0 + 1] == 0xc0 })
        tall.replaceSubrange((frame + 5)..<(frame + 9), with: [0x75, 0x30, 0x75, 0x30])
        return [
            (
                "dicom.jpg", [UInt8](repeating: 0, count: 128) + Array("DICM".utf8),
                "is a DICOM file: export it as PNG or JPEG"
            ),
            ("empty.jpg", [], "is empty (0 bytes)"), ("empty.png", [], "is empty (0 bytes)"),
            ("huge.jpg", tall, "is too large a JPEG"),
            (
                "huge.png",
                PNGFixture(width: 30_000, height: 30_000, depth: 8, colour: .gray, samples: []).bytesOfHeader,
                "is too large a PNG"
            ),
            ("page.jpg", Array("<!DOCTYPE html>\n<html>".utf8), "is neither a PNG nor a JPEG picture"),
            ("text.jpg", Array("a text\n".utf8), "is neither a PNG nor a JPEG picture"),
            ("torn.jpg", Array(jpeg[..<(jpeg.count / 2)]), "is a truncated JPEG"),
            ("torn.png", Array(whole[..<(whole.count / 2)]), "is a truncated PNG"),
        ]
    }

    private func recipe() throws -> Preprocessing {
        try Preprocessing(imageSize: 24, channels: 1, mean: [0.5], std: [0.25])
    }

    @Test func everyKindOfPictureIsReadOrSkippedWithOneLineAndCounted() throws {
        let folder = try TemporaryFolder()
        let (good, bad) = (try Self.good(), try Self.bad())
        for file in good { try folder.write("glioma/\(file.name)", file.bytes) }
        for file in bad { try folder.write("glioma/\(file.name)", file.bytes) }
        for index in 0..<3 {
            try folder.write("notumor/\(index).png", try ImageEncoder.png(sample(20 + index, 20).decoded))
        }
        let scan = try Dataset.scan(folder.path)
        let data = LoadedDataset(scan, preprocessing: try recipe())
        #expect(data.classCounts == [good.count, 3])
        #expect(Set((0..<good.count).map { data.path($0).lastComponent?.string }) == Set(good.map(\.name)))
        #expect(data.skipped.map { $0.path.lastComponent?.string } == bad.map(\.name))
        for (skipped, file) in zip(data.skipped, bad) {
            #expect(skipped.description.hasPrefix("glioma/\(file.name): \(file.line)"), "\(skipped)")
            #expect(!skipped.description.contains("\n") && !skipped.description.hasSuffix("."))
        }
        for index in 0..<data.count {
            var floats = [Float](repeating: .nan, count: 24 * 24)
            try floats.withUnsafeMutableBufferPointer { try data.fill(index, epoch: nil, into: $0) }
            #expect(floats.allSatisfy { (-2...2).contains($0) })
        }
        #expect(try data.requireClasses(2).isEmpty)
        let check = DataCheck(scan)
        #expect(check.classes.map(\.pictures) == [good.count, 3] && check.classes.map(\.unreadable) == [bad.count, 0])
        #expect(check.unreadable == data.skipped)
    }

    @Test func aClassWithoutOneReadablePictureIsSaid() throws {
        let folder = try TemporaryFolder()
        for name in ["a/1.png", "b/1.png"] { try folder.write(name, try ImageEncoder.png(Self.gray.decoded)) }
        for name in ["c/1.png", "c/2.png"] { try folder.write(name, []) }
        try folder.makeFolder("d")
        let scan = try Dataset.scan(folder.path)
        let data = LoadedDataset(scan, preprocessing: try recipe())
        #expect(scan.warnings == ["class d: its folder has no pictures"])
        #expect(try data.requireClasses(2) == ["class c: none of its 2 pictures can be read"])
    }

    @Test func oneReadableClassIsNotEnoughToTrain() throws {
        let folder = try TemporaryFolder()
        try folder.write("a/1.png", try ImageEncoder.png(Self.gray.decoded))
        for name in ["b/1.png", "b/2.jpg"] { try folder.write(name, Array("text".utf8)) }
        let data = LoadedDataset(try Dataset.scan(folder.path), preprocessing: try recipe())
        let found = reason { () throws(ImageError) in _ = try data.requireClasses(2) }
        #expect(found == .tooFewClasses)
        do throws(ImageError) { _ = try data.requireClasses(2) } catch {
            #expect(error.description.hasPrefix("only a has pictures that can be read, 2 cannot: "))
        }
    }

    @Test func aFolderThatCannotBeListedIsNamed() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("file", [1])
        for path in [file, folder.path.appending("nowhere")] {
            do throws(ImageError) {
                _ = try Dataset.scan(path)
                Issue.record("\(path) was taken for a data folder")
            } catch {
                #expect(error.reason == .folderMissing && error.description.contains(path.string))
            }
        }
    }

    /// A million files are listed, and refused from their number where they would not fit into memory.
    @Test func aMillionFilesAreCountedAndRefusedBeforeTheyAreRead() throws {
        let scan = try Dataset.scan("/data", files: ArchiveOfAMillion())
        #expect(scan.items.count == 1_000_000 && scan.count(ofClass: 0) == 500_000)
        let found = reason { () throws(ImageError) in
            try LoadedDataset.requireMemory(scan, imageSize: 128, available: 8 << 30)
        }
        #expect(found == .outOfMemory)
        try LoadedDataset.requireMemory(scan, imageSize: 64, available: 8 << 30)
    }
}

/// Two classes of 500,000 files each; none of them can be opened.
private struct ArchiveOfAMillion: FileSystem {
    private func refusal(_ path: FilePath) -> FileError { FileError("open", path, .ioError) }

    func entries(_ folder: FilePath, limit: Int) throws(FileError) -> [DirectoryEntry] {
        func entry(_ name: String, _ kind: FileKind) -> DirectoryEntry? {
            FilePath.Component(name).map { DirectoryEntry(component: $0, kind: kind) }
        }
        guard folder != "/data" else { return ["a", "b"].compactMap { entry($0, .directory) } }
        return (0..<500_000).compactMap { entry("\($0 &* 7919 % 500_000).png", .regular) }
    }
    func openForReading(_ path: FilePath) throws(FileError) -> any ReadableFile { throw refusal(path) }
    func create(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile { throw refusal(path) }
    func openForAppending(_ path: FilePath, permissions: UInt32) throws(FileError) -> any WritableFile {
        throw refusal(path)
    }
    func rename(_ from: FilePath, to: FilePath) throws(FileError) { throw refusal(from) }
    func unlink(_ path: FilePath) throws(FileError) { throw refusal(path) }
    func makeDirectory(_ path: FilePath, permissions: UInt32) throws(FileError) { throw refusal(path) }
    func removeDirectory(_ path: FilePath) throws(FileError) { throw refusal(path) }
    func status(_ path: FilePath) throws(FileError) -> FileStatus? { nil }
    func synchronizeDirectory(_ folder: FilePath) throws(FileError) {}
    func lock(_ path: FilePath) throws(FileError) -> FileLock? { nil }
}

import Files
import Glibc
import Images
import SystemPackage
import Tensors
import Testing

/// Rules 1 to 5 of ``Dataset``, and reading in ``LoadedDataset``: the data-folder row of the fault matrix.
@Suite struct DatasetTests {
    private let picture = sample(20, 16)

    private func png() throws -> [UInt8] { try ImageEncoder.png(picture.decoded) }

    private func recipe() throws -> Preprocessing {
        try Preprocessing(imageSize: 16, channels: 1, mean: [0.5], std: [0.5])
    }

    private func failure(_ folder: TemporaryFolder, _ classes: [String]? = nil) -> ImageError? {
        do throws(ImageError) {
            _ = try Dataset.scan(folder.path, classes: classes)
            return nil
        } catch { return error }
    }

    @Test("classes and pictures come in byte order; litter and loose files are ignored")
    func order() throws {
        let folder = try TemporaryFolder()
        for name in [
            "b/2.png", "b/10.png", "b/patient-1/x.png", "a/é.png", "a/z.png", "a/.hidden.png",
            "a/Thumbs.db",
        ] {
            try folder.write(name, try png())
        }
        try folder.write("groups.csv", [1])
        try folder.makeFolder(".cache")
        let scan = try Dataset.scan(folder.path)
        #expect(scan.classes == ["a", "b"])
        #expect(
            scan.items.map(\.path.string) == [
                "a/z.png", "a/é.png", "b/10.png", "b/2.png", "b/patient-1/x.png",
            ])
        #expect(scan.items.map(\.label) == [0, 0, 1, 1, 1])
        #expect(scan.warnings.isEmpty && scan.count(ofClass: 1) == 3)
    }

    @Test("no folder, no classes, one class: a clear error each")
    func errors() throws {
        let folder = try TemporaryFolder()
        #expect(failure(folder)?.reason == .noClasses)
        try folder.write("loose.png", try png())
        #expect(failure(folder)?.reason == .noClasses)
        try folder.write("glioma/1.png", try png())
        #expect(failure(folder)?.reason == .tooFewClasses)
        try folder.makeFolder("notumor")
        #expect(failure(folder)?.reason == .tooFewClasses)
        #expect(try Dataset.scan(folder.path, minimumClasses: 1).items.count == 1)
        try LocalFileSystem().removeTree(folder.path)
        #expect(failure(folder)?.reason == .folderMissing)
    }

    @Test("an empty class is a warning")
    func emptyClass() throws {
        let folder = try TemporaryFolder()
        for name in ["a/1.png", "b/1.png"] { try folder.write(name, try png()) }
        try folder.makeFolder("c")
        #expect(try Dataset.scan(folder.path).warnings == ["class c: its folder has no pictures"])
    }

    @Test("expected classes: labels in the model's order, missing and unknown folders refused")
    func expected() throws {
        let folder = try TemporaryFolder()
        for name in ["glioma/1.png", "notumor/1.png"] { try folder.write(name, try png()) }
        #expect(failure(folder, ["glioma", "notumor", "pituitary"])?.reason == .missingClass)
        try folder.makeFolder("pituitary")
        let scan = try Dataset.scan(folder.path, classes: ["pituitary", "notumor", "glioma"])
        #expect(scan.items.map(\.label) == [1, 2])
        #expect(scan.warnings.count == 1)
        try folder.makeFolder("gliomas")
        let error = failure(folder, ["glioma", "notumor", "pituitary"])
        #expect(
            error?.reason == .unknownClass && error?.description.contains("did you mean glioma?") == true)
    }

    @Test("symbolic links inside the data folder are not followed, and said")
    func links() throws {
        let (folder, elsewhere) = (try TemporaryFolder(), try TemporaryFolder())
        for name in ["a/1.png", "b/1.png"] { try folder.write(name, try png()) }
        let secret = try elsewhere.write("secret.png", try png())
        #expect(symlink(secret.string, folder.path.pushing("a/link.png").string) == 0)
        #expect(symlink(elsewhere.path.string, folder.path.pushing("b/folder").string) == 0)
        #expect(symlink(elsewhere.path.string, folder.path.pushing("c").string) == 0)
        let scan = try Dataset.scan(folder.path)
        #expect(scan.classes == ["a", "b"] && scan.items.count == 2)
        #expect(scan.warnings.contains { $0.contains("2 symbolic links") })
        // The data folder itself may be a link.
        let alias = elsewhere.path.appending("alias")
        #expect(symlink(folder.path.string, alias.string) == 0)
        #expect(try Dataset.scan(alias).items.count == 2)
    }

    @Test("unreadable pictures are skipped with one line each, and the rest is loaded")
    func skipped() throws {
        let folder = try TemporaryFolder()
        let good = try png()
        try folder.write("a/1-good.png", good)
        try folder.write("a/2-empty.jpg", [])
        try folder.write("a/3-text.jpg", Array("a text\n".utf8))
        try folder.write("a/4-cut.png", Array(good[..<60]))
        try folder.write("b/5-jpeg-named.png", try ImageEncoder.jpeg(picture.decoded))
        #expect(mkfifo(folder.path.pushing("b/6-fifo.png").string, 0o600) == 0)
        let scan = try Dataset.scan(folder.path)
        #expect(scan.warnings == ["1 pipe, socket or device lies among the pictures and was not read"])
        #expect(try scan.countUsable() == [1, 1])
        let data = LoadedDataset(scan, preprocessing: try recipe())
        #expect(data.count == 2 && data.labels == [0, 1] && data.classCounts == [1, 1])
        #expect(data.path(1).string == "b/5-jpeg-named.png")
        #expect(data.skipped.map(\.error.reason) == [.empty, .notAnImage, .truncated])
        #expect(data.skipped[0].description == "a/2-empty.jpg: is empty (0 bytes)")
        #expect(data.skipped.allSatisfy { !$0.description.contains("\n") })
    }

    @Test(
        "a picture without permission is skipped",
        .enabled(if: getuid() != 0, "root may read everything"))
    func forbidden() throws {
        let folder = try TemporaryFolder()
        for name in ["a/1.png", "a/2.png", "b/1.png"] { try folder.write(name, try png()) }
        #expect(chmod(folder.path.pushing("a/2.png").string, 0) == 0)
        let data = LoadedDataset(try Dataset.scan(folder.path), preprocessing: try recipe())
        #expect(data.count == 2 && data.skipped.map(\.error.reason) == [.unreadable])
    }

    @Test("unicode and odd names work")
    func names() throws {
        let folder = try TemporaryFolder()
        for name in ["глиома/снимок 1.png", "腫瘍なし/画像.png", "a b,c/\"q\".png", "x/new\nline.png"] {
            try folder.write(name, try png())
        }
        let data = LoadedDataset(try Dataset.scan(folder.path), preprocessing: try recipe())
        #expect(data.count == 4 && data.skipped.isEmpty)
        try folder.write("x/bad\n\u{1b}[2Jname.png", [])
        let skipped = LoadedDataset(try Dataset.scan(folder.path), preprocessing: try recipe()).skipped
        #expect(skipped.map(\.description) == ["x/bad??[2Jname.png: is empty (0 bytes)"])
    }

    @Test("the number of workers changes nothing")
    func workers() throws {
        let folder = try TemporaryFolder()
        for index in 0..<12 {
            try folder.write(
                "\(index % 3)/\(index).png", try ImageEncoder.png(sample(30, 30, phase: 4 * index).decoded))
        }
        let scan = try Dataset.scan(folder.path)
        let inputs = try [1, 3].map { workers in
            let data = LoadedDataset(
                scan, preprocessing: try recipe(), context: ComputeContext(workers: workers))
            return try (0..<data.count).map { index in
                var floats = [Float](repeating: .nan, count: 256)
                try floats.withUnsafeMutableBufferPointer { try data.fill(index, epoch: nil, into: $0) }
                return floats
            }
        }
        #expect(inputs[0] == inputs[1])
    }

    @Test("the validation part shares no near-duplicate with the training part")
    func validation() throws {
        let folder = try TemporaryFolder()
        for label in PhantomClass.allCases {
            for index in 0..<10 {
                let phantom = PhantomGenerator.draw(label, seed: 1, index: index, size: 64)
                try folder.write("\(label)/\(index).png", try ImageEncoder.png(phantom.decoded))
                try folder.write(
                    "\(label)/\(index)-copy.jpg", try ImageEncoder.jpeg(phantom.mirrored().decoded))
            }
        }
        let data = LoadedDataset(try Dataset.scan(folder.path), preprocessing: try recipe())
        let parts = try data.split(validation: 0.2, seed: 1)
        #expect(
            parts.validation.classCounts == [4, 4, 4, 4]
                && parts.training.classCounts == [16, 16, 16, 16])
        func stems(_ part: LoadedDataset) -> Set<String> {
            Set(
                (0..<part.count).map { part.path($0).string.prefix { $0 != "-" && $0 != "." }.description })
        }
        #expect(stems(parts.training).isDisjoint(with: stems(parts.validation)))
    }
}

import Files
import Images
import SystemPackage
import Testing
import Wire

/// `data synthesize`, `data split`, `data check`: ``Synthesis``, ``FolderSplit``, ``GroupTable``, ``DataCheck``.
@Suite struct FolderToolTests {
    private let files = LocalFileSystem()

    private func phantoms(_ folder: TemporaryFolder, perClass: Int) throws -> FilePath {
        let path = folder.path.appending("phantoms")
        try Synthesis.write(to: path, options: .init(perClass: perClass, size: 32, seed: 1))
        return path
    }

    private func paths(_ folder: FilePath) throws -> Set<String> {
        Set(try Dataset.scan(folder, minimumClasses: 0).items.map(\.path.string))
    }

    @Test("synthesize writes a readable data folder of both formats, the same for the same seed")
    func synthesize() throws {
        let folder = try TemporaryFolder()
        let scan = try Dataset.scan(try phantoms(folder, perClass: 12))
        #expect(
            scan.classes == ["glioma", "meningioma", "notumor", "pituitary"] && scan.items.count == 48)
        let check = DataCheck(scan)
        #expect(check.unreadable.isEmpty && check.duplicates.isEmpty && check.warnings.isEmpty)
        #expect(check.classes.allSatisfy { $0.png > 0 && $0.jpeg > 0 && $0.pictures == 12 })
        #expect(check.sizes.map(\.count) == [48] && check.sizes[0].size.width == 32)
        let again = folder.path.appending("again")
        try Synthesis.write(to: again, options: .init(perClass: 2, size: 32, seed: 1))
        let name = try #require(try paths(again).first)
        #expect(
            try files.haveEqualContent(
                again.pushing(FilePath(name)), folder.path.appending("phantoms").pushing(FilePath(name))))
    }

    @Test(
        "an output folder that has something in it is refused and left as it is; an empty one is used")
    func outputs() throws {
        let folder = try TemporaryFolder()
        try folder.write("full/note.txt", [1])
        try folder.makeFolder("empty")
        let options = Synthesis.Options(perClass: 1, size: 16, seed: 1)
        for name in ["full", "full/note.txt"] {
            let target = folder.path.pushing(FilePath(name))
            #expect(
                reason { () throws(ImageError) in try Synthesis.write(to: target, options: options) }
                    == .outputExists)
        }
        #expect(try files.list(folder.path.appending("full")).map(\.name) == ["note.txt"])
        try folder.write("empty.part/left over from a killed run", [1])
        try Synthesis.write(to: folder.path.appending("empty"), options: options)
        #expect(try files.list(folder.path).map(\.name) == ["empty", "full"])
        for wrong in [
            Synthesis.Options(perClass: 0, size: 64, seed: 1), .init(perClass: 1, size: 8, seed: 1),
        ] {
            let target = folder.path.appending("new")
            #expect(
                reason { () throws(ImageError) in try Synthesis.write(to: target, options: wrong) }
                    == .invalidOption)
        }
    }

    @Test("split copies every picture to exactly one part, with a folder for every class")
    func split() throws {
        let folder = try TemporaryFolder()
        let source = try phantoms(folder, perClass: 15)
        try folder.write("phantoms/glioma/broken.jpg", [0xff, 0xd8, 0xff, 0xd9])
        let before = try paths(source)
        let output = folder.path.appending("out")
        let result = try FolderSplit.run(
            source, to: output, options: .init(clients: 3, test: 0.2, seed: 1))
        #expect(result.parts.map(\.name) == ["client-1", "client-2", "client-3", "test"])
        #expect(
            result.parts.map(\.counts) == [[4, 4, 4, 4], [4, 4, 4, 4], [4, 4, 4, 4], [3, 3, 3, 3]])
        #expect(result.skipped.map(\.path.string) == ["glioma/broken.jpg"])
        let copies = try result.parts.map { try paths(output.appending($0.name)) }
        #expect(copies.reduce(0) { $0 + $1.count } == 60)
        #expect(copies.reduce(Set()) { $0.union($1) } == before.subtracting(["glioma/broken.jpg"]))
        #expect(try paths(source) == before, "the source is only read")
        #expect(try files.list(folder.path).map(\.name) == ["out", "phantoms"])
        let name = try #require(copies[3].first)
        #expect(
            try files.haveEqualContent(
                output.appending("test").pushing(FilePath(name)), source.pushing(FilePath(name))))
    }

    @Test("split keeps mirrored copies together, and empty classes as folders")
    func splitDuplicates() throws {
        let folder = try TemporaryFolder()
        for index in 0..<9 {
            let phantom = PhantomGenerator.draw(.notumor, seed: 2, index: index, size: 48)
            try folder.write("in/a/\(index).png", try ImageEncoder.png(phantom.decoded))
            try folder.write(
                "in/b/\(index).jpg", try ImageEncoder.jpeg(phantom.mirrored().decoded, quality: 80))
        }
        let output = folder.path.appending("out")
        let options = Splitter.Options(clients: 2, test: 0, skew: 1, seed: 1)
        let result = try FolderSplit.run(folder.path.appending("in"), to: output, options: options)
        #expect(result.groups == 9 && result.parts.map(\.name) == ["client-1", "client-2"])
        for part in result.parts {
            let names = try paths(output.appending(part.name)).map { $0.dropFirst(2).prefix(1) }
            #expect(Dictionary(grouping: names, by: { $0 }).values.allSatisfy { $0.count == 2 })
            #expect(try files.list(output.appending(part.name)).map(\.name) == ["a", "b"])
        }
    }

    @Test(
        "a table of groups holds together beside the near-duplicates; a picture that it lacks is an error that leaves nothing"
    )
    func splitTable() throws {
        let folder = try TemporaryFolder()
        let source = try phantoms(folder, perClass: 4)
        let names = try paths(source).sorted()
        let options = Splitter.Options(clients: 2, test: 0, skew: 1, seed: 1)
        // Every class one group: each lands whole in one part.
        let table = try GroupTable(
            csv: "path,group\n" + names.map { "\($0),\($0.prefix(3))\n" }.joined())
        let result = try FolderSplit.run(
            source, to: folder.path.appending("out"), options: options, table: table)
        #expect(result.parts.allSatisfy { $0.counts.allSatisfy { $0 == 0 || $0 == 4 } })
        let short = try GroupTable(csv: "path,group\n\(names[0]),1\n")
        let found = reason { () throws(ImageError) in
            _ = try FolderSplit.run(
                source, to: folder.path.appending("other"), options: options, table: short)
        }
        #expect(found == .invalidGroups)
        #expect(try files.list(folder.path).map(\.name) == ["out", "phantoms"])
        // A table that does not know of a copy does not part it from its picture.
        for name in names {
            let bytes = try files.readFile(source.pushing(FilePath(name)), limit: 1 << 20)
            try folder.write("phantoms/\(name).copy", bytes)
        }
        let apart = try GroupTable(
            csv: "path,group\n" + names.map { "\($0),\($0)\n\($0).copy,\($0.prefix(3)) copies\n" }.joined())
        let joined = try FolderSplit.run(source, to: folder.path.appending("joined"), options: options, table: apart)
        #expect(joined.groups == 4 && joined.parts.allSatisfy { $0.counts.allSatisfy { $0 == 0 || $0 == 8 } })
    }

    @Test("more clients than pictures are refused, and nothing is left")
    func splitAmongTooMany() throws {
        let folder = try TemporaryFolder()
        let source = try phantoms(folder, perClass: 2)
        let output = folder.path.appending("out")
        do throws(ImageError) {
            _ = try FolderSplit.run(source, to: output, options: .init(clients: 20, test: 0, seed: 1))
            Issue.record("twenty clients share eight pictures")
        } catch {
            #expect(error.reason == .tooFewPictures && error.description.contains("would get no pictures"), "\(error)")
        }
        // Enough pictures, but not of each class: nobody is left without any all the same.
        let few = reason { () throws(ImageError) in
            _ = try FolderSplit.run(source, to: output, options: .init(clients: 6, test: 0, seed: 1))
        }
        #expect(few == .tooFewPictures)
        #expect(try !files.exists(output))
    }

    @Test("an output inside the source is refused")
    func splitInside() throws {
        let folder = try TemporaryFolder()
        let source = try phantoms(folder, perClass: 1)
        let options = Splitter.Options(clients: 2, test: 0, seed: 1)
        let found = reason { () throws(ImageError) in
            _ = try FolderSplit.run(source, to: source.pushing("../phantoms/out"), options: options)
        }
        #expect(found == .invalidOption)
    }

    @Test("group tables: columns in any order, quotes, Windows line ends, a byte order mark")
    func tables() throws {
        let table = try GroupTable(
            csv: "\u{feff}group,note,path\r\nx,\"a, \"\"b\"\"\",a/1.jpg\r\ny,,\"b/2,3.jpg\"\r\nx,,c.jpg")
        #expect(table["a/1.jpg"] == table["c.jpg"] && table["a/1.jpg"] != nil)
        #expect(table["b/2,3.jpg"] != nil && table["b/2,3.jpg"] != table["c.jpg"] && table["d"] == nil)
        for wrong in [
            "", "path,groups\na,1\n", "path,group\na\n", "path,group\na,1\na,2\n", "path,group\na,1,2\n",
        ] {
            #expect(
                reason { () throws(ImageError) in _ = try GroupTable(csv: wrong) } == .invalidGroups,
                "\(wrong)")
        }
    }

    @Test("check tells unreadable files, duplicates, contradictions, dark pictures and imbalance")
    func check() throws {
        let folder = try TemporaryFolder()
        for index in 0..<12 {
            let phantom = PhantomGenerator.draw(.glioma, seed: 4, index: index, size: 40)
            try folder.write("a/\(index).png", try ImageEncoder.png(phantom.decoded))
        }
        let copy = PhantomGenerator.draw(.glioma, seed: 4, index: 5, size: 40).mirrored()
        try folder.write("b/copy.jpg", try ImageEncoder.jpeg(copy.decoded))
        try folder.write("a/text.jpg", Array("no picture".utf8))
        let dark = sample(30, 20).pixels.map { $0 / 10 }
        try folder.write(
            "a/dark.png", try ImageEncoder.png(LumaImage(width: 30, height: 20, pixels: dark).decoded))
        let check = DataCheck(try Dataset.scan(folder.path))
        #expect(check.classes.map(\.pictures) == [13, 1] && check.classes.map(\.unreadable) == [1, 0])
        #expect(
            check.duplicates == [["a/5.png", "b/copy.jpg"]] && check.contradictions == check.duplicates)
        #expect(check.dark == ["a/dark.png"] && check.warnings.count == 4)
        #expect(check.histogram.reduce(0, +) == 14 * 64 * 64)
        #expect(check.intensity.mean > 0.05 && check.intensity.std > 0.05)
        let text = String(decoding: StrictJSON.serialize(check.json), as: UTF8.self)
        #expect(text.contains("\"schema_version\":1") && text.contains("a/text.jpg"))
    }
}

import Bundles
import Files
import Synchronization
import SystemPackage
import Testing
import Wire

/// A file goes over a medium in parts and comes out as it was, or not at all.
@Suite struct PartsTests {
    private static let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    /// Room for 3,584 bytes of content in each part: three parts, the last one short.
    private static let partSize: Int64 = 4096

    /// A folder with a file in `made/` and its three parts in `stick/`.
    private func withParts<Result>(
        _ name: String = "update.tar", _ body: (FilePath, FilePath, [FilePath]) throws -> Result
    ) throws -> Result {
        try withTemporaryFolder { folder in
            let (source, stick) = (folder.appending("made").appending(name), folder.appending("stick"))
            try files.makeDirectories(source.removingLastComponent())
            try files.makeDirectories(stick)
            try files.makeDirectories(folder.appending("out"))
            try files.writeFile(source, Self.content)
            let parts = try FileSplitter.split(source, into: stick, partSize: Self.partSize, files: files)
            return try body(folder.appending("out"), stick, parts)
        }
    }

    private func refusal(_ sources: [FilePath], _ out: FilePath) -> BundleError? {
        do throws(BundleError) {
            _ = try FileJoiner.join(sources, into: out, files: files)
            return nil
        } catch {
            return error
        }
    }

    private func change(_ path: FilePath, _ change: (inout [UInt8]) -> Void) throws {
        var bytes = try files.readFile(path, limit: 1 << 20)
        change(&bytes)
        try files.writeFile(path, bytes)
    }

    @Test func partsKeepToTheirSizeAndComeTogetherAgain() throws {
        try withParts { out, stick, parts in
            #expect(
                parts.compactMap(\.lastComponent?.string)
                    == ["update.tar.001-of-003", "update.tar.002-of-003", "update.tar.003-of-003"])
            #expect(try parts.map { try files.status($0)?.size } == [4096, 4096, 512 + 10_000 - 2 * 3584])
            let joined = try FileJoiner.join([stick], into: out, files: files)
            #expect(joined.isNew && joined.parts == parts)
            #expect(try files.readFile(joined.path, limit: 1 << 20) == Self.content)
            #expect(joined.digest == SHA256Hash.digest(of: Self.content))
            #expect(joined.path == out.appending("update.tar"))
            #expect(try FileJoiner.join([stick], into: out, files: files).isNew == false)
        }
    }

    /// What comes behind the headers is the file, for whoever has no consilium.
    @Test func ordinaryToolsCanJoin() throws {
        try withParts { _, _, parts in
            let rest = try parts.flatMap { try files.readFile($0, limit: 1 << 20).dropFirst(PartHeader.size) }
            #expect(rest == Self.content)
        }
    }

    @Test(arguments: [1, 3583, 3584, 3585, 7168])
    func everySizeFits(size: Int) throws {
        try withTemporaryFolder { folder in
            let source = folder.appending("f")
            try files.writeFile(source, Array(Self.content.prefix(size)))
            let parts = try FileSplitter.split(source, into: folder, partSize: Self.partSize, files: files)
            #expect(parts.count == (size + 3583) / 3584)
            try files.remove(source)
            let joined = try FileJoiner.join(parts, files: files)
            #expect(try files.readFile(joined.path, limit: 1 << 20) == Array(Self.content.prefix(size)))
        }
    }

    @Test func namesAndOrderMeanNothingAndCopiesDoNoHarm() throws {
        try withParts { out, stick, parts in
            for (index, part) in parts.enumerated() {
                try files.copyFile(from: part, to: stick.appending("zzz\(9 - index) (1).bin"))
            }
            try change(parts[1]) { $0[1000] ^= 1 }
            try files.writeFile(stick.appending("readme.txt"), Array("not a part".utf8))
            let joined = try FileJoiner.join([parts[2], parts[0], stick], into: out, files: files)
            #expect(try files.readFile(joined.path, limit: 1 << 20) == Self.content)
            #expect(joined.parts[1].lastComponent?.string == "zzz8 (1).bin")
        }
    }

    @Test func aNameBecomesOneThatEveryFileSystemTakes() throws {
        try withParts(".Mein Update: Runde 3?.TAR") { out, stick, _ in
            let joined = try FileJoiner.join([stick], into: out, files: files)
            #expect(joined.path.lastComponent?.string == "mein-update--runde-3-.tar")
        }
        #expect(PartHeader.safeName("???") == "file")
        #expect(PartHeader.safeName(String(repeating: "A", count: 300)).count == 100)
    }

    @Test func everyMissingAndDamagedPartIsNamed() throws {
        try withParts { out, _, parts in
            #expect(refusal([parts[1]], out)?.reason == .incomplete)
            #expect(refusal([parts[1]], out)?.detail.contains("part 1, 3 of 3 is missing") == true)
            try change(parts[0]) { $0[600] ^= 1 }
            try change(parts[2]) { $0.removeLast() }
            let error = refusal(parts, out)
            #expect(error?.reason == .lengthOrHashMismatch)
            #expect(error?.detail.contains("update.tar.001-of-003, update.tar.003-of-003") == true)
            try change(parts[1]) { $0.append(0) }
            #expect(refusal(parts, out)?.detail.contains("002-of-003") == true)
            #expect(try files.list(out).isEmpty)
        }
    }

    @Test func noByteOfAPartMayChange() throws {
        try withParts { out, _, parts in
            let original = try files.readFile(parts[1], limit: 1 << 20)
            for offset in Array(0..<PartHeader.size) + [PartHeader.size, 2000, original.count - 1] {
                var bytes = original
                bytes[offset] ^= 0x21
                try files.writeFile(parts[1], bytes)
                #expect(refusal(parts, out) != nil, "byte \(offset)")
            }
            #expect(try files.list(out).isEmpty)
        }
    }

    @Test func partsOfTwoFilesAreNotMixed() throws {
        try withParts { out, stick, parts in
            let other = out.removingLastComponent().appending("other.tar")
            try files.writeFile(other, Array(Self.content.reversed()))
            let others = try FileSplitter.split(other, into: stick, partSize: Self.partSize, files: files)
            let error = refusal([stick], out)
            #expect(error?.reason == .fileSetMismatch && error?.detail.contains("parts of 2 files") == true)
            #expect(refusal([parts[0], others[1], parts[2]], out)?.reason == .fileSetMismatch)
            #expect(refusal([other], out)?.reason == .notCanonical)
            #expect(try files.list(out).isEmpty)
        }
    }

    /// Parts that fit together by their headers and whose sum is another file: somebody made them so.
    @Test func forgedHeadersDoNotMakeAnotherFile() throws {
        try withTemporaryFolder { folder in
            let halves = [Array(Self.content.prefix(600)), Array(Self.content.suffix(600))]
            let whole = PartHeader.Whole(
                name: "f", size: 1200, digest: SHA256Hash.digest(of: halves[0] + halves[1]), parts: 2)
            for (number, half) in zip([2, 1], halves) {
                let header = PartHeader(whole: whole, number: number, size: 600, digest: SHA256Hash.digest(of: half))
                try files.writeFile(folder.appending("p\(number)"), header.encoded + half)
            }
            #expect(refusal([folder], folder)?.reason == .lengthOrHashMismatch)
            #expect(try files.list(folder).map(\.name) == ["p1", "p2"])
        }
    }

    /// A size with which one cannot reckon.
    @Test func aHeaderOfAnImpossibleSizeIsADamagedPart() throws {
        try withTemporaryFolder { folder in
            let whole = PartHeader.Whole(name: "f", size: .max, digest: SHA256Hash.digest(of: [1]), parts: 1)
            let header = PartHeader(whole: whole, number: 1, size: .max, digest: SHA256Hash.digest(of: [1]))
            try files.writeFile(folder.appending("p"), header.encoded + [1])
            #expect(refusal([folder], folder)?.reason == .lengthOrHashMismatch)
        }
    }

    @Test(arguments: ["../x", "a/b", ".hidden", "UPPER", ""])
    func aHeaderNamesAFileAndNothingElse(name: String) {
        let whole = PartHeader.Whole(name: name, size: 1, digest: SHA256Hash.digest(of: [1]), parts: 1)
        let header = PartHeader(whole: whole, number: 1, size: 1, digest: SHA256Hash.digest(of: [1]))
        #expect(PartHeader(header.encoded) == nil)
    }

    @Test func nothingIsOverwritten() throws {
        try withParts { out, stick, parts in
            let source = out.removingLastComponent().appending("made/update.tar")
            let mine = Array("mine".utf8)
            try files.writeFile(out.appending("update.tar"), mine)
            #expect(refusal([stick], out)?.cause?.code == .fileExists)
            #expect(try files.readFile(out.appending("update.tar"), limit: 10) == mine)
            // A second call finds its own parts; a part with other bytes stays as well, and so do its neighbours.
            #expect(try FileSplitter.split(source, into: stick, partSize: Self.partSize, files: files) == parts)
            try files.remove(parts[0])
            try files.writeFile(parts[2], mine)
            #expect(throws: BundleError.self) {
                try FileSplitter.split(source, into: stick, partSize: Self.partSize, files: files)
            }
            #expect(try files.readFile(parts[2], limit: 10) == mine)
            #expect(try files.list(stick).map(\.name) == ["update.tar.002-of-003", "update.tar.003-of-003"])
        }
    }

    @Test func tooManyPartsAreRefused() throws {
        try withTemporaryFolder { folder in
            let source = folder.appending("f")
            try files.writeFile(source, [UInt8](repeating: 1, count: 1000))
            #expect(throws: BundleError.self) {
                try FileSplitter.split(source, into: folder, partSize: 513, files: files)
            }
            try files.writeFile(source, [])
            #expect(throws: BundleError.self) {
                try FileSplitter.split(source, into: folder, partSize: 4096, files: files)
            }
            #expect(try files.list(folder).map(\.name) == ["f"])
        }
    }

    /// Each operation fails in turn; afterwards everything is made, or nothing of this call is there.
    @Test func aFailingDiskLeavesPartsWholeOrAway() throws {
        try withTemporaryFolder { folder in
            // Does not wait for the real disk.
            let files = AgeFileSystem()
            let (source, stick, out) = (folder.appending("f"), folder.appending("s"), folder.appending("o"))
            try files.writeFile(source, Self.content)
            for number in 0..<1000 {
                for path in [stick, out] {
                    try files.removeTree(path)
                    try files.makeDirectories(path)
                }
                let count = Counter()
                let failing = AgeFileSystem { operation, path throws(FileError) in
                    if count.next() == number {
                        throw FileError(operation, path, .ioError)
                    }
                }
                do throws(BundleError) {
                    _ = try FileSplitter.split(source, into: stick, partSize: Self.partSize, files: failing)
                    _ = try FileJoiner.join([stick], into: out, files: failing)
                } catch {
                    #expect(error.cause?.code == .ioError)
                    #expect([0, 3].contains(try files.list(stick).count), "operation \(number)")
                    #expect(try files.list(out).allSatisfy { $0.name == "f" }, "operation \(number)")
                }
                _ = try FileSplitter.split(source, into: stick, partSize: Self.partSize, files: files)
                let joined = try FileJoiner.join([stick], into: out, files: files)
                #expect(try files.readFile(joined.path, limit: 1 << 20) == Self.content)
                if count.passed <= number { return #expect(number > 60) }
            }
            Issue.record("no end of operations")
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var passed: Int { count.load(ordering: .relaxed) }
    func next() -> Int { count.add(1, ordering: .relaxed).oldValue }
}

import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// Archives as a courier might make them. Each case takes a good bundle's manifest and signature and adds what an attacker would.
@Suite("Hostile archives")
struct HostileArchiveTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var reason = BundleError.Reason.notCanonical
        let payload: [UInt8]

        init(_ name: String, _ payload: [UInt8], _ reason: BundleError.Reason = .notCanonical) {
            testDescription = name
            self.payload = payload
            self.reason = reason
        }
    }

    static let content = Array("content".utf8)
    private static let good = Tar.entry("a.txt", content)
    private static func named(_ name: String) -> [UInt8] { Tar.entry(name, content) + Tar.end }
    private static func header(_ type: Character, link: String = "", size: String = "00000000000") -> [UInt8] {
        Tar.header(Array("a.txt".utf8), size: size, type: type, link: link) + Tar.end
    }
    private static func pax(_ type: Character, _ record: String) -> [UInt8] {
        let body = Array(record.utf8)
        let header = Tar.header(Array("pax".utf8), size: Tar.octal(body.count), type: type)
        return header + body + Tar.padding(body.count) + good + Tar.end
    }
    private static func sized(_ size: String) -> [UInt8] {
        Tar.header(Array("a.txt".utf8), size: size) + content + Tar.padding(7) + Tar.end
    }
    /// A size field of raw bytes, as GNU tar and pax write numbers that need more than eleven octal digits.
    private static func sized(_ bytes: [UInt8]) -> [UInt8] {
        let block = Tar.header(Array("a.txt".utf8), size: Tar.octal(7))
        let field = bytes + [UInt8](repeating: bytes.last == 0xff ? 0xff : 0, count: max(0, 12 - bytes.count))
        return Tar.header(block, replacing: field, at: 124) + content + Tar.padding(7) + Tar.end
    }
    /// GNU's sparse file in pax form: it claims 20 GiB and holds 7 bytes.
    private static let paxSparse =
        pax("x", "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n35 GNU.sparse.realsize=21474836480\n")

    static let cases: [Case] = [
        Case("symbolic link", header("2", link: "/etc/passwd")),
        Case("hard link", header("1", link: "manifest.json")),
        Case("character device", header("3")), Case("block device", header("4")), Case("folder", header("5")),
        Case("fifo", header("6")), Case("contiguous file", header("7")), Case("old regular type", header("\u{0}")),
        Case("sparse", header("S")), Case("GNU long name", header("L", size: "00000000000")),
        Case("GNU long link", header("K")),
        Case("multi-volume", header("M")), Case("vendor extension", header("X")), Case("Solaris ACL", header("A")),
        Case("pax path", pax("x", "14 path=/etc/x\n")), Case("pax size", pax("x", "12 size=999\n")),
        Case("pax global", pax("g", "14 path=/etc/x\n")), Case("huge pax", header("x", size: "07777777777")),
        Case("absolute", named("/a.txt")), Case("parent", named("..")), Case("into parent", named("../a.txt")),
        Case("subfolder", named("b/a.txt")), Case("backslash", named("b\\a.txt")), Case("newline", named("a\n.txt")),
        Case("upper case", named("A.txt")), Case("space", named("a .txt")), Case("non-ASCII", named("\u{e9}.txt")),
        Case("hidden", named(".a")), Case("option", named("-a")), Case("empty name", named("")),
        Case("65 bytes", named(String(repeating: "a", count: 65))),
        Case("100 bytes", named(String(repeating: "a", count: 100))),
        Case("manifest again", named("manifest.json")), Case("signature again", named("manifest.json.sig")),
        Case("duplicate", good + good + Tar.end),
        Case("not UTF-8", Tar.header([0x61, 0xff], size: Tar.octal(0)) + Tar.end),
        Case("text behind NUL", Tar.header(Array("a.txt\u{0}b".utf8), size: Tar.octal(0)) + Tar.end),
        Case("prefix", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), prefix: "etc") + Tar.end),
        Case("mode", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), mode: "0004755") + Tar.end),
        Case("time", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), time: "00000000001") + Tar.end),
        Case("GNU magic", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), magic: "ustar  \u{0}") + Tar.end),
        Case("old tar", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), magic: "") + Tar.end),
        Case("wrong checksum", Tar.header(Array("a.txt".utf8), size: Tar.octal(0), checksum: "000000\u{0} ") + Tar.end),
        Case("base-256 size", sized([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7])),
        Case("base-256 size of 2^88", sized([0x80, 1])), Case("base-256 size of 2^63", sized([0x80, 0, 0, 0, 0x80])),
        Case("negative base-256 size", sized([0xff])),
        Case("size -7 in base 256", sized([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf9])),
        Case("size of zero bytes", sized([0])), Case("eleven digits and a space", sized(Array("00000000007 ".utf8))),
        Case("twelve digits", sized(Array("000000000007".utf8))),
        Case("sparse by pax", paxSparse),
        Case("negative size", sized("-0000000007")),
        Case("size without zeros", sized("7")), Case("size with spaces", sized("          7")),
        Case("size 8", sized("00000000008")),
        Case("no content where listed", sized("00000000000")),
        Case("longer than the file", sized("00000777777"), .incomplete),
        Case("8 GiB declared", sized("77777777777"), .incomplete),
        Case(
            "bytes in the padding",
            Tar.header(Array("a.txt".utf8), size: Tar.octal(7)) + content + [1] + Tar.padding(8) + Tar.end),
        Case("trailing zeros", good + Tar.end + [0]), Case("trailing data", good + Tar.end + Array("x".utf8)),
        Case("trailing block", good + Tar.end + [UInt8](repeating: 0, count: 512)),
        Case("one zero block, then more", good + [UInt8](repeating: 0, count: 512) + good + Tar.end),
        Case("two archives in one", good + Tar.end + good + Tar.end),
        Case("no end", good, .incomplete),
        Case("one zero block", good + [UInt8](repeating: 0, count: 512), .incomplete),
        Case("missing file", Tar.end, .fileSetMismatch),
        Case("extra file", good + Tar.entry("b", []) + Tar.end, .fileSetMismatch),
        Case("other name", named("b.txt"), .fileSetMismatch),
        Case("other size", Tar.entry("a.txt", content + [0x21]) + Tar.end, .lengthOrHashMismatch),
        Case("other content", Tar.entry("a.txt", Array("Content".utf8)) + Tar.end, .lengthOrHashMismatch),
    ]

    private static let key = SigningKey.generate()
    private static func manifest() -> Manifest {
        var manifest = Sample.manifest()
        manifest.files = [PayloadFile(name: "a.txt", size: 7, sha256: SHA256Hash.digest(of: content))]
        return manifest
    }
    /// Manifest and signature of a bundle with one file.
    private func head() throws -> [UInt8] {
        let manifest = HostileArchiveTests.manifest().encoded
        let signature = try HostileArchiveTests.key.sign(manifest, namespace: "update@consilium")
        return Tar.entry("manifest.json", manifest) + Tar.entry("manifest.json.sig", signature)
    }

    @Test("is refused for what it is", arguments: cases)
    func refused(hostile: Case) throws {
        try withTemporaryFolder { folder in
            let head = try head()
            #expect(try BundleError.Reason.ofRefusing(head + HostileArchiveTests.good + Tar.end, in: folder) == nil)
            #expect(try BundleError.Reason.ofRefusing(head + hostile.payload, in: folder) == hostile.reason)
        }
    }

    @Test("manifest and signature are there, first, and in order")
    func order() throws {
        try withTemporaryFolder { folder in
            let manifest = Tar.entry("manifest.json", HostileArchiveTests.manifest().encoded)
            let signature = Array(try head().dropFirst(manifest.count))
            let good = HostileArchiveTests.good
            for archive in [
                signature + manifest + good, good + manifest + signature, manifest + good + signature, manifest,
                signature + good,
            ] {
                #expect(try BundleError.Reason.ofRefusing(archive + Tar.end, in: folder) == .notCanonical)
            }
            #expect(try BundleError.Reason.ofRefusing(Tar.end, in: folder) == .notCanonical)
            #expect(try BundleError.Reason.ofRefusing([], in: folder) == .incomplete)
            for start in ["<html>", "PK\u{3}\u{4}", "age-encryption.org/v1\n", "\u{1f}"] {
                #expect(try BundleError.Reason.ofRefusing(Array(start.utf8), in: folder) == .notCanonical)
            }
        }
    }

    @Test("caps hold before anything is read")
    func caps() throws {
        try withTemporaryFolder { folder in
            let signature = Tar.entry("manifest.json.sig", [])
            let manifest = { (size: String) in Tar.header(Array("manifest.json".utf8), size: size) }
            #expect(try BundleError.Reason.ofRefusing(manifest("07346545000") + signature, in: folder) == .tooLarge)
            var limits = BundleLimits.standard
            limits.files = 2
            let many = try head() + (0..<3).flatMap { Tar.entry("f\($0)", []) } + Tar.end
            #expect(try BundleError.Reason.ofRefusing(many, in: folder, limits: limits) == .tooLarge)
            limits = .standard
            limits.totalBytes = 4096
            #expect(
                try BundleError.Reason.ofRefusing(
                    try head() + HostileArchiveTests.good + Tar.end, in: folder, limits: limits) == .tooLarge)
            limits = .standard
            limits.fileBytes = 6
            #expect(
                try BundleError.Reason.ofRefusing(
                    try head() + HostileArchiveTests.good + Tar.end, in: folder, limits: limits) == .tooLarge)
        }
    }

    @Test("a flood of entries and 15 GiB of holes are refused at once")
    func floods() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("flood.tar")
            let clock = ContinuousClock()
            let entries = try head() + (0..<2000).flatMap { Tar.entry("f\($0)", []) }
            let started = clock.now
            try files.writeFile(path) { output in
                for _ in 0..<50 { try output.write(entries) }
            }
            #expect(throws: BundleError.self) { try BundleReader.open(path, files: files) }
            // A sparse file: its size is real to every reader, its blocks are not there.
            try files.writeFile(path, try head() + sparseHeader())
            #expect(truncate(path.string, off_t(15) << 30) == 0)
            #expect(throws: BundleError.self) { try BundleReader.open(path, files: files).manifest() }
            #expect(truncate(path.string, off_t(20) << 30) == 0)
            let error = #expect(throws: BundleError.self) { try BundleReader.open(path, files: files) }
            #expect(error?.reason == .tooLarge)
            #expect(clock.now - started < .seconds(5))
        }
    }

    @Test("a payload of 5 GiB is found in place without reading it")
    func large() throws {
        try withTemporaryFolder { folder throws in
            let path = folder.appending("large.tar")
            let start = try head() + Tar.header(Array("a.txt".utf8), size: "50000000000")
            try files.writeFile(path, start)
            #expect(truncate(path.string, off_t(start.count) + off_t(5) << 30 + 1024) == 0)
            let bundle = try BundleReader.open(path, files: files)
            let error = #expect(throws: BundleError.self) { try bundle.manifest() }
            #expect(error?.detail == "'a.txt' has 5368709120 bytes, not the listed 7")
        }
    }

    private func sparseHeader() -> [UInt8] { Tar.header(Array("a.txt".utf8), size: "77777777777") }

    @Test("a bundle compressed by gzip is not a bundle", .enabled(if: Tool.isThere("gzip")))
    func compressed() throws {
        try withTemporaryFolder { folder in
            try Sample().write(to: folder.appending("bundle.tar"))
            try Tool.run("gzip", ["bundle.tar"], in: folder)
            let bytes = try files.readFile(folder.appending("bundle.tar.gz"), limit: 1 << 20)
            #expect(try BundleError.Reason.ofRefusing(bytes, in: folder) == .notCanonical)
        }
    }

    @Test(
        "no archive of Go's collection is a bundle, and none does harm", .enabled(if: SharedData.isThere("tar/golang")))
    func golang() throws {
        let folder = SharedData.folder.appending("tar/golang")
        let head = try head()
        var count = 0
        for entry in try files.list(folder) where entry.name.hasSuffix(".tar") {
            count += 1
            let bytes = try files.readFile(folder.appending(entry.component), limit: 1 << 24)
            try withTemporaryFolder { folder throws in
                #expect(try BundleError.Reason.ofRefusing(bytes, in: folder) != nil, "\(entry.name)")
                #expect(try BundleError.Reason.ofRefusing(head + bytes, in: folder) != nil, "\(entry.name) as payload")
            }
        }
        #expect(count > 30)
    }
}

import Bundles
import Files
import Foundation
import SystemPackage
import Wire

let files = LocalFileSystem()

/// A new folder for one test, removed with everything in it at the end.
func withTemporaryFolder<Result>(_ body: (FilePath) throws -> Result) throws -> Result {
    let folder = FilePath("/tmp").appending("consilium-test-\(UInt64.random(in: .min ... .max))")
    try files.makeDirectory(folder, permissions: 0o700)
    defer { try? files.removeTree(folder) }
    return try body(folder)
}

/// The real tools that every hospital has, run to see whether they agree with us.
enum Tool {
    static func path(_ name: String) -> String? {
        ["/usr/bin", "/bin", "/usr/local/bin"].map { "\($0)/\(name)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    static func isThere(_ name: String) -> Bool {
        if path(name) != nil { return true }
        print("skipped: \(name) is not installed")
        return false
    }

    struct Result {
        let status: Int32
        let output: String
    }

    /// Runs a tool in a folder, with `input` as its standard input.
    @discardableResult
    static func run(_ name: String, _ arguments: [String], in folder: FilePath, input: [UInt8] = []) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path(name) ?? name)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.string)
        let inputPath = folder.appending(".input-\(UInt64.random(in: .min ... .max))")
        try files.writeFile(inputPath, input)
        defer { try? files.remove(inputPath) }
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: inputPath.string))
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(status: process.terminationStatus, output: String(decoding: bytes, as: UTF8.self))
    }
}

/// Material that lies beside the project's checkout, and is absent from a clone.
enum SharedData {
    static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        .removingLastComponent().appending("shared/data")

    static func isThere(_ path: String) -> Bool {
        if (try? files.exists(folder.appending(path))) == true { return true }
        print("skipped: ../shared/data/\(path) is not there")
        return false
    }
}

/// A bundle small enough to be cut at every byte.
struct Sample {
    let key = SigningKey.generate()
    var payload: [PayloadSource] = [
        .bytes(name: "metrics.json", Array("{\"loss\":0.5}\n".utf8)), .bytes(name: "empty.bin", []),
    ]

    static func manifest(
        kind: BundleKind = .update, seq: Int64 = 7, recipients: [String] = ["ministry"], session: Bool = true
    ) -> Manifest {
        Manifest(
            kind: kind, federation: identifier(1), session: session ? identifier(2) : .none, round: session ? 3 : 0,
            seq: seq,
            sender: name("hospital-a"), recipients: recipients.map(name), created: Timestamp(seconds: 1_772_337_906),
            expires: Timestamp(seconds: 1_772_337_906).adding(days: 180), request: digest(3), base: digest(4),
            acks: [digest(6), digest(5)])
    }

    static func identifier(_ byte: UInt8) -> RandomID {
        RandomID(hex: Hexadecimal.encode([UInt8](repeating: byte, count: 16))) ?? .none
    }
    static func digest(_ byte: UInt8) -> Digest? { Digest(bytes: [UInt8](repeating: byte, count: 32)) }
    static func digest(_ byte: UInt8) -> Digest { SHA256Hash.digest(of: [byte]) }
    static func name(_ text: String) -> PartyName {
        guard let name = PartyName(text) else { preconditionFailure("not a party name: \(text)") }
        return name
    }

    @discardableResult
    func write(_ manifest: Manifest = Sample.manifest(), to path: FilePath) throws -> Manifest {
        try BundleWriter.write(manifest, payload: payload, key: key, to: path, files: files)
    }
}

/// Puts together tar archives, good and bad, from blocks.
enum Tar {
    /// A header with anything in it, and a right checksum unless one is given.
    static func header(
        _ name: [UInt8], size: String, type: Character = "0", link: String = "", mode: String = "0000644",
        magic: String = "ustar\u{0}00", prefix: String = "", time: String = "00000000000", checksum: String? = nil
    ) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Sequence<UInt8>, at offset: Int, _ width: Int) {
            for (index, byte) in bytes.prefix(width).enumerated() { block[offset + index] = byte }
        }
        put(name, at: 0, 100)
        put(mode.utf8, at: 100, 8)
        put("0000000".utf8, at: 108, 8)
        put("0000000".utf8, at: 116, 8)
        put(size.utf8, at: 124, 12)
        put(time.utf8, at: 136, 12)
        put("        ".utf8, at: 148, 8)
        put(String(type).utf8, at: 156, 1)
        put(link.utf8, at: 157, 100)
        put(magic.utf8, at: 257, 8)
        put("0000000".utf8, at: 329, 8)
        put("0000000".utf8, at: 337, 8)
        put(prefix.utf8, at: 345, 155)
        let sum = block.reduce(0) { $0 + Int($1) }
        let octal = String(sum, radix: 8)
        let digits = checksum ?? String(repeating: "0", count: 6 - octal.count) + octal + "\u{0} "
        put(digits.utf8, at: 148, 8)
        return block
    }

    /// The block with other bytes in one field, and the checksum that they ask for.
    static func header(_ block: [UInt8], replacing bytes: [UInt8], at offset: Int) -> [UInt8] {
        var block = block
        block.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        block.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
        let octal = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        let digits = String(repeating: "0", count: 6 - octal.count) + octal + "\u{0} "
        block.replaceSubrange(148..<156, with: Array(digits.utf8))
        return block
    }

    static func octal(_ size: Int) -> String {
        let digits = String(size, radix: 8)
        return String(repeating: "0", count: 11 - digits.count) + digits
    }

    static func padding(_ size: Int) -> [UInt8] { [UInt8](repeating: 0, count: (512 - size % 512) % 512) }

    static func entry(_ name: String, _ content: [UInt8]) -> [UInt8] {
        header(Array(name.utf8), size: octal(content.count)) + content + padding(content.count)
    }

    static let end = [UInt8](repeating: 0, count: 1024)
}

extension BundleError.Reason {
    /// Opens and verifies; nil if the bundle is accepted.
    static func ofRefusing(_ bytes: [UInt8], in folder: FilePath, limits: BundleLimits = .standard) throws -> Self? {
        let path = folder.appending("probe.tar")
        try Data(bytes).write(to: URL(fileURLWithPath: path.string))
        do throws(BundleError) {
            _ = try BundleReader.open(path, files: files, limits: limits).verified()
            return nil
        } catch {
            return error.reason
        }
    }
}

package import Files
package import SystemPackage
package import Wire

/// The first 512 bytes of a part of a file that was too large for its medium: one line of JSON, filled up with spaces.
///
/// After it come the part's bytes, and nothing after those. It says everything that is needed to put the file together, so
/// that names, order and folders mean nothing; and tools that every system has can do it too: `tail -c +513` of each part.
package struct PartHeader: Equatable, Sendable, CustomStringConvertible {
    /// In bytes, the line's end included.
    package static let size = 512
    package static let mostParts = 999
    private static let format = "consilium-part/1"
    private static let longestName = 100

    /// What belongs together: equal in all parts of one file.
    package struct Whole: Hashable, Sendable {
        /// `[a-z0-9._-]`, safe on every file system; names a file and nothing else.
        package let name: String
        /// Of the whole file, in bytes.
        package let size: Int64
        package let digest: Digest
        package let parts: Int

        package init(name: String, size: Int64, digest: Digest, parts: Int) {
            self.name = name
            self.size = size
            self.digest = digest
            self.parts = parts
        }
    }

    package let whole: Whole
    /// From 1.
    package let number: Int
    /// Of this part without its header, in bytes.
    package let size: Int64
    package let digest: Digest

    package init(whole: Whole, number: Int, size: Int64, digest: Digest) {
        self.whole = whole
        self.number = number
        self.size = size
        self.digest = digest
    }

    /// `NAME.001-of-003`: lower case, no character that FAT refuses, and in order when sorted.
    package var fileName: String { "\(whole.name).\(Self.digits(number))-of-\(Self.digits(whole.parts))" }

    package var description: String { "part \(number) of \(whole.parts) of \(whole.name)" }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 3 - text.count)) + text
    }

    /// The nearest name that is safe on every file system.
    package static func safeName(_ name: String) -> String {
        let bytes = name.lowercased().utf8.map { isSafe($0) ? $0 : UInt8(ascii: "-") }
        let trimmed = bytes.drop { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }.prefix(longestName)
        return trimmed.isEmpty ? "file" : String(decoding: trimmed, as: UTF8.self)
    }

    private static func isSafe(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }

    // MARK: bytes

    package var encoded: [UInt8] {
        let json: JSONValue = [
            "format": .string(Self.format), "name": .string(whole.name), "size": .integer(whole.size),
            "sha256": .string(whole.digest.hex), "parts": .integer(Int64(whole.parts)),
            "part": .integer(Int64(number)), "part_size": .integer(size), "part_sha256": .string(digest.hex),
        ]
        let line = StrictJSON.serialize(json).dropLast()
        return line + [UInt8](repeating: UInt8(ascii: " "), count: Self.size - 1 - line.count) + [UInt8(ascii: "\n")]
    }

    /// - Returns: nil unless the bytes are a header in exactly the one encoding.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.size, bytes.starts(with: Array("{\"format\":\"\(Self.format)\"".utf8)) else {
            return nil
        }
        guard let json = try? StrictJSON.parse(bytes, maximumBytes: Self.size),
            let header = try? Self(json: json), header.encoded == bytes
        else { return nil }
        self = header
    }

    private init(json: JSONValue) throws(JSONError) {
        var fields = try ObjectReader(json, context: "part")
        let parts = Int64(Self.mostParts)
        whole = Whole(
            name: try fields.string("name", maximumLength: Self.longestName),
            size: try fields.integer("size", in: 1...Int64.max), digest: try fields.digest("sha256"),
            parts: Int(try fields.integer("parts", in: 1...parts)))
        number = Int(try fields.integer("part", in: 1...Int64(whole.parts)))
        size = try fields.integer("part_size", in: 1...whole.size)
        digest = try fields.digest("part_sha256")
        guard Self.safeName(whole.name) == whole.name else { throw fields.problem("name", "is not safe") }
        _ = try fields.string("format")
        try fields.finish()
    }

    /// The header of a file that begins with one.
    package static func read(_ file: any ReadableFile) throws(FileError) -> PartHeader? {
        PartHeader(try file.bytes(at: 0, count: size))
    }

    package static func read(_ path: FilePath, files: any FileSystem) throws(FileError) -> PartHeader? {
        try read(try files.openForReading(path))
    }
}

/// One header of the one tar encoding that bundles use: POSIX ustar, a plain file, nothing about it but name and size.
///
/// 512 bytes: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link name 100, magic 6, version 2, user
/// name 32, group name 32, device 8 + 8, prefix 155, 12 unused (POSIX.1-1988, IEEE 1003.1 "ustar Interchange Format").
/// GNU tar writes the same bytes with `--format=ustar --mode=0644 --owner=0 --group=0 --numeric-owner --mtime=@0`.
struct UstarHeader: Equatable {
    static let blockSize = 512
    /// What the size field's eleven octal digits can say.
    static let maximumSize: Int64 = 0o777_7777_7777

    let name: String
    /// In bytes.
    let size: Int64

    init(name: String, size: Int64) {
        self.name = name
        self.size = size
    }

    /// Reads name and size, makes the header anew from them, and requires the same bytes: so every other type, dialect,
    /// number format, extension and checksum is refused at once, known to us or not.
    /// - Returns: nil unless `block` is such a header.
    init?(block: [UInt8]) {
        guard block.count == UstarHeader.blockSize,
            let name = String(validating: block[..<100].prefix { $0 != 0 }, as: UTF8.self)
        else { return nil }
        var size: Int64 = 0
        for digit in block[124..<135] {
            guard (0x30...0x37).contains(digit) else { return nil }
            size = size * 8 + Int64(digit - 0x30)
        }
        self.init(name: name, size: size)
        guard encoded == block else { return nil }
    }

    /// The 512 bytes. `name` must be an allowed name, and `size` at most ``maximumSize``: both are checked where they enter.
    var encoded: [UInt8] {
        var block: [UInt8] = []
        func field(_ text: String, _ width: Int) {
            block += text.utf8.prefix(width)
            block += [UInt8](repeating: 0, count: max(0, width - text.utf8.count))
        }
        func octal(_ value: Int64, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        field(name, 100)
        field("0000644", 8)
        field("0000000", 8)
        field("0000000", 8)
        field(octal(size, 11), 12)
        field(octal(0, 11), 12)
        field("        ", 8)
        field("0", 1)
        field("", 100)
        field("ustar", 6)
        field("00", 2)
        field("", 64)
        field("0000000", 8)
        field("0000000", 8)
        field("", 155 + 12)
        // The checksum is computed with spaces in its place, and written as six digits, NUL, space.
        let sum = block.reduce(Int64(0)) { $0 + Int64($1) }
        block.replaceSubrange(148..<156, with: octal(sum, 6).utf8 + [0, 0x20])
        return block
    }

    /// The length of `size` bytes of content with the zeros that fill its last block.
    static func padded(_ size: Int64) -> Int64 { (size + 511) / 512 * 512 }
}

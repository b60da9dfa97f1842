/// Blocks of a ustar archive, made without the project's own writer.
package enum TarBlocks {
    package static func entry(_ name: String, _ content: [UInt8]) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { block[offset + index] = byte }
        }
        let size = String(content.count, radix: 8)
        put(name, at: 0)
        put("0000644", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        put(String(repeating: "0", count: 11 - size.count) + size, at: 124)
        put("00000000000", at: 136)
        put("0", at: 156)
        put("ustar\u{0}00", at: 257)
        put("0000000", at: 329)
        put("0000000", at: 337)
        return checksummed(block) + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// The archive with the checksum of each header put right, as far as sizes lead from one header to the next.
    package static func repaired(_ archive: [UInt8]) -> [UInt8] {
        var archive = archive
        var start = 0
        while start + 512 <= archive.count, archive[start..<start + 512].contains(where: { $0 != 0 }) {
            archive.replaceSubrange(start..<start + 512, with: checksummed(Array(archive[start..<start + 512])))
            let digits = archive[start + 124..<start + 135]
            let size = digits.reduce(0) { $0 * 8 + Int($1 & 7) }
            guard size < archive.count else { break }
            start += 512 + (size + 511) / 512 * 512
        }
        return archive
    }

    /// The block with the checksum that its other bytes ask for.
    package static func checksummed(_ block: [UInt8]) -> [UInt8] {
        var block = block
        block.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
        let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        block.replaceSubrange(
            148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum).utf8) + [0, 0x20])
        return block
    }
}

/// OpenSSH's armour: Base64 (RFC 4648) in lines of 70 between two lines.
package enum TextArmour {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func blob(_ armoured: [UInt8]) -> [UInt8] {
        let lines = armoured.split(separator: 0x0a).dropFirst().dropLast()
        var bytes: [UInt8] = []
        var bits = 0
        for (index, letter) in lines.joined().filter({ $0 != UInt8(ascii: "=") }).enumerated() {
            bits = (bits << 6 | (alphabet.firstIndex(of: letter) ?? 0)) & 0xff_ffff
            if index % 4 != 0 { bytes.append(UInt8(truncatingIfNeeded: bits >> (6 - 2 * (index % 4)))) }
        }
        return bytes
    }

    package static func text(_ blob: [UInt8], _ kind: String) -> [UInt8] {
        var body: [UInt8] = []
        for start in stride(from: 0, to: blob.count, by: 3) {
            let group = blob[start..<min(start + 3, blob.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for index in 0...3 {
                body.append(index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        var text = Array("-----BEGIN \(kind)-----\n".utf8)
        for start in stride(from: 0, to: body.count, by: 70) {
            text += body[start..<min(start + 70, body.count)] + [0x0a]
        }
        return text + Array("-----END \(kind)-----\n".utf8)
    }
}

/// PNG's chunks with checksums that fit (PNG specification, third edition, 5.3 and annex D).
package enum PNGChunks {
    /// Name and body of each chunk.
    package static func parse(_ file: [UInt8]) -> [(name: [UInt8], body: [UInt8])] {
        var chunks: [(name: [UInt8], body: [UInt8])] = []
        var position = 8
        while position + 12 <= file.count {
            let size = file[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            let body = position + 8
            guard size <= file.count - body - 4 else { break }
            chunks.append((Array(file[position + 4..<body]), Array(file[body..<body + size])))
            position = body + size + 4
        }
        return chunks
    }

    package static func file(_ chunks: [(name: [UInt8], body: [UInt8])]) -> [UInt8] {
        chunks.reduce(into: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) { file, chunk in
            file += big(UInt32(chunk.body.count)) + chunk.name + chunk.body + big(checksum(chunk.name + chunk.body))
        }
    }

    private static func big(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xedb8_8320 : 0) }
        }
    }
}

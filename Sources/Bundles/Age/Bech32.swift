/// Bech32 as BIP 173 defines it, without its limit of 90 characters, which age does not keep either.
///
/// Stricter than BIP 173 in one thing: whoever decodes says whether the text is in lower or upper case, as age does, so
/// that every value has one text. Works on bytes, because a `String` that held a secret cannot be cleared.
enum Bech32 {
    enum LetterCase {
        case lower, upper

        fileprivate var alphabet: [UInt8] {
            switch self {
            case .lower: Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
            case .upper: Array("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".utf8)
            }
        }
    }

    private static let checksumLength = 6

    /// - Parameter prefix: the human-readable part, in the case of the text.
    static func encode(prefix: String, _ bytes: [UInt8], _ letterCase: LetterCase) -> [UInt8] {
        let alphabet = letterCase.alphabet
        var checksum = Checksum(prefix: prefix)
        var text: [UInt8] = []
        // Room for all of it: an array that grew would leave its old storage behind, uncleared.
        text.reserveCapacity(prefix.utf8.count + 1 + (bytes.count * 8 + 4) / 5 + checksumLength)
        text += prefix.utf8
        text.append(UInt8(ascii: "1"))
        var bits: UInt32 = 0
        var count: UInt32 = 0
        func append(_ value: UInt32) {
            checksum.add(value)
            text.append(alphabet[Int(value)])
        }
        for byte in bytes {
            bits = (bits << 8 | UInt32(byte)) & 0xfff
            count += 8
            while count >= 5 {
                count -= 5
                append(bits >> count & 31)
            }
        }
        if count > 0 { append(bits << (5 - count) & 31) }
        for _ in 0..<checksumLength { checksum.add(0) }
        let sum = checksum.value ^ 1
        for index in 0..<checksumLength { text.append(alphabet[Int(sum >> (5 * UInt32(5 - index)) & 31)]) }
        return text
    }

    /// - Returns: nil unless `text` is what ``encode(prefix:_:_:)`` makes of some bytes.
    static func decode(prefix: String, _ text: [UInt8], _ letterCase: LetterCase) -> [UInt8]? {
        let alphabet = letterCase.alphabet
        let start = prefix.utf8.count + 1
        guard text.count >= start + checksumLength, text.starts(with: Array((prefix + "1").utf8)) else { return nil }
        var checksum = Checksum(prefix: prefix)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for (index, character) in text[start...].enumerated() {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            checksum.add(UInt32(value))
            guard index < text.count - start - checksumLength else { continue }
            bits = (bits << 5 | UInt32(value)) & 0xfff
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        // What is left over is padding: less than one character, and zero.
        guard checksum.value == 1, count < 5, bits & (1 << count - 1) == 0 else {
            Secrets.wipe(&bytes)
            return nil
        }
        return bytes
    }

    /// The checksum of BIP 173, a BCH code over GF(32), fed value by value.
    private struct Checksum {
        private static let generator: [UInt32] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
        private(set) var value: UInt32 = 1

        init(prefix: String) {
            let lower = prefix.lowercased().utf8
            for character in lower { add(UInt32(character >> 5)) }
            add(0)
            for character in lower { add(UInt32(character & 31)) }
        }

        mutating func add(_ five: UInt32) {
            let top = value >> 25
            value = (value & 0x1ff_ffff) << 5 ^ five
            for (index, word) in Checksum.generator.enumerated() where top >> UInt32(index) & 1 == 1 { value ^= word }
        }
    }
}

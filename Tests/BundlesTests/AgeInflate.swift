/// Decompresses zlib streams (RFC 1950, RFC 1951), in which the larger age vectors are stored.
///
/// For well-formed input: the vectors are fixed, and a mistake here shows as a wrong digest. Bad input gives nil or a trap.
struct AgeInflate {
    private static let lengthBases = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthBits = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBases = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145,
        8193, 12289, 16385, 24577,
    ]
    private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

    private let input: [UInt8]
    private var position = 16
    private var output: [UInt8] = []

    static func decompress(zlib bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count > 6, bytes[0] & 15 == 8 else { return nil }
        var inflate = AgeInflate(input: bytes)
        return inflate.run() ? inflate.output : nil
    }

    private init(input: [UInt8]) { self.input = input }

    private mutating func bits(_ count: Int) -> Int {
        var value = 0
        for index in 0..<count {
            value |= Int(input[position / 8] >> UInt8(position % 8) & 1) << index
            position += 1
        }
        return value
    }

    private mutating func run() -> Bool {
        while true {
            let isLast = bits(1) == 1
            switch bits(2) {
            case 0:
                let start = (position + 7) / 8
                let count = Int(input[start]) | Int(input[start + 1]) << 8
                output += input[start + 4..<start + 4 + count]
                position = (start + 4 + count) * 8
            case 1:
                let lengths = (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
                block(Code(lengths), Code([Int](repeating: 5, count: 30)))
            case 2:
                let (literals, distances) = codes()
                block(literals, distances)
            default: return false
            }
            if isLast { return true }
        }
    }

    /// The codes that a block brings along, themselves coded.
    private mutating func codes() -> (Code, Code) {
        let (literalCount, distanceCount, codeCount) = (bits(5) + 257, bits(5) + 1, bits(4) + 4)
        var lengths = [Int](repeating: 0, count: 19)
        for index in 0..<codeCount { lengths[AgeInflate.lengthOrder[index]] = bits(3) }
        let code = Code(lengths)
        var all: [Int] = []
        while all.count < literalCount + distanceCount {
            switch symbol(code) {
            case 16: all += [Int](repeating: all[all.count - 1], count: 3 + bits(2))
            case 17: all += [Int](repeating: 0, count: 3 + bits(3))
            case 18: all += [Int](repeating: 0, count: 11 + bits(7))
            case let length: all.append(length)
            }
        }
        return (Code(Array(all[..<literalCount])), Code(Array(all[literalCount...])))
    }

    private mutating func block(_ literals: Code, _ distances: Code) {
        while true {
            let value = symbol(literals)
            if value < 256 {
                output.append(UInt8(value))
                continue
            }
            if value == 256 { return }
            let length = AgeInflate.lengthBases[value - 257] + bits(AgeInflate.lengthBits[value - 257])
            let code = symbol(distances)
            let distance = AgeInflate.distanceBases[code] + bits(max(0, code / 2 - 1))
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
    }

    private mutating func symbol(_ code: Code) -> Int {
        var (value, first, index) = (0, 0, 0)
        for length in 1...15 {
            value |= bits(1)
            let count = code.counts[length]
            if value - first < count { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        preconditionFailure("not a canonical Huffman code")
    }

    /// A canonical Huffman code: how many words of each length, and their symbols in order.
    private struct Code {
        var counts = [Int](repeating: 0, count: 16)
        let symbols: [Int]

        init(_ lengths: [Int]) {
            for length in lengths where length > 0 { counts[length] += 1 }
            symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        }
    }
}

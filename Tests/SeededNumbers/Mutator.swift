/// Damages good input in the ways that find faults in parsers: bits, boundary bytes, pieces cut out, doubled and moved,
/// words of the format in the wrong place. The same seed makes the same damage, so that a failure can be repeated.
package struct Mutator {
    private var random: SplitMix64
    /// Words that mean something to the parser.
    private let words: [[UInt8]]

    package init(seed: UInt64, words: [String] = []) {
        random = SplitMix64(seed: seed)
        self.words = words.map { Array($0.utf8) }
    }

    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<max(1, bound), using: &random) }

    /// One to four changes.
    package mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) { change(&bytes) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let boundaries: [UInt8] = [0, 1, 0x0a, 0x20, 0x22, 0x2d, 0x30, 0x39, 0x5b, 0x7b, 0x7f, 0x80, 0xff]
        guard !bytes.isEmpty else { return bytes.append(boundaries[below(boundaries.count)]) }
        let position = below(bytes.count)
        let piece = position..<min(bytes.count, position + 1 + below(below(2) == 0 ? 4 : 64))
        switch below(words.isEmpty ? 7 : 10) {
        case 0, 1: bytes[position] ^= 1 << UInt8(below(8))
        case 2: bytes[position] = boundaries[below(boundaries.count)]
        case 3: bytes.removeSubrange(piece)
        case 4: bytes.insert(contentsOf: bytes[piece], at: below(bytes.count))
        case 5: bytes.insert(boundaries[below(boundaries.count)], at: position)
        case 6: bytes.removeSubrange(position...)
        case 7: bytes.replaceSubrange(piece, with: words[below(words.count)])
        default: bytes.insert(contentsOf: words[below(words.count)], at: position)
        }
    }
}

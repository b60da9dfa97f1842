/// Deterministic randomness that is the same on every platform: integer arithmetic, and IEEE additions only.
///
/// Everything is counter-based: a value is a function of a key and an index, so nothing has to be stored to resume a
/// training, and workers may ask in any order.
package struct RandomSource: Equatable, Sendable {
    package let key: UInt64

    package init(seed: UInt64) { key = Self.mix(seed &+ Self.golden) }
    private init(key: UInt64) { self.key = key }

    /// An independent source for one purpose, epoch, layer, ...
    package func derived(_ index: UInt64) -> RandomSource {
        RandomSource(key: Self.mix(key ^ Self.mix(index &+ Self.golden)))
    }

    /// A source for a name, by 64-bit FNV-1a over its UTF-8 bytes.
    package func derived(_ name: String) -> RandomSource {
        derived(name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
    }

    /// 64 uniform bits: output `index` of the SplitMix64 sequence that starts at `key` (Steele, Lea and Flood 2014).
    @inline(__always)
    package func bits(_ index: UInt64) -> UInt64 { Self.mix(key &+ (index &+ 1) &* Self.golden) }

    /// Uniform in [0, 1), with 53 bits.
    package func uniform(_ index: UInt64) -> Double { Double(bits(index) >> 11) * 0x1p-53 }

    /// Standard normal to the fourth moment's first digit: the sum of twelve uniforms less six (Irwin-Hall; mean 0,
    /// variance 1, support [-6, 6]). Exact IEEE additions, where Box-Muller would depend on the platform's libm.
    package func normal(_ index: UInt64) -> Double {
        var sum = -6.0
        for term in 0..<12 { sum += uniform(index &* 12 &+ UInt64(term)) }
        return sum
    }

    /// A uniformly random order of `0..<count`: Fisher-Yates from the end, indices by Lemire's multiply-shift.
    package func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            let pick = bits(UInt64(last)).multipliedFullWidth(by: UInt64(last + 1)).high
            order.swapAt(last, Int(pick))
        }
        return order
    }

    private static let golden: UInt64 = 0x9e37_79b9_7f4a_7c15

    /// SplitMix64's finaliser.
    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        var word = value
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

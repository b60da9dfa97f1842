/// Arithmetic with the same result on every platform: only IEEE addition, multiplication and division, which are exact to
/// the last bit everywhere. The C library's `sin`, `cos` and `exp` are not.
enum DeterministicMath {
    /// Sine and cosine of an angle in degrees, error below 1e-15. Taylor series on -45...45 after reduction by quarter turns.
    static func sineCosine(degrees: Double) -> (sine: Double, cosine: Double) {
        let quarters = (degrees / 90).rounded()
        let x = (degrees - quarters * 90) * (Double.pi / 180)
        let square = x * x
        var (sine, cosine) = (0.0, 0.0)
        for n in stride(from: 8, through: 1, by: -1) {
            let even = Double(2 * n)
            sine = (1 + sine) * -square / (even * (even + 1))
            cosine = (1 + cosine) * -square / (even * (even - 1))
        }
        sine = x * (1 + sine)
        cosine = 1 + cosine
        switch Int(quarters) & 3 {
        case 0: return (sine, cosine)
        case 1: return (cosine, -sine)
        case 2: return (-sine, -cosine)
        default: return (-cosine, sine)
        }
    }

    /// Hermite's step: 0 below `low`, 1 above `high`, 3t^2 - 2t^3 between.
    static func smoothStep(_ low: Double, _ high: Double, _ value: Double) -> Double {
        let t = min(max((value - low) / (high - low), 0), 1)
        return t * t * (3 - 2 * t)
    }
}

/// A counter-based stream of pseudo-random numbers: a pure function of its key, so that a draw depends neither on the
/// order of work nor on the number of workers.
///
/// SplitMix64 (Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators"); the key's words are folded in
/// one by one through its finaliser.
package struct CounterRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(_ key: UInt64...) {
        state = 0
        for word in key { state = Self.mix(state &+ 0x9e37_79b9_7f4a_7c15 &+ word) }
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// Uniform in [0, 1), on a grid of 2^-53.
    package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in [low, high).
    package mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

    /// Uniform in 0..<count; the bias of the modulus is below 2^-40 for counts below 2^24.
    package mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }

    /// Fisher-Yates. The standard library's `shuffle(using:)` may change between releases; this one does not.
    package mutating func shuffle<Element>(_ elements: inout [Element]) {
        guard elements.count > 1 else { return }
        for last in stride(from: elements.count - 1, to: 0, by: -1) { elements.swapAt(last, index(below: last + 1)) }
    }

    private static func mix(_ word: UInt64) -> UInt64 {
        var z = word
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

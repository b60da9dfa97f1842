/// What a picture looks like, for finding near-duplicates: mirrored, resized, recompressed, brighter or darker copies.
///
/// The picture is stretched to 32 x 32 and transformed by a two-dimensional cosine transform (DCT-II), of which the
/// lowest 16 x 16 coefficients but the first are kept: without the first, brightness does not count; normalised,
/// contrast does not. A mirror image has the same coefficients with the sign of every odd horizontal frequency
/// turned, so one hash serves for both.
///
/// - `bits`: the signs of the lowest 8 x 8 coefficients, for finding candidates (after Zauner 2010, "Implementation and
///   benchmarking of perceptual image hash functions", pHash; signs instead of the median, which mirrors cleanly).
/// - `coefficients`: 255 values as signed bytes, for deciding: the correlation of two pictures.
package struct PerceptualHash: Equatable, Sendable {
    package let bits: UInt64
    /// Row-major [vertical frequency][horizontal frequency], scaled so that the largest is +-127.
    package let coefficients: [Int8]
    /// The coefficients' Euclidean length.
    private let length: Float

    private static let side = 32
    private static let kept = 16

    /// A picture of one gray value.
    package static let flat = PerceptualHash(bits: 0, coefficients: [Int8](repeating: 0, count: kept * kept), length: 0)

    /// The bits that a mirror image turns: odd horizontal frequencies.
    package static let mirrorMask: UInt64 = 0xaaaa_aaaa_aaaa_aaaa

    private init(bits: UInt64, coefficients: [Int8], length: Float) {
        self.bits = bits
        self.coefficients = coefficients
        self.length = length
    }

    package init(_ image: LumaImage) {
        let spectrum = Self.spectrum(image.resized(width: Self.side, height: Self.side).pixels)
        let largest = spectrum.reduce(0) { max($0, abs($1)) }
        // Rounding leaves a trace of noise in a flat picture; below one gray level of amplitude there is nothing to see.
        guard largest >= Double(Self.side * Self.side) / 4 else {
            self = .flat
            return
        }
        var bits: UInt64 = 0
        for v in 0..<8 {
            for u in 0..<8 where spectrum[v * Self.kept + u] > 0 { bits |= 1 << UInt64(8 * v + u) }
        }
        let coefficients = spectrum.map { Int8(($0 / largest * 127).rounded()) }
        let energy = coefficients.reduce(0) { $0 + Int($1) * Int($1) }
        self.init(bits: bits, coefficients: coefficients, length: Float(energy).squareRoot())
    }

    /// The bits of the mirror image.
    package var mirroredBits: UInt64 { bits ^ Self.mirrorMask }

    /// How alike two pictures are, mirrored or not, whichever is more: -1...1; 1 for two flat ones.
    package func correlation(_ other: PerceptualHash) -> Float {
        guard length > 0, other.length > 0 else { return length == other.length ? 1 : 0 }
        var (even, odd): (Int32, Int32) = (0, 0)
        coefficients.withUnsafeBufferPointer { left in
            other.coefficients.withUnsafeBufferPointer { right in
                for pair in stride(from: 0, to: Self.kept * Self.kept, by: 2) {
                    even += Int32(left[pair]) * Int32(right[pair])
                    odd += Int32(left[pair + 1]) * Int32(right[pair + 1])
                }
            }
        }
        return Float(even + abs(odd)) / (length * other.length)
    }

    /// Cosine of pi (n + 1/2) k / 32 at [k][n].
    private static let cosines: [Double] = (0..<kept).flatMap { k in
        (0..<side).map { n in
            DeterministicMath.sineCosine(degrees: 180 * (Double(n) + 0.5) * Double(k) / Double(side)).cosine
        }
    }

    /// [16][16] coefficients of 32 x 32 pixels; the first is set to 0.
    private static func spectrum(_ pixels: [UInt8]) -> [Double] {
        var rows = [Double](repeating: 0, count: side * kept)
        for y in 0..<side {
            for u in 0..<kept {
                var sum = 0.0
                for x in 0..<side { sum += cosines[u * side + x] * Double(pixels[y * side + x]) }
                rows[y * kept + u] = sum
            }
        }
        var spectrum = [Double](repeating: 0, count: kept * kept)
        for v in 0..<kept {
            for u in 0..<kept {
                var sum = 0.0
                for y in 0..<side { sum += cosines[v * side + y] * rows[y * kept + u] }
                spectrum[v * kept + u] = sum
            }
        }
        spectrum[0] = 0
        return spectrum
    }
}

import SeededNumbers
import Tensors
import Testing

extension SplitMix64 {
    /// Uniform in -1..<1.
    mutating func float() -> Float { Float(next() >> 40) / Float(1 << 23) - 1 }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in float() } }

    mutating func integer(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
}

/// An output buffer that begins as NaN with a guard zone on both sides, so that an element left out and a write past the
/// end are both seen. Ask it something after the last use of `base`: that keeps it alive until then.
final class GuardedBuffer {
    private static let zone = 64
    private static let canary = Float(bitPattern: 0x7FC0_1234)
    private let storage: UnsafeMutablePointer<Float>
    let count: Int

    init(_ count: Int) {
        self.count = count
        storage = .allocate(capacity: count + 2 * GuardedBuffer.zone)
        storage.initialize(repeating: GuardedBuffer.canary, count: count + 2 * GuardedBuffer.zone)
    }

    convenience init(_ values: [Float]) {
        self.init(values.count)
        for (index, value) in values.enumerated() { base[index] = value }
    }

    deinit { storage.deallocate() }

    var base: UnsafeMutablePointer<Float> { storage + GuardedBuffer.zone }
    var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }
    var bits: [UInt32] { values.map(\.bitPattern) }

    var guardsAreIntact: Bool {
        (0..<GuardedBuffer.zone).allSatisfy {
            storage[$0].bitPattern == GuardedBuffer.canary.bitPattern
                && base[count + $0].bitPattern == GuardedBuffer.canary.bitPattern
        }
    }

    /// Every element was written (random inputs give no NaN) and nothing else was.
    var isSound: Bool { guardsAreIntact && values.allSatisfy { !$0.isNaN } }
}

/// Root of the mean squared difference over the root of the reference's mean square.
func relativeRMS(_ values: [Float], _ reference: [Double]) -> Double {
    var (error, norm) = (0.0, 0.0)
    for (value, expected) in zip(values, reference) {
        error += (Double(value) - expected) * (Double(value) - expected)
        norm += expected * expected
    }
    return norm > 0 ? (error / norm).squareRoot() : error.squareRoot()
}

/// Largest difference over the reference's largest magnitude.
func relativeMaximum(_ values: [Float], _ reference: [Double]) -> Double {
    let error = zip(values, reference).map { abs(Double($0) - $1) }.max() ?? 0
    let norm = reference.map { abs($0) }.max() ?? 0
    return norm > 0 ? error / norm : error
}

let supportedInstructionSets = InstructionSet.allCases.filter(\.isSupported)

extension ConvolutionShape: CustomTestStringConvertible {
    package var testDescription: String {
        "\(batch)x\(inputHeight)x\(inputWidth)x\(inputChannels) -> \(outputChannels), kernel \(kernelHeight)x\(kernelWidth)/\(stride), "
            + "pad \(padTop) \(padLeft) \(padBottom) \(padRight)"
    }
}

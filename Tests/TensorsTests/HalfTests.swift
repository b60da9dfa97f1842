import Tensors
import Testing

/// Half precision: all 65,536 numbers, and the rounding between them, the same on every instruction set.
@Suite struct HalfTests {
    private func halves(_ x: [Float], _ instructionSet: InstructionSet) -> [UInt16] {
        var half = [UInt16](repeating: 0, count: x.count)
        Kernels.toHalf(x, count: x.count, half: &half, context: ComputeContext(instructionSet: instructionSet))
        return half
    }

    private func floats(_ half: [UInt16], _ instructionSet: InstructionSet) -> [Float] {
        var x = [Float](repeating: 0, count: half.count)
        Kernels.fromHalf(half, count: half.count, x: &x, context: ComputeContext(instructionSet: instructionSet))
        return x
    }

    /// The definition: (-1)^sign 2^(exponent - 15) 1.fraction, or 2^-14 0.fraction.
    private func value(_ half: UInt16) -> Double {
        let (exponent, fraction) = (Int(half >> 10 & 31), Double(half & 1023))
        let scale = exponent == 0 ? 0x1p-24 : (0..<exponent).reduce(0x1p-25) { power, _ in power * 2 }
        let magnitude = exponent == 0 ? fraction * scale : (1024 + fraction) * scale
        return half >> 15 == 1 ? -magnitude : magnitude
    }

    @Test(arguments: supportedInstructionSets) func everyFiniteHalfComesBack(instructionSet: InstructionSet) {
        let all = (0...UInt16.max).filter { $0 >> 10 & 31 != 31 }
        let x = floats(all, instructionSet)
        #expect(zip(all, x).allSatisfy { value($0) == Double($1) })
        #expect(halves(x, instructionSet) == all)
    }

    /// Between two neighbours the nearer one, half way the even one.
    @Test(arguments: supportedInstructionSets) func roundingIsToNearestEven(instructionSet: InstructionSet) {
        let lower = (0..<UInt16(0x7bff)).map { $0 }
        let low = floats(lower, instructionSet)
        let high = floats(lower.map { $0 + 1 }, instructionSet)
        let middle = zip(low, high).map { ($0 + $1) / 2 }
        #expect(halves(middle, instructionSet) == lower.map { $0 % 2 == 0 ? $0 : $0 + 1 })
        #expect(halves(middle.map(\.nextDown), instructionSet) == lower)
        #expect(halves(middle.map(\.nextUp), instructionSet) == lower.map { $0 + 1 })
    }

    @Test(arguments: supportedInstructionSets) func whatIsTooLargeBecomesTheLargest(instructionSet: InstructionSet) {
        #expect(
            halves([65_504, 65_520, 1e30, .infinity, -1e30], instructionSet) == [
                0x7bff, 0x7bff, 0x7bff, 0x7bff, 0xfbff,
            ])
    }
}

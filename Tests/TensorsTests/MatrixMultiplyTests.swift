import SeededNumbers
import Tensors
import Testing

/// Rules of `Kernels.matrixMultiply`:
/// 1. Within 2e-6 relative RMS of the product in Double, for every combination of transposes, with and without bias or
///    accumulation.
/// 2. Exactly `[m][n]` is written, and the stated workspace; an empty depth gives zeros.
/// 3. The number of workers does not change a bit.
@Suite struct MatrixMultiplyTests {
    struct Extents: CustomTestStringConvertible {
        let m, n, k: Int
        var testDescription: String { "\(m)x\(n)x\(k)" }
    }

    static let extents = [
        (1, 1, 1), (4, 128, 32), (32, 4, 128), (13, 33, 7), (15, 16, 300), (29, 31, 1), (3, 5, 0), (70, 65, 513),
        (200, 96, 1024), (260, 200, 512),
    ].map { Extents(m: $0.0, n: $0.1, k: $0.2) }

    @Test("agrees with the product in Double", arguments: extents)
    func agreesWithReference(extents: Extents) {
        let material = Material(extents)
        for instructionSet in supportedInstructionSets {
            let context = ComputeContext(workers: 2, instructionSet: instructionSet)
            for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
                let plain = material.run(context, transposeA, transposeB, c: GuardedBuffer(extents.m * extents.n))
                #expect(plain.isSound)
                #expect(relativeRMS(plain.values, material.product) <= 2e-6)

                let biased = material.run(
                    context, transposeA, transposeB, bias: material.bias, c: GuardedBuffer(extents.m * extents.n))
                let withBias = material.product.enumerated().map { $1 + Double(material.bias[$0 % extents.n]) }
                #expect(biased.isSound)
                #expect(relativeRMS(biased.values, withBias) <= 2e-6)

                let added = material.run(
                    context, transposeA, transposeB, accumulate: true, c: GuardedBuffer(material.start))
                let sum = zip(material.product, material.start).map { $0 + Double($1) }
                #expect(added.isSound)
                #expect(relativeRMS(added.values, sum) <= 2e-6)
            }
        }
    }

    @Test("gives the same bytes for 1, 2 and 3 workers", arguments: supportedInstructionSets)
    func workersDoNotMatter(instructionSet: InstructionSet) {
        // Beyond the work that runs inline, and with a tail in every direction.
        let extents = Extents(m: 301, n: 131, k: 517)
        let material = Material(extents)
        let results = (1...3).map { workers in
            material.run(
                ComputeContext(workers: workers, instructionSet: instructionSet), false, true,
                c: GuardedBuffer(extents.m * extents.n)
            ).bits
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    struct Material {
        let extents: Extents
        let a, b, turnedA, turnedB, bias, start: [Float]
        var product: [Double]

        init(_ extents: Extents) {
            let (m, n, k) = (extents.m, extents.n, extents.k)
            var generator = SplitMix64(seed: UInt64(m * n + k))
            self.extents = extents
            a = generator.floats(m * k)
            b = generator.floats(k * n)
            bias = generator.floats(n)
            start = generator.floats(m * n)
            turnedA = Material.transposed(a, rows: m, columns: k)
            turnedB = Material.transposed(b, rows: k, columns: n)
            product = [Double](repeating: 0, count: m * n)
            for i in 0..<m {
                for d in 0..<k {
                    for j in 0..<n { product[i * n + j] += Double(a[i * k + d]) * Double(b[d * n + j]) }
                }
            }
        }

        func run(
            _ context: ComputeContext, _ transposeA: Bool, _ transposeB: Bool, bias: [Float]? = nil,
            accumulate: Bool = false, c: GuardedBuffer
        ) -> GuardedBuffer {
            let (m, n, k) = (extents.m, extents.n, extents.k)
            let workspace = GuardedBuffer(Kernels.matrixMultiplyWorkspaceCount(n: n, k: k, context: context))
            let bias = bias.map { GuardedBuffer($0) }
            Kernels.matrixMultiply(
                m: m, n: n, k: k, a: transposeA ? turnedA : a, transposeA: transposeA, b: transposeB ? turnedB : b,
                transposeB: transposeB, bias: bias.map { UnsafePointer($0.base) }, c: c.base, accumulate: accumulate,
                workspace: workspace.base, context: context)
            #expect(workspace.guardsAreIntact)
            return c
        }

        private static func transposed(_ x: [Float], rows: Int, columns: Int) -> [Float] {
            (0..<columns).flatMap { column in (0..<rows).map { x[$0 * columns + column] } }
        }
    }
}

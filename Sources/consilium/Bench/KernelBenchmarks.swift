import NeuralNetworks
import Tensors
import Wire

/// Peak, inner kernel, matrix product, and every convolution of a network.
enum KernelBenchmarks {
    static func kernels(_ context: ComputeContext) -> [Benchmark] {
        let probe = KernelProbe(context)
        let (steps, tiles) = (20_000_000, 40_000)
        let operations = Double(KernelProbe.multiplyAddOperations(steps: steps, context))
        var benchmarks = [
            Benchmark(
                group: .kernels, name: "multiply-adds, one core",
                work: operations, unit: .operations,
                prepare: { { KernelProbe.multiplyAdds(steps: steps, context) } }),
            Benchmark(
                group: .kernels, name: "inner kernel, one core", work: Double(tiles * probe.tileOperations),
                unit: .operations, prepare: { { probe.tiles(repetitions: tiles) } }),
            Benchmark(
                group: .kernels, name: "multiply-adds, all cores",
                work: operations * Double(context.workers), unit: .operations,
                prepare: {
                    {
                        context.parallel(tasks: context.workers) { _, _ in
                            KernelProbe.multiplyAdds(steps: steps, context)
                        }
                    }
                }),
        ]
        for size in [512, 1_024, 2_048] {
            benchmarks.append(
                Benchmark(
                    group: .kernels, name: "matrix product \(size)", work: 2 * Double(size * size * size),
                    unit: .operations, runs: max(1, 4_096 / size / (size / 256)),
                    request: ["kind": "matmul", "size": .integer(Int64(size))],
                    prepare: { product(size, context) }))
        }
        return benchmarks
    }

    private static func product(_ size: Int, _ context: ComputeContext) -> () -> Void {
        let workspace = Kernels.matrixMultiplyWorkspaceCount(n: size, k: size, context: context)
        let arena = filled(3 * size * size + workspace)
        return {
            let (a, b, c) = (arena.base, arena.base + size * size, arena.base + 2 * size * size)
            Kernels.matrixMultiply(
                m: size, n: size, k: size, a: a, b: b, c: c, workspace: c + size * size, context: context)
        }
    }

    /// Forward pass and both gradients of every convolution shape that the network has.
    static func convolutions(
        _ architecture: Architecture, batch: Int, size: Int, _ context: ComputeContext
    ) throws -> [Benchmark] {
        let specification = try ModelSpecification(
            architecture: architecture, classes: ["a", "b", "c", "d"], imageSize: size)
        let graph = try specification.graph()
        var shapes: [(shape: ConvolutionShape, name: String, count: Int)] = []
        for node in graph.nodes {
            guard let shape = graph.convolutionShape(of: node, batch: batch) else { continue }
            if let index = shapes.firstIndex(where: { $0.shape == shape }) {
                shapes[index].count += 1
            } else {
                shapes.append((shape, name(of: shape), 1))
            }
        }
        return shapes.flatMap { entry in
            Pass.allCases.map { pass in
                Benchmark(
                    group: .convolutions, name: "\(entry.name) \(pass.rawValue)", work: Double(entry.shape.flops),
                    unit: .operations, count: entry.count, request: request(entry.shape, pass),
                    prepare: { prepare(entry.shape, pass, context) })
            }
        }
    }

    enum Pass: String, CaseIterable {
        case forward
        case inputGradient = "input gradient"
        case weightGradient = "weight gradient"
    }

    /// `3x3 256-256 @14`, `/2` for a stride of 2.
    private static func name(of shape: ConvolutionShape) -> String {
        "\(shape.kernelHeight)x\(shape.kernelWidth) \(shape.inputChannels)-\(shape.outputChannels) @\(shape.inputHeight)"
            + (shape.stride > 1 ? "/\(shape.stride)" : "")
    }

    private static func request(_ shape: ConvolutionShape, _ pass: Pass) -> JSONValue {
        let numbers = [
            "batch": shape.batch, "height": shape.inputHeight, "width": shape.inputWidth, "inputs": shape.inputChannels,
            "outputs": shape.outputChannels, "kernel": shape.kernelHeight, "stride": shape.stride,
            "padding": shape.padTop,
        ]
        let words: [String: JSONValue] = ["kind": "convolution", "pass": .string(pass.rawValue)]
        return .object(words.merging(numbers.mapValues { .integer(Int64($0)) }) { $1 })
    }

    private static func prepare(
        _ shape: ConvolutionShape, _ pass: Pass, _ context: ComputeContext
    ) -> () -> Void {
        let convolution = Convolution(shape, context: context)
        let (inputs, outputs) = (rounded(shape.inputCount), rounded(shape.outputCount))
        let weights = rounded(shape.weightCount)
        let arena = filled(inputs + outputs + weights + convolution.workspaceCount)
        return {
            let input = arena.base
            let (output, weight) = (input + inputs, input + inputs + outputs)
            let workspace = weight + weights
            switch pass {
            case .forward:
                convolution.forward(input: input, weight: weight, bias: nil, output: output, workspace: workspace)
            case .inputGradient:
                convolution.inputGradient(
                    outputGradient: output, weight: weight, inputGradient: input, workspace: workspace)
            case .weightGradient:
                convolution.weightGradient(
                    input: input, outputGradient: output, weightGradient: weight, workspace: workspace)
            }
        }
    }

    /// To whole lines of the cache.
    private static func rounded(_ count: Int) -> Int { (count + 15) / 16 * 16 }

    /// Small numbers of both signs, so that nothing becomes subnormal, infinite or zero.
    private static func filled(_ count: Int) -> AlignedArena {
        let arena = AlignedArena(count: count)
        for index in 0..<count { arena.base[index] = Float(index % 61 - 30) / 1_024 }
        return arena
    }
}

import Tensors

extension StepRun {
    /// The steps without parameters.
    func performElementwise(_ step: Step) {
        switch step {
        case .relu(let input, let output, let count):
            relu(FloatPointer(pointer: UnsafeMutablePointer(mutating: read(input))), write(output), count: count)
        case .reluBackward(let output, let gradient, let count):
            Kernels.reluBackward(
                y: read(output), dy: read(gradient), count: count, dx: write(gradient), context: context)
        case .maxPool(let shape, let input, let output, let argmax):
            Kernels.maxPool2D(
                shape, x: read(input), y: write(output), argmax: bytes(argmax), context: context)
        case .maxPoolBackward(let shape, let outputGradient, let argmax, let inputGradient):
            Kernels.maxPool2DBackward(
                shape, dy: read(outputGradient), argmax: bytes(argmax), dx: write(inputGradient), context: context)
        case .averagePool(let shape, let input, let output):
            Kernels.averagePool2D(shape, x: read(input), y: write(output), context: context)
        case .averagePoolBackward(let shape, let outputGradient, let inputGradient):
            Kernels.averagePool2DBackward(shape, dy: read(outputGradient), dx: write(inputGradient), context: context)
        case .globalAveragePool(let shape, let input, let output):
            Kernels.globalAveragePool(
                x: read(input), batch: plan.batch, pixels: shape.positions, channels: shape.channels,
                y: write(output), context: context)
        case .globalAveragePoolBackward(let shape, let outputGradient, let inputGradient):
            Kernels.globalAveragePoolBackward(
                dy: read(outputGradient), batch: plan.batch, pixels: shape.positions, channels: shape.channels,
                dx: write(inputGradient), context: context)
        case .dropout(let node, let input, let output, let count):
            dropout(node: node, input: read(input), output: write(output), count: count)
        case .add(let left, let right, let output, let count):
            write(output).update(from: read(left), count: count)
            Kernels.addInPlace(read(right), count: count, to: write(output), context: context)
        case .copy(let source, let target, let count):
            write(target).update(from: read(source), count: count)
        case .accumulate(let source, let target, let count):
            Kernels.addInPlace(read(source), count: count, to: write(target), context: context)
        default:
            preconditionFailure("a step with parameters")
        }
    }

    /// The chosen taps of a max-pool, one byte each, in a buffer of floats.
    private func bytes(_ buffer: BufferID) -> UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(write(buffer)).assumingMemoryBound(to: UInt8.self)
    }

    /// Not a number passes through, so that a diverged training shows in its loss.
    private func relu(_ input: FloatPointer, _ output: UnsafeMutablePointer<Float>, count: Int) {
        let output = FloatPointer(pointer: output)
        context.parallel(count: count, grain: 1 << 17) { range in
            for index in range {
                let value = input.pointer[index]
                output.pointer[index] = value < 0 ? 0 : value
            }
        }
    }

    /// Inverted dropout (Srivastava et al. 2014, section 10): an element is kept with probability 1 - rate and then
    /// divided by it. Bit 40 and above of the element's random word decide, so forward and backward pass agree.
    private func dropout(
        node: Int, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>, count: Int
    ) {
        let random = inputs.random.derived(UInt64(node))
        let threshold = UInt64(Double(inputs.dropout) * 0x1p24)
        let scale = 1 / (1 - inputs.dropout)
        // A part of a batch draws what the whole batch would draw for its pictures.
        let first = inputs.firstPicture * (count / plan.batch)
        for index in 0..<count {
            output[index] = random.bits(UInt64(first + index)) >> 40 < threshold ? 0 : input[index] * scale
        }
    }
}

/// Naive kernels, one loop per axis, in any floating point type: the oracle that every fast kernel is checked against,
/// in Double by the tests. They are written to be read, not to be quick.
package enum Reference {}

extension Reference {
    /// `output[n][y][x][o] = bias[o] + sum over ky, kx, c of input[n][y*S + ky - top][x*S + kx - left][c] * weight[o][ky][kx][c]`,
    /// with zeros outside of the input. Shapes: ``ConvolutionShape``; bias `[outputChannels]`.
    @inlinable
    package static func convolution<T: BinaryFloatingPoint>(
        _ shape: ConvolutionShape, input: UnsafePointer<T>, weight: UnsafePointer<T>, bias: UnsafePointer<T>?,
        output: UnsafeMutablePointer<T>
    ) {
        for position in 0..<shape.outputCount / shape.outputChannels {
            for channel in 0..<shape.outputChannels {
                output[position * shape.outputChannels + channel] = bias?[channel] ?? 0
            }
        }
        forEachProduct(shape) { inputOffset, weightOffset, outputOffset in
            var sum = output[outputOffset]
            for c in 0..<shape.inputChannels { sum += input[inputOffset + c] * weight[weightOffset + c] }
            output[outputOffset] = sum
        }
    }

    /// The gradient of the loss by the input: every product of the forward pass sends
    /// `outputGradient * weight` back to its input element.
    @inlinable
    package static func convolutionInputGradient<T: BinaryFloatingPoint>(
        _ shape: ConvolutionShape, outputGradient: UnsafePointer<T>, weight: UnsafePointer<T>,
        inputGradient: UnsafeMutablePointer<T>
    ) {
        inputGradient.update(repeating: 0, count: shape.inputCount)
        forEachProduct(shape) { inputOffset, weightOffset, outputOffset in
            let gradient = outputGradient[outputOffset]
            for c in 0..<shape.inputChannels { inputGradient[inputOffset + c] += gradient * weight[weightOffset + c] }
        }
    }

    /// The gradient of the loss by the weight: every product of the forward pass adds `outputGradient * input`.
    @inlinable
    package static func convolutionWeightGradient<T: BinaryFloatingPoint>(
        _ shape: ConvolutionShape, input: UnsafePointer<T>, outputGradient: UnsafePointer<T>,
        weightGradient: UnsafeMutablePointer<T>
    ) {
        weightGradient.update(repeating: 0, count: shape.weightCount)
        forEachProduct(shape) { inputOffset, weightOffset, outputOffset in
            let gradient = outputGradient[outputOffset]
            for c in 0..<shape.inputChannels { weightGradient[weightOffset + c] += gradient * input[inputOffset + c] }
        }
    }

    /// Visits every (output element, kernel tap) pair that falls inside of the input: offsets of the input pixel's and
    /// the weight tap's first channel, and of the output element.
    @inlinable
    static func forEachProduct(_ shape: ConvolutionShape, _ body: (Int, Int, Int) -> Void) {
        for n in 0..<shape.batch {
            for y in 0..<shape.outputHeight {
                for x in 0..<shape.outputWidth {
                    for o in 0..<shape.outputChannels {
                        let output = ((n * shape.outputHeight + y) * shape.outputWidth + x) * shape.outputChannels + o
                        for ky in 0..<shape.kernelHeight {
                            let row = y * shape.stride + ky - shape.padTop
                            guard row >= 0, row < shape.inputHeight else { continue }
                            for kx in 0..<shape.kernelWidth {
                                let column = x * shape.stride + kx - shape.padLeft
                                guard column >= 0, column < shape.inputWidth else { continue }
                                let input = (n * shape.inputHeight + row) * shape.inputWidth + column
                                let tap = (o * shape.kernelHeight + ky) * shape.kernelWidth + kx
                                body(input * shape.inputChannels, tap * shape.inputChannels, output)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The geometry of a 2-D pooling: input `[batch][inputHeight][inputWidth][channels]`, output
/// `[batch][outputHeight][outputWidth][channels]`. Padding is never chosen as a maximum.
package struct PoolShape: Hashable, Sendable {
    package var batch, inputHeight, inputWidth, channels: Int
    package var kernelHeight, kernelWidth, stride: Int
    package var padTop, padLeft, padBottom, padRight: Int

    /// - Precondition: extents are positive, the kernel has at most 255 taps, every window holds at least one input
    ///   pixel (padding smaller than the kernel), and the padded input holds the kernel.
    package init(
        batch: Int, inputHeight: Int, inputWidth: Int, channels: Int, kernelHeight: Int, kernelWidth: Int, stride: Int,
        padTop: Int = 0, padLeft: Int = 0, padBottom: Int = 0, padRight: Int = 0
    ) {
        precondition(batch >= 0 && min(inputHeight, inputWidth, channels) > 0, "extents must be positive")
        precondition(min(kernelHeight, kernelWidth, stride) > 0, "kernel and stride must be positive")
        precondition(kernelHeight * kernelWidth <= 255, "a pooling window has at most 255 taps")
        precondition(min(padTop, padLeft, padBottom, padRight) >= 0, "padding cannot be negative")
        precondition(max(padTop, padBottom) < kernelHeight, "padding must be smaller than the kernel")
        precondition(max(padLeft, padRight) < kernelWidth, "padding must be smaller than the kernel")
        precondition(inputHeight + padTop + padBottom >= kernelHeight, "the kernel is higher than the padded input")
        precondition(inputWidth + padLeft + padRight >= kernelWidth, "the kernel is wider than the padded input")
        self.batch = batch
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.channels = channels
        self.kernelHeight = kernelHeight
        self.kernelWidth = kernelWidth
        self.stride = stride
        self.padTop = padTop
        self.padLeft = padLeft
        self.padBottom = padBottom
        self.padRight = padRight
    }

    /// A square kernel with the same padding on all four sides.
    package init(
        batch: Int, inputHeight: Int, inputWidth: Int, channels: Int, kernel: Int, stride: Int, padding: Int = 0
    ) {
        self.init(
            batch: batch, inputHeight: inputHeight, inputWidth: inputWidth, channels: channels, kernelHeight: kernel,
            kernelWidth: kernel, stride: stride, padTop: padding, padLeft: padding, padBottom: padding,
            padRight: padding)
    }

    package var outputHeight: Int { (inputHeight + padTop + padBottom - kernelHeight) / stride + 1 }
    package var outputWidth: Int { (inputWidth + padLeft + padRight - kernelWidth) / stride + 1 }
    package var inputCount: Int { batch * inputHeight * inputWidth * channels }
    package var outputCount: Int { batch * outputHeight * outputWidth * channels }

    /// Output columns whose tap `kx` reads a pixel of the input.
    func columns(tap kx: Int) -> Range<Int> {
        PoolShape.valid(kx - padLeft, stride: stride, extent: inputWidth, outputs: outputWidth)
    }

    /// Outputs `o` with `0 <= o*stride + offset < extent`.
    static func valid(_ offset: Int, stride: Int, extent: Int, outputs: Int) -> Range<Int> {
        let first = offset >= 0 ? 0 : (-offset + stride - 1) / stride
        let last = extent - 1 - offset
        let end = last < 0 ? 0 : min(outputs, last / stride + 1)
        return first < end ? first..<end : 0..<0
    }
}

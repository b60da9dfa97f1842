/// The geometry of one 2-D convolution. Tensors, all row-major and contiguous:
/// - input `[batch][inputHeight][inputWidth][inputChannels]` (NHWC),
/// - weight `[outputChannels][kernelHeight][kernelWidth][inputChannels]` (OHWI),
/// - output `[batch][outputHeight][outputWidth][outputChannels]` (NHWC).
///
/// Padding counts zero rows and columns around the input and may differ on every side (Keras pads asymmetrically).
package struct ConvolutionShape: Hashable, Sendable {
    package var batch, inputHeight, inputWidth, inputChannels: Int
    package var outputChannels, kernelHeight, kernelWidth, stride: Int
    package var padTop, padLeft, padBottom, padRight: Int

    /// - Precondition: `batch` is not negative, every other extent is positive, padding is not negative, and the
    ///   padded input holds the kernel at least once.
    package init(
        batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int, kernelHeight: Int,
        kernelWidth: Int, stride: Int = 1, padTop: Int = 0, padLeft: Int = 0, padBottom: Int = 0, padRight: Int = 0
    ) {
        precondition(batch >= 0, "a batch cannot hold a negative number of pictures")
        precondition(min(inputHeight, inputWidth, inputChannels, outputChannels) > 0, "extents must be positive")
        precondition(min(kernelHeight, kernelWidth, stride) > 0, "kernel and stride must be positive")
        precondition(min(padTop, padLeft, padBottom, padRight) >= 0, "padding cannot be negative")
        precondition(inputHeight + padTop + padBottom >= kernelHeight, "the kernel is higher than the padded input")
        precondition(inputWidth + padLeft + padRight >= kernelWidth, "the kernel is wider than the padded input")
        self.batch = batch
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.inputChannels = inputChannels
        self.outputChannels = outputChannels
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
        batch: Int, inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int, kernel: Int,
        stride: Int = 1, padding: Int = 0
    ) {
        self.init(
            batch: batch, inputHeight: inputHeight, inputWidth: inputWidth, inputChannels: inputChannels,
            outputChannels: outputChannels, kernelHeight: kernel, kernelWidth: kernel, stride: stride,
            padTop: padding, padLeft: padding, padBottom: padding, padRight: padding)
    }

    package var outputHeight: Int { (inputHeight + padTop + padBottom - kernelHeight) / stride + 1 }
    package var outputWidth: Int { (inputWidth + padLeft + padRight - kernelWidth) / stride + 1 }

    package var inputCount: Int { batch * inputHeight * inputWidth * inputChannels }
    package var outputCount: Int { batch * outputHeight * outputWidth * outputChannels }
    package var weightCount: Int { outputChannels * kernelHeight * kernelWidth * inputChannels }

    /// Floating point operations of one pass (forward, input gradient or weight gradient): two per product.
    package var flops: Int { 2 * outputCount * kernelHeight * kernelWidth * inputChannels }
}

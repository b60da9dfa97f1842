/// How the passes of a convolution are computed. The direct way sums exactly the products of the definition; Winograd's
/// F(4x4, 3x3) takes a quarter of the multiplications and rounds about twice as much: 0.5 to 2e-6 relative RMS for 32 to
/// 512 channels, where the direct way has 0.2 to 1.1e-6.
package enum ConvolutionMethod: String, CaseIterable, Sendable {
    /// Winograd's F(4x4, 3x3) where it pays, else the direct way: see ``usesWinograd(_:tiles:)``.
    case automatic
    /// Always the direct way.
    case direct
    /// Winograd's F(4x4, 3x3) wherever it is defined, also where it is slower: for tests and measurements.
    case winograd

    /// The rule, by kernel, channels and plane alone: F(4x4, 3x3) is defined for a 3x3 kernel of stride 1, padded by no
    /// more than the kernel reaches (2); and it pays where
    /// 1. both channel counts are at least 32: with fewer, the transforms cost more than the products save;
    /// 2. the plane that the pass writes fills at least half of its tiles of 4 x 4 (5 x 5 pixels, in four tiles, do
    ///    not).
    ///
    /// The batch does not count, so that a picture's output never depends on the pictures beside it. Measured with
    /// AVX-512 for 3 to 512 channels on planes of 2 x 2 to 56 x 56: within the rule and from 16 tiles in a batch on,
    /// all three passes were 1.2 to 3.6 times as fast as the direct way; with 4 to 8 tiles 0.6 to 1.6 times; outside of
    /// it 0.4 to 2 times.
    /// - Parameter tiles: of the plane that the pass writes: the output, or for the input gradient the input; the
    ///   output too for the weight gradient.
    func usesWinograd(_ shape: ConvolutionShape, tiles: WinogradTiles) -> Bool {
        let padding = max(shape.padTop, shape.padLeft, shape.padBottom, shape.padRight)
        guard shape.kernelHeight == 3, shape.kernelWidth == 3, shape.stride == 1, padding <= 2 else { return false }
        switch self {
        case .direct: return false
        case .winograd: return true
        case .automatic:
            let pixels = tiles.outputHeight * tiles.outputWidth
            return min(shape.inputChannels, shape.outputChannels) >= 32
                && 2 * pixels >= tiles.rows * tiles.columns * WinogradTiles.outputs * WinogradTiles.outputs
        }
    }
}

/// Bounds on what one picture may cost. A picture beyond them is refused from its header, before memory is taken.
package struct ImageLimits: Equatable, Sendable {
    /// Bytes of one file.
    package var maximumFileBytes: Int
    /// Pixels along one side.
    package var maximumSide: Int
    /// Width times height: at three bytes a pixel the decoded picture, and as much again inside libjpeg if progressive.
    package var maximumPixels: Int
    /// Passes of a progressive JPEG; encoders write about ten.
    package var maximumScans: Int

    package init(maximumFileBytes: Int, maximumSide: Int, maximumPixels: Int, maximumScans: Int) {
        self.maximumFileBytes = maximumFileBytes
        self.maximumSide = maximumSide
        self.maximumPixels = maximumPixels
        self.maximumScans = maximumScans
    }

    /// 64 MiB, 20,000 pixels a side, 64 Mi pixels: far above any slice of an MRI, below what hurts a small machine.
    package static let standard = ImageLimits(
        maximumFileBytes: 64 << 20, maximumSide: 20_000, maximumPixels: 64 << 20, maximumScans: 100)
}

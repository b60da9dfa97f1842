/// Random views of a picture for training: one affine warp, sampled bilinearly.
///
/// Rotation about the centre, uniform in +-`rotationDegrees`; zoom by a factor uniform in 1 +- `zoom`, the same for both
/// axes; shift along each axis uniform in +-`shift` of the side; mirrored left to right with probability one half.
/// Outside the picture its nearest edge pixel is repeated: black around a head, and no new black corner where a picture
/// is cut close to the skull.
///
/// A view is a pure function of (seed, picture index, epoch): the same on every platform, for any number of workers.
package struct Augmentation: Equatable, Sendable {
    package let rotationDegrees: Double
    package let zoom: Double
    package let shift: Double
    package let horizontalFlip: Bool

    /// - Throws: `invalidOption` for a rotation outside 0...180, a zoom outside 0...0.9, or a shift outside 0...1.
    package init(rotationDegrees: Double, zoom: Double, shift: Double, horizontalFlip: Bool) throws(ImageError) {
        guard (0...180).contains(rotationDegrees) else {
            throw ImageError(.invalidOption, "augmentation: rotation must be from 0 to 180 degrees")
        }
        guard (0...0.9).contains(zoom) else {
            throw ImageError(.invalidOption, "augmentation: zoom must be from 0 to 0.9")
        }
        guard (0...1).contains(shift) else {
            throw ImageError(.invalidOption, "augmentation: shift must be from 0 to 1")
        }
        self.init(rotationDegrees, zoom, shift, horizontalFlip)
    }

    private init(_ rotationDegrees: Double, _ zoom: Double, _ shift: Double, _ horizontalFlip: Bool) {
        self.rotationDegrees = rotationDegrees
        self.zoom = zoom
        self.shift = shift
        self.horizontalFlip = horizontalFlip
    }

    package static let standard = Augmentation(15, 0.15, 0.05, true)
    package static let none = Augmentation(0, 0, 0, false)

    /// The view of one picture in one epoch. All five numbers are drawn always, so that switching one off leaves the
    /// others as they were.
    package func view(seed: UInt64, index: Int, epoch: Int) -> AffineView {
        var random = CounterRandom(0x4175_676d, seed, UInt64(index), UInt64(epoch))
        let angle = random.uniform(-rotationDegrees, rotationDegrees)
        let factor = 1 + random.uniform(-zoom, zoom)
        let (right, down) = (random.uniform(-shift, shift), random.uniform(-shift, shift))
        let mirrored = random.unit() < 0.5 && horizontalFlip
        let (sine, cosine) = DeterministicMath.sineCosine(degrees: angle)
        // From output to input: undo the shift, the rotation, the zoom, then the mirror (coordinates from the centre).
        let side: Double = mirrored ? -1 : 1
        return AffineView(
            xx: side * cosine / factor, xy: side * sine / factor, yx: -sine / factor, yy: cosine / factor,
            shiftX: right, shiftY: down)
    }
}

/// Where each output pixel comes from. With u and v the output position from the picture's centre, less the shift, the
/// input position from the centre is (xx u + xy v, yx u + yy v). Shifts are fractions of the side.
package struct AffineView: Equatable, Sendable {
    package let xx, xy, yx, yy, shiftX, shiftY: Double

    package static let identity = AffineView(xx: 1, xy: 0, yx: 0, yy: 1, shiftX: 0, shiftY: 0)

    /// Warps `size` squared gray values; the result, in 0...255, goes to the first `size` squared floats of `target`.
    func warp(_ luma: UnsafeBufferPointer<UInt8>, size: Int, into target: UnsafeMutableBufferPointer<Float>) {
        let (side, last) = (Double(size), Double(size - 1))
        let center = side / 2
        for y in 0..<size {
            let v = Double(y) + 0.5 - center - shiftY * side
            let (rowX, rowY) = (xy * v + center - 0.5, yy * v + center - 0.5)
            for x in 0..<size {
                let u = Double(x) + 0.5 - center - shiftX * side
                // Clamping the position repeats the edge pixel.
                let column = min(max(xx * u + rowX, 0), last)
                let row = min(max(yx * u + rowY, 0), last)
                let (left, top) = (Int(column), Int(row))
                let (a, b) = (Float(column - Double(left)), Float(row - Double(top)))
                let upper = top &* size &+ left
                let lower = top &+ 1 < size ? upper &+ size : upper
                let right = left &+ 1 < size ? 1 : 0
                let above = Float(luma[upper]) * (1 - a) + Float(luma[upper &+ right]) * a
                let below = Float(luma[lower]) * (1 - a) + Float(luma[lower &+ right]) * a
                target[y &* size &+ x] = above * (1 - b) + below * b
            }
        }
    }
}

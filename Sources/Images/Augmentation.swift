/// Random views of a picture for training: one affine warp, sampled bilinearly, then brightness and contrast.
///
/// Rotation about the centre, uniform in +-`rotationDegrees`; zoom by a factor uniform in 1 +- `zoom`, the same for both
/// axes; shift along each axis uniform in +-`shift` of the side; mirrored left to right with probability one half.
/// Outside the picture its nearest edge pixel is repeated: black around a head, and no new black corner where a picture
/// is cut close to the skull. The brightness factor is uniform in 1 +- `brightness`, the contrast factor in
/// 1 +- `contrast`; ``AugmentedView`` has the formulas.
///
/// A view is a pure function of (seed, picture index, epoch): the same on every platform, for any number of workers.
package struct Augmentation: Equatable, Sendable {
    package let rotationDegrees: Double
    package let zoom: Double
    package let shift: Double
    package let horizontalFlip: Bool
    package let brightness: Double
    package let contrast: Double

    /// - Throws: `invalidOption` for a rotation outside 0...180, a shift outside 0...1, or a zoom, brightness or
    ///   contrast outside 0...0.9.
    package init(
        rotationDegrees: Double, zoom: Double, shift: Double, horizontalFlip: Bool, brightness: Double = 0,
        contrast: Double = 0
    ) throws(ImageError) {
        guard (0...180).contains(rotationDegrees) else {
            throw ImageError(.invalidOption, "augmentation: rotation must be from 0 to 180 degrees")
        }
        guard (0...1).contains(shift) else {
            throw ImageError(.invalidOption, "augmentation: shift must be from 0 to 1")
        }
        for (name, spread) in [("zoom", zoom), ("brightness", brightness), ("contrast", contrast)]
        where !(0...0.9).contains(spread) {
            throw ImageError(.invalidOption, "augmentation: \(name) must be from 0 to 0.9")
        }
        self.init(rotationDegrees, zoom, shift, horizontalFlip, brightness, contrast)
    }

    private init(
        _ rotationDegrees: Double, _ zoom: Double, _ shift: Double, _ horizontalFlip: Bool, _ brightness: Double,
        _ contrast: Double
    ) {
        self.rotationDegrees = rotationDegrees
        self.zoom = zoom
        self.shift = shift
        self.horizontalFlip = horizontalFlip
        self.brightness = brightness
        self.contrast = contrast
    }

    package static let standard = Augmentation(15, 0.15, 0.05, true, 0, 0)
    package static let none = Augmentation(0, 0, 0, false, 0, 0)

    /// The view of one picture in one epoch. All seven numbers are drawn always, so that switching one off leaves the
    /// others as they were.
    package func view(seed: UInt64, index: Int, epoch: Int) -> AugmentedView {
        var random = CounterRandom(0x4175_676d, seed, UInt64(index), UInt64(epoch))
        let angle = random.uniform(-rotationDegrees, rotationDegrees)
        let factor = 1 + random.uniform(-zoom, zoom)
        let (right, down) = (random.uniform(-shift, shift), random.uniform(-shift, shift))
        let mirrored = random.unit() < 0.5 && horizontalFlip
        let (sine, cosine) = DeterministicMath.sineCosine(degrees: angle)
        // From output to input: undo the shift, the rotation, the zoom, then the mirror (coordinates from the centre).
        let side: Double = mirrored ? -1 : 1
        let geometry = AffineView(
            xx: side * cosine / factor, xy: side * sine / factor, yx: -sine / factor, yy: cosine / factor,
            shiftX: right, shiftY: down)
        return AugmentedView(
            geometry: geometry, brightness: 1 + random.uniform(-brightness, brightness),
            contrast: 1 + random.uniform(-contrast, contrast))
    }
}

/// One random view of a picture: where its pixels come from, then what becomes of their gray values.
///
/// After the warp each gray value g in 0...255 becomes first h = clamp(b g), then clamp(c h + (1 - c) m), where b is
/// the brightness factor, c the contrast factor, m the mean of all h, and clamp limits to 0...255. These are brightness
/// and contrast of torchvision's ColorJitter, in this order, without its rounding to bytes. A factor of 1 changes no
/// bit.
package struct AugmentedView: Equatable, Sendable {
    package let geometry: AffineView
    package let brightness, contrast: Double

    /// The view of `size` squared gray values; the result, in 0...255, goes to the first `size` squared floats of
    /// `target`.
    func apply(_ luma: UnsafeBufferPointer<UInt8>, size: Int, into target: UnsafeMutableBufferPointer<Float>) {
        geometry.warp(luma, size: size, into: target)
        let count = size * size
        if brightness != 1 {
            let factor = Float(brightness)
            for pixel in 0..<count { target[pixel] = min(max(factor * target[pixel], 0), 255) }
        }
        guard contrast != 1 else { return }
        // One running sum from the first pixel to the last, hence the same bits everywhere.
        var sum = 0.0
        for pixel in 0..<count { sum += Double(target[pixel]) }
        let factor = Float(contrast)
        let rest = Float((1 - contrast) * (sum / Double(count)))
        for pixel in 0..<count { target[pixel] = min(max(factor * target[pixel] + rest, 0), 255) }
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

/// One channel of 8-bit gray values, rows from the top: what the network sees of a picture.
package struct LumaImage: Equatable, Sendable {
    package let width: Int
    package let height: Int
    package var pixels: [UInt8]

    /// - Precondition: `pixels.count == width * height`, both positive.
    package init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height, "a picture's bytes must fill its size")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Rec. 601 luma, (19595 R + 38470 G + 7471 B + 32768) / 65536: libjpeg's own weights and rounding.
    package init(_ image: DecodedImage) {
        if image.channels == 1 {
            self.init(width: image.width, height: image.height, pixels: image.pixels)
            return
        }
        let pixels = image.pixels.withUnsafeBufferPointer { rgb in
            [UInt8](unsafeUninitializedCapacity: image.width * image.height) { gray, count in
                count = image.width * image.height
                for pixel in 0..<count {
                    let (red, green, blue) = (
                        UInt32(rgb[3 * pixel]), UInt32(rgb[3 * pixel + 1]), UInt32(rgb[3 * pixel + 2])
                    )
                    gray[pixel] = UInt8(truncatingIfNeeded: (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
                }
            }
        }
        self.init(width: image.width, height: image.height, pixels: pixels)
    }

    /// The picture as ``ImageEncoder`` takes it.
    package var decoded: DecodedImage { DecodedImage(width: width, height: height, channels: 1, pixels: pixels) }

    package func mirrored() -> LumaImage {
        var result = self
        for row in 0..<height { result.pixels[(row * width)..<((row + 1) * width)].reverse() }
        return result
    }
}

extension LumaImage {
    /// Antialiased bilinear resize to any size, aspect not kept.
    ///
    /// Separable: rows first, then columns, floats between, rounded once at the end. Along one axis of n samples reduced
    /// to m, with s = n / m and support r = max(1, s), output i is the normalised sum over all samples j with
    /// |j + 0.5 - c| < r of max(0, 1 - |j + 0.5 - c| / r), where c = (i + 0.5) s: a triangle as wide as a shrunken
    /// pixel, plain bilinear when enlarging. The weights are those of Pillow's BILINEAR. Only IEEE basic operations in a
    /// fixed order, hence the same bytes everywhere.
    package func resized(width newWidth: Int, height newHeight: Int) -> LumaImage {
        if newWidth == width && newHeight == height { return self }
        let columns = ResizeAxis(from: width, to: newWidth)
        let rows = ResizeAxis(from: height, to: newHeight)
        var middle = [Float](repeating: 0, count: newWidth * height)
        pixels.withUnsafeBufferPointer { source in
            middle.withUnsafeMutableBufferPointer { target in columns.shrinkRows(source, width, height, target) }
        }
        var sums = [Float](repeating: 0, count: newWidth)
        var result = [UInt8](repeating: 0, count: newWidth * newHeight)
        for y in 0..<newHeight {
            sums.withUnsafeMutableBufferPointer { line in
                middle.withUnsafeBufferPointer { source in rows.sumColumns(source, newWidth, y, line) }
            }
            for x in 0..<newWidth { result[y * newWidth + x] = UInt8(min(max(sums[x] + 0.5, 0), 255)) }
        }
        return LumaImage(width: newWidth, height: newHeight, pixels: result)
    }
}

/// The taps of one axis: for each output sample the first input sample and its weights.
private struct ResizeAxis {
    private var first: [Int] = []
    private var offset: [Int] = [0]
    private var weights: [Float] = []

    init(from count: Int, to newCount: Int) {
        let scale = Double(count) / Double(newCount)
        let support = max(1, scale)
        for index in 0..<newCount {
            let center = (Double(index) + 0.5) * scale
            let low = max(0, Int(center - support + 0.5))
            let high = min(count, Int(center + support + 0.5))
            let raw = (low..<high).map { max(0, 1 - abs(Double($0) + 0.5 - center) / support) }
            let total = raw.reduce(0, +)
            first.append(low)
            weights.append(contentsOf: raw.map { Float($0 / total) })
            offset.append(weights.count)
        }
    }

    /// source [height, width] -> target [height, newWidth].
    func shrinkRows(
        _ source: UnsafeBufferPointer<UInt8>, _ width: Int, _ height: Int, _ target: UnsafeMutableBufferPointer<Float>
    ) {
        let newWidth = first.count
        weights.withUnsafeBufferPointer { weights in
            for y in 0..<height {
                for x in 0..<newWidth {
                    var sum: Float = 0
                    var position = y * width + first[x]
                    for tap in offset[x]..<offset[x + 1] {
                        sum += weights[tap] * Float(source[position])
                        position += 1
                    }
                    target[y * newWidth + x] = sum
                }
            }
        }
    }

    /// One output row: the weighted sum of input rows of `width` floats.
    func sumColumns(
        _ source: UnsafeBufferPointer<Float>, _ width: Int, _ row: Int, _ line: UnsafeMutableBufferPointer<Float>
    ) {
        line.update(repeating: 0)
        for tap in offset[row]..<offset[row + 1] {
            let start = (first[row] + tap - offset[row]) * width
            let weight = weights[tap]
            for x in 0..<width { line[x] += weight * source[start + x] }
        }
    }
}

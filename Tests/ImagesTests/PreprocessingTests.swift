import Images
import Testing

/// Luma, resize and normalisation: ``LumaImage`` and ``Preprocessing``.
@Suite struct PreprocessingTests {
    /// The formula of ``LumaImage/resized(width:height:)``, straight from its description, in Double.
    private func reference(_ image: LumaImage, _ newWidth: Int, _ newHeight: Int) -> [Double] {
        func weights(_ n: Int, _ m: Int, _ i: Int) -> [Double] {
            let s = Double(n) / Double(m)
            let c = (Double(i) + 0.5) * s
            let raw = (0..<n).map { max(0, 1 - abs(Double($0) + 0.5 - c) / max(1, s)) }
            let sum = raw.reduce(0, +)
            return raw.map { $0 / sum }
        }
        return (0..<newHeight).flatMap { y -> [Double] in
            let down = weights(image.height, newHeight, y)
            return (0..<newWidth).map { x in
                let along = weights(image.width, newWidth, x)
                var sum = 0.0
                for row in 0..<image.height {
                    for column in 0..<image.width {
                        sum += down[row] * along[column] * Double(image.pixels[row * image.width + column])
                    }
                }
                return sum
            }
        }
    }

    @Test(
        "resizing follows its formula",
        arguments: [(40, 30, 16, 16), (7, 5, 20, 9), (33, 64, 16, 64), (1, 1, 8, 8), (200, 3, 8, 8)])
    func formula(width: Int, height: Int, newWidth: Int, newHeight: Int) {
        let image = sample(width, height)
        let resized = image.resized(width: newWidth, height: newHeight)
        for (value, wanted) in zip(resized.pixels, reference(image, newWidth, newHeight)) {
            #expect(abs(Double(value) - wanted) <= 0.51)
        }
    }

    @Test("resizing keeps flat pictures flat, and mirrors with its input")
    func symmetries() {
        let flat = LumaImage(width: 31, height: 17, pixels: [UInt8](repeating: 137, count: 31 * 17))
        #expect(flat.resized(width: 64, height: 16).pixels.allSatisfy { $0 == 137 })
        let image = sample(90, 70)
        let left = image.mirrored().resized(width: 32, height: 32).pixels
        let right = image.resized(width: 32, height: 32).mirrored().pixels
        // Sums run in the other order: the last bit may round the other way.
        #expect(zip(left, right).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
    }

    /// At the rim the triangle is cut, which leaves a little of the pattern.
    @Test("fine patterns average out instead of aliasing")
    func antialiasing() {
        let stripes = LumaImage(
            width: 256, height: 256, pixels: (0..<65_536).map { $0.isMultiple(of: 2) ? 255 : 0 })
        #expect(stripes.resized(width: 32, height: 32).pixels.allSatisfy { (118...137).contains($0) })
    }

    @Test("the same bytes on every platform and in every release")
    func pinned() {
        #expect(
            fingerprint(sample(123, 77).resized(width: 48, height: 48).pixels)
                == 7_379_924_478_287_217_788)
    }

    @Test("gray and colour files of one picture give the same input")
    func colourless() throws {
        let recipe = try Preprocessing(imageSize: 24, channels: 1, mean: [0], std: [1])
        let gray = try ImageEncoder.png(sample(50, 40).decoded)
        let colour = try ImageEncoder.png(sample(50, 40).colour)
        #expect(try recipe.load(gray) == recipe.load(colour))
    }

    @Test("normalisation is (v / 255 - mean) / std, luma replicated to three channels")
    func normalisation() throws {
        let recipe = try Preprocessing(
            imageSize: 8, channels: 3, mean: [0.5, 0.25, 0], std: [0.25, 0.5, 1])
        let luma = (0..<64).map { UInt8(4 * $0) }
        var floats = [Float](repeating: .nan, count: recipe.inputCount)
        luma.withUnsafeBufferPointer { source in
            floats.withUnsafeMutableBufferPointer { recipe.normalise(source, into: $0) }
        }
        for pixel in 0..<64 {
            let unit = Float(4 * pixel) / 255
            #expect(floats[3 * pixel] == (unit - 0.5) / 0.25)
            #expect(floats[3 * pixel + 1] == (unit - 0.25) / 0.5)
            #expect(floats[3 * pixel + 2] == unit)
        }
    }

    @Test("impossible recipes are refused")
    func refused() {
        func failure(_ size: Int, _ channels: Int, _ mean: [Float], _ std: [Float]) -> ImageError
            .Reason?
        {
            reason { () throws(ImageError) in
                _ = try Preprocessing(imageSize: size, channels: channels, mean: mean, std: std)
            }
        }
        #expect(failure(7, 1, [0], [1]) == .invalidOption)
        #expect(failure(5000, 1, [0], [1]) == .invalidOption)
        #expect(failure(64, 2, [0, 0], [1, 1]) == .invalidOption)
        #expect(failure(64, 3, [0], [1]) == .invalidOption)
        #expect(failure(64, 1, [0], [0]) == .invalidOption)
        #expect(failure(64, 1, [.nan], [1]) == .invalidOption)
        #expect(failure(64, 1, [0.5], [0.25]) == nil)
    }
}

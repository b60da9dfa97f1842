import Images
import Testing

/// Rules 1, 5, 6 and 7 of ``ImageDecoder`` for JPEG, on files that the project's encoder makes.
@Suite struct JPEGTests {
    private func difference(_ left: [UInt8], _ right: [UInt8]) -> (largest: Int, mean: Double) {
        let differences = zip(left, right).map { abs(Int($0) - Int($1)) }
        return (differences.max() ?? 0, Double(differences.reduce(0, +)) / Double(max(1, differences.count)))
    }

    @Test("gray, baseline and progressive", arguments: [false, true])
    func gray(progressive: Bool) throws {
        let image = sample(45, 33)
        let decoded = try ImageDecoder.decode(
            try ImageEncoder.jpeg(image.decoded, quality: 95, progressive: progressive))
        #expect((decoded.width, decoded.height, decoded.channels) == (45, 33, 1))
        #expect(difference(decoded.pixels, image.pixels).mean < 1.5)
    }

    @Test("colour, with and without subsampling", arguments: [false, true], [false, true])
    func colour(subsampled: Bool, progressive: Bool) throws {
        let image = colourSample(40, 40)
        let bytes = try ImageEncoder.jpeg(image, quality: 98, progressive: progressive, subsampled: subsampled)
        let decoded = try ImageDecoder.decode(bytes)
        #expect(decoded.channels == 3)
        #expect(difference(LumaImage(decoded).pixels, LumaImage(image).pixels).mean < 3)
    }

    @Test("luma is the stored Y: how the chroma is subsampled leaves no trace in it")
    func lumaIsBlindToSubsampling() throws {
        let image = sample(64, 48).colour
        let fine = try ImageDecoder.decode(try ImageEncoder.jpeg(image, subsampled: false), as: .luma)
        let coarse = try ImageDecoder.decode(try ImageEncoder.jpeg(image, subsampled: true), as: .luma)
        let gray = try ImageDecoder.decode(try ImageEncoder.jpeg(sample(64, 48).decoded), as: .luma)
        #expect(fine.pixels == coarse.pixels)
        #expect(fine.pixels == gray.pixels)
    }

    @Test("Adobe's inverted CMYK becomes RGB by (1 - C)(1 - K)")
    func cmyk() throws {
        // One flat colour: C 100, M 50, Y 0, K 51 of 255, stored inverted.
        let inks: [UInt8] = [155, 205, 255, 204]
        let bytes = try ImageEncoder.jpegCMYK((0..<256).flatMap { _ in inks }, width: 16, height: 16, quality: 100)
        let image = try ImageDecoder.decode(bytes)
        #expect(image.channels == 3)
        #expect(difference(Array(image.pixels[0..<3]), [124, 164, 204]).largest <= 2)
        let luma = try ImageDecoder.decode(bytes, as: .luma)
        #expect(luma.channels == 1 && abs(Int(luma.pixels[0]) - 157) <= 2)
    }

    @Test("cut at every offset: refused, or complete but for the end marker", arguments: [false, true])
    func truncated(progressive: Bool) throws {
        let bytes = try ImageEncoder.jpeg(sample(40, 24).decoded, quality: 80, progressive: progressive)
        let whole = try ImageDecoder.decode(bytes)
        for end in 0..<bytes.count {
            guard let image = try? ImageDecoder.decode(Array(bytes[..<end])) else { continue }
            #expect(!progressive && end >= bytes.count - 3 && image.pixels == whole.pixels, "\(end) of \(bytes.count)")
        }
        let half = Array(bytes[..<(bytes.count / 2)])
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(half) } == .truncated)
    }

    @Test("damaged anywhere: an error or a picture of the declared size, never a crash")
    func damaged() throws {
        let bytes = try ImageEncoder.jpeg(colourSample(32, 24), quality: 70)
        var random = CounterRandom(1)
        for _ in 0..<3000 {
            var broken = bytes
            for _ in 0...random.index(below: 4) {
                broken[random.index(below: bytes.count)] = UInt8(random.index(below: 256))
            }
            do throws(ImageError) {
                let image = try ImageDecoder.decode(broken)
                #expect(image.pixels.count == image.width * image.height * image.channels)
            } catch {
                #expect(!error.description.isEmpty && error.description.utf8.allSatisfy { (0x20..<0x7f).contains($0) })
            }
        }
    }

    @Test("sizes beyond the limits are refused from the header")
    func declared() throws {
        var bytes = try ImageEncoder.jpeg(sample(16, 16).decoded)
        let frame = try #require(bytes.indices.dropLast().first { bytes[$0] == 0xff && bytes[$0 + 1] == 0xc0 })
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0x75, 0x30, 0x75, 0x30])  // 30000 x 30000
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes) } == .tooLarge)
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0x1f, 0x40, 0x1f, 0x40])  // 8000 x 8000 in a few bytes
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes) } == .truncated)
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0, 0, 0, 16])
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes) } == .corrupt)
    }

    @Test("scans of a progressive JPEG are bounded")
    func scans() throws {
        var limits = ImageLimits.standard
        limits.maximumScans = 3
        let bytes = try ImageEncoder.jpeg(sample(32, 32).decoded, progressive: true)
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes, limits: limits) } == .tooLarge)
    }

    @Test("what is no picture is said to be none")
    func notPictures() {
        let texts: [[UInt8]] = [
            Array("This is a text that somebody named .jpg\n".utf8), [0xff], [0x47, 0x49, 0x46, 0x38],
            Array("%PDF-1.4".utf8),
        ]
        for text in texts {
            #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(text) } == .notAnImage)
        }
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode([]) } == .empty)
        var limits = ImageLimits.standard
        limits.maximumFileBytes = 10
        let long = [UInt8](repeating: 0xff, count: 11)
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(long, limits: limits) } == .tooLarge)
    }
}

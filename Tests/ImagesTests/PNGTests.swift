import Images
import Testing

/// Rules 1 to 4 and 7 of ``ImageDecoder`` for PNG.
@Suite struct PNGTests {
    private static func ramp(_ count: Int, _ depth: Int) -> [Int] { (0..<count).map { $0 * 7919 % (1 << depth) } }

    @Test("gray of every depth is scaled to 8 bits, rounded", arguments: [1, 2, 4, 8, 16], [false, true])
    func gray(depth: Int, interlaced: Bool) throws {
        let samples = Self.ramp(11 * 9, depth)
        let file = PNGFixture(
            width: 11, height: 9, depth: depth, colour: .gray, samples: samples, interlaced: interlaced)
        let image = try ImageDecoder.decode(file.bytes)
        #expect((image.width, image.height, image.channels) == (11, 9, 1))
        let most = Double(1 << depth) - 1
        #expect(image.pixels == samples.map { UInt8((Double($0) * 255 / most).rounded()) })
    }

    @Test("colour of 8 and 16 bits", arguments: [8, 16], [false, true])
    func colour(depth: Int, interlaced: Bool) throws {
        let samples = Self.ramp(10 * 6 * 3, depth)
        let file = PNGFixture(
            width: 10, height: 6, depth: depth, colour: .rgb, samples: samples, interlaced: interlaced)
        let image = try ImageDecoder.decode(file.bytes)
        #expect(image.channels == 3)
        #expect(image.pixels == samples.map { UInt8((Double($0) * 255 / Double(1 << depth - 1)).rounded()) })
        let luma = try ImageDecoder.decode(file.bytes, as: .luma)
        #expect(luma.channels == 1 && luma.pixels == LumaImage(image).pixels)
    }

    @Test("palettes of every depth become colours", arguments: [1, 2, 4, 8])
    func palette(depth: Int) throws {
        let palette = (0..<(1 << depth)).map { (entry: Int) -> [UInt8] in [UInt8(entry), UInt8(255 - entry), 7] }
        let samples = Self.ramp(9 * 5, depth)
        let file = PNGFixture(width: 9, height: 5, depth: depth, colour: .palette, samples: samples, palette: palette)
        #expect(try ImageDecoder.decode(file.bytes).pixels == samples.flatMap { palette[$0] })
    }

    @Test("alpha is composited on black")
    func alpha() throws {
        let gray = PNGFixture(width: 3, height: 1, depth: 8, colour: .grayAlpha, samples: [200, 255, 200, 128, 200, 0])
        let image = try ImageDecoder.decode(gray.bytes)
        #expect(image.channels == 1 && image.pixels == [200, 100, 0])

        let colour = PNGFixture(
            width: 2, height: 1, depth: 8, colour: .rgba, samples: [10, 20, 30, 255, 100, 200, 50, 51])
        #expect(try ImageDecoder.decode(colour.bytes).pixels == [10, 20, 30, 20, 40, 10])

        let deep = PNGFixture(width: 1, height: 1, depth: 16, colour: .grayAlpha, samples: [65_535, 32_896])
        #expect(try ImageDecoder.decode(deep.bytes).pixels == [128])
    }

    @Test("tRNS makes a gray value, a colour, or palette entries transparent")
    func transparency() throws {
        let gray = PNGFixture(
            width: 3, height: 1, depth: 8, colour: .gray, samples: [9, 77, 200], transparency: [0, 77])
        #expect(try ImageDecoder.decode(gray.bytes).pixels == [9, 0, 200])
        let colour = PNGFixture(
            width: 2, height: 1, depth: 8, colour: .rgb, samples: [1, 2, 3, 4, 5, 6], transparency: [0, 4, 0, 5, 0, 6])
        #expect(try ImageDecoder.decode(colour.bytes).pixels == [1, 2, 3, 0, 0, 0])
        let palette = PNGFixture(
            width: 2, height: 1, depth: 8, colour: .palette, samples: [0, 1], palette: [[255, 0, 0], [0, 200, 100]],
            transparency: [0, 51])
        #expect(try ImageDecoder.decode(palette.bytes).pixels == [0, 0, 0, 0, 40, 20])
    }

    @Test("gamma and text are ignored, however broken")
    func ancillary() throws {
        var file = PNGFixture(width: 2, height: 1, depth: 8, colour: .gray, samples: [50, 150])
        file.extraChunks = [("gAMA", [0, 0, 0, 1]), ("iCCP", [1, 2, 3]), ("zTXt", [UInt8](repeating: 0, count: 40))]
        #expect(try ImageDecoder.decode(file.bytes).pixels == [50, 150])
    }

    @Test("1 x 1")
    func onePixel() throws {
        let file = PNGFixture(width: 1, height: 1, depth: 1, colour: .gray, samples: [1])
        #expect(try ImageDecoder.decode(file.bytes).pixels == [255])
    }

    @Test("cut at every offset: never a picture")
    func truncated() throws {
        let bytes = PNGFixture(width: 13, height: 11, depth: 8, colour: .rgb, samples: Self.ramp(429, 8)).bytes
        for end in 0..<bytes.count {
            let found = reason { () throws(ImageError) in _ = try ImageDecoder.decode(Array(bytes[..<end])) }
            #expect(found == (end == 0 ? .empty : end < 8 ? .notAnImage : .truncated), "\(end) bytes")
        }
    }

    @Test("each bit flipped: refused, or the very same picture")
    func flipped() throws {
        let bytes = PNGFixture(width: 5, height: 4, depth: 8, colour: .gray, samples: Self.ramp(20, 8)).bytes
        let good = try ImageDecoder.decode(bytes)
        for index in bytes.indices {
            for bit in 0..<8 {
                var broken = bytes
                broken[index] ^= 1 << UInt8(bit)
                guard let image = try? ImageDecoder.decode(broken) else { continue }
                #expect(image.pixels == good.pixels, "byte \(index), bit \(bit)")
            }
        }
    }

    @Test(
        "declared sizes beyond the limits are refused from the header",
        arguments: [(30_000, 30_000), (20_001, 1), (9000, 9000)])
    func declared(width: Int, height: Int) {
        let file = PNGFixture(width: width, height: height, depth: 8, colour: .gray, samples: [])
        let header = Array(file.bytesOfHeader)
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(header) } == .tooLarge)
    }

    @Test("a short file that declares many pixels is refused before memory is taken")
    func bomb() {
        let file = PNGFixture(width: 8000, height: 8000, depth: 8, colour: .gray, samples: [])
        #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(file.bytesOfHeader) } == .truncated)
    }

    @Test("the project's own encoder is lossless")
    func roundTrip() throws {
        let gray = sample(37, 23).decoded
        #expect(try ImageDecoder.decode(try ImageEncoder.png(gray)) == gray)
        let colour = colourSample(19, 31)
        #expect(try ImageDecoder.decode(try ImageEncoder.png(colour)) == colour)
    }
}

extension PNGFixture {
    /// A header without the rows, and the beginning of data.
    var bytesOfHeader: [UInt8] {
        let header = Self.big(width) + Self.big(height) + [UInt8(depth), colour.rawValue, 0, 0, 0]
        return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + Self.chunk("IHDR", header)
            + Self.chunk("IDAT", Self.zlib([0, 0, 0])) + Self.chunk("IEND", [])
    }
}

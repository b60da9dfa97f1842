import Images
import Testing

/// Where a head is in its picture, and the crop to it: ``LumaImage/headBox()`` and `Preprocessing.crop`.
@Suite struct HeadBoxTests {
    /// An ellipse that fills `box`, with some structure inside, on an even background.
    private func head(
        _ width: Int, _ height: Int, _ box: PixelBox, level: Int = 160, background: UInt8 = 4
    ) -> LumaImage {
        var image = LumaImage(
            width: width, height: height, pixels: [UInt8](repeating: background, count: width * height))
        for y in box.rows {
            for x in box.columns {
                let across = 2 * (Double(x - box.columns.lowerBound) + 0.5) / Double(box.columns.count) - 1
                let down = 2 * (Double(y - box.rows.lowerBound) + 0.5) / Double(box.rows.count) - 1
                guard across * across + down * down <= 1 else { continue }
                image.pixels[y * width + x] = UInt8(level + level * ((x / 3 + y / 5) % 5) / 10)
            }
        }
        return image
    }

    private static let place = PixelBox(columns: 60..<190, rows: 50..<210)

    private func fill(_ image: inout LumaImage, _ columns: Range<Int>, _ rows: Range<Int>, _ value: UInt8) {
        for y in rows { for x in columns { image.pixels[y * image.width + x] = value } }
    }

    private func isWhole(_ image: LumaImage) -> Bool {
        image.headBox() == PixelBox(columns: 0..<image.width, rows: 0..<image.height)
    }

    @Test(
        "the box holds the whole head and at most two cells and a pixel beyond it",
        arguments: [(256, 256), (512, 300), (64, 64), (97, 131), (40, 200)])
    func bounds(width: Int, height: Int) {
        let place = PixelBox(columns: (width / 5)..<(width * 3 / 5), rows: (height / 4)..<(height * 4 / 5))
        let box = head(width, height, place).headBox()
        for (found, wanted, side) in [(box.columns, place.columns, width), (box.rows, place.rows, height)] {
            let slack = 2 * ((side + 63) / 64) + 1
            #expect((wanted.lowerBound - slack...wanted.lowerBound).contains(found.lowerBound))
            #expect((wanted.upperBound...wanted.upperBound + slack).contains(found.upperBound))
        }
    }

    @Test("specks, letters and a piece of a scale beside the head do not count")
    func marks() {
        let plain = head(256, 256, Self.place)
        var marked = plain
        var random = CounterRandom(9)
        for _ in 0..<150 { marked.pixels[random.index(below: marked.pixels.count)] = 255 }
        for letter in 0..<3 { fill(&marked, (4 + 9 * letter)..<(9 + 9 * letter), 4..<12, 255) }
        fill(&marked, 246..<248, 20..<60, 255)
        #expect(marked.headBox() == plain.headBox())
    }

    @Test("noise in the background does not count, nor does a border that is dark gray instead of black")
    func noise() {
        var noisy = head(256, 256, Self.place, background: 30)
        var random = CounterRandom(10)
        for pixel in noisy.pixels.indices { noisy.pixels[pixel] += UInt8(random.index(below: 12)) }
        #expect(noisy.headBox() == head(256, 256, Self.place).headBox())
    }

    @Test("parts that lie apart count: a thin scalp around dark bone around the brain")
    func apart() {
        var image = head(256, 256, Self.place)
        let bone = head(256, 256, PixelBox(columns: 64..<186, rows: 54..<206), level: 100, background: 0)
        let brain = head(256, 256, PixelBox(columns: 76..<174, rows: 66..<194), level: 100, background: 0)
        for pixel in image.pixels.indices where bone.pixels[pixel] > 0 { image.pixels[pixel] = brain.pixels[pixel] }
        #expect(image.headBox() == head(256, 256, Self.place).headBox())
    }

    @Test("the box does not depend on how bright the picture is, and mirrors with it")
    func symmetries() {
        let image = head(256, 192, PixelBox(columns: 40..<150, rows: 30..<160))
        let box = image.headBox()
        #expect(LumaImage(width: 256, height: 192, pixels: image.pixels.map { $0 / 2 }).headBox() == box)
        let columns = (256 - box.columns.upperBound)..<(256 - box.columns.lowerBound)
        #expect(image.mirrored().headBox() == PixelBox(columns: columns, rows: box.rows))
    }

    @Test("a picture stays whole that is flat, has no dark border, is a negative, or has next to nothing in it")
    func whole() {
        for gray in [0, 90, 255] as [UInt8] {
            #expect(isWhole(LumaImage(width: 80, height: 60, pixels: [UInt8](repeating: gray, count: 4800))))
        }
        #expect(isWhole(head(256, 256, Self.place, background: 60)))
        let negative = head(256, 256, Self.place)
        #expect(isWhole(LumaImage(width: 256, height: 256, pixels: negative.pixels.map { 255 - $0 })))
        #expect(isWhole(head(256, 256, PixelBox(columns: 100..<150, rows: 40..<200))), "too narrow")
        #expect(isWhole(head(256, 256, PixelBox(columns: 40..<200, rows: 100..<150))), "too low")
        #expect(isWhole(head(256, 256, PixelBox(columns: 0..<256, rows: 0..<256))))
        #expect(isWhole(sample(1, 1)))
    }

    @Test("no phantom's head is cut, and most pictures of them lose some border")
    func phantoms() {
        var cropped = 0
        for (index, kind) in (0..<6).flatMap({ index in PhantomClass.allCases.map { (index, $0) } }) {
            let image = PhantomGenerator.draw(kind, seed: 4, index: index, size: 128)
            let box = image.headBox()
            if !isWhole(image) { cropped += 1 }
            let bright = image.pixels.max() ?? 0
            let lost = image.pixels.indices.count { pixel in
                image.pixels[pixel] > bright / 3
                    && !(box.columns.contains(pixel % 128) && box.rows.contains(pixel / 128))
            }
            #expect(lost == 0)
        }
        #expect(cropped >= 12)
    }

    @Test("with crop the input is the head's box, resized; without, the whole picture")
    func preprocessing() throws {
        let image = head(256, 256, Self.place)
        let plain = try Preprocessing(imageSize: 48, channels: 1, mean: [0], std: [1])
        let crop = try Preprocessing(imageSize: 48, channels: 1, mean: [0], std: [1], crop: true)
        #expect(!plain.crop && plain != crop)
        #expect(plain.apply(image.decoded) == image.resized(width: 48, height: 48).pixels)
        let box = image.headBox()
        let part = (box.rows).flatMap { image.pixels[($0 * 256 + box.columns.lowerBound)...].prefix(box.columns.count) }
        let wanted = LumaImage(width: box.columns.count, height: box.rows.count, pixels: part)
        #expect(wanted == image.cropped(to: box))
        #expect(crop.apply(image.decoded) == wanted.resized(width: 48, height: 48).pixels)
    }

    @Test("a dataset crops as its recipe says; near-duplicates are found by the whole pictures all the same")
    func dataset() throws {
        let folder = try TemporaryFolder()
        let image = head(256, 256, Self.place)
        try folder.write("a/1.png", try ImageEncoder.png(image.decoded))
        try folder.write("b/2.png", try ImageEncoder.png(sample(90, 70).decoded))
        let scan = try Dataset.scan(folder.path)
        let (plain, crop) = try (
            LoadedDataset(scan, preprocessing: Preprocessing(imageSize: 48, channels: 1, mean: [0], std: [1])),
            LoadedDataset(
                scan, preprocessing: Preprocessing(imageSize: 48, channels: 1, mean: [0], std: [1], crop: true))
        )
        #expect(try input(crop, 0, nil) == crop.preprocessing.apply(image.decoded).map { Float($0) / 255 })
        #expect(try input(crop, 0, nil) != input(plain, 0, nil))
        #expect(crop.hashes == plain.hashes)
    }
}

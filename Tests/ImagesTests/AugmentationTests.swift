import Images
import Testing

/// Random views: ``Augmentation`` and ``CounterRandom``.
@Suite struct AugmentationTests {
    @Test("a view is a pure function of seed, picture and epoch")
    func pure() {
        let augmentation = Augmentation.standard
        let view = augmentation.view(seed: 7, index: 3, epoch: 2)
        #expect(view == augmentation.view(seed: 7, index: 3, epoch: 2))
        #expect(view != augmentation.view(seed: 8, index: 3, epoch: 2))
        #expect(view != augmentation.view(seed: 7, index: 4, epoch: 2))
        #expect(view != augmentation.view(seed: 7, index: 3, epoch: 3))
        #expect(view != augmentation.view(seed: 7, index: 2, epoch: 3))
    }

    @Test("the numbers are pinned: they are the same on every platform and in every release")
    func pinned() {
        var random = CounterRandom(1, 2, 3)
        #expect(
            (0..<3).map { _ in random.next() }
                == [2_399_657_773_382_937_285, 8_067_101_194_408_944_102, 17_615_266_516_125_549_910])
        let view = Augmentation.standard.view(seed: 1, index: 2, epoch: 3).geometry
        #expect(
            [view.xx, view.xy, view.yx, view.yy, view.shiftX, view.shiftY].map(\.bitPattern)
                == [
                    4_607_919_926_774_688_917, 13_818_418_453_116_379_828, 4_595_046_416_261_604_020,
                    4_607_919_926_774_688_917, 4_580_353_187_292_945_048, 4_575_054_707_532_327_600,
                ])
    }

    @Test("views stay within the stated ranges, fill them, and mirror half of the pictures")
    func ranges() {
        var (angles, zooms, shifts, mirrored) = ([Double](), [Double](), [Double](), 0)
        for index in 0..<2000 {
            let view = Augmentation.standard.view(seed: 5, index: index, epoch: 0).geometry
            let determinant = view.xx * view.yy - view.xy * view.yx
            mirrored += determinant < 0 ? 1 : 0
            zooms.append(1 / abs(determinant).squareRoot())
            // The tangent of the angle; tan 15 degrees = 0.268.
            angles.append(-view.yx / view.yy)
            shifts += [view.shiftX, view.shiftY]
        }
        #expect((900...1100).contains(mirrored))
        for (values, limit, center) in [
            (angles, 0.2679492, 0.0), (zooms, 0.15, 1.0), (shifts, 0.05, 0.0),
        ] {
            #expect(values.allSatisfy { abs($0 - center) <= limit + 1e-9 })
            #expect(
                (values.max() ?? 0) - center > 0.95 * limit && center - (values.min() ?? 0) > 0.95 * limit)
        }
    }

    private func dataset(_ folder: TemporaryFolder, _ augmentation: Augmentation) throws
        -> LoadedDataset
    {
        try folder.write("a/1.png", try ImageEncoder.png(sample(32, 32).decoded))
        try folder.write("b/2.png", try ImageEncoder.png(sample(32, 32, phase: 9).decoded))
        let recipe = try Preprocessing(imageSize: 32, channels: 1, mean: [0], std: [1.0 / 255])
        return LoadedDataset(
            try Dataset.scan(folder.path), preprocessing: recipe, augmentation: augmentation, seed: 3)
    }

    @Test("a mirror view is the mirrored picture; no augmentation is the picture")
    func mirror() throws {
        let folder = try TemporaryFolder()
        let flips = try Augmentation(rotationDegrees: 0, zoom: 0, shift: 0, horizontalFlip: true)
        let data = try dataset(folder, flips)
        let plain = try input(data, 0, nil)
        #expect(zip(plain, sample(32, 32).pixels).allSatisfy { abs($0 - Float($1)) < 0.001 })
        let mirrored = sample(32, 32).mirrored().pixels
        var seen = Set<Bool>()
        for epoch in 0..<20 {
            let floats = try input(data, 0, epoch)
            let isMirrored = zip(floats, mirrored).allSatisfy { abs($0 - Float($1)) < 0.001 }
            #expect(isMirrored || zip(floats, plain).allSatisfy { abs($0 - $1) < 0.001 })
            seen.insert(isMirrored)
        }
        #expect(seen.count == 2)
    }

    @Test(
        "every output is written, within the picture's range; views differ between epochs, not between calls"
    )
    func views() throws {
        let folder = try TemporaryFolder()
        let data = try dataset(folder, .standard)
        let first = try input(data, 1, 0)
        let pixels = sample(32, 32, phase: 9).pixels
        let range = Float(pixels.min() ?? 0) - 0.01...Float(pixels.max() ?? 0) + 0.01
        #expect(first.allSatisfy { range.contains($0) })
        #expect(try input(data, 1, 0) == first)
        #expect(try input(data, 1, 1) != first)
        #expect(try input(data.subset([1]), 0, 0) == first, "a subset keeps its pictures' views")
    }

    @Test("asking for a picture that is not there is an error")
    func outside() throws {
        let folder = try TemporaryFolder()
        let data = try dataset(folder, .none)
        #expect(throws: ImageError.self) { try input(data, 2, nil) }
        #expect(throws: ImageError.self) { try input(data, -1, nil) }
    }

    @Test("options out of range are refused")
    func refused() {
        for (rotation, zoom, shift, brightness, contrast) in [
            (-1.0, 0.0, 0.0, 0.0, 0.0), (181, 0, 0, 0, 0), (0, 0.95, 0, 0, 0), (0, 0, 1.5, 0, 0), (.nan, 0, 0, 0, 0),
            (0, 0, 0, -0.1, 0), (0, 0, 0, 0.95, 0), (0, 0, 0, 0, -0.1), (0, 0, 0, 0, 0.95), (0, 0, 0, 0, .nan),
        ] {
            let found = reason { () throws(ImageError) in
                _ = try Augmentation(
                    rotationDegrees: rotation, zoom: zoom, shift: shift, horizontalFlip: false,
                    brightness: brightness, contrast: contrast)
            }
            #expect(found == .invalidOption)
        }
    }

    @Test("shuffling is a permutation, the same for the same key")
    func shuffle() {
        var (left, right) = (Array(0..<100), Array(0..<100))
        var (a, b) = (CounterRandom(4), CounterRandom(4))
        a.shuffle(&left)
        b.shuffle(&right)
        #expect(left == right && left != Array(0..<100) && left.sorted() == Array(0..<100))
    }
}

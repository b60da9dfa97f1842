import Images
import Testing

/// Brightness and contrast of random views: ``AugmentedView``; and ``LoadedDataset/mirrored()``.
@Suite struct ViewTests {
    private func dataset(
        _ folder: TemporaryFolder, _ augmentation: Augmentation, channels: Int = 1, first: LumaImage = sample(32, 32)
    ) throws -> LoadedDataset {
        try folder.write("a/1.png", try ImageEncoder.png(first.decoded))
        try folder.write("b/2.png", try ImageEncoder.png(sample(32, 32, phase: 9).decoded))
        let recipe = try Preprocessing(
            imageSize: 32, channels: channels, mean: [Float](repeating: 0, count: channels),
            std: [Float](repeating: 1.0 / 255, count: channels))
        return LoadedDataset(
            try Dataset.scan(folder.path), preprocessing: recipe, augmentation: augmentation, seed: 3)
    }

    private func gray(_ brightness: Double, _ contrast: Double) throws -> Augmentation {
        try Augmentation(
            rotationDegrees: 0, zoom: 0, shift: 0, horizontalFlip: false, brightness: brightness, contrast: contrast)
    }

    private func bits(_ data: LoadedDataset, epochs: Int) throws -> UInt64 {
        let floats = try (0..<epochs).flatMap { try input(data, 1, $0) }
        return fingerprint(
            floats.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
    }

    @Test("without brightness and contrast, views are to the bit those of releases that had neither")
    func unchanged() throws {
        let folder = try TemporaryFolder()
        #expect(try bits(try dataset(folder, .standard), epochs: 4) == 4_724_833_467_536_259_251)
    }

    @Test("brightness and contrast are the same on every platform and in every release")
    func pinned() throws {
        let folder = try TemporaryFolder()
        let both = try Augmentation(
            rotationDegrees: 15, zoom: 0.15, shift: 0.05, horizontalFlip: true, brightness: 0.4, contrast: 0.4)
        #expect(try bits(try dataset(folder, both), epochs: 4) == 4_735_379_884_334_162_659)
    }

    @Test("the two factors are drawn last: geometry does not depend on them, nor they on each other")
    func drawnLast() throws {
        for index in 0..<20 {
            let plain = Augmentation.standard.view(seed: 5, index: index, epoch: 1)
            #expect(plain.brightness == 1 && plain.contrast == 1)
            let both = try Augmentation(
                rotationDegrees: 15, zoom: 0.15, shift: 0.05, horizontalFlip: true, brightness: 0.3, contrast: 0.6
            ).view(seed: 5, index: index, epoch: 1)
            #expect(both.geometry == plain.geometry)
            #expect(both.brightness == (try gray(0.3, 0).view(seed: 5, index: index, epoch: 1).brightness))
            #expect(both.contrast == (try gray(0, 0.6).view(seed: 5, index: index, epoch: 1).contrast))
        }
    }

    @Test("factors stay within 1 +- brightness and 1 +- contrast, and fill them")
    func ranges() throws {
        let views = try (0..<2000).map { try gray(0.3, 0.6).view(seed: 5, index: $0, epoch: 0) }
        for (values, limit) in [(views.map(\.brightness), 0.3), (views.map(\.contrast), 0.6)] {
            #expect(values.allSatisfy { abs($0 - 1) <= limit })
            #expect((values.max() ?? 0) > 1 + 0.98 * limit && (values.min() ?? 2) < 1 - 0.98 * limit)
        }
    }

    /// The formula of ``AugmentedView``, in Double.
    @Test("brightness multiplies, contrast then blends with the mean, each limited to 0...255")
    func formula() throws {
        let folder = try TemporaryFolder()
        let augmentation = try gray(0.9, 0.9)
        let ramp = LumaImage(width: 32, height: 32, pixels: (0..<1024).map { UInt8($0 / 4) })
        let data = try dataset(folder, augmentation, first: ramp)
        var limited = Set<Double>()
        for epoch in 0..<40 {
            let view = augmentation.view(seed: 3, index: 0, epoch: epoch)
            func clamp(_ value: Double) -> Double { min(max(value, 0), 255) }
            let brighter = ramp.pixels.map { clamp(view.brightness * Double($0)) }
            let mean = brighter.reduce(0, +) / Double(brighter.count)
            let wanted = brighter.map { clamp(view.contrast * $0 + (1 - view.contrast) * mean) }
            let found = try input(data, 0, epoch)
            #expect(zip(found, wanted).allSatisfy { abs(Double($0) - $1) < 0.01 })
            for (limit, value) in [(0.0, wanted[4]), (255, wanted[1019])] where value == limit { limited.insert(limit) }
        }
        #expect(limited == [0, 255], "the limits had something to do")
    }

    @Test("a factor of its own for each epoch; without an epoch the picture itself")
    func epochs() throws {
        let folder = try TemporaryFolder()
        let data = try dataset(folder, try gray(0.2, 0.2))
        #expect(try input(data, 0, 0) != input(data, 0, 1))
        #expect(try input(data, 0, nil) == input(try dataset(folder, .none), 0, 4))
    }

    @Test("a mirrored dataset gives the mirrored picture, in every channel", arguments: [1, 3])
    func mirrored(channels: Int) throws {
        let folder = try TemporaryFolder()
        let data = try dataset(folder, .standard, channels: channels)
        let wanted = sample(32, 32, phase: 9).mirrored().pixels.flatMap { value in
            [Float](repeating: Float(value) / 255 / (1.0 / 255), count: channels)
        }
        #expect(try input(data.mirrored(), 1, nil) == wanted)
        #expect(try input(data, 1, nil) != wanted, "the dataset itself stays as it is")
        #expect(try input(data.mirrored().subset([1]), 0, nil) == wanted, "a subset stays mirrored")
        #expect(data.mirrored().labels == data.labels && data.mirrored().hashes == data.hashes)
    }

    @Test("mirroring twice is the identity, of pictures and of augmented views")
    func twice() throws {
        let folder = try TemporaryFolder()
        let data = try dataset(folder, .standard)
        for epoch in [nil, 0, 1] {
            let plain = try input(data, 0, epoch)
            #expect(try input(data.mirrored().mirrored(), 0, epoch) == plain)
            let rows = stride(from: 0, to: plain.count, by: 32).flatMap { plain[$0..<($0 + 32)].reversed() }
            #expect(try input(data.mirrored(), 0, epoch) == rows)
        }
    }
}

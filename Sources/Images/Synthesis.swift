package import Files
package import SystemPackage

/// `data synthesize`: a data folder of phantoms.
package enum Synthesis {
    package struct Options: Equatable, Sendable {
        /// Pictures of each class, 1 to 100,000.
        package var perClass: Int
        /// Side in pixels, 16 to 2,048.
        package var size: Int
        package var seed: UInt64
        package init(perClass: Int, size: Int, seed: UInt64) {
            self.perClass = perClass
            self.size = size
            self.seed = seed
        }
    }

    /// Writes `OUT/<class>/phantom-00001.png|jpg`. The format of each picture (PNG gray or colour; JPEG gray or colour, with
    /// or without subsampling, quality 85 to 95, progressive or not) is drawn without regard to the class.
    ///
    /// The folder appears whole or not at all.
    /// - Returns: the number of pictures written.
    /// - Throws: `invalidOption`, `outputExists`, `cannotWrite`.
    @discardableResult
    package static func write(
        to folder: FilePath, options: Options, classes: [PhantomClass] = PhantomClass.allCases,
        files: any FileSystem = LocalFileSystem()
    ) throws(ImageError) -> Int {
        guard (1...100_000).contains(options.perClass) else {
            throw ImageError(.invalidOption, "\(options.perClass) pictures per class: must be from 1 to 100000")
        }
        guard (16...2048).contains(options.size) else {
            throw ImageError(.invalidOption, "size \(options.size): must be from 16 to 2048 pixels")
        }
        var output = try NewFolder(folder, files: files)
        do throws(ImageError) {
            for kind in classes {
                for index in 0..<options.perClass {
                    let phantom = PhantomGenerator.draw(kind, seed: options.seed, index: index, size: options.size)
                    let (bytes, suffix) = try encode(phantom, kind, index, options.seed)
                    let number = String(index + 1)
                    let name = "phantom-" + String(repeating: "0", count: max(0, 5 - number.count)) + number + suffix
                    try output.write(FilePath(kind.rawValue).appending(name), bytes)
                }
            }
            try output.publish()
        } catch {
            output.discard()
            throw error
        }
        return classes.count * options.perClass
    }

    private static func encode(
        _ phantom: LumaImage, _ kind: PhantomClass, _ index: Int, _ seed: UInt64
    ) throws(ImageError) -> (bytes: [UInt8], suffix: String) {
        var random = CounterRandom(0x666f_726d, seed, UInt64(kind.rawValue.utf8.first ?? 0), UInt64(index))
        let isPNG = random.unit() < 0.5
        let isColour = random.unit() < 0.5
        let quality = 85 + random.index(below: 11)
        let (progressive, subsampled) = (random.unit() < 0.25, random.unit() < 0.5)
        let image = isColour ? phantom.colour : phantom.decoded
        if isPNG { return (try ImageEncoder.png(image), ".png") }
        return (
            try ImageEncoder.jpeg(image, quality: quality, progressive: progressive, subsampled: subsampled), ".jpg"
        )
    }
}

extension LumaImage {
    /// The same picture as RGB with R = G = B, as most exported slices are.
    package var colour: DecodedImage {
        DecodedImage(width: width, height: height, channels: 3, pixels: pixels.flatMap { [$0, $0, $0] })
    }
}

import Images
import SystemPackage
import Testing

/// Foreign collections of good, odd and hostile pictures.
@Suite(.enabled(if: SharedData.has("png"), "\(SharedData.absent)")) struct ConformanceTests {
    /// PngSuite names its broken files with an x.
    private static func pngs() throws -> [FilePath] { try SharedData.files("png/pngsuite/pngsuite", ending: ["png"]) }

    private static func png(_ name: String) throws -> DecodedImage {
        let path = SharedData.folder.pushing(FilePath("png/pngsuite/pngsuite")).appending("\(name).png")
        return try ImageDecoder.decode(try SharedData.read(path))
    }

    @Test("PngSuite: the broken are refused, the good have the form that their names tell")
    func pngSuite() throws {
        var counts = (good: 0, broken: 0)
        for path in try Self.pngs() {
            let name = path.stem ?? ""
            let bytes = try SharedData.read(path)
            guard !name.hasPrefix("x") else {
                let found = reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes) }
                #expect(found == .corrupt || found == .notAnImage, "\(name)")
                counts.broken += 1
                continue
            }
            let image = try ImageDecoder.decode(bytes)
            let isGray = name.hasSuffix("g01") || ["0g", "4a"].contains { name.contains($0) }
            if name != "PngSuite" { #expect(image.channels == (isGray ? 1 : 3), "\(name)") }
            // s01...s40 tell their side.
            if name.hasPrefix("s"), let side = Int(name.dropFirst().prefix(2)) {
                #expect((image.width, image.height) == (side, side), "\(name)")
            }
            #expect(image.warnings == 0, "\(name)")
            counts.good += 1
        }
        #expect(counts.broken == 14 && counts.good > 150)
    }

    @Test("PngSuite: interlacing, filters, compression and cutting into chunks do not change a pixel")
    func pngSuiteVariants() throws {
        var pairs = [
            ("oi1n0g16", "basn0g16"), ("oi2n0g16", "basn0g16"), ("oi4n0g16", "basn0g16"), ("oi9n0g16", "basn0g16"),
            ("oi1n2c16", "basn2c16"), ("oi9n2c16", "basn2c16"), ("pp0n2c16", "basn2c16"), ("ps1n2c16", "basn2c16"),
            ("z00n2c08", "z09n2c08"), ("z03n2c08", "z06n2c08"), ("cm0n0g04", "cm7n0g04"), ("ct0n0g04", "ct1n0g04"),
            // Gamma and background chunks are ignored.
            ("bgai4a08", "basn4a08"), ("bgyn6a16", "basn6a16"),
        ]
        for form in [
            "0g01", "0g02", "0g04", "0g08", "0g16", "2c08", "2c16", "3p01", "3p02", "3p04", "3p08", "4a08", "4a16",
            "6a08", "6a16",
        ] {
            pairs.append(("basi" + form, "basn" + form))
        }
        for side in (1...9).map({ "0\($0)" }) + (32...40).map({ "\($0)" }) {
            let form = Int(side).map { $0 < 3 ? "3p01" : $0 < 32 ? ($0 < 5 ? "3p01" : "3p02") : "3p04" } ?? ""
            pairs.append(("s\(side)i\(form)", "s\(side)n\(form)"))
        }
        for (left, right) in pairs { #expect(try Self.png(left) == Self.png(right), "\(left) and \(right)") }
    }

    /// Tolerance: at most 3 of 255 in a pixel and 0.3 on average; inverse transforms may round differently (ISO 10918-2).
    @Test("image-rs: JPEGs agree with their expected PNGs")
    func jpegReferences() throws {
        var counts = (compared: 0, lossless: 0)
        for path in try SharedData.files("jpeg/image-rs/tests/reftest/images", ending: ["jpg"]) {
            var expected = path
            expected.extension = "png"
            let bytes = try SharedData.read(path)
            if path.string.contains("lossless") {
                #expect(reason { () throws(ImageError) in _ = try ImageDecoder.decode(bytes) } == .unsupported)
                counts.lossless += 1
                continue
            }
            if path.stem == "partial_progressive" {
                // Its last scan is cut; refused by rule 7.
                #expect(throws: ImageError.self) { try ImageDecoder.decode(bytes) }
                continue
            }
            let image = try ImageDecoder.decode(bytes)
            let wanted = try ImageDecoder.decode(try SharedData.read(expected))
            #expect((image.width, image.height, image.channels) == (wanted.width, wanted.height, wanted.channels))
            let differences = zip(image.pixels, wanted.pixels).map { abs(Int($0) - Int($1)) }
            #expect(differences.allSatisfy { $0 <= 3 }, "\(path.stem ?? "")")
            #expect(Double(differences.reduce(0, +)) <= 0.3 * Double(differences.count), "\(path.stem ?? "")")
            counts.compared += 1
        }
        #expect(counts.compared > 30 && counts.lossless > 5)
    }

    @Test("image-rs: 112 crashers end in a picture or in one clear line, quickly", .timeLimit(.minutes(1)))
    func crashers() throws {
        let files = try SharedData.files("jpeg/image-rs/tests/crashtest", ending: ["jpg"])
        #expect(files.count > 100)
        var refused = 0
        for path in files {
            let bytes = try SharedData.read(path)
            do throws(ImageError) {
                let image = try ImageDecoder.decode(bytes)
                #expect(image.pixels.count == image.width * image.height * image.channels)
            } catch {
                #expect(!error.description.contains("\n") && !error.description.hasSuffix("."))
                refused += 1
            }
        }
        #expect(refused > 90)
    }

    @Test("image-rs: broken colour profiles do not matter")
    func profiles() throws {
        for path in try SharedData.files("jpeg/image-rs/tests/icc", ending: ["jpeg"]) {
            #expect(throws: Never.self) { try ImageDecoder.decode(try SharedData.read(path)) }
        }
    }
}

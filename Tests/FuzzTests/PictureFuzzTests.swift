import FuzzTargets
import Images
import SeededNumbers
import Testing

/// Pictures come from scanners, desktops and mail; a folder of ten thousand holds every kind of damage.
@Suite struct PictureFuzzTests {
    private static let limits = ImageLimits(
        maximumFileBytes: 1 << 20, maximumSide: 2000, maximumPixels: 1 << 18, maximumScans: 20)

    private static func picture(channels: Int) -> DecodedImage {
        let pixels = (0..<(24 * 16 * channels)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 4) }
        return DecodedImage(width: 24, height: 16, channels: channels, pixels: pixels)
    }

    private func decode(_ bytes: [UInt8]) {
        for form in [ImageDecoder.Form.asStored, .luma] {
            do throws(ImageError) {
                let image = try ImageDecoder.decode(bytes, as: form, limits: Self.limits)
                #expect(image.pixels.count == image.width * image.height * image.channels)
                #expect(image.width * image.height <= Self.limits.maximumPixels)
                #expect(form == .asStored || image.channels == 1)
            } catch {
                #expect(!error.description.isEmpty && !error.description.contains("\n"))
            }
        }
    }

    /// Chunks are damaged behind checksums that fit; without that the checksum alone would be tried.
    @Test func chunksOfPNG() throws {
        let seeds = try [1, 3].map { PNGChunks.parse(try ImageEncoder.png(Self.picture(channels: $0))) }
        var mutator = Mutator(
            seed: 31, words: ["PLTE", "tRNS", "acTL", "\u{0}\u{0}\u{0}\u{0}", "\u{7f}\u{7f}\u{7f}\u{7f}", "x\u{1}"])
        for round in Effort.rounds(2500) {
            var chunks = seeds[round % seeds.count]
            for _ in 0...mutator.below(3) {
                let index = mutator.below(chunks.count)
                switch mutator.below(6) {
                case 0: chunks.insert(chunks[index], at: mutator.below(chunks.count))
                case 1 where chunks.count > 1: chunks.remove(at: index)
                case 2:
                    let names = [
                        "PLTE", "tRNS", "IHDR", "IDAT", "IEND", "gAMA", "iCCP", "sBIT", "bKGD", "eXIf", "zTXt",
                    ]
                    let name = Array(names[mutator.below(names.count)].utf8)
                    chunks.insert((name, mutator.damage(chunks[index].body)), at: index)
                default: chunks[index].body = mutator.damage(chunks[index].body)
                }
            }
            decode(PNGChunks.file(chunks))
        }
    }

    @Test func segmentsOfJPEG() throws {
        var seeds: [[UInt8]] = []
        for channels in [1, 3] {
            for progressive in [false, true] {
                seeds.append(
                    try ImageEncoder.jpeg(Self.picture(channels: channels), quality: 60, progressive: progressive))
            }
        }
        let inks = (0..<(16 * 16 * 4)).map { UInt8(truncatingIfNeeded: $0 &* 5) }
        seeds.append(try ImageEncoder.jpegCMYK(inks, width: 16, height: 16, quality: 60))
        let exif: [UInt8] = [
            0xff, 0xe1, 0, 34, 0x45, 0x78, 0x69, 0x66, 0, 0, 0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0,
            0,
            0, 6, 0, 0, 0, 0, 0, 0, 0,
        ]
        seeds.append(Array(seeds[1][..<2]) + exif + seeds[1][2...])
        // Markers: start of frame of several kinds, Huffman and quantisation tables, restart interval, scan, end.
        let markers: [UInt8] = [
            0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc9, 0xcc, 0xd0, 0xd8, 0xd9, 0xda, 0xdb, 0xdd, 0xe0, 0xe1, 0xee,
        ]
        var mutator = Mutator(seed: 32, words: ["Exif\u{0}\u{0}", "Adobe", "JFIF\u{0}"])
        for round in Effort.rounds(3000) {
            var bytes = mutator.damage(seeds[round % seeds.count])
            if bytes.count > 4, mutator.below(2) == 0 {
                let at = 2 + mutator.below(bytes.count - 3)
                bytes.insert(contentsOf: [0xff, markers[mutator.below(markers.count)]], at: at)
            }
            decode(bytes)
        }
    }

    @Test func tablesOfGroups() {
        let good = Array("path,group\nglioma/1.jpg,p1\n\"a,b/\"\"2\"\".png\",p2\r\n".utf8)
        var mutator = Mutator(seed: 33, words: ["\"", ",", "\r\n", "\n", "path", "group", "\u{feff}"])
        for _ in Effort.rounds(4000) {
            let text = String(decoding: mutator.damage(good), as: UTF8.self)
            do throws(ImageError) { _ = try GroupTable(csv: text) } catch { #expect(error.reason == .invalidGroups) }
        }
    }
}

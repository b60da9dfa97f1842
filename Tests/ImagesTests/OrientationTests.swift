import Images
import Testing

/// Rule 6 of ``ImageDecoder``: EXIF orientation.
@Suite struct OrientationTests {
    /// A JPEG with an APP1 block right after its start.
    private func jpeg(_ image: DecodedImage, exif: [UInt8]) throws -> [UInt8] {
        let bytes = try ImageEncoder.jpeg(image, quality: 100, subsampled: false)
        let body = Array("Exif\0\0".utf8) + exif
        return Array(bytes[..<2]) + [0xff, 0xe1, UInt8((body.count + 2) >> 8), UInt8((body.count + 2) & 255)] + body
            + bytes[2...]
    }

    private func tiff(_ value: UInt8, bigEndian: Bool) -> [UInt8] {
        bigEndian
            ? [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0]
            : [0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0]
    }

    @Test("the eight orientations turn a 3 x 2 picture upright")
    func turns() {
        // 1 2 3
        // 4 5 6
        let stored = DecodedImage(width: 3, height: 2, channels: 1, pixels: [1, 2, 3, 4, 5, 6])
        let expected: [Orientation: [UInt8]] = [
            .up: [1, 2, 3, 4, 5, 6], .upMirrored: [3, 2, 1, 6, 5, 4], .down: [6, 5, 4, 3, 2, 1],
            .downMirrored: [4, 5, 6, 1, 2, 3], .leftMirrored: [1, 4, 2, 5, 3, 6], .right: [4, 1, 5, 2, 6, 3],
            .rightMirrored: [6, 3, 5, 2, 4, 1], .left: [3, 6, 2, 5, 1, 4],
        ]
        for orientation in Orientation.allCases {
            let upright = orientation.upright(stored)
            #expect(upright.pixels == expected[orientation], "\(orientation)")
            #expect((upright.width, upright.height) == (orientation.swapsSides ? (2, 3) : (3, 2)))
        }
    }

    @Test("the tag is read in both byte orders", arguments: Orientation.allCases, [false, true])
    func tag(orientation: Orientation, bigEndian: Bool) throws {
        let stored = sample(24, 16).decoded
        let bytes = try jpeg(stored, exif: tiff(orientation.rawValue, bigEndian: bigEndian))
        #expect(Orientation(exifOfJPEG: bytes) == orientation)
        let plain = try ImageDecoder.decode(try ImageEncoder.jpeg(stored, quality: 100, subsampled: false))
        #expect(try ImageDecoder.decode(bytes) == orientation.upright(plain))
    }

    @Test("a broken EXIF block is ignored, whatever byte is wrong and wherever it ends")
    func broken() throws {
        let good = tiff(6, bigEndian: false)
        let stored = sample(16, 16).decoded
        for end in 0..<good.count {
            let orientation = Orientation(exifOfJPEG: try jpeg(stored, exif: Array(good[..<end])))
            #expect(orientation == (end >= 20 ? .right : .up), "\(end) bytes")
        }
        for index in good.indices {
            for value: UInt8 in [0, 1, 0x7f, 0x80, 0xff] {
                var exif = good
                exif[index] = value
                let bytes = try jpeg(stored, exif: exif)
                #expect(throws: Never.self) { try ImageDecoder.decode(bytes) }
            }
        }
        let beyond = try jpeg(stored, exif: tiff(9, bigEndian: true))
        #expect(Orientation(exifOfJPEG: beyond) == .up)
    }

    @Test("segments that lie about their length end the search")
    func segments() {
        #expect(Orientation(exifOfJPEG: [0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, 0x45]) == .up)
        #expect(Orientation(exifOfJPEG: [0xff, 0xd8, 0xff, 0xe1, 0x00, 0x00, 0x45, 0x78]) == .up)
        #expect(Orientation(exifOfJPEG: [0xff]) == .up)
        #expect(Orientation(exifOfJPEG: []) == .up)
        #expect(Orientation(exifOfJPEG: [0xff, 0xd8] + [UInt8](repeating: 0xff, count: 1000)) == .up)
    }
}

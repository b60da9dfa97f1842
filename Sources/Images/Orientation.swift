/// EXIF's orientation tag (0x0112): how the stored rows must be turned to stand upright.
///
/// Source: CIPA DC-008 (Exif 2.32), section 4.6.4. The parser looks at nothing but this tag. Whatever is out of place in
/// a hostile or broken block (offsets outside, wrong type, value beyond 8) means `.up`; it never fails.
package enum Orientation: UInt8, Sendable, CaseIterable {
    case up = 1
    case upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left

    /// Walks the marker segments of a JPEG up to its first scan; the first Exif block decides.
    package init(exifOfJPEG bytes: [UInt8]) {
        self = .up
        var position = 2
        while position + 4 <= bytes.count, bytes[position] == 0xff {
            let marker = bytes[position + 1]
            if marker == 0xff {  // fill byte
                position += 1
                continue
            }
            // Start of scan, end of image: no metadata behind. Markers without length do not occur before the scan.
            if marker == 0xda || marker == 0xd9 { return }
            let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
            guard length >= 2, position + 2 + length <= bytes.count else { return }
            let body = bytes[(position + 4)..<(position + 2 + length)]
            if marker == 0xe1, body.starts(with: Array("Exif\0\0".utf8)) {
                self = Orientation(tiff: body.dropFirst(6)) ?? .up
                return
            }
            position += 2 + length
        }
    }

    /// Reads the tag from the first directory of a TIFF block (offsets count from its first byte).
    package init?(tiff: ArraySlice<UInt8>) {
        let block = Array(tiff)
        let bigEndian: Bool
        if block.starts(with: [0x4d, 0x4d, 0x00, 0x2a]) {
            bigEndian = true
        } else if block.starts(with: [0x49, 0x49, 0x2a, 0x00]) {
            bigEndian = false
        } else {
            return nil
        }
        func read(_ offset: Int, _ count: Int) -> Int? {
            guard offset >= 0, offset + count <= block.count else { return nil }
            let field = block[offset..<(offset + count)]
            return (bigEndian ? Array(field) : field.reversed()).reduce(0) { $0 << 8 | Int($1) }
        }
        // Each entry: tag (2 bytes), type (2), count (4), value or offset (4). A directory of 65,535 entries is the most.
        guard let directory = read(4, 4), let entries = read(directory, 2) else { return nil }
        for entry in 0..<entries {
            let start = directory + 2 + 12 * entry
            guard let tag = read(start, 2) else { return nil }
            guard tag == 0x0112 else { continue }
            let short = 3
            guard read(start + 2, 2) == short, read(start + 4, 4) == 1, let value = read(start + 8, 2) else {
                return nil
            }
            self.init(rawValue: UInt8(clamping: value))
            return
        }
        return nil
    }

    /// Whether the upright picture is as wide as the stored one is high.
    package var swapsSides: Bool { rawValue >= 5 }

    /// The picture turned upright.
    package func upright(_ image: DecodedImage) -> DecodedImage {
        guard self != .up else { return image }
        let (storedWidth, storedHeight) = (image.width, image.height)
        let (width, height) = swapsSides ? (storedHeight, storedWidth) : (storedWidth, storedHeight)
        var pixels = [UInt8](repeating: 0, count: image.pixels.count)
        for y in 0..<height {
            for x in 0..<width {
                let (column, row) = stored(x, y, width, height)
                let source = (row * storedWidth + column) * image.channels
                let target = (y * width + x) * image.channels
                for channel in 0..<image.channels { pixels[target + channel] = image.pixels[source + channel] }
            }
        }
        return DecodedImage(
            width: width, height: height, channels: image.channels, pixels: pixels, warnings: image.warnings)
    }

    /// Where the pixel at upright (x, y) stands in the stored rows; width and height are the upright ones.
    private func stored(_ x: Int, _ y: Int, _ width: Int, _ height: Int) -> (column: Int, row: Int) {
        switch self {
        case .up: (x, y)
        case .upMirrored: (width - 1 - x, y)
        case .down: (width - 1 - x, height - 1 - y)
        case .downMirrored: (x, height - 1 - y)
        case .leftMirrored: (y, x)
        case .right: (y, width - 1 - x)
        case .rightMirrored: (height - 1 - y, width - 1 - x)
        case .left: (height - 1 - y, x)
        }
    }
}

internal import CImageIO

/// A picture in memory, upright: rows from the top, `channels` interleaved bytes a pixel (1 gray, 3 RGB), no padding.
package struct DecodedImage: Equatable, Sendable {
    package let width: Int
    package let height: Int
    package let channels: Int
    package var pixels: [UInt8]
    /// Complaints of the decoder that did not harm the pixels, such as stray bytes between markers.
    package var warnings: Int

    /// - Precondition: `pixels.count == width * height * channels`, all positive, and channels 1 or 3.
    package init(width: Int, height: Int, channels: Int, pixels: [UInt8], warnings: Int = 0) {
        precondition(width > 0 && height > 0 && (channels == 1 || channels == 3), "a picture has pixels, gray or RGB")
        precondition(pixels.count == width * height * channels, "a picture's bytes must fill its size")
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
        self.warnings = warnings
    }
}

/// PNG and JPEG bytes to pixels.
///
/// 1. The kind is decided by the first bytes, never by the file's name.
/// 2. All samples become 8-bit: palettes and low depths are expanded; 16 bits are rounded (v * 255 / 65535).
/// 3. Transparency is composited on black, the background of MRI.
/// 4. Gamma and colour profiles are ignored: scanners' exports carry arbitrary ones, and the network sees stored values.
/// 5. CMYK and YCCK become RGB by R = (1 - C)(1 - K); Adobe's inverted inks are recognised by its marker.
/// 6. EXIF orientation (JPEG) is applied, so that the result is upright. A broken EXIF block is ignored.
/// 7. A picture comes whole or not at all. A file that ends early, or holds data that do not decode, is refused; only a
///    missing end marker after a complete baseline JPEG passes.
/// 8. Lossless and 12-bit JPEG are refused as unsupported.
package enum ImageDecoder {
    package enum Kind: String, Sendable { case png, jpeg }

    /// What the caller wants: the file's own colours, or one channel of Rec. 601 luma.
    package enum Form: Sendable { case asStored, luma }

    /// - Returns: nil when `bytes` begin like neither PNG nor JPEG.
    package static func kind(of bytes: [UInt8]) -> Kind? {
        if bytes.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) { return .png }
        if bytes.starts(with: [0xff, 0xd8, 0xff]) { return .jpeg }
        return nil
    }

    /// A preamble of 128 bytes, of any content, and then the prefix (DICOM PS3.10, section 7.1).
    private static func isDICOM(_ bytes: [UInt8]) -> Bool { bytes.dropFirst(128).starts(with: Array("DICM".utf8)) }

    /// - Throws: ``ImageError`` with one line about the picture, without a path.
    package static func decode(
        _ bytes: [UInt8], as form: Form = .asStored, limits: ImageLimits = .standard
    ) throws(ImageError) -> DecodedImage {
        guard !bytes.isEmpty else { throw ImageError(.empty, "is empty (0 bytes)") }
        guard bytes.count <= limits.maximumFileBytes else {
            throw ImageError(
                .tooLarge, "is too large: \(bytes.count) bytes, at most \(limits.maximumFileBytes) are read")
        }
        guard let kind = kind(of: bytes) else {
            guard !isDICOM(bytes) else {
                throw ImageError(
                    .notAnImage, "is a DICOM file: export it as PNG or JPEG with the scanner's or the viewer's software"
                )
            }
            throw ImageError(.notAnImage, "is neither a PNG nor a JPEG picture")
        }
        let image = try decodePixels(bytes, kind: kind, gray: form == .luma, limits: limits)
        guard kind == .jpeg else { return image }
        return Orientation(exifOfJPEG: bytes).upright(image)
    }

    private static func decodePixels(
        _ bytes: [UInt8], kind: Kind, gray: Bool, limits: ImageLimits
    ) throws(ImageError) -> DecodedImage {
        let bounds = cimage_limits(
            max_side: UInt32(clamping: limits.maximumSide), max_pixels: UInt64(clamping: limits.maximumPixels),
            max_scans: UInt32(clamping: limits.maximumScans))
        var picture = cimage_picture()
        let status = bytes.withUnsafeBufferPointer { buffer in
            switch kind {
            case .png: cimage_decode_png(buffer.baseAddress, buffer.count, gray, bounds, &picture)
            case .jpeg: cimage_decode_jpeg(buffer.baseAddress, buffer.count, gray, bounds, &picture)
            }
        }
        defer { cimage_release(picture.pixels) }
        guard status == CIMAGE_OK, let pixels = picture.pixels else {
            throw error(status, kind: kind, message: text(of: picture), limits: limits)
        }
        let count = Int(picture.width) * Int(picture.height) * Int(picture.channels)
        return DecodedImage(
            width: Int(picture.width), height: Int(picture.height), channels: Int(picture.channels),
            pixels: [UInt8](UnsafeBufferPointer(start: pixels, count: count)), warnings: Int(picture.warnings))
    }

    private static func text(of picture: cimage_picture) -> String {
        withUnsafeBytes(of: picture.message) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func error(
        _ status: cimage_status, kind: Kind, message: String, limits: ImageLimits
    ) -> ImageError {
        let name = kind == .png ? "PNG" : "JPEG"
        let because = message.isEmpty ? "" : ": \(message)"
        return switch status {
        case CIMAGE_TRUNCATED: ImageError(.truncated, "is a truncated \(name)\(because)")
        case CIMAGE_UNSUPPORTED: ImageError(.unsupported, "is a kind of \(name) that is not supported\(because)")
        case CIMAGE_TOO_LARGE:
            ImageError(
                .tooLarge,
                "is too large a \(name)\(because); at most \(limits.maximumSide) a side, \(limits.maximumPixels) in all"
            )
        case CIMAGE_NO_MEMORY: ImageError(.outOfMemory, "is a \(name) that does not fit into memory")
        default: ImageError(.corrupt, "is a damaged \(name)\(because)")
        }
    }
}

internal import CImageIO

/// Pixels to PNG or JPEG bytes, for phantoms, explanations and tests.
package enum ImageEncoder {
    /// Lossless; 8-bit gray or RGB.
    package static func png(_ image: DecodedImage) throws(ImageError) -> [UInt8] {
        try encode { output in
            image.pixels.withUnsafeBufferPointer { pixels in
                cimage_encode_png(
                    pixels.baseAddress, UInt32(image.width), UInt32(image.height), UInt32(image.channels), &output)
            }
        }
    }

    /// - Parameters:
    ///   - quality: 1 to 100, libjpeg's scale.
    ///   - subsampled: 4:2:0 chroma (colour pictures only); else 4:4:4.
    package static func jpeg(
        _ image: DecodedImage, quality: Int = 90, progressive: Bool = false, subsampled: Bool = true
    ) throws(ImageError) -> [UInt8] {
        try jpeg(
            image.pixels, image.width, image.height, channels: image.channels, quality: quality,
            progressive: progressive, subsampled: subsampled)
    }

    /// Inverted CMYK (255 = no ink), as Adobe writes it. `pixels` holds four bytes a pixel.
    package static func jpegCMYK(_ pixels: [UInt8], width: Int, height: Int, quality: Int = 95) throws(ImageError)
        -> [UInt8]
    {
        try jpeg(pixels, width, height, channels: 4, quality: quality, progressive: false, subsampled: false)
    }

    private static func jpeg(
        _ pixels: [UInt8], _ width: Int, _ height: Int, channels: Int, quality: Int, progressive: Bool, subsampled: Bool
    ) throws(ImageError) -> [UInt8] {
        precondition(pixels.count == width * height * channels, "a picture's bytes must fill its size")
        let options = cimage_jpeg_options(
            quality: Int32(min(max(quality, 1), 100)), progressive: progressive, subsampled: subsampled)
        return try encode { output in
            pixels.withUnsafeBufferPointer { buffer in
                cimage_encode_jpeg(
                    buffer.baseAddress, UInt32(clamping: width), UInt32(clamping: height), UInt32(channels), options,
                    &output)
            }
        }
    }

    private static func encode(_ write: (inout cimage_buffer) -> cimage_status) throws(ImageError) -> [UInt8] {
        var output = cimage_buffer()
        let status = write(&output)
        defer { cimage_release(output.bytes) }
        guard status == CIMAGE_OK, let bytes = output.bytes else {
            throw ImageError(status == CIMAGE_UNSUPPORTED ? .unsupported : .outOfMemory, "cannot be encoded")
        }
        return [UInt8](UnsafeBufferPointer(start: bytes, count: output.count))
    }
}

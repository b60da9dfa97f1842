/// How a picture becomes the network's input. The same for training, evaluation and prediction; fixed by the model.
///
/// 1. Luma first: colour MRI pictures hold R = G = B, and their chroma subsampling differs by source, which betrays the
///    class. For a JPEG the stored Y channel is taken as it is.
/// 2. With `crop`, only the head is kept (``LumaImage/headBox()``): how wide a border is left differs by source too.
///    Then antialiased resize (``LumaImage/resized(width:height:)``) to `imageSize` squared; the aspect ratio is not
///    kept, so that no padding tells the picture's original shape.
/// 3. v / 255, minus mean, divided by std, per channel; with 3 channels the luma is replicated.
package struct Preprocessing: Equatable, Sendable {
    package let imageSize: Int
    /// 1, or 3 for networks that were trained on colour pictures.
    package let channels: Int
    package let mean: [Float]
    package let std: [Float]
    /// Whether the dark border is cut off before the resize.
    package let crop: Bool

    /// - Throws: `invalidOption` unless there are one mean and one positive deviation for each of 1 or 3 channels and the
    ///   size is 8 to 4,096.
    package init(
        imageSize: Int, channels: Int, mean: [Float], std: [Float], crop: Bool = false
    ) throws(ImageError) {
        guard (8...4096).contains(imageSize) else {
            throw ImageError(.invalidOption, "image size \(imageSize): must be from 8 to 4096 pixels")
        }
        guard channels == 1 || channels == 3 else {
            throw ImageError(.invalidOption, "\(channels) image channels: must be 1 or 3")
        }
        guard mean.count == channels, std.count == channels, mean.allSatisfy(\.isFinite),
            std.allSatisfy({ $0.isFinite && $0 > 0 })
        else {
            throw ImageError(.invalidOption, "normalisation: needs a mean and a positive std for each image channel")
        }
        self.imageSize = imageSize
        self.channels = channels
        self.mean = mean
        self.std = std
        self.crop = crop
    }

    /// Floats of one input picture, HWC.
    package var inputCount: Int { imageSize * imageSize * channels }

    /// Steps 1 and 2: `imageSize * imageSize` gray values.
    package func apply(_ image: DecodedImage) -> [UInt8] { gray(LumaImage(image)) }

    /// Step 2: `imageSize * imageSize` gray values.
    func gray(_ luma: LumaImage) -> [UInt8] {
        let part = crop ? luma.cropped(to: luma.headBox()) : luma
        return part.resized(width: imageSize, height: imageSize).pixels
    }

    /// Steps 1 and 2 from a file's bytes.
    package func load(_ bytes: [UInt8], limits: ImageLimits = .standard) throws(ImageError) -> [UInt8] {
        apply(try ImageDecoder.decode(bytes, as: .luma, limits: limits))
    }

    /// Step 3 without augmentation. `luma` holds `imageSize` squared values, `target` ``inputCount`` floats.
    package func normalise(_ luma: UnsafeBufferPointer<UInt8>, into target: UnsafeMutableBufferPointer<Float>) {
        for pixel in 0..<(imageSize * imageSize) { target[pixel] = Float(luma[pixel]) }
        normalise(target)
    }

    /// Step 3 in place: `imageSize` squared gray values at the front of `target` become ``inputCount`` inputs.
    func normalise(_ target: UnsafeMutableBufferPointer<Float>) {
        let count = imageSize * imageSize
        if channels == 1 {
            let (mean, std) = (mean[0], std[0])
            for pixel in 0..<count { target[pixel] = (target[pixel] / 255 - mean) / std }
            return
        }
        // From the back: the three channels of a pixel lie behind all gray values still to be read.
        for pixel in stride(from: count - 1, through: 0, by: -1) {
            let unit = target[pixel] / 255
            for channel in 0..<3 { target[3 * pixel + channel] = (unit - mean[channel]) / std[channel] }
        }
    }
}

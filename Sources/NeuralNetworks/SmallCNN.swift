/// A small residual-free network for brain MRI at 64 to 224 pixels: nine 3x3 convolutions with BatchNorm, 0.09 GFLOP
/// forward a picture at 128 pixels, 0.47 million parameters.
///
/// | part   | layers                                              | at 128 pixels |
/// |--------|-----------------------------------------------------|---------------|
/// | stem   | conv1 3x3 stride 2, bn1, ReLU, max-pool 2            | 32x32x32      |
/// | layer1 | two of (3x3 convolution, BatchNorm, ReLU), width 32  | 32x32x32      |
/// | layer2 | max-pool 2, the same two, width 64                   | 16x16x64      |
/// | layer3 | max-pool 2, the same two, width 96                   | 8x8x96        |
/// | layer4 | max-pool 2, the same two, width 128                  | 4x4x128       |
///
/// Convolutions have no bias where BatchNorm follows, whose shift makes it redundant.
enum SmallCNN {
    static let widths = [32, 64, 96, 128]

    /// - Returns: the node of the features.
    static func build(in graph: inout Graph) throws(NetworkError) -> Int {
        var value = try graph.convolutionBlock(
            0, convolution: "conv1", norm: "bn1", width: widths[0], stride: 2, part: "stem")
        value = try graph.add(.maxPool(Window(2)), [value], name: "maxpool", part: "stem")
        for (index, width) in widths.enumerated() {
            let part = "layer\(index + 1)"
            if index > 0 {
                value = try graph.add(.maxPool(Window(2)), [value], name: "\(part).pool", part: part)
            }
            for step in 1...2 {
                value = try graph.convolutionBlock(
                    value, convolution: "\(part).conv\(step)", norm: "\(part).bn\(step)", width: width, stride: 1,
                    part: part)
            }
        }
        return value
    }
}

extension Graph {
    /// 3x3 convolution with padding 1, BatchNorm, ReLU.
    mutating func convolutionBlock(
        _ input: Int, convolution: String, norm: String, width: Int, stride: Int, part: String
    ) throws(NetworkError) -> Int {
        let window = Window(3, stride: stride, padding: 1)
        var value = try add(
            .convolution(outputs: width, window: window, bias: false), [input], name: convolution, part: part)
        value = try add(.batchNorm, [value], name: norm, part: part)
        return try add(.relu, [value], name: "\(norm).relu", part: part)
    }
}

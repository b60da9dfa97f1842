/// Residual networks of He et al. 2016 ("Deep Residual Learning for Image Recognition", arXiv 1512.03385), table 1, with
/// torchvision's tensor names.
///
/// | part     | layers                                                    | at 224 pixels       |
/// |----------|-----------------------------------------------------------|---------------------|
/// | stem     | conv1 7x7 stride 2, bn1, ReLU, max-pool 3x3 stride 2       | 56x56x64            |
/// | layer1   | blocks of width 64                                         | 56x56, 64 or 256    |
/// | layer2-4 | blocks of width 128, 256, 512, the first with stride 2     | 28x28, 14x14, 7x7   |
///
/// A block adds its input to what its convolutions make of it, and applies ReLU; where shapes differ the input passes a 1x1
/// convolution and BatchNorm first (the paper's option B). Convolutions have no bias: BatchNorm follows each.
struct ResNet {
    enum Block {
        /// Two 3x3 convolutions.
        case basic
        /// 1x1, 3x3, 1x1 to four times the width; the stride is on the 3x3.
        case bottleneck
        /// The same with the stride on the first 1x1, as published.
        case bottleneckV1

        var expansion: Int { self == .basic ? 1 : 4 }
    }

    let block: Block
    let blocks: [Int]

    init(_ block: Block, blocks: [Int]) {
        self.block = block
        self.blocks = blocks
    }

    static let widths = [64, 128, 256, 512]

    /// - Returns: the node of the features, `[N, size / 32, size / 32, 512 * expansion]`.
    func build(in graph: inout Graph) throws(NetworkError) -> Int {
        var value = try graph.add(
            .convolution(outputs: 64, window: Window(7, stride: 2, padding: 3), bias: false), [0], name: "conv1",
            part: "stem")
        value = try graph.add(.batchNorm, [value], name: "bn1", part: "stem")
        value = try graph.add(.relu, [value], name: "relu", part: "stem")
        value = try graph.add(.maxPool(Window(3, stride: 2, padding: 1)), [value], name: "maxpool", part: "stem")
        for (stage, width) in Self.widths.enumerated() {
            let part = "layer\(stage + 1)"
            for index in 0..<blocks[stage] {
                value = try add(
                    value, to: &graph, width: width, stride: stage > 0 && index == 0 ? 2 : 1,
                    name: "\(part).\(index)", part: part)
            }
        }
        return value
    }

    private func add(
        _ input: Int, to graph: inout Graph, width: Int, stride: Int, name: String, part: String
    ) throws(NetworkError) -> Int {
        let outputs = width * block.expansion
        // The shortcut comes first, so that the block's last BatchNorm takes the sum and the ReLU into its own pass.
        var shortcut = input
        if stride != 1 || graph.nodes[input].shape.channels != outputs {
            shortcut = try graph.add(
                .convolution(outputs: outputs, window: Window(1, stride: stride), bias: false), [input],
                name: "\(name).downsample.0", part: part)
            shortcut = try graph.add(.batchNorm, [shortcut], name: "\(name).downsample.1", part: part)
        }
        let layers: [(outputs: Int, size: Int, stride: Int)] =
            switch block {
            case .basic: [(width, 3, stride), (width, 3, 1)]
            case .bottleneck: [(width, 1, 1), (width, 3, stride), (outputs, 1, 1)]
            case .bottleneckV1: [(width, 1, stride), (width, 3, 1), (outputs, 1, 1)]
            }
        var value = input
        for (index, layer) in layers.enumerated() {
            value = try graph.add(
                .convolution(
                    outputs: layer.outputs, window: Window(layer.size, stride: layer.stride, padding: layer.size / 2),
                    bias: false), [value], name: "\(name).conv\(index + 1)", part: part)
            value = try graph.add(.batchNorm, [value], name: "\(name).bn\(index + 1)", part: part)
            if index < layers.count - 1 {
                value = try graph.add(.relu, [value], name: "\(name).relu\(index + 1)", part: part)
            }
        }
        value = try graph.add(.residualAdd, [value, shortcut], name: "\(name).add", part: part)
        return try graph.add(.relu, [value], name: "\(name).relu", part: part)
    }
}

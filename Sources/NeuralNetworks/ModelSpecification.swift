package import Tensors

/// Everything that fixes a model but its weights.
package struct ModelSpecification: Equatable, Sendable {
    package let architecture: Architecture
    /// Class names in the order of the network's outputs.
    package let classes: [String]
    /// Side of the square input, in pixels.
    package let imageSize: Int
    /// What of a picture it sees.
    package let crop: InputCrop

    /// - Throws: ``NetworkError`` for fewer than 2 or more than 1,000 classes, repeated or empty names, or an image size
    ///   out of the architecture's range.
    package init(
        architecture: Architecture, classes: [String], imageSize: Int, crop: InputCrop = .none
    ) throws(NetworkError) {
        guard (2...1_000).contains(classes.count) else {
            throw NetworkError(.invalidSpecification, "a classifier needs 2 to 1000 classes, not \(classes.count)")
        }
        guard Set(classes).count == classes.count, !classes.contains("") else {
            throw NetworkError(.invalidSpecification, "class names must be distinct and not empty")
        }
        guard architecture.imageSizes.contains(imageSize) else {
            let sizes = architecture.imageSizes
            throw NetworkError(
                .invalidSpecification,
                "image size \(imageSize) does not suit \(architecture.rawValue): use \(sizes.lowerBound) to "
                    + "\(sizes.upperBound)")
        }
        self.architecture = architecture
        self.classes = classes
        self.imageSize = imageSize
        self.crop = crop
    }

    package var inputChannels: Int { architecture.inputChannels }
    package var normalization: Normalization { architecture.normalization }
    package var parts: [String] { architecture.parts }

    /// The layer graph, from an input of `[N, imageSize, imageSize, inputChannels]` to one logit a class.
    package func graph() throws(NetworkError) -> Graph {
        var graph = Graph(input: PlaneShape(height: imageSize, width: imageSize, channels: inputChannels))
        let features: Int
        switch architecture.backbone {
        case .smallcnn: features = try SmallCNN.build(in: &graph)
        case .resnet18: features = try ResNet(.basic, blocks: [2, 2, 2, 2]).build(in: &graph)
        case .resnet34: features = try ResNet(.basic, blocks: [3, 4, 6, 3]).build(in: &graph)
        case .resnet50: features = try ResNet(.bottleneck, blocks: [3, 4, 6, 3]).build(in: &graph)
        case .resnet50v1: features = try ResNet(.bottleneckV1, blocks: [3, 4, 6, 3]).build(in: &graph)
        }
        try graph.addHead(architecture.head, features, classes: classes.count)
        return graph
    }

    /// The rest of the graph behind a node, whose value is the input; all of it for nil.
    ///
    /// - Throws: ``NetworkError`` where there is no such node, or the rest reads values from before it.
    package func graph(after boundary: String?) throws(NetworkError) -> Graph {
        let whole = try graph()
        guard let boundary else { return whole }
        return try whole.suffix(after: boundary)
    }

    /// Name, shape in file layout (OIHW convolutions, `[out, in]` dense), part and role of every tensor, in graph order.
    package func expectedTensors() throws(NetworkError) -> [ExpectedTensor] { try graph().tensors }

    /// The parts from `trainFrom` on; `all` names every part.
    ///
    /// - Throws: ``NetworkError`` for an unknown name.
    package func parts(from trainFrom: String) throws(NetworkError) -> [String] {
        if trainFrom == "all" { return parts }
        guard let first = parts.firstIndex(of: trainFrom) else {
            throw NetworkError(
                .invalidSpecification,
                "'\(trainFrom)' is no part of \(architecture.rawValue): use all, \(parts.joined(separator: ", "))")
        }
        return Array(parts[first...])
    }
}

extension Graph {
    /// Tensor names are those of torch modules: `fc` a Linear, or a Sequential of BatchNorm1d (0), Linear (1), ReLU (2),
    /// Dropout (3), Linear (4).
    fileprivate mutating func addHead(
        _ head: Architecture.Head, _ features: Int, classes: Int
    ) throws(NetworkError) {
        let part = Architecture.headPart
        var value = try add(.globalAveragePool, [features], name: "avgpool", part: part)
        switch head {
        case .linear:
            value = try add(.dropout, [value], name: "dropout", part: part)
            try add(.dense(outputs: classes, bias: true), [value], name: "fc", part: part)
        case .mlp:
            value = try add(.batchNorm, [value], name: "fc.0", part: part)
            value = try add(.dense(outputs: 256, bias: true), [value], name: "fc.1", part: part)
            value = try add(.relu, [value], name: "fc.2", part: part)
            value = try add(.dropout, [value], name: "fc.3", part: part)
            try add(.dense(outputs: classes, bias: true), [value], name: "fc.4", part: part)
        }
    }
}

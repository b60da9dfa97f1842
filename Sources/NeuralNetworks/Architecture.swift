/// The networks that can be trained. Each is a layer graph whose layers are grouped in parts, in forward order.
package enum Architecture: String, CaseIterable, Sendable {
    case smallcnn

    /// The parts in forward order. A plan's `train_from` names the first one that trains.
    package var parts: [String] { ["stem", "layer1", "layer2", "layer3", "layer4", "head"] }

    /// Colour planes of the input: 1 is luma.
    package var inputChannels: Int {
        switch self {
        case .smallcnn: 1
        }
    }

    package var normalization: Normalization {
        switch self {
        // Near the luma statistics of brain MRI with its dark border; BatchNorm takes up the rest.
        case .smallcnn: Normalization(mean: [0.2], std: [0.2])
        }
    }

    /// Side lengths, in pixels, that the network is made for. Below 32, layer 4 would have less than one position.
    package var imageSizes: ClosedRange<Int> { 32...512 }
}

/// What is subtracted from, and then divided into, pixel values scaled to 0...1, one number a channel.
package struct Normalization: Equatable, Sendable {
    package let mean: [Float]
    package let std: [Float]

    package init(mean: [Float], std: [Float]) {
        self.mean = mean
        self.std = std
    }
}

/// Everything that fixes a model but its weights.
package struct ModelSpecification: Equatable, Sendable {
    package let architecture: Architecture
    /// Class names in the order of the network's outputs.
    package let classes: [String]
    /// Side of the square input, in pixels.
    package let imageSize: Int

    /// - Throws: ``NetworkError`` for fewer than 2 or more than 1,000 classes, repeated or empty names, or an image size
    ///   out of the architecture's range.
    package init(architecture: Architecture, classes: [String], imageSize: Int) throws(NetworkError) {
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
    }

    package var inputChannels: Int { architecture.inputChannels }
    package var normalization: Normalization { architecture.normalization }
    package var parts: [String] { architecture.parts }

    /// The layer graph, from an input of `[N, imageSize, imageSize, inputChannels]` to one logit a class.
    package func graph() throws(NetworkError) -> Graph {
        switch architecture {
        case .smallcnn: try SmallCNN.graph(imageSize: imageSize, classes: classes.count)
        }
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

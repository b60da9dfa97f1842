import Tensors

/// The networks that can be trained. Each is a layer graph whose layers are grouped in parts, in forward order: a backbone,
/// and a head that answers.
///
/// Its name is the backbone's (`resnet50`), and the head's behind a `+` where that is not `linear` (`resnet50+mlp`).
package struct Architecture: Hashable, Sendable, RawRepresentable, CaseIterable {
    package enum Backbone: String, CaseIterable, Sendable {
        case smallcnn, resnet18, resnet34, resnet50
        /// ResNet-50 as He et al. published it and Keras and Caffe have it: the stride is on the first 1x1 convolution of
        /// a block, and on the 3x3 in `resnet50` (torchvision's "v1.5"). The weights of one are useless to the other.
        case resnet50v1
    }

    package enum Head: String, CaseIterable, Sendable {
        /// Global average pool, dropout, dense.
        case linear
        /// Global average pool, BatchNorm, dense 256, ReLU, dropout, dense.
        case mlp
    }

    package let backbone: Backbone
    package let head: Head

    package init(_ backbone: Backbone, head: Head = .linear) {
        self.backbone = backbone
        self.head = head
    }

    package static let smallcnn = Architecture(.smallcnn)

    package static var allCases: [Architecture] {
        Backbone.allCases.flatMap { backbone in Head.allCases.map { Architecture(backbone, head: $0) } }
    }

    package init?(rawValue: String) {
        guard let known = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = known
    }

    package var rawValue: String { head == .linear ? backbone.rawValue : "\(backbone.rawValue)+\(head.rawValue)" }

    /// The parts in forward order. A plan's `train_from` names the first one that trains.
    package var parts: [String] { ["stem", "layer1", "layer2", "layer3", "layer4", Self.headPart] }

    static let headPart = "head"

    /// Colour planes of the input: 1 is luma; 3 for networks whose published weights saw colour pictures.
    package var inputChannels: Int { backbone == .smallcnn ? 1 : 3 }

    package var normalization: Normalization {
        switch backbone {
        // Near the luma statistics of brain MRI with its dark border; BatchNorm takes up the rest.
        case .smallcnn: Normalization(mean: [0.2], std: [0.2])
        // Of ImageNet, as torchvision's published weights expect it.
        case .resnet18, .resnet34, .resnet50, .resnet50v1:
            Normalization(mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
        }
    }

    /// Side lengths, in pixels, that the network is made for.
    package var imageSizes: ClosedRange<Int> { ModelMetadata.imageSizes }

    /// The side that its published weights were trained at, or one at which it trains on a laptop overnight.
    package var usualImageSize: Int { backbone == .smallcnn ? 128 : 224 }
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

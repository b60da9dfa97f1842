import NeuralNetworks
import Tensors
import Testing

/// That the graphs are torchvision's `resnet18`, `resnet34` and `resnet50`, tensor by tensor. ``ResNetGoldenTests`` checks
/// what they compute.
@Suite struct ResNetTests {
    private func specification(
        _ name: String, classes: Int = 1_000, imageSize: Int = 224
    ) throws -> ModelSpecification {
        try ModelSpecification(
            architecture: #require(Architecture(rawValue: name)), classes: (0..<classes).map(String.init),
            imageSize: imageSize)
    }

    /// `len(state_dict())` less the counters `num_batches_tracked`, and `sum(p.numel() for p in parameters())`.
    @Test(
        "with 1000 classes, tensors and parameters are as many as torchvision's",
        arguments: [
            ("resnet18", 102, 11_689_512), ("resnet34", 182, 21_797_672), ("resnet50", 267, 25_557_032),
            ("resnet50v1", 267, 25_557_032),
        ])
    func sizes(_ name: String, _ tensors: Int, _ parameters: Int) throws {
        let expected = try specification(name).expectedTensors()
        #expect(expected.count == tensors)
        #expect(count(expected) == parameters)

        // The head is exchanged: a dense layer from the features, for BatchNorm and two dense layers.
        let features = name.hasPrefix("resnet50") ? 2_048 : 512
        let withMLP = try specification("\(name)+mlp").expectedTensors()
        #expect(withMLP.count == tensors - 2 + 4 + 2 + 2)
        let linear = features * 1_000 + 1_000
        let mlp = 2 * features + features * 256 + 256 + 256 * 1_000 + 1_000
        #expect(count(withMLP) == parameters - linear + mlp)
        #expect(expected.dropLast(2) == withMLP.dropLast(8))
    }

    private func count(_ tensors: [ExpectedTensor]) -> Int {
        tensors.filter { $0.role != .bnStatistic }.reduce(0) { $0 + $1.count }
    }

    @Test("tensors have torchvision's names and shapes")
    func names() throws {
        let basic: [String: [Int]] = [
            "conv1.weight": [64, 3, 7, 7], "bn1.running_var": [64], "layer1.0.conv1.weight": [64, 64, 3, 3],
            "layer1.1.bn2.weight": [64], "layer2.0.conv1.weight": [128, 64, 3, 3],
            "layer2.0.downsample.0.weight": [128, 64, 1, 1], "layer2.0.downsample.1.running_mean": [128],
            "layer4.1.conv2.weight": [512, 512, 3, 3], "fc.weight": [1_000, 512], "fc.bias": [1_000],
        ]
        let bottleneck: [String: [Int]] = [
            "conv1.weight": [64, 3, 7, 7], "layer1.0.conv1.weight": [64, 64, 1, 1],
            "layer1.0.downsample.0.weight": [256, 64, 1, 1], "layer1.1.conv1.weight": [64, 256, 1, 1],
            "layer2.0.conv2.weight": [128, 128, 3, 3], "layer3.5.conv3.weight": [1_024, 256, 1, 1],
            "layer3.5.bn3.bias": [1_024], "layer4.0.downsample.1.bias": [2_048], "fc.weight": [1_000, 2_048],
        ]
        for (name, wanted) in [("resnet18", basic), ("resnet34", basic), ("resnet50", bottleneck)] {
            let wanted = name == "resnet34" ? wanted.filter { $0.key != "layer4.1.conv2.weight" } : wanted
            let shapes = try Dictionary(
                uniqueKeysWithValues: specification(name).expectedTensors().map { ($0.name, $0.shape) })
            for (tensor, shape) in wanted { #expect(shapes[tensor] == shape, "\(name): \(tensor)") }
            // A projection where the shape changes, and nowhere else.
            let projections = shapes.keys.filter { $0.hasSuffix("downsample.0.weight") }
            #expect(projections.count == (name == "resnet50" ? 4 : 3))
        }
        let head = try specification("resnet18+mlp", classes: 4).expectedTensors().suffix(8)
        #expect(
            head.map(\.name) == [
                "fc.0.weight", "fc.0.bias", "fc.0.running_mean", "fc.0.running_var", "fc.1.weight", "fc.1.bias",
                "fc.4.weight", "fc.4.bias",
            ])
        #expect(head.map(\.shape) == [[512], [512], [512], [512], [256, 512], [256], [4, 256], [4]])
    }

    @Test("ResNet-50 v1 and v1.5 differ in the place of four strides, and in nothing else")
    func versions() throws {
        let published = try specification("resnet50v1").graph()
        let usual = try specification("resnet50").graph()
        let haveSameTensors = published.tensors == usual.tensors
        #expect(haveSameTensors)
        #expect(published.nodes.map(\.name) == usual.nodes.map(\.name))
        #expect(published.nodes.map(\.part) == usual.nodes.map(\.part))
        #expect(published.nodes.map(\.inputs) == usual.nodes.map(\.inputs))
        let changed = zip(published.nodes, usual.nodes).filter { $0.operation != $1.operation }
        // layer1 has no stride.
        let wanted = (2...4).flatMap { ["layer\($0).0.conv1", "layer\($0).0.conv2"] }
        #expect(changed.map(\.0.name) == wanted)
        for (first, second) in changed {
            let is1x1 = first.name.hasSuffix("conv1")
            let outputs = usual.nodes.first { $0.name == first.name }?.shape.channels ?? 0
            func convolution(stride: Int) -> NeuralNetworks.Operation {
                let window = is1x1 ? Window(1, stride: stride) : Window(3, stride: stride, padding: 1)
                return .convolution(outputs: outputs, window: window, bias: false)
            }
            #expect(first.operation == convolution(stride: is1x1 ? 2 : 1))
            #expect(second.operation == convolution(stride: is1x1 ? 1 : 2))
        }
    }

    @Test("an architecture is known by its name, and by no other")
    func rawNames() {
        #expect(Set(Architecture.allCases.map(\.rawValue)).count == Architecture.allCases.count)
        for architecture in Architecture.allCases {
            #expect(Architecture(rawValue: architecture.rawValue) == architecture)
        }
        #expect(Architecture(.resnet50).rawValue == "resnet50")
        #expect(Architecture(.resnet50v1, head: .mlp).rawValue == "resnet50v1+mlp")
        for name in ["", "resnet", "ResNet18", "resnet101", "resnet50+", "resnet50+linear", "+mlp", "resnet18 "] {
            #expect(Architecture(rawValue: name) == nil, "\(name)")
        }
    }

    @Test("a side of 32 pixels leaves layer4 one position; smaller and larger than 512 are refused")
    func imageSizes() throws {
        for architecture in Architecture.allCases {
            for size in [0, 31, 513] {
                #expect(throws: NetworkError.self) { try specification(architecture.rawValue, imageSize: size) }
            }
            let graph = try specification(architecture.rawValue, imageSize: 32).graph()
            let features = try #require(graph.nodes.last { $0.part == "layer4" })
            #expect(features.shape.positions == 1)
        }
        let usual = try specification("resnet18").graph()
        let sides = ["maxpool", "layer1.1.relu", "layer2.1.relu", "layer3.1.relu", "layer4.1.relu"].map { name in
            usual.nodes.first { $0.name == name }?.shape.height
        }
        #expect(sides == [56, 56, 28, 14, 7])
    }

    @Test("frozen BatchNorm stays out of what trains in the backbone, and trains in the head")
    func trainable() throws {
        let dense = ["fc.weight", "fc.bias"]
        let mlp =
            ["weight", "bias", "running_mean", "running_var"].map { "fc.0.\($0)" }
            + ["fc.1.weight", "fc.1.bias", "fc.4.weight", "fc.4.bias"]
        let basic = ["0.conv1", "0.conv2", "0.downsample.0", "1.conv1", "1.conv2"]
        let bottleneck = (0...2).flatMap { block in (1...3).map { "\(block).conv\($0)" } } + ["0.downsample.0"]
        for (name, convolutions, head) in [
            ("resnet18", basic, dense), ("resnet18+mlp", basic, mlp), ("resnet50", bottleneck, dense),
            ("resnet50v1+mlp", bottleneck, mlp),
        ] {
            let specification = try specification(name, classes: 4, imageSize: 64)
            var zeros = TensorDictionary()
            for tensor in try specification.expectedTensors() {
                zeros[tensor.name] = TensorDictionary.Entry(
                    tensor: Tensor(zeros: tensor.shape), part: tensor.part, role: tensor.role)
            }
            let model = try Model(specification, tensors: zeros)
            let expected = Set(convolutions.map { "layer4.\($0).weight" } + head)
            #expect(try model.trainable(from: "layer4", frozenBatchNorm: true) == expected, "\(name)")
            #expect(try model.trainable(from: "head", frozenBatchNorm: true) == Set(head), "\(name)")
            // Four tensors for each of layer4's convolutions.
            let all = try model.trainable(from: "layer4")
            #expect(all.isSuperset(of: expected) && all.count == expected.count + 4 * convolutions.count, "\(name)")
            #expect(try model.trainable(from: "all").count == model.tensors.names.count)
        }
    }
}

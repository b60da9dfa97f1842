import Foundation
import NeuralNetworks
import Tensors
import Testing
import Wire

/// What PyTorch computes; `Golden/make_golden.py` made the files.
@Suite struct GoldenTests {
    @Test("layers: outputs, gradients and running statistics are PyTorch's")
    func layers() throws {
        let cases = try Golden.read("layers.json").array
        #expect(cases.count == 25)
        for golden in cases { try check(golden) }
    }

    private func check(_ golden: JSONValue) throws {
        let name = golden["name"].string
        let shape = golden["shape"].integers
        let graph = try Golden.graph(
            golden["nodes"].array, input: PlaneShape(height: shape[0], width: shape[1], channels: shape[2]))
        var tensors = TensorDictionary()
        for expected in graph.tensors {
            let parameter = golden["parameters"][expected.name]
            tensors[expected.name] = TensorDictionary.Entry(
                tensor: Tensor(shape: parameter["shape"].integers, values: parameter["values"].floats),
                part: expected.part, role: expected.role)
        }
        let labels = golden["labels"].integers
        let mode = PlanMode(trainedParts: ["body"], freezesBatchNorm: !golden["training"].bool)
        let probe = try GraphProbe(
            graph, tensors: tensors, batch: labels.count, mode: mode, context: ComputeContext())
        let weights = golden["class_weights"].array.map(\.double).map { Float($0) }
        let loss = probe.run(
            pictures: golden["pictures"].floats, labels: labels, classWeights: weights.isEmpty ? nil : weights)

        #expect(abs(loss - golden["loss"].double) < 2e-6, "loss of \(name)")
        for node in graph.nodes.dropFirst() {
            guard let value = probe.value(of: node.name) else { continue }
            #expect(relativeError(value, golden["values"][node.name].doubles) < 3e-6, "\(name): \(node.name)")
        }
        #expect(relativeError(probe.inputGradient ?? [], golden["input_gradient"].doubles) < 2e-5, "\(name)")
        let gradients = probe.gradients
        for parameter in gradients.names {
            let expected = golden["gradients"][parameter].doubles
            #expect(
                relativeError(gradients[parameter]?.tensor.values ?? [], expected, floor: 1e-3) < 2e-5,
                "\(name): gradient by \(parameter)")
        }
        for (statistic, expected) in golden["statistics"].object {
            let actual = probe.tensors[statistic]?.tensor.values ?? []
            #expect(relativeError(actual, expected.doubles) < 1e-6, "\(name): \(statistic)")
        }
    }

    @Test("smallcnn: losses of twelve steps, statistics and weights are PyTorch's", arguments: [0, 1])
    func curves(_ index: Int) throws {
        let golden = try Golden.read("curves.json").array[index]
        let model = try Model(
            initializing: ModelSpecification(
                architecture: .smallcnn, classes: ["a", "b", "c", "d"], imageSize: 64), seed: 7)
        let start = model.tensors["conv1.weight"]?.tensor.values.prefix(20) ?? []
        #expect(relativeError(Array(start), golden["initial conv1.weight"].doubles) < 1e-7)
        #expect(
            relativeError(model.tensors["fc.bias"]?.tensor.values ?? [], golden["initial fc.bias"].doubles) < 1e-7)
        #expect(
            RandomSource(seed: 7).derived("order").derived(0).permutation(40) == golden["permutation"].integers)

        var options = TrainingOptions(epochs: 4, batchSize: 16, classWeights: [1, 2, 0.5, 1.5], seed: 7)
        if golden["name"].string == "adam" {
            options.weightDecay = 1e-4
        } else {
            options.optimizer = .sgd(momentum: 0.9)
            (options.learningRate, options.weightDecay, options.proximalMu) = (0.002, 1e-3, 0.1)
        }
        // The instruction sets are compared in GradientTests; a whole training of scalar code would take seconds.
        // Direct convolutions: rounding gives a ReLU another sign now and then, and the curves part. What Winograd's rounding
        // does to a curve, WinogradCurveTests say.
        let trainer = try Trainer(
            model: model, options: options, data: StripedPictures(),
            context: ComputeContext(convolutionMethod: .direct))
        try check(trainer, golden)
    }

    private func check(_ trainer: Trainer, _ golden: JSONValue) throws {
        var losses: [Double] = []
        #expect(try trainer.run(shouldStop: { false }, progress: { losses.append($0.loss) }))

        let expected = golden["losses"].doubles
        #expect(losses.count == expected.count)
        for (loss, wanted) in zip(losses, expected) { #expect(abs(loss - wanted) < 1e-3) }
        let trained = trainer.model.tensors
        // Adam divides by the gradient's size, which magnifies rounding where that is near zero.
        let tolerance = golden["name"].string == "adam" ? 3e-2 : 2e-3
        for (name, values) in golden["statistics"].object {
            #expect(relativeError(trained[name]?.tensor.values ?? [], values.doubles) < tolerance, "\(name)")
        }
        for name in ["fc.weight", "bn1.weight"] {
            #expect(relativeError(trained[name]?.tensor.values ?? [], golden[name].doubles) < 1e-3, "\(name)")
        }
    }
}

/// The pictures of the scripts' curves: noise, and stripes that tell the class.
struct StripedPictures: PictureSource {
    let count = 40
    func label(_ index: Int) -> Int { index % 4 }
    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
        let random = RandomSource(seed: 99).derived(UInt64(index))
        for value in picture.indices {
            let noise = Float(random.uniform(UInt64(value)))
            let stripe = Double(label(index)) * 0.25 * (value % 8 == label(index) ? 1 : 0)
            picture[value] = Float(Double(noise) + stripe)
        }
    }
}

/// Reads the golden files. A missing field reads as empty, and the comparison with it fails.
enum Golden {
    static func read(_ name: String) throws -> JSONValue {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let data = try Data(contentsOf: folder.appending(path: "Golden").appending(path: name))
        return try StrictJSON.parse(Array(data), maximumBytes: 1 << 20)
    }

    static func graph(_ nodes: [JSONValue], input: PlaneShape) throws -> Graph {
        var graph = Graph(input: input)
        for node in nodes {
            let pads = node["padding"].integers
            let window =
                pads.count == 4
                ? Window(
                    node["size"].integer, stride: node["stride"].integer, top: pads[0], left: pads[1],
                    bottom: pads[2], right: pads[3]) : Window(1)
            let operation: NeuralNetworks.Operation =
                switch node["operation"].string {
                case "convolution":
                    .convolution(outputs: node["outputs"].integer, window: window, bias: node["bias"].bool)
                case "batchNorm": .batchNorm
                case "relu": .relu
                case "maxPool": .maxPool(window)
                case "averagePool": .averagePool(window)
                case "globalAveragePool": .globalAveragePool
                case "dense": .dense(outputs: node["outputs"].integer, bias: true)
                case "residualAdd": .residualAdd
                case "dropout": .dropout
                default: .input
                }
            let inputs = node["inputs"].array.compactMap { name in
                graph.nodes.firstIndex { $0.name == name.string }
            }
            try graph.add(operation, inputs, name: node["name"].string, part: "body")
        }
        return graph
    }
}

extension JSONValue {
    subscript(key: String) -> JSONValue { object[key] ?? .null }
    var object: [String: JSONValue] { if case .object(let fields) = self { fields } else { [:] } }
    var array: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }
    var string: String { if case .string(let text) = self { text } else { "" } }
    var bool: Bool { if case .bool(let value) = self { value } else { false } }
    var integer: Int { if case .integer(let value) = self { Int(value) } else { 0 } }
    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: .nan
        }
    }
    var integers: [Int] { array.map(\.integer) }
    var doubles: [Double] { array.map(\.double) }
    var floats: [Float] { doubles.map { Float($0) } }
}

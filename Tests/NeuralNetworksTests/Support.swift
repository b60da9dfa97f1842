import NeuralNetworks
import Tensors
import Testing

/// Pictures of a function of index and epoch, with labels in turn.
struct SyntheticPictures: PictureSource {
    struct Unreadable: Error, Equatable { let index: Int }

    let count: Int
    let size: Int
    var classes = 4
    var unreadable: Set<Int> = []

    func label(_ index: Int) -> Int { index % classes }

    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) throws {
        if unreadable.contains(index) { throw Unreadable(index: index) }
        let random = RandomSource(seed: 99).derived(UInt64(index)).derived(UInt64(epoch.map { $0 + 1 } ?? 0))
        for pixel in picture.indices {
            // Stripes as wide as the class's number says, under noise.
            let stripe: Float = pixel / (2 * label(index) + 2) % 2 == 0 ? 1.5 : 0
            picture[pixel] = Float(random.uniform(UInt64(pixel))) - 0.5 + stripe
        }
    }
}

/// Named graphs, each of a layer and a head that gives every position and channel a gradient of its own.
struct GraphCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let graph: Graph
    var mode = PlanMode(trainedParts: ["body", "head"])
    var classWeights: [Float]?
    var logitOffsets: [Float]?
    var batch = 3

    init(
        _ name: String, input: PlaneShape = PlaneShape(height: 6, width: 6, channels: 3), head: Bool = true,
        _ build: (inout Graph) throws -> Void
    ) {
        testDescription = name
        var graph = Graph(input: input)
        do {
            try build(&graph)
            if head {
                let window = Window(graph.nodes[graph.output].shape.height, stride: 1)
                try graph.add(
                    .convolution(outputs: 3, window: window, bias: true), [graph.output], name: "head", part: "head")
            }
        } catch {
            preconditionFailure("\(name): \(error)")
        }
        self.graph = graph
    }

    func with(_ change: (inout GraphCase) -> Void) -> GraphCase {
        var changed = self
        change(&changed)
        return changed
    }

    var labels: [Int] { (0..<batch).map { ($0 * 2 + 1) % 3 } }

    /// Neither zero nor equal values, so that ReLU and max-pool are smooth near by.
    var pictures: [Double] {
        let random = RandomSource(seed: 4)
        return (0..<batch * graph.nodes[0].shape.count).map { Double(Float(random.normal(UInt64($0)))) }
    }

    /// Random values for every tensor, BatchNorm's included.
    var tensors: TensorDictionary {
        var tensors = TensorDictionary()
        for expected in graph.tensors {
            let random = RandomSource(seed: 5).derived(expected.name)
            let fan = Double(expected.shape.dropFirst().reduce(1, *))
            let values = (0..<expected.count).map { index -> Float in
                let value = random.normal(UInt64(index)) / fan.squareRoot()
                if expected.name.hasSuffix("running_var") { return Float(0.5 + abs(value)) }
                return Float(expected.shape.count == 1 && expected.role == .weight ? 1 + value / 4 : value)
            }
            tensors[expected.name] = TensorDictionary.Entry(
                tensor: Tensor(shape: expected.shape, values: values), part: expected.part, role: expected.role)
        }
        return tensors
    }

    func reference() -> ReferenceNetwork {
        var network = ReferenceNetwork(graph, tensors: tensors, batch: batch, mode: mode)
        network.classWeights = classWeights
        network.logitOffsets = logitOffsets
        return network
    }
}

extension GraphCase {
    private static func layer(_ name: String, _ operation: NeuralNetworks.Operation, size: Int = 6) -> GraphCase {
        GraphCase(name, input: PlaneShape(height: size, width: size, channels: 3)) {
            try $0.add(operation, [0], name: "layer", part: "body")
        }
    }

    static let all: [GraphCase] = [
        layer("convolution 3x3", .convolution(outputs: 5, window: Window(3, stride: 1, padding: 1), bias: true)),
        layer("stride 2", .convolution(outputs: 4, window: Window(3, stride: 2, padding: 1), bias: false), size: 7),
        layer("convolution 1x1", .convolution(outputs: 4, window: Window(1, stride: 1), bias: true)),
        layer("stride 2, 1x1", .convolution(outputs: 4, window: Window(1, stride: 2), bias: false)),
        layer("convolution 5x5", .convolution(outputs: 4, window: Window(5, stride: 1, padding: 2), bias: true)),
        layer("convolution 7x7", .convolution(outputs: 4, window: Window(7, stride: 2, padding: 3), bias: false)),
        layer(
            "uneven padding",
            .convolution(outputs: 4, window: Window(3, stride: 2, top: 0, left: 0, bottom: 1, right: 1), bias: true)),
        layer("BatchNorm", .batchNorm),
        layer("BatchNorm, frozen", .batchNorm).with { $0.mode.freezesBatchNorm = true },
        layer("ReLU", .relu),
        layer("max pool 2", .maxPool(Window(2))),
        layer("max pool 3, stride 2", .maxPool(Window(3, stride: 2, padding: 1))),
        layer("average pool 2", .averagePool(Window(2))),
        layer("average pool 3, stride 2", .averagePool(Window(3, stride: 2, padding: 1))),
        layer("dropout", .dropout).with { $0.mode.dropout = 0.4 },
        layer("class weights", .relu).with { $0.classWeights = [0.5, 2, 1.25] },
        layer("logit offsets", .relu).with {
            ($0.classWeights, $0.logitOffsets) = ([1, 0.5, 2], [-0.25, -3, 1.5])
        },
        layer("a batch of one", .convolution(outputs: 4, window: Window(3, stride: 1), bias: true))
            .with { $0.batch = 1 },
        GraphCase("global average pool and dense", head: false) {
            let pooled = try $0.add(.globalAveragePool, [0], name: "pool", part: "body")
            try $0.add(.dense(outputs: 3, bias: true), [pooled], name: "fc", part: "head")
        },
        GraphCase("one value, two readers") {
            let first = try $0.add(.relu, [0], name: "relu", part: "body")
            let pooled = try $0.add(.averagePool(Window(3, stride: 1, padding: 1)), [first], name: "p", part: "body")
            try $0.add(.residualAdd, [first, pooled], name: "sum", part: "body")
        },
        GraphCase("a value added to itself") { try $0.add(.residualAdd, [0, 0], name: "sum", part: "body") },
        GraphCase("residual network", build: residualNetwork),
        GraphCase("residual network, frozen BatchNorm", build: residualNetwork)
            .with { $0.mode.freezesBatchNorm = true },
        GraphCase("frozen prefix", build: residualNetwork).with { $0.mode.trainedParts = ["late", "head"] },
        GraphCase("only the head", build: residualNetwork).with { $0.mode.trainedParts = ["head"] },
        GraphCase("residual network, everything trains", build: residualNetwork)
            .with { $0.mode.trainedParts = ["body", "late", "head"] },
    ]

    private init(_ name: String, build: (inout Graph) throws -> Void) { self.init(name, head: true, build) }

    /// Two basic blocks as in ResNet, the first with a projection shortcut.
    private static func residualNetwork(_ graph: inout Graph) throws {
        func convolution(_ name: String, _ input: Int, _ window: Window, _ part: String) throws -> Int {
            let value = try graph.add(
                .convolution(outputs: 4, window: window, bias: false), [input], name: "\(name).conv", part: part)
            return try graph.add(.batchNorm, [value], name: "\(name).bn", part: part)
        }
        var value = try convolution("a", 0, Window(3, stride: 2, padding: 1), "body")
        value = try graph.add(.relu, [value], name: "a.relu", part: "body")
        value = try convolution("b", value, Window(3, stride: 1, padding: 1), "body")
        let shortcut = try convolution("shortcut", 0, Window(1, stride: 2), "body")
        value = try graph.add(.residualAdd, [value, shortcut], name: "sum1", part: "body")
        let first = try graph.add(.relu, [value], name: "relu1", part: "body")
        value = try convolution("c", first, Window(3, stride: 1, padding: 1), "late")
        value = try graph.add(.residualAdd, [value, first], name: "sum2", part: "late")
        try graph.add(.relu, [value], name: "relu2", part: "late")
    }
}

/// Root of the summed squares of the differences, relative to the expected values' (or to `floor`, where those vanish).
func relativeError(_ actual: [Float], _ expected: [Double], floor: Double = 1e-6) -> Double {
    guard actual.count == expected.count else { return .infinity }
    let difference = zip(actual, expected).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
    let size = expected.reduce(0) { $0 + $1 * $1 }
    return difference.squareRoot() / max(size.squareRoot(), floor)
}

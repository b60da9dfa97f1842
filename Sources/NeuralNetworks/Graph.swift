package import Tensors

/// The shape of one example's activations, NHWC without N.
package struct PlaneShape: Hashable, Sendable {
    package let height: Int
    package let width: Int
    package let channels: Int

    package init(height: Int, width: Int, channels: Int) {
        self.height = height
        self.width = width
        self.channels = channels
    }

    package var positions: Int { height * width }
    package var count: Int { height * width * channels }
}

/// A sliding window: square kernel and stride, padding on each side (two networks, Keras's, pad unevenly).
package struct Window: Hashable, Sendable {
    package let size: Int
    package let stride: Int
    package let padTop: Int
    package let padLeft: Int
    package let padBottom: Int
    package let padRight: Int

    /// - Parameter stride: the window's size if nil, as is usual for pooling.
    package init(_ size: Int, stride: Int? = nil, padding: Int = 0) {
        self.init(size, stride: stride ?? size, top: padding, left: padding, bottom: padding, right: padding)
    }

    package init(_ size: Int, stride: Int, top: Int, left: Int, bottom: Int, right: Int) {
        self.size = size
        self.stride = stride
        padTop = top
        padLeft = left
        padBottom = bottom
        padRight = right
    }

    /// Every position sees at least one input, and a tap's number fits a byte.
    var suitsPooling: Bool { max(padTop, padLeft, padBottom, padRight) < size && size <= 15 }

    /// Output positions; a window that would stick out is left out (floor mode, PyTorch's default).
    func output(height: Int, width: Int) -> (height: Int, width: Int) {
        func positions(_ length: Int) -> Int { length < size || stride < 1 ? 0 : (length - size) / stride + 1 }
        return (positions(height + padTop + padBottom), positions(width + padLeft + padRight))
    }
}

/// What a node computes. All take one input but `residualAdd`, which takes two of one shape.
package enum Operation: Hashable, Sendable {
    case input
    /// Cross-correlation, as in PyTorch. Tensors `weight` `[O, I, KH, KW]` and, on demand, `bias` `[O]`.
    case convolution(outputs: Int, window: Window, bias: Bool)
    /// Tensors `weight`, `bias`, `running_mean`, `running_var`, all `[C]`. See ``BatchNorm``.
    case batchNorm
    case relu
    /// The first maximum in row-major order takes the gradient; padding never wins.
    case maxPool(Window)
    /// The mean over the window; padding counts as zeros, as with PyTorch's `count_include_pad`.
    case averagePool(Window)
    case globalAveragePool
    /// `x W^T + b` on a 1x1 plane. Tensors `weight` `[out, in]` and, on demand, `bias` `[out]`.
    case dense(outputs: Int, bias: Bool)
    /// Inverted dropout at the rate of the training options; nothing at inference.
    case dropout
    case residualAdd
}

/// BatchNorm's constants, PyTorch's defaults.
package enum BatchNorm {
    package static let epsilon: Float = 1e-5
    /// Share of the batch in the running statistics: `running = (1 - momentum) running + momentum batch`.
    package static let momentum: Float = 0.1
}

/// A tensor that a graph needs.
package struct ExpectedTensor: Equatable, Sendable {
    package let name: String
    /// In file layout: OIHW, `[out, in]`, `[C]`.
    package let shape: [Int]
    package let part: String
    package let role: TensorRole

    package var count: Int { shape.reduce(1, *) }
}

/// A static layer graph: a directed acyclic graph of values in forward order; node 0 is the input and the last node is
/// the output (the logits, `[N, classes]`).
package struct Graph: Equatable, Sendable {
    package struct Node: Equatable, Sendable {
        package let name: String
        package let part: String
        package let operation: Operation
        /// Indices of earlier nodes.
        package let inputs: [Int]
        package let shape: PlaneShape
    }

    package private(set) var nodes: [Node]

    package init(input: PlaneShape) {
        nodes = [Node(name: "input", part: "", operation: .input, inputs: [], shape: input)]
    }

    package var output: Int { nodes.count - 1 }

    /// The nodes that read each node's value.
    var consumers: [[Int]] {
        var readers = [[Int]](repeating: [], count: nodes.count)
        for (index, node) in nodes.enumerated() {
            for input in node.inputs { readers[input].append(index) }
        }
        return readers
    }

    /// Appends a node and infers its shape.
    ///
    /// - Returns: the new node's index.
    /// - Throws: ``NetworkError`` if the inputs' shapes do not suit the operation, or the name is taken.
    @discardableResult
    package mutating func add(
        _ operation: Operation, _ inputs: [Int], name: String, part: String
    ) throws(NetworkError) -> Int {
        guard inputs.allSatisfy(nodes.indices.contains), !nodes.contains(where: { $0.name == name }) else {
            throw NetworkError(.invalidGraph, "layer '\(name)' reads a later layer, or its name is taken")
        }
        let shapes = inputs.map { nodes[$0].shape }
        guard let shape = Self.infer(operation, shapes), shape.count > 0 else {
            let text = shapes.map { "\($0.height)x\($0.width)x\($0.channels)" }.joined(separator: " and ")
            throw NetworkError(.invalidGraph, "layer '\(name)' cannot take an input of \(text)")
        }
        nodes.append(Node(name: name, part: part, operation: operation, inputs: inputs, shape: shape))
        return output
    }

    /// - Returns: nil where the number or the shapes of the inputs do not suit.
    private static func infer(_ operation: Operation, _ inputs: [PlaneShape]) -> PlaneShape? {
        if case .residualAdd = operation {
            return inputs.count == 2 && inputs[0] == inputs[1] ? inputs[0] : nil
        }
        guard inputs.count == 1, let input = inputs.first else { return nil }
        switch operation {
        case .maxPool(let window) where !window.suitsPooling, .averagePool(let window) where !window.suitsPooling:
            return nil
        case .input, .residualAdd:
            return nil
        case .convolution(let outputs, let window, _):
            let (height, width) = window.output(height: input.height, width: input.width)
            return PlaneShape(height: height, width: width, channels: outputs)
        case .maxPool(let window), .averagePool(let window):
            let (height, width) = window.output(height: input.height, width: input.width)
            return PlaneShape(height: height, width: width, channels: input.channels)
        case .globalAveragePool:
            return PlaneShape(height: 1, width: 1, channels: input.channels)
        case .dense(let outputs, _):
            return input.positions == 1 ? PlaneShape(height: 1, width: 1, channels: outputs) : nil
        case .batchNorm, .relu, .dropout:
            return input
        }
    }

    /// The tensors of one node, in a fixed order.
    func tensors(of index: Int) -> [ExpectedTensor] {
        let node = nodes[index]
        func tensor(_ suffix: String, _ shape: [Int], _ role: TensorRole) -> ExpectedTensor {
            ExpectedTensor(name: "\(node.name).\(suffix)", shape: shape, part: node.part, role: role)
        }
        let channels = node.inputs.first.map { nodes[$0].shape.channels } ?? 0
        switch node.operation {
        case .convolution(let outputs, let window, let bias):
            let weight = tensor("weight", [outputs, channels, window.size, window.size], .weight)
            return bias ? [weight, tensor("bias", [outputs], .bias)] : [weight]
        case .dense(let outputs, let bias):
            let weight = tensor("weight", [outputs, channels], .weight)
            return bias ? [weight, tensor("bias", [outputs], .bias)] : [weight]
        case .batchNorm:
            return [
                tensor("weight", [channels], .weight), tensor("bias", [channels], .bias),
                tensor("running_mean", [channels], .bnStatistic), tensor("running_var", [channels], .bnStatistic),
            ]
        case .input, .relu, .maxPool, .averagePool, .globalAveragePool, .dropout, .residualAdd:
            return []
        }
    }

    /// All tensors, in graph order.
    package var tensors: [ExpectedTensor] { nodes.indices.flatMap { tensors(of: $0) } }
}

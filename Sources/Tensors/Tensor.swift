/// A dense row-major Float32 array with a shape. Activations are NHWC, convolution weights OHWI inside the engine;
/// files use torchvision's OIHW (`NeuralNetworks` converts).
package struct Tensor: Equatable, Sendable {
    package let shape: [Int]
    package var values: [Float]

    /// - Precondition: `values.count` is the product of `shape`. Foreign input is checked before it gets here.
    package init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "a tensor's values must fill its shape")
        self.shape = shape
        self.values = values
    }

    package init(zeros shape: [Int]) {
        self.init(shape: shape, values: [Float](repeating: 0, count: shape.reduce(1, *)))
    }

    package var count: Int { values.count }
}

/// What a tensor is for: lets a server that knows nothing of networks choose what trains and what is averaged.
package enum TensorRole: String, Sendable, CaseIterable {
    case weight, bias
    /// BatchNorm's running mean, running variance.
    case bnStatistic = "bn-statistic"
}

/// Named tensors of one model, with each tensor's `part` (stem, layer1, ..., head) and `role`.
/// Iteration and files are in byte order of the names.
package struct TensorDictionary: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package var tensor: Tensor
        package var part: String
        package var role: TensorRole
        package init(tensor: Tensor, part: String, role: TensorRole) {
            self.tensor = tensor
            self.part = part
            self.role = role
        }
    }

    package private(set) var names: [String] = []
    private var entries: [String: Entry] = [:]

    package init() {}

    package subscript(name: String) -> Entry? {
        get { entries[name] }
        set {
            let known = entries[name] != nil
            entries[name] = newValue
            if newValue == nil {
                names.removeAll { $0 == name }
            } else if !known {
                let index = names.firstIndex { name.utf8.lexicographicallyPrecedes($0.utf8) } ?? names.endIndex
                names.insert(name, at: index)
            }
        }
    }

    package func filter(_ keep: (String, Entry) -> Bool) -> TensorDictionary {
        var kept = TensorDictionary()
        for name in names {
            if let entry = entries[name], keep(name, entry) { kept[name] = entry }
        }
        return kept
    }

    /// The union; entries of `other` win.
    package func merging(_ other: TensorDictionary) -> TensorDictionary {
        var merged = self
        for name in other.names { merged[name] = other[name] }
        return merged
    }
}

/// A model's tensors, one at a time, from wherever they lie.
package protocol TensorSource {
    /// In byte order of the names.
    var layouts: [TensorLayout] { get }

    /// Calls `body` with a tensor's values; the pointer is valid during the call only.
    ///
    /// - Throws: ``SafetensorsError`` `.missingTensor`, and what `body` throws.
    func withFloats<Result>(_ name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Result) throws -> Result
}

extension TensorDictionary: TensorSource {
    package var layouts: [TensorLayout] {
        names.compactMap { name in
            self[name].map { TensorLayout(name: name, shape: $0.tensor.shape, part: $0.part, role: $0.role) }
        }
    }

    package func withFloats<Result>(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        guard let entry = self[name] else { throw SafetensorsError(.missingTensor, "there is no tensor \(name)") }
        return try entry.tensor.values.withUnsafeBufferPointer(body)
    }
}

extension TensorSource {
    /// Everything at once, in memory.
    package func loaded() throws -> TensorDictionary {
        var tensors = TensorDictionary()
        for layout in layouts {
            let values = try withFloats(layout.name) { Array($0) }
            tensors[layout.name] = TensorDictionary.Entry(
                tensor: Tensor(shape: layout.shape, values: values), part: layout.part, role: layout.role)
        }
        return tensors
    }
}

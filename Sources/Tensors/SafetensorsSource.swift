/// A model's tensors, one at a time, from wherever they lie.
package protocol TensorSource {
    /// In byte order of the names.
    var layouts: [TensorLayout] { get }

    /// Calls `body` with some of a tensor's values; the pointer is valid during the call only.
    ///
    /// - Parameter range: positions in the tensor, row-major; nil: all of it.
    /// - Throws: ``SafetensorsError`` `.missingTensor`, `.badOffsets` for a range outside of the tensor, and what `body`
    ///   throws.
    func withFloats<Result>(
        _ name: String, in range: Range<Int>?, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result
}

extension TensorSource {
    package func withFloats<Result>(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        try withFloats(name, in: nil, body)
    }
}

extension TensorDictionary: TensorSource {
    package var layouts: [TensorLayout] {
        names.compactMap { name in
            self[name].map { TensorLayout(name: name, shape: $0.tensor.shape, part: $0.part, role: $0.role) }
        }
    }

    package func withFloats<Result>(
        _ name: String, in range: Range<Int>?, _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) throws -> Result {
        guard let entry = self[name] else { throw SafetensorsError(.missingTensor, "there is no tensor \(name)") }
        return try entry.tensor.values.withUnsafeBufferPointer { values in
            let range = range ?? values.indices
            try SafetensorsError.check(range, isInside: values.count, of: name)
            return try body(UnsafeBufferPointer(rebasing: values[range]))
        }
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

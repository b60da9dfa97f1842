package import Tensors
package import Wire

/// One client's values of a block of one tensor, with the client's weight.
package struct WeightedValues {
    package let client: PartyName
    /// Examples; at least 1.
    package let weight: Int
    package let values: UnsafeBufferPointer<Float>
}

/// How updates become the next global, value by value. A further strategy overrides this one method, or wraps another
/// one.
package protocol AggregationStrategy: Sendable {
    /// Combines a block of one tensor; the result may not depend on where blocks begin.
    ///
    /// - Parameters:
    ///   - layout: of the whole tensor.
    ///   - base: the round's global, the same block.
    ///   - inputs: at least one, sorted by client; the same block of each.
    ///   - output: every value of it is to be written.
    func combine(
        _ layout: TensorLayout, base: UnsafeBufferPointer<Float>, inputs: [WeightedValues],
        into output: UnsafeMutableBufferPointer<Float>)
}

/// Weighted average, McMahan et al. 2017 (arXiv 1602.05629), algorithm 1: `w = sum over k of (n_k / n) w_k`.
///
/// n_k is the number of training examples that client k processed. Computed as `Float((sum n_k w_k) / sum n_k)`: each
/// product and sum rounded to Float64 in the order of the clients' names, one division, one rounding to Float32. Only
/// IEEE 754 operations, none of them fused, so the bytes are the same on any machine. BatchNorm's running mean and
/// variance are averaged alike; its counter, where a file has one, takes the maximum.
package struct FederatedAveraging: AggregationStrategy {
    package init() {}

    package func combine(
        _ layout: TensorLayout, base: UnsafeBufferPointer<Float>, inputs: [WeightedValues],
        into output: UnsafeMutableBufferPointer<Float>
    ) {
        if layout.name.hasSuffix("num_batches_tracked") {
            for index in output.indices { output[index] = inputs.reduce(0) { max($0, $1.values[index]) } }
            return
        }
        let total = Double(inputs.reduce(0) { $0 + $1.weight })
        // Blocks that stay in the first cache; the order of the sums does not depend on the block's size.
        let blockLength = 1_024
        withUnsafeTemporaryAllocation(of: Double.self, capacity: blockLength) { sums in
            for start in stride(from: 0, to: output.count, by: blockLength) {
                let count = min(blockLength, output.count - start)
                for (position, input) in inputs.enumerated() {
                    let weight = Double(input.weight)
                    for index in 0..<count {
                        let product = weight * Double(input.values[start + index])
                        if position == 0 {
                            sums.initializeElement(at: index, to: product)
                        } else {
                            sums[index] += product
                        }
                    }
                }
                for index in 0..<count { output[start + index] = Float(sums[index] / total) }
            }
        }
    }
}

/// Li et al. 2020 (arXiv 1812.06127), algorithm 2. The proximal term is the clients' part; the server averages, and
/// takes partial work as it is, which FedAvg in its paper drops.
package struct FederatedProximal: AggregationStrategy {
    private let averaging = FederatedAveraging()
    package init() {}

    package func combine(
        _ layout: TensorLayout, base: UnsafeBufferPointer<Float>, inputs: [WeightedValues],
        into output: UnsafeMutableBufferPointer<Float>
    ) {
        averaging.combine(layout, base: base, inputs: inputs, into: output)
    }
}

extension Strategy {
    /// The server's part of the strategy.
    package var aggregation: any AggregationStrategy {
        switch self {
        case .fedAvg: FederatedAveraging()
        case .fedProx: FederatedProximal()
        }
    }
}

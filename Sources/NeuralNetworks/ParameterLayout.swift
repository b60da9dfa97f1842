import Tensors

/// Where each tensor of a graph lies, in engine layout, within flat arrays of floats.
///
/// Trainable parameters come first, in graph order, so that one sweep over `0..<trainableCount` updates them all;
/// gradients, the FedProx anchor and the optimiser's moments use the same offsets. Frozen parameters and BatchNorm's
/// running statistics follow. The gaps of alignment stay zero.
struct ParameterLayout: Sendable {
    struct Slot: Sendable {
        let tensor: ExpectedTensor
        let offset: Int
        let isTrainable: Bool
        /// Trainable, or a running statistic of a BatchNorm layer that trains.
        let changes: Bool
        var count: Int { tensor.count }
    }

    let slots: [Slot]
    /// Indices of each node's slots, in the order of ``Graph/tensors(of:)``.
    let slotsOfNode: [[Int]]
    let trainableCount: Int
    let totalCount: Int
    /// Where the head's trainable parameters begin, up to `trainableCount`: the head comes last.
    let headOffset: Int
    /// Width of the graph's output.
    let classes: Int

    init(_ graph: Graph, trains: (Int) -> Bool) {
        var slots: [Slot] = []
        var slotsOfNode = [[Int]](repeating: [], count: graph.nodes.count)
        var offset = 0
        var trainableCount = 0
        for wantsTrainable in [true, false] {
            for node in graph.nodes.indices {
                for tensor in graph.tensors(of: node)
                where (tensor.role != .bnStatistic && trains(node)) == wantsTrainable {
                    slotsOfNode[node].append(slots.count)
                    slots.append(
                        Slot(
                            tensor: tensor, offset: offset, isTrainable: wantsTrainable, changes: trains(node)))
                    offset += MemoryPlan.aligned(tensor.count)
                }
            }
            if wantsTrainable { trainableCount = offset }
        }
        self.slots = slots
        self.slotsOfNode = slotsOfNode
        self.trainableCount = trainableCount
        headOffset =
            slots.first { $0.isTrainable && $0.tensor.part == Architecture.headPart }?.offset ?? trainableCount
        totalCount = offset
        classes = graph.nodes[graph.output].shape.channels
    }

    /// Copies a model's tensors to their places, convolutions from OIHW to OHWI.
    ///
    /// - Precondition: `tensors` has been checked against the same graph, as ``Model`` does.
    func load(_ tensors: TensorDictionary, into values: UnsafeMutablePointer<Float>) {
        for slot in slots {
            guard let source = tensors[slot.tensor.name]?.tensor.values else { continue }
            Self.permute(source, slot.tensor.shape, toEngine: true, into: values + slot.offset)
        }
    }

    /// Takes constant BatchNorm layers into the convolutions before them, once, after ``load(_:into:)``: the weights are
    /// scaled by weight / sqrt(variance + epsilon), the bias becomes bias - mean * scale.
    func fold(_ folds: [FoldedNormalization], in values: UnsafeMutablePointer<Float>) {
        for fold in folds {
            let convolution = slots[fold.convolutionWeight]
            let outputs = convolution.tensor.shape[0]
            let count = convolution.count / outputs
            for output in 0..<outputs {
                func value(_ slot: SlotID) -> Double { Double(values[slots[slot].offset + output]) }
                let variance = value(fold.runningVariance) + Double(BatchNorm.epsilon)
                let scale = value(fold.weight) / variance.squareRoot()
                values[slots[fold.bias].offset + output] = Float(
                    value(fold.bias) - value(fold.runningMean) * scale)
                let row = values + convolution.offset + output * count
                for index in 0..<count { row[index] = Float(Double(row[index]) * scale) }
            }
        }
    }

    /// The tensors as they are now, in file layout. Gradients have room for the trainable ones only.
    func tensors(
        from values: UnsafePointer<Float>, where isWanted: (Slot) -> Bool = { _ in true }
    ) -> TensorDictionary {
        var tensors = TensorDictionary()
        for slot in slots where isWanted(slot) {
            let engine = Array(UnsafeBufferPointer(start: values + slot.offset, count: slot.count))
            let file = [Float](unsafeUninitializedCapacity: slot.count) { buffer, count in
                if let target = buffer.baseAddress {
                    Self.permute(engine, slot.tensor.shape, toEngine: false, into: target)
                }
                count = slot.count
            }
            tensors[slot.tensor.name] = TensorDictionary.Entry(
                tensor: Tensor(shape: slot.tensor.shape, values: file), part: slot.tensor.part, role: slot.tensor.role)
        }
        return tensors
    }

    /// OIHW to OHWI or back for four axes (`shape` is OIHW); a copy for fewer.
    private static func permute(
        _ source: [Float], _ shape: [Int], toEngine: Bool, into target: UnsafeMutablePointer<Float>
    ) {
        guard shape.count == 4 else {
            for index in source.indices { target[index] = source[index] }
            return
        }
        let (inputs, area) = (shape[1], shape[2] * shape[3])
        for output in 0..<shape[0] {
            for input in 0..<inputs {
                for tap in 0..<area {
                    let file = (output * inputs + input) * area + tap
                    let engine = (output * area + tap) * inputs + input
                    if toEngine { target[engine] = source[file] } else { target[file] = source[engine] }
                }
            }
        }
    }
}

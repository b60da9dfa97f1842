import Tensors

/// Less memory for more time (Chen et al. 2016, arXiv 1604.06174): values between two residual sums or pools are dropped once
/// the forward pass has used them, and computed again, by the same kernels on the same numbers, just before the backward pass
/// reads them. About one more forward pass of convolutions; the same bytes.
///
/// BatchNorm's moments are kept, so that nothing is summed twice and running statistics move once.
extension PlanBuilder {
    /// After the forward pass: forgets where the values lie; the planner ends a buffer's life with its last reader.
    mutating func dropRecomputable() {
        guard mode.recomputes, !mode.isProbe else { return }
        for node in graph.nodes.indices where isRecomputable(node) { values[node] = nil }
    }

    /// Convolutions, and BatchNorms with no sum in them: what stays are pictures, sums and pools, where chains of them begin.
    private func isRecomputable(_ node: Int) -> Bool {
        guard values[node] != nil else { return false }
        if let (fused, _) = normalizations[node] { return fused.residual == nil }
        if case .convolution = graph.nodes[node].operation { return true }
        return false
    }

    /// Where a node's value lies for the backward pass: computed again if it was dropped.
    mutating func valueAgain(_ node: Int) -> BufferID {
        if let buffer = values[node] { return buffer }
        let output: BufferID
        if let (fused, step) = normalizations[node] {
            let input = valueAgain(graph.nodes[fused.node].inputs[0])
            output = step.output == step.input ? input : buffer(count(node))
            let again = step.again(input: input, output: output)
            emit(.normalize(again), touching: [input, output, again.scale, again.shift])
        } else {
            let input = valueAgain(graph.nodes[node].inputs[0])
            output = buffer(count(node))
            let step = convolutionStep(node, input: input, output: output)
            emit(.convolution(step), touching: [input, output, step.workspace])
        }
        values[node] = output
        return output
    }

    /// A BatchNorm's step as its backward pass sees it.
    mutating func forBackward(_ fused: FusedNormalization, _ step: NormalizeStep) -> NormalizeStep {
        // Constant statistics need no input.
        let input = step.usesBatch ? valueAgain(graph.nodes[fused.node].inputs[0]) : step.input
        let output = step.readsOutputBackward ? valueAgain(fused.end) : step.output
        return step.again(input: input, output: output)
    }
}

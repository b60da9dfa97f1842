import Tensors

extension PlanBuilder {
    /// From the loss back to the first layer that trains.
    ///
    /// Gradients by values with several readers are summed in the order in which the backward pass meets the readers.
    mutating func buildBackward() {
        for node in graph.nodes.indices.reversed() where needsGradient[node] {
            guard let gradient = gradients[node] else { continue }
            if let (fused, step) = normalizations[node] {
                buildBackward(fused, forBackward(fused, step), gradient: gradient)
            } else {
                buildBackward(node, gradient: gradient)
            }
        }
    }

    private mutating func buildBackward(_ node: Int, gradient: BufferID) {
        let description = graph.nodes[node]
        guard let source = description.inputs.first else { return }
        let inputShape = graph.nodes[source].shape
        switch description.operation {
        case .input, .batchNorm:
            return
        case .convolution:
            if mode.trains(description) {
                let step = convolutionStep(node, input: valueAgain(source), output: gradient)
                emit(.convolutionWeightGradient(step), touching: [step.input, step.output, step.workspace])
            }
            buildInputGradient(node, source: source, gradient: gradient)
        case .dense:
            if mode.trains(description) {
                let step = denseStep(node, input: valueAgain(source), output: gradient)
                emit(.denseWeightGradient(step), touching: [step.input, step.output, step.workspace])
            }
            contribute(to: source) { builder, target in
                let step = builder.denseStep(node, input: target, output: gradient)
                builder.emit(.denseInputGradient(step), touching: [target, gradient, step.workspace])
            }
        case .relu:
            let output = valueAgain(node)
            emit(
                .reluBackward(output: output, gradient: gradient, count: count(node)), touching: [output, gradient])
            pass(gradient, of: node, to: source)
        case .dropout:
            guard mode.dropout > 0 else { return pass(gradient, of: node, to: source) }
            contribute(to: source) { builder, target in
                builder.emit(
                    .dropout(node: node, input: gradient, output: target, count: builder.count(node)),
                    touching: [gradient, target])
            }
        case .maxPool(let window):
            guard let argmax = argmaxes[node] else { return }
            let shape = poolShape(inputShape, window)
            contribute(to: source) { builder, target in
                builder.emit(
                    .maxPoolBackward(shape, outputGradient: gradient, argmax: argmax, inputGradient: target),
                    touching: [gradient, argmax, target])
            }
        case .averagePool(let window):
            let shape = poolShape(inputShape, window)
            contribute(to: source) { builder, target in
                builder.emit(
                    .averagePoolBackward(shape, outputGradient: gradient, inputGradient: target),
                    touching: [gradient, target])
            }
        case .globalAveragePool:
            contribute(to: source) { builder, target in
                builder.emit(
                    .globalAveragePoolBackward(inputShape, outputGradient: gradient, inputGradient: target),
                    touching: [gradient, target])
            }
        case .residualAdd:
            // The second summand first: a copy must be taken before the first one may take over the buffer.
            addGradient(gradient, of: node, to: description.inputs[1])
            pass(gradient, of: node, to: source)
        }
    }

    /// Where another reader's gradient is there already, most convolutions add theirs to it in the same sweep.
    private mutating func buildInputGradient(_ node: Int, source: Int, gradient: BufferID) {
        if needsGradient[source], let sum = gradients[source] {
            var step = convolutionStep(node, input: sum, output: gradient)
            if step.convolution.accumulatesInputGradient {
                step.accumulates = true
                return emit(.convolutionInputGradient(step), touching: [sum, gradient, step.workspace])
            }
        }
        contribute(to: source) { builder, target in
            let step = builder.convolutionStep(node, input: target, output: gradient)
            builder.emit(.convolutionInputGradient(step), touching: [target, gradient, step.workspace])
        }
    }

    private mutating func buildBackward(_ fused: FusedNormalization, _ forward: NormalizeStep, gradient: BufferID) {
        let vectors = (0..<3).map { _ in buffer(forward.shape.channels) }
        let isShared = fused.residual.map { needsGradient[$0] } ?? false
        let step = NormalizeBackwardStep(
            forward: forward, outputGradient: gradient,
            masksInPlace: forward.appliesReLU && isShared, sumGradient: vectors[0],
            sumGradientNormalized: vectors[1],
            scale: vectors[2], workspace: channelWorkspace(forward.shape))
        let kept =
            forward.usesBatch
            ? [forward.input, forward.mean, forward.inverseDeviation, forward.scale, forward.shift] : []
        let touched = [gradient, step.workspace] + vectors + kept
        let mask = forward.readsOutputBackward ? [forward.output] : []
        let laterMask = step.masksInPlace ? [] : mask
        if forward.usesBatch || step.masksInPlace {
            emit(.normalizeGradientSums(step), touching: touched + mask)
        }

        // The gradient's buffer goes on to the residual or, the pass being elementwise, to the input.
        var isFree = true
        if let residual = fused.residual, needsGradient[residual] {
            isFree = gradients[residual] != nil
            pass(gradient, of: fused.end, to: residual)
        }
        let source = graph.nodes[fused.node].inputs[0]
        guard needsGradient[source] else { return }
        if isFree, gradients[source] == nil {
            emit(.normalizeInputGradient(step, inputGradient: gradient), touching: touched + laterMask)
            gradients[source] = gradient
        } else {
            contribute(to: source) { builder, target in
                builder.emit(
                    .normalizeInputGradient(step, inputGradient: target), touching: touched + laterMask + [target])
            }
        }
    }

    /// Lets `write` put a gradient by `node`'s value in a buffer, and sums it with what is there.
    private mutating func contribute(to node: Int, _ write: (inout PlanBuilder, BufferID) -> Void) {
        guard needsGradient[node] else { return }
        let target = buffer(count(node))
        write(&self, target)
        if let sum = gradients[node] {
            emit(.accumulate(source: target, target: sum, count: count(node)), touching: [target, sum])
        } else {
            gradients[node] = target
        }
    }

    /// Adds a gradient that stays in use elsewhere.
    private mutating func addGradient(_ gradient: BufferID, of node: Int, to source: Int) {
        guard needsGradient[source] else { return }
        if let sum = gradients[source] {
            emit(.accumulate(source: gradient, target: sum, count: count(node)), touching: [gradient, sum])
        } else {
            let target = buffer(count(node))
            emit(.copy(from: gradient, to: target, count: count(node)), touching: [gradient, target])
            gradients[source] = target
        }
    }

    /// Hands a gradient's buffer on to the only layer that still needs it.
    private mutating func pass(_ gradient: BufferID, of node: Int, to source: Int) {
        guard needsGradient[source] else { return }
        if gradients[source] == nil {
            gradients[source] = gradient
        } else {
            addGradient(gradient, of: node, to: source)
        }
    }
}

package import Tensors

extension PlanBuilder {
    mutating func buildForward() {
        for node in graph.nodes.indices where values[node] == nil && !fusedAway.contains(node) { buildForward(node) }
    }

    private mutating func buildForward(_ node: Int) {
        let description = graph.nodes[node]
        let input = value(description.inputs[0])
        let inputShape = graph.nodes[description.inputs[0]].shape
        switch description.operation {
        case .input:
            return
        case .convolution:
            if let fused = folded(node) { return buildFolded(node, fused, input: input) }
            let output = buffer(count(node))
            values[node] = output
            var step = convolutionStep(node, input: input, output: output)
            if step.convolution.sumsMoments, let next = onlyConsumer(of: node),
                graph.nodes[next].operation == .batchNorm, mode.trains(graph.nodes[next])
            {
                momentSums[node] = channelWorkspace(description.shape)
                step.moments = momentSums[node]
            }
            emit(.convolution(step), touching: [input, output, step.workspace] + (step.moments.map { [$0] } ?? []))
        case .batchNorm:
            buildNormalization(node)
        case .relu:
            let inPlace = mayOverwrite(description.inputs[0], forStepNeedingInput: false)
            let output = inPlace ? input : buffer(count(node))
            values[node] = output
            emit(.relu(input: input, output: output, count: count(node)), touching: [input, output])
        case .maxPool(let window):
            // One byte an output.
            let (output, argmax) = (buffer(count(node)), buffer((count(node) + 3) / 4))
            values[node] = output
            argmaxes[node] = argmax
            let shape = poolShape(inputShape, window)
            emit(
                .maxPool(shape, input: input, output: output, argmax: argmax), touching: [input, output, argmax])
        case .averagePool(let window):
            let output = buffer(count(node))
            values[node] = output
            let shape = poolShape(inputShape, window)
            emit(.averagePool(shape, input: input, output: output), touching: [input, output])
        case .globalAveragePool:
            let output = buffer(count(node))
            values[node] = output
            emit(.globalAveragePool(inputShape, input: input, output: output), touching: [input, output])
        case .dense:
            let output = buffer(count(node))
            values[node] = output
            let step = denseStep(node, input: input, output: output)
            emit(.dense(step), touching: [input, output, step.workspace])
        case .dropout:
            guard mode.isTraining, mode.dropout > 0 else {
                values[node] = input
                return
            }
            let output = buffer(count(node))
            values[node] = output
            emit(
                .dropout(node: node, input: input, output: output, count: count(node)), touching: [input, output])
        case .residualAdd:
            let right = value(description.inputs[1])
            let output = buffer(count(node))
            values[node] = output
            emit(
                .add(left: input, right: right, output: output, count: count(node)),
                touching: [input, right, output])
        }
    }

    /// The BatchNorm behind a convolution, and what follows it, where the convolution can do it all: neither trains, no
    /// gradient passes, and nobody wants to see the values in between.
    private func folded(_ node: Int) -> FusedNormalization? {
        guard !mode.isProbe, !needsGradient[node], case .convolution(_, _, let bias) = graph.nodes[node].operation,
            !bias, let next = onlyConsumer(of: node), graph.nodes[next].operation == .batchNorm
        else { return nil }
        let fused = fusion(at: next)
        return needsGradient[fused.end] ? nil : fused
    }

    private mutating func buildFolded(_ node: Int, _ fused: FusedNormalization, input: BufferID) {
        let output = buffer(count(node))
        values[fused.end] = output
        var step = convolutionStep(node, input: input, output: output)
        let slots = layout.slotsOfNode[fused.node]
        step.bias = slots[1]
        step.residual = fused.residual.map { value($0) }
        step.appliesReLU = fused.appliesReLU
        folds.append(
            FoldedNormalization(
                convolutionWeight: step.weight, weight: slots[0], bias: slots[1], runningMean: slots[2],
                runningVariance: slots[3]))
        fusedAway.formUnion(fused.inner)
        if fused.end != fused.node { fusedAway.insert(fused.node) }
        emit(.convolution(step), touching: [input, output, step.workspace] + (step.residual.map { [$0] } ?? []))
    }

    private mutating func buildNormalization(_ node: Int) {
        let fused = fusion(at: node)
        let source = graph.nodes[node].inputs[0]
        let slots = layout.slotsOfNode[node]
        let usesBatch = mode.trains(graph.nodes[node])
        let shape = graph.nodes[node].shape
        let input = value(source)
        let inPlace = mayOverwrite(source, forStepNeedingInput: usesBatch)
        let output = inPlace ? input : buffer(count(node))
        let vectors = (0..<4).map { _ in buffer(shape.channels) }
        let step = NormalizeStep(
            shape: shape, weight: slots[0], bias: slots[1], runningMean: slots[2], runningVariance: slots[3],
            usesBatch: usesBatch, appliesReLU: fused.appliesReLU, input: input,
            residual: fused.residual.map { value($0) }, output: output, mean: vectors[0],
            inverseDeviation: vectors[1], scale: vectors[2], shift: vectors[3],
            workspace: (usesBatch ? momentSums[source] : nil) ?? channelWorkspace(shape),
            hasSums: usesBatch && momentSums[source] != nil)
        values[fused.end] = output
        normalizations[fused.end] = (fused, step)
        fusedAway.formUnion(fused.inner)
        emit(
            .normalize(step), touching: [input, output, step.workspace] + vectors + (step.residual.map { [$0] } ?? []))
    }

    /// Softmax; in training with the loss, whose gradient by the logits becomes the output node's gradient.
    mutating func buildLoss() -> BufferID {
        let logits = value(graph.output)
        let probabilities = buffer(count(graph.output))
        let gradient = mode.isTraining ? buffer(count(graph.output)) : nil
        gradients[graph.output] = gradient
        emit(
            .softmax(logits: logits, probabilities: probabilities, gradient: gradient),
            touching: [logits, probabilities] + (gradient.map { [$0] } ?? []))
        return probabilities
    }

    func poolShape(_ input: PlaneShape, _ window: Window) -> PoolShape {
        PoolShape(
            batch: batch, inputHeight: input.height, inputWidth: input.width, channels: input.channels,
            kernelHeight: window.size, kernelWidth: window.size, stride: window.stride, padTop: window.padTop,
            padLeft: window.padLeft, padBottom: window.padBottom, padRight: window.padRight)
    }

    mutating func convolutionStep(_ node: Int, input: BufferID, output: BufferID) -> ConvolutionStep {
        guard case .convolution(_, _, let hasBias) = graph.nodes[node].operation,
            let shape = graph.convolutionShape(of: graph.nodes[node], batch: batch)
        else { preconditionFailure("node \(node) is no convolution") }
        let convolution = Convolution(shape, context: context)
        let slots = layout.slotsOfNode[node]
        let workspace = max(convolution.workspaceCount, hasBias ? channelWorkspaceCount(graph.nodes[node].shape) : 0)
        return ConvolutionStep(
            convolution: convolution, weight: slots[0], bias: hasBias ? slots[1] : nil, input: input, output: output,
            workspace: buffer(workspace))
    }

    mutating func denseStep(_ node: Int, input: BufferID, output: BufferID) -> DenseStep {
        guard case .dense(let outputs, let hasBias) = graph.nodes[node].operation else {
            preconditionFailure("node \(node) is no dense layer")
        }
        let slots = layout.slotsOfNode[node]
        let inputs = graph.nodes[graph.nodes[node].inputs[0]].shape.channels
        // The right-hand sides of the three products: weight transposed, input, weight.
        let products = [(outputs, inputs), (inputs, batch), (inputs, outputs)].map { n, k in
            Kernels.matrixMultiplyWorkspaceCount(n: n, k: k, context: context)
        }
        return DenseStep(
            inputs: inputs, outputs: outputs, weight: slots[0], bias: hasBias ? slots[1] : nil, input: input,
            output: output,
            workspace: buffer(products.reduce(channelWorkspaceCount(graph.nodes[node].shape), max)))
    }

    mutating func channelWorkspace(_ shape: PlaneShape) -> BufferID { buffer(channelWorkspaceCount(shape)) }

    private func channelWorkspaceCount(_ shape: PlaneShape) -> Int {
        Kernels.reductionWorkspaceCount(channels: shape.channels)
    }
}

extension Graph {
    /// - Returns: nil where the node is no convolution.
    package func convolutionShape(of node: Node, batch: Int) -> ConvolutionShape? {
        guard case .convolution(let outputs, let window, _) = node.operation else { return nil }
        let source = nodes[node.inputs[0]].shape
        return ConvolutionShape(
            batch: batch, inputHeight: source.height, inputWidth: source.width, inputChannels: source.channels,
            outputChannels: outputs, kernelHeight: window.size, kernelWidth: window.size, stride: window.stride,
            padTop: window.padTop, padLeft: window.padLeft, padBottom: window.padBottom, padRight: window.padRight)
    }
}

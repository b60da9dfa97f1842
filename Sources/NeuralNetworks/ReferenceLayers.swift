import Tensors

extension ReferenceNetwork {
    func forward(_ index: Int, _ pass: inout Pass) {
        let node = graph.nodes[index]
        let input = pass.values[node.inputs[0]]
        let shape = graph.nodes[node.inputs[0]].shape
        switch node.operation {
        case .input: return
        case .convolution(_, let window, _):
            let geometry = geometry(index, window)
            var output = [Double](repeating: 0, count: geometry.outputCount)
            let bias = parameter(index, "bias")
            Reference.convolution(
                geometry, input: input, weight: Self.ohwi(parameter(index, "weight"), geometry),
                bias: bias.isEmpty ? [Double](repeating: 0, count: geometry.outputChannels) : bias, output: &output)
            pass.values.append(output)
        case .dense(let outputs, _):
            let (weight, bias) = (parameter(index, "weight"), parameter(index, "bias"))
            pass.values.append(
                (0..<batch * outputs).map { element in
                    let (row, output) = (element / outputs, element % outputs)
                    return (0..<shape.channels).reduce(bias.isEmpty ? 0 : bias[output]) {
                        $0 + input[row * shape.channels + $1] * weight[output * shape.channels + $1]
                    }
                })
        case .batchNorm:
            pass.values.append(batchNorm(index, input, &pass))
        case .relu:
            pass.values.append(input.map { max($0, 0) })
        case .maxPool, .averagePool:
            pass.values.append(
                taps(index).map { taps in
                    if case .averagePool(let window) = node.operation {
                        return taps.reduce(0) { $0 + input[$1] } / Double(window.size * window.size)
                    }
                    return taps.reduce(-Double.infinity) { max($0, input[$1]) }
                })
        case .globalAveragePool:
            pass.values.append(
                (0..<batch * shape.channels).map { element in
                    let (row, channel) = (element / shape.channels, element % shape.channels)
                    return (0..<shape.positions).reduce(0) {
                        $0 + input[row * shape.count + $1 * shape.channels + channel]
                    } / Double(shape.positions)
                })
        case .dropout:
            pass.values.append(zip(input, dropoutFactors(index)).map { $0 * $1 })
        case .residualAdd:
            pass.values.append(zip(input, pass.values[node.inputs[1]]).map { $0 + $1 })
        }
    }

    /// The gradients by the node's inputs; those by its parameters go into `pass`.
    func backward(_ index: Int, gradient: [Double], _ pass: inout Pass) -> [[Double]] {
        let node = graph.nodes[index]
        let input = pass.values[node.inputs[0]]
        let shape = graph.nodes[node.inputs[0]].shape
        func keep(_ suffix: String, _ values: [Double]) {
            if mode.trains(node) { pass.gradients["\(node.name).\(suffix)"] = values }
        }
        var result = [Double](repeating: 0, count: input.count)
        switch node.operation {
        case .input: return []
        case .convolution(let outputs, let window, let hasBias):
            let geometry = geometry(index, window)
            var weight = [Double](repeating: 0, count: geometry.weightCount)
            Reference.convolutionWeightGradient(
                geometry, input: input, outputGradient: gradient, weightGradient: &weight)
            Reference.convolutionInputGradient(
                geometry, outputGradient: gradient, weight: Self.ohwi(parameter(index, "weight"), geometry),
                inputGradient: &result)
            keep("weight", Self.oihw(weight, geometry))
            if hasBias { keep("bias", Self.columnSums(gradient, outputs)) }
        case .dense(let outputs, let hasBias):
            let weight = parameter(index, "weight")
            var weightGradient = [Double](repeating: 0, count: weight.count)
            for element in gradient.indices {
                let (row, output) = (element / outputs, element % outputs)
                for channel in 0..<shape.channels {
                    let (from, at) = (row * shape.channels + channel, output * shape.channels + channel)
                    weightGradient[at] += gradient[element] * input[from]
                    result[from] += gradient[element] * weight[at]
                }
            }
            keep("weight", weightGradient)
            if hasBias { keep("bias", Self.columnSums(gradient, outputs)) }
        case .batchNorm:
            return [batchNormBackward(index, gradient, input, keep)]
        case .relu:
            result = zip(input, gradient).map { $0 > 0 ? $1 : 0 }
        case .maxPool:
            for (element, taps) in taps(index).enumerated() {
                let best = taps.dropFirst().reduce(taps[0]) { input[$1] > input[$0] ? $1 : $0 }
                result[best] += gradient[element]
            }
        case .averagePool(let window):
            for (element, taps) in taps(index).enumerated() {
                for tap in taps { result[tap] += gradient[element] / Double(window.size * window.size) }
            }
        case .globalAveragePool:
            for element in result.indices {
                let (row, channel) = (element / shape.count, element % shape.channels)
                result[element] = gradient[row * shape.channels + channel] / Double(shape.positions)
            }
        case .dropout:
            result = zip(gradient, dropoutFactors(index)).map { $0 * $1 }
        case .residualAdd:
            return [gradient, gradient]
        }
        return [result]
    }

    /// The input elements under the window of each output element, in row-major order; padding is left out.
    private func taps(_ index: Int) -> [[Int]] {
        let node = graph.nodes[index]
        let input = graph.nodes[node.inputs[0]].shape
        let window: Window
        switch node.operation {
        case .maxPool(let pooling), .averagePool(let pooling): window = pooling
        default: return []
        }
        return (0..<batch * node.shape.count).map { element in
            let channel = element % node.shape.channels
            let position = element / node.shape.channels
            let (x, y) = (position % node.shape.width, position / node.shape.width % node.shape.height)
            let row = position / node.shape.positions
            return (0..<window.size * window.size).compactMap { tap in
                let inputY = y * window.stride + tap / window.size - window.padTop
                let inputX = x * window.stride + tap % window.size - window.padLeft
                guard (0..<input.height).contains(inputY), (0..<input.width).contains(inputX) else { return nil }
                return row * input.count + (inputY * input.width + inputX) * input.channels + channel
            }
        }
    }
}

import Tensors

extension ReferenceNetwork {
    func batchNorm(_ index: Int, _ input: [Double], _ pass: inout Pass) -> [Double] {
        let channels = graph.nodes[index].shape.channels
        let (mean, variance) = moments(index, input)
        let (weight, bias) = (parameter(index, "weight"), parameter(index, "bias"))
        if mode.trains(graph.nodes[index]) {
            let count = Double(input.count / channels)
            let momentum = Double(BatchNorm.momentum)
            func blend(_ suffix: String, _ batch: [Double]) {
                let name = "\(graph.nodes[index].name).\(suffix)"
                pass.statistics[name] = zip(parameter(index, suffix), batch).map {
                    (1 - momentum) * $0 + momentum * $1
                }
            }
            blend("running_mean", mean)
            blend("running_var", variance.map { $0 * count / max(1, count - 1) })
        }
        return input.indices.map { element in
            let channel = element % channels
            return (input[element] - mean[channel]) * Self.inverseDeviation(variance[channel]) * weight[channel]
                + bias[channel]
        }
    }

    func batchNormBackward(
        _ index: Int, _ gradient: [Double], _ input: [Double], _ keep: (String, [Double]) -> Void
    ) -> [Double] {
        let channels = graph.nodes[index].shape.channels
        let (mean, variance) = moments(index, input)
        let weight = parameter(index, "weight")
        let normalized = input.indices.map {
            (input[$0] - mean[$0 % channels]) * Self.inverseDeviation(variance[$0 % channels])
        }
        let sum = Self.columnSums(gradient, channels)
        let product = Self.columnSums(zip(gradient, normalized).map { $0 * $1 }, channels)
        keep("bias", sum)
        keep("weight", product)
        let usesBatch = mode.trains(graph.nodes[index])
        let count = Double(input.count / channels)
        return input.indices.map { element in
            let channel = element % channels
            let share = usesBatch ? (sum[channel] + normalized[element] * product[channel]) / count : 0
            return weight[channel] * Self.inverseDeviation(variance[channel]) * (gradient[element] - share)
        }
    }

    /// The batch's where the layer trains, otherwise the running ones.
    private func moments(_ index: Int, _ input: [Double]) -> (mean: [Double], variance: [Double]) {
        guard mode.trains(graph.nodes[index]) else {
            return (parameter(index, "running_mean"), parameter(index, "running_var"))
        }
        let channels = graph.nodes[index].shape.channels
        let count = Double(input.count / channels)
        let mean = Self.columnSums(input, channels).map { $0 / count }
        let squares = input.indices.map { (input[$0] - mean[$0 % channels]) * (input[$0] - mean[$0 % channels]) }
        return (mean, Self.columnSums(squares, channels).map { $0 / count })
    }

    private static func inverseDeviation(_ variance: Double) -> Double {
        1 / (variance + Double(BatchNorm.epsilon)).squareRoot()
    }

    static func columnSums(_ values: [Double], _ columns: Int) -> [Double] {
        var sums = [Double](repeating: 0, count: columns)
        for index in values.indices { sums[index % columns] += values[index] }
        return sums
    }

    func geometry(_ index: Int, _ window: Window) -> ConvolutionShape {
        let input = graph.nodes[graph.nodes[index].inputs[0]].shape
        return ConvolutionShape(
            batch: batch, inputHeight: input.height, inputWidth: input.width, inputChannels: input.channels,
            outputChannels: graph.nodes[index].shape.channels, kernelHeight: window.size, kernelWidth: window.size,
            stride: window.stride, padTop: window.padTop, padLeft: window.padLeft, padBottom: window.padBottom,
            padRight: window.padRight)
    }

    static func ohwi(_ weight: [Double], _ shape: ConvolutionShape) -> [Double] {
        let area = shape.kernelHeight * shape.kernelWidth
        return weight.indices.map { element in
            let (channel, tap) = (element % shape.inputChannels, element / shape.inputChannels % area)
            let output = element / (shape.inputChannels * area)
            return weight[(output * shape.inputChannels + channel) * area + tap]
        }
    }

    static func oihw(_ weight: [Double], _ shape: ConvolutionShape) -> [Double] {
        let area = shape.kernelHeight * shape.kernelWidth
        return weight.indices.map { element in
            let (tap, channel) = (element % area, element / area % shape.inputChannels)
            let output = element / (shape.inputChannels * area)
            return weight[(output * area + tap) * shape.inputChannels + channel]
        }
    }
}

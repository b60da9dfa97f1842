import Tensors

extension StepRun {
    private func rows(_ shape: PlaneShape) -> Int { plan.batch * shape.positions }

    /// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` (Ioffe and Szegedy 2015, algorithm 1).
    func normalize(_ step: NormalizeStep) {
        if !step.isRepeated { findScale(step) }
        Kernels.scaleShift(
            x: read(step.input), rows: rows(step.shape), channels: step.shape.channels, scale: read(step.scale),
            shift: read(step.shift), relu: step.appliesReLU, residual: step.residual.map { read($0) },
            output: write(step.output), context: context)
    }

    /// The layer as a scale and a shift of each channel, from the batch's moments or the running ones.
    private func findScale(_ step: NormalizeStep) {
        let channels = step.shape.channels
        let (mean, inverse) = (write(step.mean), write(step.inverseDeviation))
        if step.usesBatch {
            let variance = inverse
            if step.hasSums {
                Kernels.channelMoments(
                    rows: rows(step.shape), channels: channels, mean: mean, variance: variance,
                    summedIn: write(step.workspace))
            } else {
                Kernels.channelMoments(
                    x: read(step.input), rows: rows(step.shape), channels: channels, mean: mean, variance: variance,
                    workspace: write(step.workspace), context: context)
            }
            updateRunning(step, mean: mean, variance: variance)
        } else {
            mean.update(from: parameter(step.runningMean), count: channels)
            inverse.update(from: parameter(step.runningVariance), count: channels)
        }
        let (weight, bias) = (parameter(step.weight), parameter(step.bias))
        let (scale, shift) = (write(step.scale), write(step.shift))
        for channel in 0..<channels {
            inverse[channel] = 1 / (inverse[channel] + BatchNorm.epsilon).squareRoot()
            scale[channel] = weight[channel] * inverse[channel]
            shift[channel] = bias[channel] - mean[channel] * scale[channel]
        }
    }

    /// The running variance takes the unbiased estimate, the normalisation the biased one, as in PyTorch.
    private func updateRunning(
        _ step: NormalizeStep, mean: UnsafePointer<Float>, variance: UnsafePointer<Float>
    ) {
        let count = Float(rows(step.shape))
        let correction = count / max(1, count - 1)
        let (runningMean, runningVariance) = (parameter(step.runningMean), parameter(step.runningVariance))
        let momentum = inputs.batchNormMomentum
        for channel in 0..<step.shape.channels {
            let unbiased = variance[channel] * correction
            if momentum == 1 {
                // Not by the formula below, whose rounding would keep a trace of the old value.
                runningMean[channel] = mean[channel]
                runningVariance[channel] = unbiased
            } else {
                runningMean[channel] += momentum * (mean[channel] - runningMean[channel])
                runningVariance[channel] += momentum * (unbiased - runningVariance[channel])
            }
        }
    }

    func normalizeGradientSums(_ step: NormalizeBackwardStep) {
        let forward = step.forward
        guard forward.usesBatch else {
            // Nothing to sum: the statistics are constants, and neither weight nor bias trains.
            if forward.appliesReLU {
                Kernels.reluBackward(
                    y: read(forward.output), dy: read(step.outputGradient),
                    count: rows(forward.shape) * forward.shape.channels,
                    dx: write(step.outputGradient), context: context)
            }
            return
        }
        Kernels.channelGradientSums(
            x: read(forward.input), dy: read(step.outputGradient), passed: passed(forward), rows: rows(forward.shape),
            channels: forward.shape.channels, mean: read(forward.mean), invStd: read(forward.inverseDeviation),
            masked: step.masksInPlace ? write(step.outputGradient) : nil, sumDy: write(step.sumGradient),
            sumDyXhat: write(step.sumGradientNormalized),
            workspace: write(step.workspace), context: context)
        gradient(forward.bias).update(from: read(step.sumGradient), count: forward.shape.channels)
        gradient(forward.weight).update(from: read(step.sumGradientNormalized), count: forward.shape.channels)
    }

    private func passed(_ forward: NormalizeStep) -> PassedReLU {
        guard forward.appliesReLU else { return .everything }
        return forward.readsOutputBackward
            ? .positive(read(forward.output))
            : .positiveScaled(scale: read(forward.scale), shift: read(forward.shift))
    }

    func normalizeInputGradient(_ step: NormalizeBackwardStep, inputGradient: UnsafeMutablePointer<Float>) {
        let forward = step.forward
        let channels = forward.shape.channels
        let isMasked = step.masksInPlace || !forward.appliesReLU
        if forward.usesBatch {
            Kernels.batchNormInputGradient(
                x: read(forward.input), dy: read(step.outputGradient),
                passed: isMasked ? .everything : passed(forward),
                rows: rows(forward.shape), channels: channels,
                mean: read(forward.mean), invStd: read(forward.inverseDeviation), gamma: parameter(forward.weight),
                sumDy: read(step.sumGradient), sumDyXhat: read(step.sumGradientNormalized), dx: inputGradient,
                workspace: write(step.workspace), context: context)
            return
        }
        // With constant statistics the layer is linear: dx = dy * scale.
        let scale = write(step.scale)
        let (weight, variance) = (parameter(forward.weight), parameter(forward.runningVariance))
        for channel in 0..<channels {
            scale[channel] = weight[channel] / (variance[channel] + BatchNorm.epsilon).squareRoot()
        }
        Kernels.scaleGradient(
            dy: read(step.outputGradient), activation: isMasked ? nil : read(forward.output), rows: rows(forward.shape),
            channels: channels,
            scale: scale, dx: inputGradient, workspace: write(step.workspace), context: context)
    }
}

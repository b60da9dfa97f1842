package import Tensors

extension Trainer {
    /// Everything that resuming needs: trainable parameters, running statistics, optimiser state, position, statistics.
    /// Randomness is counter-based and needs no state. May be called between runs and from `progress`. For this machine
    /// only, and not for untrusted hands.
    package func checkpoint() -> [UInt8] {
        var writer = CheckpointWriter()
        writer.write(fingerprint)
        writer.write(stepInEpoch)
        writer.write(epochLoss.loss)
        writer.write(epochLoss.weight)
        writer.write(statistics.steps)
        writer.write(statistics.examples)
        writer.write(statistics.lossPerEpoch.count)
        for loss in statistics.lossPerEpoch { writer.write(loss) }
        for region in checkpointedRegions { writer.write(UnsafeBufferPointer(region)) }
        return writer.finished()
    }

    /// Continues where ``checkpoint()`` was taken.
    ///
    /// - Throws: ``NetworkError`` for a damaged checkpoint, or one of another base model, other options, or data of
    ///   another size or other labels. (Changed pictures under the same labels are not noticed.)
    package convenience init(
        resuming checkpoint: [UInt8], model: Model, options: TrainingOptions, data: any PictureSource,
        context: ComputeContext
    ) throws(NetworkError) {
        var reader = try CheckpointReader(checkpoint)
        let written = try reader.readUnsigned()
        try self.init(model: model, options: options, data: data, context: context)
        guard written == fingerprint else {
            throw NetworkError(
                .invalidCheckpoint, "the checkpoint belongs to another model, other options or other data")
        }
        stepInEpoch = try reader.readInteger()
        epochLoss = LossSums(loss: try reader.readDouble(), weight: try reader.readDouble())
        statistics.steps = try reader.readInteger()
        statistics.examples = try reader.readInteger()
        let epochs = try reader.readInteger()
        guard (0...options.epochs).contains(epochs), (0...schedule.stepsPerEpoch).contains(stepInEpoch),
            statistics.steps == epochs * schedule.stepsPerEpoch + stepInEpoch
        else {
            throw NetworkError(.invalidCheckpoint, "the checkpoint's position lies outside of the training")
        }
        statistics.epochsCompleted = epochs
        for _ in 0..<epochs { statistics.lossPerEpoch.append(try reader.readDouble()) }
        for region in checkpointedRegions { try reader.readFloats(into: region) }
        try reader.finish()
    }

    /// What steps change: parameters, moments, and the running statistics of BatchNorm layers.
    private var checkpointedRegions: [UnsafeMutableBufferPointer<Float>] {
        let layout = memory.sizes.layout
        let sweeps = [memory.values] + memory.moments
        return sweeps.map { UnsafeMutableBufferPointer(start: $0, count: layout.trainableCount) }
            + layout.slots.filter { $0.tensor.role == .bnStatistic }.map {
                UnsafeMutableBufferPointer(start: memory.values + $0.offset, count: $0.count)
            }
    }

    /// Tells trainings apart: base model, options, number and labels of the pictures.
    private var fingerprint: UInt64 {
        var fingerprint = Fingerprint()
        fingerprint.add(base.specification.architecture.rawValue)
        for name in base.specification.classes { fingerprint.add(name) }
        fingerprint.add(UInt64(base.specification.imageSize))
        for name in base.tensors.names {
            fingerprint.add(name)
            fingerprint.add(base.tensors[name]?.tensor.values ?? [])
        }
        options.add(to: &fingerprint)
        for index in 0..<data.count { fingerprint.add(UInt64(bitPattern: Int64(data.label(index)))) }
        fingerprint.add(UInt64(data.count))
        fingerprint.add(data.boundary ?? "")
        return fingerprint.value
    }
}

extension TrainingOptions {
    /// Every option, in the order of declaration.
    func add(to fingerprint: inout Fingerprint) {
        for count in [epochs, batchSize, firstEpoch] { fingerprint.add(UInt64(count)) }
        switch optimizer {
        case .sgd(let momentum): fingerprint.add([0, momentum])
        case .adam(let beta1, let beta2, let epsilon): fingerprint.add([1, beta1, beta2, epsilon])
        }
        fingerprint.add([learningRate, weightDecay, proximalMu, dropout])
        fingerprint.add(headLearningRate.map { [$0] } ?? [])
        schedule.add(to: &fingerprint)
        fingerprint.add(clipNorm.map { [$0] } ?? [])
        fingerprint.add(trainFrom)
        fingerprint.add(frozenBatchNorm ? 1 : 0)
        fingerprint.add(classWeights ?? [])
        fingerprint.add(logitOffsets ?? [])
        fingerprint.add(seed)
    }
}

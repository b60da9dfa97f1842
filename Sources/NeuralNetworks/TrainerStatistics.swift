import Tensors

extension Trainer {
    /// How many pictures the running statistics are taken from at most.
    private static let statisticsPictures = 1_024

    /// Replaces the running statistics of the BatchNorm layers that train by averages over the training pictures as they
    /// are, not augmented, under the weights as they are now.
    ///
    /// The moving average that training leaves behind lags behind the weights: after the few steps of a federated round
    /// it is mostly the statistics of earlier weights, and a model's scores swing with it. Wu and Johnson 2021 ("Rethinking
    /// 'Batch' in BatchNorm", arXiv 2105.07576, section 3) call the remedy PreciseBN. Each batch weighs alike: batch k
    /// goes in with momentum 1/k. Steps and examples are not counted; nothing happens where no BatchNorm trains.
    ///
    /// - Throws: ``NetworkError`` where a statistic is not finite, and what the data source throws.
    package func recomputeBatchNormStatistics() throws {
        guard !options.frozenBatchNorm, let plan = plans.first else { return }
        let loader = BatchLoader(
            data: data, pictureCount: memory.sizes.pictureCount, slots: memory.pictures, context: context)
        let order = schedule.order(epoch: options.firstEpoch)
        let batches = max(1, min(order.count, Self.statisticsPictures) / plan.batch)
        func request(_ batch: Int) -> BatchRequest? {
            let first = batch * plan.batch
            guard batch < batches else { return nil }
            return BatchRequest(indices: Array(order[first..<(first + plan.batch)]), epoch: nil)
        }
        let executor = memory.executor(context: context)
        for batch in 0..<batches {
            guard let this = request(batch) else { break }
            let pictures = try loader.load(this, next: request(batch + 1))
            var inputs = BatchInputs(pictures: pictures, labels: labels(of: this))
            inputs.batchNormMomentum = 1 / Float(batch + 1)
            executor.run(plan, inputs, forwardOnly: true)
        }
        try requireFinite()
    }
}

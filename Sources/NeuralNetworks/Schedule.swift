/// Which pictures each step of an epoch sees: a pure function of the seed and the epoch.
///
/// Rules: 1. an epoch visits every picture once, in a random order (``RandomSource/permutation(_:)``); 2. the last batch
/// may be smaller, and its loss and BatchNorm moments are those of the pictures it has; 3. a last batch of one picture is
/// left out where BatchNorm trains, since the moments of one example are no estimate (and PyTorch refuses them on a
/// 1x1 plane); that picture is another one in the next epoch.
struct Schedule: Equatable, Sendable {
    let count: Int
    let batchSize: Int
    let random: RandomSource
    /// Pictures that an epoch uses: `count`, less the one that rule 3 may leave out.
    let used: Int

    /// - Throws: ``NetworkError`` where rule 3 leaves no batch at all.
    init(count: Int, batchSize: Int, trainsBatchNorm: Bool, seed: UInt64) throws(NetworkError) {
        guard count > 0 else { throw NetworkError(.invalidData, "there are no pictures to train on") }
        if trainsBatchNorm {
            guard batchSize > 1 else {
                throw NetworkError(
                    .invalidOptions, "batch size 1 cannot train BatchNorm: use 2 or more, or freeze BatchNorm")
            }
            guard count > 1 else {
                throw NetworkError(.invalidData, "a single picture cannot train BatchNorm: add pictures")
            }
        }
        self.count = count
        self.batchSize = batchSize
        random = RandomSource(seed: seed).derived("order")
        used = trainsBatchNorm && count % batchSize == 1 ? count - 1 : count
    }

    var stepsPerEpoch: Int { (used + batchSize - 1) / batchSize }

    /// The distinct sizes of batches, the usual one first.
    var batchSizes: [Int] {
        let usual = min(batchSize, used)
        let last = used % usual
        return last == 0 ? [usual] : [usual, last]
    }

    /// The distinct numbers of pictures that pass at once where batches are cut into parts, the usual one first.
    func partSizes(_ part: Int) -> [Int] {
        var sizes: [Int] = []
        for batch in batchSizes {
            for size in [min(part, batch), batch % part] where size > 0 && !sizes.contains(size) { sizes.append(size) }
        }
        return sizes
    }

    /// - Parameter epoch: counted over the whole session.
    func order(epoch: Int) -> [Int] { random.derived(UInt64(epoch)).permutation(count) }

    func batch(_ step: Int, of order: [Int]) -> [Int] {
        Array(order[step * batchSize..<min(used, (step + 1) * batchSize)])
    }
}

import Wire

/// One thing that is timed, here and by peers that can do the same.
struct Benchmark {
    /// What a run's work is counted in.
    enum Unit: String {
        case operations, bytes, pictures

        /// `412 GFLOP/s`, `3.1 GB/s`, `25 pictures/s`.
        var rate: (scale: Double, name: String) {
            switch self {
            case .operations: (1e-9, "GFLOP/s")
            case .bytes: (1e-9, "GB/s")
            case .pictures: (1, "pictures/s")
            }
        }
    }

    /// What can be asked for by name.
    enum Group: String, CaseIterable {
        case kernels, convolutions, networks, transfer, bundles, job
    }

    let group: Group
    let name: String
    /// Of one run.
    let work: Double
    let unit: Unit
    /// How often a network has it; weighs a group's sums.
    var count = 1
    /// Runs that one figure averages, for what is too short to be timed alone.
    var runs = 1
    /// Run once before it is timed, so that memory is touched and caches are filled.
    var isWarmedUp = true
    /// What a peer is told to prepare; nil where no peer has such a thing.
    var request: JSONValue?
    /// Bytes of memory that were planned for it, where that is known beforehand.
    var plannedBytes: (() throws -> Int)?
    /// Makes what is timed; making it is not.
    let prepare: () throws -> () throws -> Void
    /// How good the last run's model is, accuracy from 0 to 1; untimed.
    var score: (() throws -> Double)?
}

/// What came of one benchmark.
struct BenchmarkResult {
    struct Series {
        let name: String
        /// Seconds of a run, in the order they were taken.
        var seconds: [Double]
        /// The most memory that the process held, bytes; nil where it cannot be told.
        var peakBytes: Int?
        /// Accuracy of what the last run made, where it made a model.
        var accuracy: Double?

        var median: Double {
            let sorted = seconds.sorted()
            let middle = sorted.count / 2
            guard !sorted.isEmpty else { return .nan }
            return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
        var minimum: Double { seconds.min() ?? .nan }
    }

    let benchmark: Benchmark
    let plannedBytes: Int?
    let ours: Series
    let peers: [Series]

    var rate: Double { benchmark.work * benchmark.unit.rate.scale / ours.median }

    /// How many times faster than a peer: the median of the ratios of neighbouring runs, so that a drift of the machine's
    /// speed does not matter.
    func ratio(to peer: Series) -> Double {
        let ratios = zip(peer.seconds, ours.seconds).map { $0 / $1 }
        return Series(name: "", seconds: ratios).median
    }
}

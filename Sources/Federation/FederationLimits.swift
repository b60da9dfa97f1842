/// Every bound of this module, in one place. A peer that exceeds one is refused, with the bound named.
package enum FederationLimits {
    /// Bytes of one JSON payload (`plan.json`, `round.json`, ...).
    package static let messageBytes = 4 << 20
    /// Bytes of what a hospital asks: `request.json`, `enrol.json`. It lies on a desk for as long as nobody decides.
    package static let askBytes = 256 << 10
    /// Bytes of a session's own state, which grows by some hundred bytes for each participant and round.
    package static let stateBytes = 256 << 20
    /// Bytes of a text that a person wrote: reason, message, contact.
    package static let textBytes = 2_000
    package static let classNameBytes = 64
    package static let classes = 2...1_000
    package static let pictures: ClosedRange<Int64> = 0...10_000_000
    package static let rounds: ClosedRange<Int64> = 1...1_000
    package static let localEpochs: ClosedRange<Int64> = 1...1_000
    package static let batchSize: ClosedRange<Int64> = 1...1_024
    package static let imageSize: ClosedRange<Int64> = 16...1_024
    package static let learningRate: ClosedRange<Double> = 1e-9...10
    package static let logitAdjustment: ClosedRange<Double> = 0...2
    package static let clipNorm: ClosedRange<Double> = 1e-6...1e6
    package static let featureViews: ClosedRange<Int64> = 0...64
    /// Epochs of the session.
    package static let warmup: ClosedRange<Double> = 0...1_000
    package static let weightDecay: ClosedRange<Double> = 0...1
    package static let mu: ClosedRange<Double> = 0...10
    package static let momentum: ClosedRange<Double> = 0...0.9999
    package static let dropout: ClosedRange<Double> = 0...0.95
    package static let seed: ClosedRange<Int64> = 0...Int64.max
    /// A deadline: ten minutes to two years, in seconds.
    package static let deadline: ClosedRange<Int64> = 600...(730 * 86_400)
    package static let participants = 1_000
    /// Bytes of all updates together that averaging looks at at once.
    package static let averagingBytes = 32 << 20

    /// Validation scores over fewer pictures than this stay at the hospital: nothing that leaves it may be derived from
    /// one picture alone, and a hospital that has four is not much safer.
    package static let minimumSupport = 5
    /// A class with fewer validation pictures than this withholds the breakdown by class.
    package static let minimumClassSupport = 2

    /// An update may move away from its base by at most this multiple of max(the base's norm, 1).
    ///
    /// Honest local training, from random weights too, stays below 2; a model-replacement attack that multiplies its
    /// update to survive the average needs about the number of participants.
    package static let relativeNorm = 10.0
    /// One of BatchNorm's statistics may move by at most this multiple of max(its base's norm, that of ones).
    ///
    /// From random weights honest training moves them by 2 to 25 (learning rate 0.001), and by 200 to 35,000 at the rate of 0.1,
    /// which the bound of the weights lets pass. Beyond this one is no scale that a network works at: the average would carry
    /// it near to where float ends.
    package static let relativeStatisticNorm = 1e6
    /// Tolerated difference of clocks between two parties, in seconds.
    package static let clockTolerance: Int64 = 86_400
}

package import Wire

/// The participants' scores of one round, pooled: sums of counts, so that a site weighs by its pictures, with the sites
/// that gave none named.
package struct AggregatedMetrics: Equatable, Sendable {
    /// Scores of the global that the round began with, as pooled over the sites' validation pictures.
    package var global: Scores?
    /// Scores of the sites' own trained models, each on its own pictures.
    package var trained: Scores?
    /// Example-weighted mean of the last epoch's training loss; nil if no site finished an epoch.
    package var trainingLoss: Double?
    /// Counted participants whose scores are in the figures, sorted.
    package var reporting: [PartyName]
    /// Counted participants that withheld their scores, sorted.
    package var withheld: [PartyName]

    /// - Parameter metrics: those of the round's counted updates, in any order.
    package init(pooling metrics: [PartyName: UpdateMetrics]) {
        let sites = metrics.sorted { $0.key < $1.key }
        global = Scores(pooling: sites.compactMap(\.value.global))
        trained = Scores(pooling: sites.compactMap(\.value.trained))
        let losses = sites.compactMap { site in site.value.lossPerEpoch.last.map { (site.value.examples, $0) } }
        let examples = losses.reduce(0) { $0 + $1.0 }
        let sum = losses.reduce(0) { $0 + Double($1.0) * $1.1 }
        trainingLoss = examples > 0 ? min(sum / Double(examples), 1e6) : nil
        reporting = sites.filter { $0.value.global != nil || $0.value.trained != nil }.map(\.key)
        withheld = sites.filter { $0.value.global == nil && $0.value.trained == nil }.map(\.key)
    }

    package var json: JSONValue {
        JSONValue(fields: [
            "global": global?.json, "trained": trained?.json, "training_loss": trainingLoss.map { .number($0) },
            "reporting": JSONValue(reporting), "withheld": JSONValue(withheld),
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        global = try object.optionalNested("global", Scores.init(pooledReading:))
        trained = try object.optionalNested("trained", Scores.init(pooledReading:))
        trainingLoss = try object.optionalNumber("training_loss", in: 0...1e6)
        reporting = try object.partyNames("reporting")
        withheld = try object.partyNames("withheld")
    }
}

extension ObjectReader {
    mutating func partyNames(_ key: String) throws(JSONError) -> [PartyName] {
        var names: [PartyName] = []
        for text in try strings(key) {
            guard let name = PartyName(text) else { throw problem(key, "must be names of parties") }
            names.append(name)
        }
        return names
    }
}

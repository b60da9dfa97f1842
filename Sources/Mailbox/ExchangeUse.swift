package import Wire

/// What a home remembers of its exchange, for people.
package struct ExchangeUse: Equatable, Sendable {
    /// When something was last laid there.
    package let lastDelivery: Timestamp?
    /// Why the last run could not use it; nil if it could.
    package let trouble: String?
    /// What the last run could not do there, one line each.
    package let problems: [String]

    package static func load(from home: Home) -> ExchangeUse {
        let cache = ExchangeCache.load(from: home)
        return ExchangeUse(
            lastDelivery: cache.delivered.values.map(\.at).max(), trouble: cache.trouble,
            problems: (cache.oddity.map { [$0] } ?? [])
                + ExchangeSummary.Way.allCases.flatMap { cache.problems[$0] ?? [] })
    }
}

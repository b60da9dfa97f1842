package import Wire

/// `round.json`: travels with each global and gives an account of the round that was just closed. A client finds its
/// own line here: the signed proof that its update was counted, and with what weight.
package struct RoundReport: Message {
    package static let fileName = "round.json"

    package enum Phase: String, Sendable, CaseIterable { case running, final }

    package var phase: Phase
    /// The round that this global opens; the final global carries the number after the last closed round.
    package var round: Int
    /// The round that this report is about; 0 with a session's first global, and then there are no participants.
    package var closed: Int
    /// `model.safetensors` of this global.
    package var model: Digest
    /// `base.safetensors` of the session, whether or not this global carries it; nil where everything trains.
    package var frozen: Digest?
    /// `model.safetensors` that the closed round's updates were trained from; nil where `closed` is 0.
    package var base: Digest?
    package var strategy: Strategy
    /// One line for each participant of the closed round, sorted by name.
    package var participants: [ParticipantLine]
    /// Updates of rounds closed earlier that came since the last report, and were not used.
    package var late: [LateUpdate]
    package var metrics: AggregatedMetrics?
    /// Best model so far; nil before the first scores.
    package var best: BestRound?
    /// The version's number; with the final global only.
    package var version: Int?
    package var stoppedEarly: Bool

    package init(
        phase: Phase, round: Int, closed: Int, model: Digest, frozen: Digest? = nil, base: Digest?, strategy: Strategy,
        participants: [ParticipantLine], late: [LateUpdate] = [], metrics: AggregatedMetrics? = nil,
        best: BestRound? = nil, version: Int? = nil, stoppedEarly: Bool = false
    ) {
        self.phase = phase
        self.round = round
        self.closed = closed
        self.model = model
        self.frozen = frozen
        self.base = base
        self.strategy = strategy
        self.participants = participants
        self.late = late
        self.metrics = metrics
        self.best = best
        self.version = version
        self.stoppedEarly = stoppedEarly
    }

    package func line(of client: PartyName) -> ParticipantLine? { participants.first { $0.client == client } }

    package var json: JSONValue {
        JSONValue(fields: [
            "state": .string(phase.rawValue), "round": JSONValue(round), "closed": JSONValue(closed),
            "model": JSONValue(model), "frozen": frozen.map { JSONValue($0) }, "base": base.map { JSONValue($0) },
            "strategy": strategy.json,
            "participants": .array(participants.map(\.json)), "late": .array(late.map(\.json)),
            "metrics": metrics?.json, "best": best?.json, "version": version.map { JSONValue($0) },
            "stopped_early": .bool(stoppedEarly),
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        phase = try object.choice("state")
        round = try object.count("round", in: 1...FederationLimits.rounds.upperBound + 1)
        closed = try object.count("closed", in: 0...FederationLimits.rounds.upperBound)
        model = try object.digest("model")
        frozen = try object.optionalDigest("frozen")
        base = try object.optionalDigest("base")
        strategy = try Strategy(try object.value("strategy"))
        participants = try object.list("participants", ParticipantLine.init(reading:))
        late = try object.list("late", LateUpdate.init(reading:))
        metrics = try object.optionalNested("metrics", AggregatedMetrics.init(reading:))
        best = try object.optionalNested("best", BestRound.init(reading:))
        version = try object.optionalInteger("version", in: 0...Int64(Int32.max)).map { Int($0) }
        stoppedEarly = try object.bool("stopped_early")
        guard (phase == .final) == (version != nil) else {
            throw object.problem("version", "must be there exactly where the state is final")
        }
        guard closed == round - 1 else { throw object.problem("closed", "must be the round before 'round'") }
        guard zip(participants, participants.dropFirst()).allSatisfy({ $0.client < $1.client }) else {
            throw object.problem("participants", "must be sorted by name, each once")
        }
    }
}

/// What became of one participant in one round.
package struct ParticipantLine: Equatable, Sendable {
    package enum Fate: Equatable, Sendable {
        /// Its update is in the average.
        case counted(CountedUpdate)
        /// Nothing came for this round, but an update for an earlier one, too late.
        case late
        /// What came was refused.
        case rejected(String)
        case missing
    }

    package var client: PartyName
    package var fate: Fate
    package init(client: PartyName, fate: Fate) {
        self.client = client
        self.fate = fate
    }

    package var counted: CountedUpdate? {
        if case .counted(let update) = fate { update } else { nil }
    }

    package var json: JSONValue {
        var fields: [String: JSONValue] = ["client": JSONValue(client)]
        switch fate {
        case .counted(let update):
            fields["fate"] = "counted"
            fields.merge(update.fields) { first, _ in first }
        case .late: fields["fate"] = "late"
        case .rejected(let reason):
            fields["fate"] = "rejected"
            fields["reason"] = .string(reason)
        case .missing: fields["fate"] = "missing"
        }
        return .object(fields)
    }

    package init(reading object: inout ObjectReader) throws {
        client = try object.partyName("client")
        switch try object.string("fate", maximumLength: 16) {
        case "counted": fate = .counted(try CountedUpdate(reading: &object))
        case "late": fate = .late
        case "rejected": fate = .rejected(try object.text("reason"))
        case "missing": fate = .missing
        default: throw object.problem("fate", "must be counted, late, rejected or missing")
        }
    }
}

/// An update that is in an average.
package struct CountedUpdate: Equatable, Sendable {
    /// The update's bundle id.
    package var update: Digest
    /// SHA-256 of its `update.safetensors`.
    package var weights: Digest
    /// Its weight in the average: ``examples``, or less where the plan's bound was exceeded.
    package var weight: Int
    package var examples: Int
    package var steps: Int
    package var partial: Bool

    package init(update: Digest, weights: Digest, weight: Int, examples: Int, steps: Int, partial: Bool) {
        self.update = update
        self.weights = weights
        self.weight = weight
        self.examples = examples
        self.steps = steps
        self.partial = partial
    }

    var fields: [String: JSONValue] {
        [
            "update": JSONValue(update), "weights": JSONValue(weights), "weight": JSONValue(weight),
            "examples": JSONValue(examples), "steps": JSONValue(steps), "partial": .bool(partial),
        ]
    }

    init(reading object: inout ObjectReader) throws {
        update = try object.digest("update")
        weights = try object.digest("weights")
        weight = try object.count("weight", in: 1...1 << 40)
        examples = try object.count("examples", in: 1...1 << 40)
        steps = try object.count("steps", in: 1...1 << 40)
        partial = try object.bool("partial")
    }
}

/// An update that came after its round had closed.
package struct LateUpdate: Equatable, Sendable {
    package var client: PartyName
    package var round: Int
    package var update: Digest
    package init(client: PartyName, round: Int, update: Digest) {
        self.client = client
        self.round = round
        self.update = update
    }

    package var json: JSONValue {
        ["client": JSONValue(client), "round": JSONValue(round), "update": JSONValue(update)]
    }

    package init(reading object: inout ObjectReader) throws {
        client = try object.partyName("client")
        round = try object.count("round", in: FederationLimits.rounds)
        update = try object.digest("update")
    }
}

/// The round whose aggregated model scores best.
package struct BestRound: Equatable, Sendable {
    package var round: Int
    package var model: Digest
    package var metric: Metric
    package var value: Double
    /// Nobody has scored this model yet (it is the last round's): the value is estimated from the trained models'
    /// scores.
    package var estimated: Bool

    package init(round: Int, model: Digest, metric: Metric, value: Double, estimated: Bool) {
        self.round = round
        self.model = model
        self.metric = metric
        self.value = value
        self.estimated = estimated
    }

    package var json: JSONValue {
        [
            "round": JSONValue(round), "model": JSONValue(model), "metric": .string(metric.rawValue),
            "value": .number(value), "estimated": .bool(estimated),
        ]
    }

    package init(reading object: inout ObjectReader) throws {
        round = try object.count("round", in: FederationLimits.rounds)
        model = try object.digest("model")
        metric = try object.choice("metric")
        value = try object.number("value", in: -1e6...1e6)
        estimated = try object.bool("estimated")
    }
}

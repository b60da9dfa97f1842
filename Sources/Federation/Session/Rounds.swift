package import Wire

/// An update whose bundle, tensors and metrics have all been found good. Made by the shell after
/// ``UpdateValidation``; the session decides whether it counts.
package struct ReceivedUpdate: Equatable, Sendable {
    package let client: PartyName
    /// The bundle's id.
    package let bundle: Digest
    package let round: Int
    package let sequence: Int64
    /// SHA-256 of `update.safetensors`.
    package let weights: Digest
    /// Weight in the average: the examples, or less where the plan's bound was exceeded.
    package let weight: Int
    package let metrics: UpdateMetrics
    /// Fingerprint of the key that signed the bundle; nil in states of before it was noted.
    package let signer: String?

    package init(
        client: PartyName, bundle: Digest, round: Int, sequence: Int64, weights: Digest, weight: Int,
        metrics: UpdateMetrics, signer: String?
    ) {
        self.client = client
        self.bundle = bundle
        self.round = round
        self.sequence = sequence
        self.weights = weights
        self.weight = weight
        self.metrics = metrics
        self.signer = signer
    }

    package var counted: CountedUpdate {
        CountedUpdate(
            update: bundle, weights: weights, weight: weight, examples: metrics.examples, steps: metrics.steps,
            partial: metrics.partial)
    }

    var json: JSONValue {
        JSONValue(fields: [
            "client": JSONValue(client), "bundle": JSONValue(bundle), "round": JSONValue(round),
            "sequence": .integer(sequence), "weights": JSONValue(weights), "weight": JSONValue(weight),
            "metrics": metrics.json, "signer": signer.map { .string($0) },
        ])
    }

    init(reading object: inout ObjectReader) throws {
        client = try object.partyName("client")
        bundle = try object.digest("bundle")
        round = try object.count("round")
        sequence = try object.integer("sequence", in: 1...Int64.max)
        weights = try object.digest("weights")
        weight = try object.count("weight")
        guard let read = try object.optionalNested("metrics", UpdateMetrics.init(reading:)) else {
            throw object.problem("metrics", "is missing")
        }
        metrics = read
        signer = object.has("signer") ? try object.string("signer", maximumLength: 128) : nil
    }
}

/// An update that was refused for what it says.
package struct RefusedUpdate: Equatable, Sendable {
    package let client: PartyName
    package let bundle: Digest
    package let reason: String

    var json: JSONValue {
        ["client": JSONValue(client), "bundle": JSONValue(bundle), "reason": .string(reason)]
    }

    init(client: PartyName, bundle: Digest, reason: String) {
        self.client = client
        self.bundle = bundle
        self.reason = reason
    }

    init(reading object: inout ObjectReader) throws {
        client = try object.partyName("client")
        bundle = try object.digest("bundle")
        reason = try object.text("reason")
    }
}

/// The round that is under way; in a finished session, the publication of the final global.
package struct OpenRound: Equatable, Sendable {
    /// One bundle of the round's global. Normally there is one for all; those who lack the frozen tensors get their
    /// own.
    package struct Issue: Equatable, Sendable {
        package let recipients: [PartyName]
        package let withBase: Bool
    }

    package let number: Int
    /// `model.safetensors` that this round trains from.
    package let model: Digest
    package let opened: Timestamp
    package internal(set) var deadline: Timestamp
    package internal(set) var issues: [Issue]
    /// The newest update of each client, sorted by client.
    package internal(set) var received: [ReceivedUpdate]
    /// The newest refusal of each client, sorted by client.
    package internal(set) var refused: [RefusedUpdate]
    /// Updates of earlier rounds that came while this one was open.
    package internal(set) var late: [LateUpdate]
    /// Updates of this round in whose place a newer one of the same client is, sorted: known, should they come again.
    package internal(set) var superseded: [Digest]
    /// Every participant's fate, sorted by name: set once, when the round closes, before aggregation starts.
    package internal(set) var frozen: [ParticipantLine]?

    package func update(of client: PartyName) -> ReceivedUpdate? { received.first { $0.client == client } }

    /// The updates that are averaged; nil before the round closes.
    package var used: [ReceivedUpdate]? {
        frozen.map { lines in
            let ids = Set(lines.compactMap { $0.counted?.update })
            return received.filter { ids.contains($0.bundle) }
        }
    }

    var json: JSONValue {
        JSONValue(fields: [
            "number": JSONValue(number), "model": JSONValue(model), "opened": JSONValue(opened),
            "deadline": JSONValue(deadline),
            "issues": .array(
                issues.map { ["recipients": JSONValue($0.recipients), "with_base": .bool($0.withBase)] }),
            "received": .array(received.map(\.json)), "refused": .array(refused.map(\.json)),
            "late": .array(late.map(\.json)), "superseded": .array(superseded.map { JSONValue($0) }),
            "frozen": frozen.map { .array($0.map(\.json)) },
        ])
    }

    init(number: Int, model: Digest, opened: Timestamp, deadline: Timestamp, issues: [Issue]) {
        self.number = number
        self.model = model
        self.opened = opened
        self.deadline = deadline
        self.issues = issues
        received = []
        refused = []
        late = []
        superseded = []
    }

    init(reading object: inout ObjectReader) throws {
        number = try object.count("number")
        model = try object.digest("model")
        opened = try object.timestamp("opened")
        deadline = try object.timestamp("deadline")
        issues = try object.list("issues", maximumCount: 100_000) { entry in
            Issue(recipients: try entry.partyNames("recipients"), withBase: try entry.bool("with_base"))
        }
        received = try object.list("received", ReceivedUpdate.init(reading:))
        refused = try object.list("refused", RefusedUpdate.init(reading:))
        late = try object.list("late", maximumCount: 100_000, LateUpdate.init(reading:))
        superseded = try object.digests("superseded")
        frozen =
            try object.optionalValue("frozen") == nil ? nil : object.list("frozen", ParticipantLine.init(reading:))
    }
}

/// A round that has been aggregated.
package struct ClosedRound: Equatable, Sendable {
    package let number: Int
    /// The model that its updates were trained from.
    package let base: Digest
    /// The aggregated model.
    package let model: Digest
    package let opened: Timestamp
    package let closed: Timestamp
    /// Every participant's fate, sorted by name.
    package let participants: [ParticipantLine]
    package let late: [LateUpdate]
    package let superseded: [Digest]
    package let metrics: AggregatedMetrics
    /// How many bundles carried this round's global.
    package let issues: Int

    package var used: [PartyName] { participants.filter { $0.counted != nil }.map(\.client) }
    package var missing: [PartyName] { participants.filter { $0.counted == nil }.map(\.client) }

    var json: JSONValue {
        [
            "number": JSONValue(number), "base": JSONValue(base), "model": JSONValue(model),
            "opened": JSONValue(opened), "closed": JSONValue(closed), "participants": .array(participants.map(\.json)),
            "late": .array(late.map(\.json)), "superseded": .array(superseded.map { JSONValue($0) }),
            "metrics": metrics.json, "issues": JSONValue(issues),
        ]
    }

    init(
        number: Int, base: Digest, model: Digest, opened: Timestamp, closed: Timestamp,
        participants: [ParticipantLine], late: [LateUpdate], superseded: [Digest],
        metrics: AggregatedMetrics, issues: Int
    ) {
        self.number = number
        self.base = base
        self.model = model
        self.opened = opened
        self.closed = closed
        self.participants = participants
        self.late = late
        self.superseded = superseded
        self.metrics = metrics
        self.issues = issues
    }

    init(reading object: inout ObjectReader) throws {
        number = try object.count("number")
        base = try object.digest("base")
        model = try object.digest("model")
        opened = try object.timestamp("opened")
        closed = try object.timestamp("closed")
        participants = try object.list("participants", ParticipantLine.init(reading:))
        late = try object.list("late", maximumCount: 100_000, LateUpdate.init(reading:))
        superseded = try object.digests("superseded")
        guard let read = try object.optionalNested("metrics", AggregatedMetrics.init(reading:)) else {
            throw object.problem("metrics", "is missing")
        }
        metrics = read
        issues = try object.count("issues")
    }
}

package import Tensors
package import Wire

/// `versions/NNNN/version.json`: where a model comes from.
package struct VersionRecord: Message {
    package static let fileName = "version.json"

    /// What one participant put into the version.
    package struct Contribution: Equatable, Sendable {
        package var client: PartyName
        /// Rounds in which its update was counted.
        package var rounds: [Int]
        /// Sum of its weights over these rounds.
        package var weight: Int
        package init(client: PartyName, rounds: [Int], weight: Int) {
            self.client = client
            self.rounds = rounds
            self.weight = weight
        }
    }

    package enum Origin: String, Sendable, CaseIterable {
        /// `model import` or `model init`.
        case imported, initialized
        case session
    }

    package var number: Int
    package var origin: Origin
    package var created: Timestamp
    package var architecture: String
    package var classes: [String]
    package var imageSize: Int
    package var crop: InputCrop
    /// SHA-256 of the version's whole `model.safetensors`.
    package var model: Digest
    /// The version that it was trained from; nil for a first model.
    package var base: Int?
    /// The newest version when this one was saved; where it is not `base`, this one is a branch.
    package var head: Int?
    package var session: RandomID?
    package var sessionName: String
    package var plan: Digest?
    package var strategy: Strategy?
    package var rounds: Int
    package var stoppedEarly: Bool
    /// The round whose aggregate this version is.
    package var modelRound: Int
    package var best: BestRound?
    package var contributions: [Contribution]
    /// Pooled scores of the session's last round.
    package var metrics: AggregatedMetrics?
    /// For people: where an imported model comes from, and the like.
    package var note: String

    /// A first model.
    package init(
        number: Int, origin: Origin, created: Timestamp, architecture: String, classes: [String], imageSize: Int,
        crop: InputCrop = .none, model: Digest, note: String = ""
    ) {
        self.number = number
        self.origin = origin
        self.created = created
        self.architecture = architecture
        self.classes = classes
        self.imageSize = imageSize
        self.crop = crop
        self.model = model
        self.note = note
        sessionName = ""
        rounds = 0
        stoppedEarly = false
        modelRound = 0
        contributions = []
    }

    /// What a finished session is saved as.
    ///
    /// - Parameter model: of the whole model, trained and frozen tensors together.
    /// - Returns: nil unless the session is finished.
    package init?(number: Int, of session: Session, model: Digest, head: Int?, created: Timestamp) {
        guard let order = session.versionOrder, let start = session.start else { return nil }
        self.init(
            number: number, origin: .session, created: created, architecture: start.plan.architecture,
            classes: start.plan.classes, imageSize: start.plan.imageSize, crop: start.plan.crop, model: model)
        base = start.version
        self.head = head
        self.session = session.id
        sessionName = session.name
        plan = start.planDigest
        strategy = start.plan.strategy
        rounds = order.lastRound
        stoppedEarly = order.stoppedEarly
        modelRound = order.modelRound
        best = order.best
        metrics = session.history.last?.metrics
        let names = Set(session.history.flatMap(\.used)).sorted()
        contributions = names.map { client in
            let lines = session.history.compactMap { round in
                round.participants.first { $0.client == client }?.counted.map { (round.number, $0.weight) }
            }
            return Contribution(client: client, rounds: lines.map(\.0), weight: lines.reduce(0) { $0 + $1.1 })
        }
    }

    /// Another session's version was saved while this one's trained.
    package var isBranch: Bool { base != head && origin == .session }

    package var json: JSONValue {
        JSONValue(fields: [
            "number": JSONValue(number), "origin": .string(origin.rawValue), "created": JSONValue(created),
            "architecture": .string(architecture), "classes": JSONValue(classes), "image_size": JSONValue(imageSize),
            "crop": .string(crop.rawValue),
            "model": JSONValue(model), "base": base.map { JSONValue($0) }, "head": head.map { JSONValue($0) },
            "session": session.map { .string($0.hex) }, "session_name": .string(sessionName),
            "plan": plan.map { JSONValue($0) }, "strategy": strategy?.json, "rounds": JSONValue(rounds),
            "stopped_early": .bool(stoppedEarly), "model_round": JSONValue(modelRound), "best": best?.json,
            "contributions": .array(
                contributions.map {
                    [
                        "client": JSONValue($0.client), "rounds": .array($0.rounds.map { JSONValue($0) }),
                        "weight": JSONValue($0.weight),
                    ]
                }), "metrics": metrics?.json, "note": .string(note),
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        number = try object.count("number")
        origin = try object.choice("origin")
        created = try object.timestamp("created")
        architecture = try object.text("architecture", maximumLength: 64)
        classes = try object.classes("classes")
        imageSize = try object.count("image_size", in: FederationLimits.imageSize)
        crop = try object.choice("crop")
        model = try object.digest("model")
        base = try object.optionalInteger("base", in: 0...Int64.max).map { Int($0) }
        head = try object.optionalInteger("head", in: 0...Int64.max).map { Int($0) }
        session = try object.optionalRandomID("session")
        sessionName = try object.text("session_name", maximumLength: 128)
        plan = try object.optionalDigest("plan")
        strategy = try object.optionalValue("strategy").map { try Strategy($0) }
        rounds = try object.count("rounds")
        stoppedEarly = try object.bool("stopped_early")
        modelRound = try object.count("model_round")
        best = try object.optionalNested("best", BestRound.init(reading:))
        contributions = try object.list("contributions") { entry in
            let rounds = try entry.array("rounds").map { value in
                guard case .integer(let round) = value, FederationLimits.rounds.contains(round) else {
                    throw entry.problem("rounds", "must be round numbers")
                }
                return Int(round)
            }
            return Contribution(
                client: try entry.partyName("client"), rounds: rounds, weight: try entry.count("weight"))
        }
        metrics = try object.optionalNested("metrics", AggregatedMetrics.init(reading:))
        note = try object.text("note")
    }
}

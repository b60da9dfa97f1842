package import Wire

/// A client of a session.
package struct Participant: Equatable, Sendable {
    package enum Standing: String, Sendable, CaseIterable {
        case active
        /// Taken out by the admin.
        case dropped
        case withdrawn
        /// Two bundles with one sequence number. Its updates are recorded, and count only once it is readmitted.
        case excluded
    }

    package let name: PartyName
    package internal(set) var standing: Standing
    /// The approved request's bundle id.
    package internal(set) var request: Digest
    /// Pictures that the request promised; bounds what an update may claim.
    package internal(set) var pictures: Int
    /// The round from which the client takes part.
    package internal(set) var firstRound: Int
    /// It has the frozen tensors (`base.safetensors`): its acknowledgement says so, or its update, as long as it was not sent
    /// them again.
    package internal(set) var hasBase: Bool
    /// What the server has told this client, in order; each becomes one signed decision.
    package internal(set) var decisions: [Decision]

    package init(name: PartyName, request: Digest, pictures: Int, firstRound: Int) {
        self.name = name
        self.request = request
        self.pictures = pictures
        self.firstRound = firstRound
        standing = .active
        hasBase = false
        decisions = []
    }

    var json: JSONValue {
        [
            "name": JSONValue(name), "standing": .string(standing.rawValue), "request": JSONValue(request),
            "pictures": JSONValue(pictures), "first_round": JSONValue(firstRound), "has_base": .bool(hasBase),
            "decisions": .array(decisions.map(\.json)),
        ]
    }

    init(reading object: inout ObjectReader) throws {
        name = try object.partyName("name")
        standing = try object.choice("standing")
        request = try object.digest("request")
        pictures = try object.count("pictures")
        firstRound = try object.count("first_round")
        hasBase = try object.bool("has_base")
        decisions = try object.list("decisions", maximumCount: 100_000, Decision.init(reading:))
    }
}

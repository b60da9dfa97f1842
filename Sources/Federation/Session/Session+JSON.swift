package import Wire

/// `session.json`: the whole state, strict in both directions.
extension Session: Message {
    package static var fileName: String { "session.json" }
    package static var maximumBytes: Int { FederationLimits.stateBytes }

    package var json: JSONValue {
        JSONValue(fields: [
            "format": "consilium-session/1", "id": .string(id.hex), "name": .string(name),
            "created": JSONValue(created), "minimum_clients": JSONValue(minimumClients),
            "state": .string(state.rawValue), "participants": .array(participants.map(\.json)), "start": start?.json,
            "round": round?.json, "history": .array(history.map(\.json)),
            "pause_reason": pauseReason.map { .string($0) }, "pause_announced": .bool(pauseAnnounced),
            "stopped_early": .bool(stoppedEarly), "version": version.map { JSONValue($0) },
            "ended": ended.map { JSONValue($0) }, "abort_reason": abortReason.map { .string($0) },
            "abort_recipients": JSONValue(abortRecipients),
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        guard try object.string("format") == "consilium-session/1" else {
            throw object.problem("format", "must be consilium-session/1; a newer program wrote this session")
        }
        id = try object.randomID("id")
        name = try object.text("name", maximumLength: 128)
        created = try object.timestamp("created")
        minimumClients = try object.count("minimum_clients")
        state = try object.choice("state")
        participants = try object.list("participants", Participant.init(reading:))
        start = try object.optionalNested("start", SessionStart.init(reading:))
        round = try object.optionalNested("round", OpenRound.init(reading:))
        history = try object.list("history", ClosedRound.init(reading:))
        pauseReason = try object.optionalText("pause_reason", maximumLength: 100_000)
        pauseAnnounced = try object.bool("pause_announced")
        stoppedEarly = try object.bool("stopped_early")
        version = try object.optionalInteger("version", in: 0...Int64.max).map { Int($0) }
        ended = object.optionalValue("ended") == nil ? nil : try object.timestamp("ended")
        abortReason = try object.optionalText("abort_reason")
        abortRecipients = try object.partyNames("abort_recipients")
        try checkConsistency(object)
    }

    /// A state that no sequence of events makes must not be acted upon: a garbled file stops the tick, with its place
    /// named.
    private func checkConsistency(_ object: ObjectReader) throws(JSONError) {
        let hasStarted = state == .running || state == .closing || state == .paused || state == .finished
        guard !hasStarted || start != nil else { throw object.problem("start", "is missing in a started session") }
        let isOpen = state == .running || state == .closing || state == .paused
        guard !isOpen || round != nil else { throw object.problem("round", "is missing in a running session") }
        guard (state == .closing) == (round?.frozen != nil) || isOver else {
            throw object.problem("round.frozen", "must be there exactly while the round is closing")
        }
        guard history.indices.allSatisfy({ history[$0].number == $0 + 1 }) else {
            throw object.problem("history", "must hold every round in order")
        }
    }
}

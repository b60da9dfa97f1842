import Federation
import Mailbox
package import Wire

// The form of `sessions/state.json`. Read strictly: a damaged state must stop the run, not be half understood.
extension ClientState {
    package var json: JSONValue {
        [
            "announced": announced.json,
            "decisions": .object(newestDecision.mapValues { .integer($0) }),
            "enrolled": enrolled.map { .bool($0) } ?? .null,
            "enrolment_reason": .string(enrolmentReason),
            "offers": .array(offers.map(\.json)),
            "over": .object(over.mapValues { .string($0.reason) }),
            "over_by": .object(over.compactMapValues { $0.speaker.text.map { .string($0) } }),
            "over_turn": .object(over.mapValues { .integer($0.turn) }),
            "replacing_key": replacingKey.map { .string($0) } ?? .null,
            "requests": .array(requests.map(\.json)),
            "revoked_keys": .array(
                revocations.map {
                    ["key": .string($0.key), "signed_by": .string($0.signer), "reason": .string($0.reason)]
                }),
            "sessions": .array(sessions.map(\.json)),
        ]
    }

    package init(json: JSONValue, context: String) throws {
        var object = try ObjectReader(json, context: context)
        announced = Announcements(try object.strings("announced"))
        var decisions = try object.object("decisions")
        for subject in decisions.keys { newestDecision[subject] = try decisions.integer(subject) }
        if object.has("over") {
            var ends = try object.object("over")
            // Noted since a revoked key's word ends nothing for good.
            var speakers = object.has("over_by") ? try object.object("over_by") : nil
            var turns = object.has("over_turn") ? try object.object("over_turn") : nil
            for session in ends.keys {
                over[session] = Ending(
                    reason: try ends.string(session), speaker: try speakers?.speaker(session) ?? .unknown,
                    turn: try turns?.turn(session) ?? 0)
            }
        }
        enrolled = try object.optionalBool("enrolled")
        enrolmentReason = try object.string("enrolment_reason")
        // Noted since it is shown as long as it is so.
        if object.has("revoked_keys") {
            revocations = try object.entries("revoked_keys") { entry in
                Revocation(
                    key: try entry.string("key"), signer: try entry.string("signed_by"),
                    reason: try entry.string("reason"))
            }
            boundRevocations(gone: [])
        }
        // Noted since a replacement that was stopped is finished by the next run.
        if object.has("replacing_key") { replacingKey = try object.optionalString("replacing_key") }
        offers = try object.entries("offers", Offer.init(reading:))
        var earlier: Set<Digest> = []
        requests = try object.entries("requests") { entry in
            let isEarlier = !entry.has("approval")
            let own = try OwnRequest(reading: &entry)
            if isEarlier { earlier.insert(own.id) }
            return own
        }
        sessions = try object.entries("sessions", ClientSession.init(reading:))
        try object.finish()
        bringUpToDate(earlier)
    }

    /// Before requests had a fate each, a session alone knew that its hospital had left it, and whether it had come back.
    ///
    /// - Parameter earlier: requests that were written down before that.
    private mutating func bringUpToDate(_ earlier: Set<Digest>) {
        over = over.filter { !Self.isDeparture($0.value.reason) }
        boundEndings()
        for own in requests where earlier.contains(own.id) {
            guard let id = own.session else { continue }
            let newest = newest(about: Self.subject(about: own.id, in: id))
            let departure = session(id)?.ended.flatMap { Self.isDeparture($0) ? $0 : nil }
            change(request: own.id) { own in
                if let newest { (own.approval, own.approver) = (newest.number, newest.signer) }
                if own.status == .approved, let departure { (own.status, own.reason) = (.rejected, departure) }
            }
        }
        // The new approval had overtaken the drop of the old request, and was not understood.
        for session in sessions where session.ended == nil {
            guard let own = standing(in: session.id), own.id != session.request else { continue }
            let consent = consent(to: session.plan, of: own, asksConsent: true)
            change(session: session.id) { $0.takePart(with: own.id, consent: consent) }
        }
    }
}

extension Offer {
    fileprivate var json: JSONValue {
        [
            "version": .integer(Int64(version)), "session": .string(session.hex), "bundle": .string(bundle.hex),
            "status": .string(status.rawValue),
        ]
    }

    fileprivate init(reading entry: inout ObjectReader) throws {
        version = Int(try entry.integer("version", in: 0...Int64(Int32.max)))
        session = try entry.randomID("session")
        bundle = try entry.digest("bundle")
        status = try entry.word("status")
    }
}

extension ClientState.OwnRequest {
    fileprivate var json: JSONValue {
        [
            "id": .string(id.hex), "created": .string(created.rfc3339), "request": request.json,
            "status": .string(status.rawValue), "reason": .string(reason),
            "session": session.map { .string($0.hex) } ?? .null, "approval": .integer(approval),
            "approved_by": approver.map { .string($0) } ?? .null, "ended_by": .speaker(endedBy),
            "withdrawal": withdrawal.map { .string($0.hex) } ?? .null,
        ]
    }

    fileprivate init(reading entry: inout ObjectReader) throws {
        id = try entry.digest("id")
        created = try entry.time("created")
        request = try TrainingRequest(json: try entry.value("request"), context: "request")
        status = try entry.word("status")
        reason = try entry.string("reason")
        session = try entry.optionalRandomID("session")
        // Noted since hospitals may come back into a session, and who approved it since each key has numbers of its own.
        if entry.has("approval") { approval = try entry.integer("approval") }
        if entry.has("approved_by") { approver = try entry.optionalString("approved_by") }
        endedBy = try entry.speaker("ended_by")
        if entry.has("withdrawal") { withdrawal = try entry.optionalDigest("withdrawal") }
    }
}

extension ClientSession {
    fileprivate var json: JSONValue {
        [
            "id": .string(id.hex), "plan": plan.json, "plan_digest": .string(planDigest.hex),
            "request": request.map { .string($0.hex) } ?? .null, "consent": .string(consent.rawValue),
            "global": [
                "bundle": .string(global.bundle.hex), "round": .integer(Int64(global.round)),
                "model": .string(global.model.hex), "final": .bool(global.isFinal),
                "received": .string(global.received.rfc3339), "created": .string(global.created.rfc3339),
                "signed_by": .speaker(global.speaker),
            ],
            "base_bundle": baseBundle.map { .string($0.hex) } ?? .null,
            "frozen": frozen.map { .string($0.hex) } ?? .null,
            "answered_round": .integer(Int64(answeredRound)), "ended": ended.map { .string($0) } ?? .null,
            "ended_by": .speaker(endedBy), "had_false_global": .bool(hadFalseGlobal),
            "excluded": excluded.map { .string($0) } ?? .null,
            "reopened": reopened.map {
                ["round": .integer(Int64($0.round)), "signed_by": .speaker($0.speaker)]
            } ?? .null, "trained_again_for": trainedAgainFor.map { .string($0.hex) } ?? .null,
        ]
    }

    fileprivate init(reading entry: inout ObjectReader) throws {
        id = try entry.randomID("id")
        plan = try Plan(json: try entry.value("plan"), context: "plan")
        planDigest = try entry.digest("plan_digest")
        request = try entry.optionalDigest("request")
        consent = try entry.word("consent")
        var received = try entry.object("global")
        global = ReceivedGlobal(
            bundle: try received.digest("bundle"),
            round: Int(try received.integer("round", in: 1...Int64(Int32.max))), model: try received.digest("model"),
            isFinal: try received.bool("final"), received: try received.time("received"),
            created: try received.time("created"), speaker: try received.speaker("signed_by"))
        try received.finish()
        baseBundle = try entry.optionalDigest("base_bundle")
        // Noted since each global names the frozen tensors.
        if entry.has("frozen") { frozen = try entry.optionalDigest("frozen") }
        answeredRound = Int(try entry.integer("answered_round", in: 0...Int64(Int32.max)))
        ended = try entry.optionalString("ended")
        endedBy = try entry.speaker("ended_by")
        hadFalseGlobal = entry.has("had_false_global") ? try entry.bool("had_false_global") : false
        if entry.has("excluded") { excluded = try entry.optionalString("excluded") }
        // Noted since it is shown as long as it is so.
        if var reopening = try entry.optionalObject("reopened") {
            reopened = Reopening(
                round: Int(try reopening.integer("round", in: 1...Int64(Int32.max))),
                speaker: try reopening.speaker("signed_by"))
            try reopening.finish()
        }
        // Noted since servers are restored from backups in the middle of a round.
        if entry.has("trained_again_for") { trainedAgainFor = try entry.optionalDigest("trained_again_for") }
    }
}

extension ObjectReader {
    fileprivate mutating func entries<Element>(
        _ key: String, _ read: (inout ObjectReader) throws -> Element
    ) throws -> [Element] {
        try objects(key).map { object in
            var entry = object
            let element = try read(&entry)
            try entry.finish()
            return element
        }
    }

    /// Noted since a revoked key's word ends nothing for good.
    fileprivate mutating func speaker(_ key: String) throws -> Speaker {
        Speaker(text: has(key) ? try optionalString(key) : nil)
    }

    /// Noted since endings have a bound.
    fileprivate mutating func turn(_ key: String) throws -> Int64 { has(key) ? try integer(key) : 0 }

    fileprivate mutating func time(_ key: String) throws -> Timestamp {
        guard let time = Timestamp(rfc3339: try string(key)) else { throw problem(key, "must be a UTC time") }
        return time
    }

    fileprivate mutating func word<Word: RawRepresentable>(_ key: String) throws -> Word where Word.RawValue == String {
        guard let word = Word(rawValue: try string(key)) else { throw problem(key, "is not a known word") }
        return word
    }
}

extension JSONValue {
    fileprivate static func speaker(_ speaker: Speaker) -> JSONValue { speaker.text.map { .string($0) } ?? .null }
}

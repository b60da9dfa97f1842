import Client
import Federation
import Testing
import Wire

/// Numbers of decisions under several keys of the server: they go on across a rotation, and end with a key that is revoked.
@Suite struct ClientKeyTests {
    private let old = "SHA256:old"
    private let new = "SHA256:new"

    private func digest(_ number: UInt8) throws -> Digest {
        try #require(Digest(bytes: [UInt8](repeating: number, count: 32)))
    }

    private func session() throws -> RandomID { try #require(RandomID(hex: String(repeating: "a", count: 32))) }

    /// A hospital that has asked twice.
    private func asked() throws -> ClientState {
        var state = ClientState()
        for number in 1...2 {
            let request = TrainingRequest(wishes: try PlanWishes(["rounds": 5]), pictures: ["a": 10, "b": 10])
            state.sent(request: request, id: try digest(UInt8(number)), created: Timestamp(seconds: 1_800_000_000))
        }
        return state
    }

    @discardableResult
    private func take(
        _ state: inout ClientState, _ subject: Decision.Subject, _ about: UInt8, _ verdict: Decision.Verdict,
        _ number: Int64, by key: String
    ) throws -> [ClientNotice] {
        let decision = Decision(
            subject: subject, about: try digest(about), verdict: verdict,
            session: subject == .enrolment ? nil : try session())
        return state.apply(
            decision, sequence: number, server: try #require(PartyName("ministry")), signer: key,
            enrolment: try digest(50), asksConsent: true)
    }

    /// What an earlier version would have noted: the highest number about each thing, without its key.
    private func withoutKeys(_ state: ClientState) throws -> ClientState {
        guard case .object(var fields) = state.json, case .object(let decisions)? = fields["decisions"],
            case .array(let requests)? = fields["requests"], case .array(let sessions)? = fields["sessions"]
        else { throw JSONError("no state") }
        var highest: [String: Int64] = [:]
        for case (let entry, .integer(let number)) in decisions {
            let subject = entry.replacing(/\ SHA256:\w+$/, with: "")
            highest[subject] = max(highest[subject] ?? 0, number)
        }
        fields["decisions"] = .object(highest.mapValues { .integer($0) })
        fields["requests"] = .array(
            requests.map { request in
                guard case .object(var entry) = request else { return request }
                (entry["approved_by"], entry["ended_by"]) = (nil, nil)
                return .object(entry)
            })
        fields["sessions"] = .array(
            sessions.map { session in
                guard case .object(var entry) = session, case .object(var global)? = entry["global"] else {
                    return session
                }
                (entry["ended_by"], entry["had_false_global"], global["signed_by"]) = (nil, nil, nil)
                entry["global"] = .object(global)
                return .object(entry)
            })
        fields["over_by"] = nil
        let text = String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self)
        #expect(!text.contains("SHA256"))
        return try read(text)
    }

    private func read(_ text: String) throws -> ClientState {
        try ClientState(json: try StrictJSON.parse(Array(text.utf8), maximumBytes: 1 << 20), context: "test")
    }

    /// What the file keeps of it.
    private func written(_ state: ClientState) throws -> ClientState {
        let read = try read(String(decoding: StrictJSON.serialize(state.json), as: UTF8.self))
        #expect(read == state)
        return read
    }

    private func status(_ state: ClientState) -> [ClientState.RequestStatus] { state.requests.map(\.status) }

    /// With which request the hospital takes part once the session's first global is here.
    private func standing(_ state: ClientState) throws -> Digest? {
        var state = state
        try global(&state, by: "SHA256:key")
        let known = state.session(try session())
        return known?.roundToTrain == nil ? nil : known?.request
    }

    @discardableResult
    private func global(_ state: inout ClientState, by key: String, round: Int = 1, version: Int? = nil) throws
        -> [ClientNotice]
    {
        let plan = try PlanDefaults.plan(
            layers: [["rounds": 5]], architecture: "smallcnn", classes: ["a", "b"], imageSize: 64, context: "test")
        let report = RoundReport(
            phase: version == nil ? .running : .final, round: round, closed: round - 1,
            model: try digest(200 + UInt8(round)), base: nil,
            strategy: .fedAvg, participants: [], version: version)
        return state.apply(
            global: report, plan: plan, planDigest: try digest(9), session: try session(),
            bundle: try digest(220 + UInt8(round)),
            signer: key, hasBase: false, frozen: nil, created: Timestamp(seconds: 1_800_000_000),
            received: Timestamp(seconds: 1_800_000_000), own: try #require(PartyName("hospital-a")), asksConsent: true)
    }

    private func abort(_ state: inout ClientState, by key: String) throws {
        let told = state.apply(abort: Reason("said the thief"), session: try session(), signer: key)
        #expect(!told.isEmpty)
    }

    @Test("a decision that a rotation overtook brings nothing back, whatever noted the newer one")
    func rotation() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 3, by: old)
        try take(&state, .request, 1, .dropped, 5, by: new)
        var earlier = try withoutKeys(state)
        #expect(try take(&state, .request, 1, .approved, 4, by: old).isEmpty)
        #expect(try take(&earlier, .request, 1, .approved, 4, by: old).isEmpty)
        #expect(status(state) == [.rejected, .sent] && status(earlier) == [.rejected, .sent])
        #expect(try take(&state, .enrolment, 50, .approved, 7, by: new) != [])
        #expect(try take(&state, .enrolment, 50, .rejected, 6, by: old).isEmpty)
        #expect(state.enrolled == true)
    }

    @Test("a high number ends with the key that was stolen, and no other key's does", arguments: [false, true])
    func thief(wasNotedByAnEarlierVersion: Bool) throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 900_000, by: old)
        #expect(try take(&state, .request, 1, .dropped, 12, by: new).isEmpty)
        if wasNotedByAnEarlierVersion { state = try withoutKeys(state) }
        state.forgetNumbers(of: ["SHA256:another"], enrolment: nil)
        if !wasNotedByAnEarlierVersion {
            #expect(try take(&state, .request, 1, .dropped, 12, by: new).isEmpty)
        }
        state.forgetNumbers(of: [old], enrolment: nil)
        #expect(try !take(&state, .request, 1, .dropped, 12, by: new).isEmpty)
        state.forgetNumbers(of: [old], enrolment: nil)
        #expect(try take(&state, .request, 1, .approved, 11, by: new).isEmpty)
        #expect(status(state) == [.rejected, .sent])
    }

    @Test("a request that a thief approved under a high number does not stay the newest")
    func approval() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 900_000, by: old)
        state.forgetNumbers(of: [old], enrolment: nil)
        #expect(try standing(state) == digest(1))
        try take(&state, .request, 1, .dropped, 12, by: new)
        try take(&state, .request, 2, .approved, 13, by: new)
        #expect(try standing(state) == digest(2))
        state.forgetNumbers(of: [old], enrolment: nil)
        let read = try read(String(decoding: StrictJSON.serialize(state.json), as: UTF8.self))
        #expect(read == state)
        #expect(try standing(read) == digest(2))
    }

    @Test("what a revoked key approved keeps its order, before whatever a later key approves")
    func order() throws {
        for first: UInt8 in 1...2 {
            var state = try asked()
            try take(&state, .request, first, .approved, 3, by: old)
            try take(&state, .request, first, .dropped, 4, by: old)
            try take(&state, .request, 3 - first, .approved, 5, by: old)
            state.forgetNumbers(of: [old], enrolment: nil)
            #expect(try standing(state) == digest(3 - first))
            try take(&state, .request, 3 - first, .dropped, 6, by: new)
            #expect(try standing(state) == nil)
        }
        // Of two keys that are both revoked, the earlier one may have had the higher number.
        var state = try asked()
        try take(&state, .request, 1, .approved, 900_000, by: old)
        state.forgetNumbers(of: [old], enrolment: nil)
        try take(&state, .request, 1, .dropped, 12, by: new)
        try take(&state, .request, 2, .approved, 13, by: new)
        state.forgetNumbers(of: [old, new], enrolment: nil)
        #expect(try standing(state) == digest(2))
    }

    @Test("a number that an earlier version kept without its key puts no request before those of the next key")
    func unknownApprover() throws {
        var state = try asked()
        try take(&state, .withdrawal, 1, .withdrawn, 900_000, by: old)
        state.forgetNumbers(of: [old], enrolment: nil)
        try take(&state, .request, 2, .approved, 12, by: new)
        #expect(try standing(written(state)) == digest(2))

        var earlier = try asked()
        try take(&earlier, .request, 1, .approved, 900_000, by: old)
        try take(&earlier, .request, 1, .dropped, 900_001, by: old)
        earlier = try withoutKeys(earlier)
        earlier.forgetNumbers(of: [old], enrolment: nil)
        try take(&earlier, .request, 2, .approved, 12, by: new)
        #expect(try standing(written(earlier)) == digest(2))
    }

    /// Whose word an earlier version has noted is not known: it may be that of the key that is believed, and a late copy of
    /// something older must not undo it.
    @Test("what an unknown key ended or sent stays so when another one is revoked")
    func unknownSpeaker() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 3, by: new)
        try global(&state, by: new, round: 2)
        var ended = state
        try take(&ended, .request, 1, .dropped, 5, by: new)
        for (index, before) in [state, ended].enumerated() {
            var earlier = try withoutKeys(before)
            earlier.forgetNumbers(of: [old], enrolment: nil)
            let id = try session()
            let known = try #require(earlier.session(id))
            #expect(known.binding?.round == 2 && !known.isDisowned)
            try global(&earlier, by: new, round: 2)
            #expect(earlier.session(id)?.roundToTrain == (index == 0 ? 2 : nil))
        }
    }

    @Test("what a revoked key ended, the server's next word begins again")
    func ended() throws {
        for verdict in [Decision.Verdict.rejected, .dropped] {
            var state = try asked()
            try take(&state, .request, 1, verdict, 900_000, by: old)
            state.forgetNumbers(of: [old], enrolment: nil)
            #expect(status(state) == [.rejected, .sent])
            state = try written(state)
            #expect(try take(&state, .request, 1, .approved, 12, by: new) == [.requestApproved(try session())])
            #expect(try standing(state) == digest(1))
            // And what a key says that is believed stands.
            try take(&state, .request, 1, verdict, 13, by: new)
            state.forgetNumbers(of: [old], enrolment: nil)
            try take(&state, .request, 1, .approved, 12, by: new)
            #expect(try standing(written(state)) == nil)
        }
    }

    @Test("a session that a revoked key ended goes on with the same global, the next one, or another request")
    func goesOn() throws {
        var beginning = try asked()
        try take(&beginning, .request, 1, .approved, 3, by: old)
        for hasGlobal in [false, true] {
            var state = beginning
            if hasGlobal { try global(&state, by: old) }
            try abort(&state, by: old)
            var ended = state
            #expect(try standing(ended) == nil)
            state.forgetNumbers(of: [old], enrolment: nil)
            state = try written(state)
            for round in 1...2 {
                var state = state
                #expect(try global(&state, by: new, round: round).first == .sessionResumed(try session()))
                #expect(state.session(try session())?.roundToTrain == round)
                // Once more, by a key that is believed.
                try abort(&state, by: new)
                state.forgetNumbers(of: [old], enrolment: nil)
                try global(&state, by: new, round: 3)
                #expect(try written(state).session(try session())?.roundToTrain == nil)
            }
            try take(&state, .request, 1, .dropped, 12, by: new)
            try take(&state, .request, 2, .approved, 13, by: new)
            #expect(try standing(written(state)) == digest(2))
            ended.forgetNumbers(of: ["SHA256:another"], enrolment: nil)
            #expect(try standing(ended) == nil)
        }
    }

    @Test("a false last global, and what it offered, give way to the true ones")
    func falseGlobal() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 3, by: old)
        try global(&state, by: old)
        try global(&state, by: old, round: 5, version: 3)
        #expect(state.offers.map(\.status) == [.pending])
        state.forgetNumbers(of: [old], enrolment: nil)
        state = try written(state)
        #expect(try global(&state, by: new, round: 2).first == .sessionResumed(try session()))
        #expect(state.session(try session())?.roundToTrain == 2)
        #expect(state.session(try session())?.hadFalseGlobal == true)
        #expect(state.offers.map(\.status) == [.rejected])
        // Of two that are believed the older one changes nothing.
        let before = state
        try global(&state, by: new, round: 1)
        #expect(state == before)
        try global(&state, by: new, round: 3, version: 3)
        #expect(state.offers.map(\.status) == [.rejected, .pending])
        #expect(try written(state).session(try session())?.ended == "finished with version 3")
    }

    @Test("a session that a revoked key alone had taken this hospital into is left with the server's next word")
    func falseSession() throws {
        let other = try #require(RandomID(hex: String(repeating: "b", count: 32)))
        for verdict in [Decision.Verdict.rejected, .approved] {
            var state = try asked()
            try take(&state, .request, 1, .approved, 900_000, by: old)
            try global(&state, by: old)
            #expect(state.session(try session())?.roundToTrain == 1)
            state.forgetNumbers(of: [old], enrolment: nil)
            let decision = Decision(
                subject: .request, about: try digest(1), verdict: verdict,
                session: verdict == .approved ? other : nil)
            let told = state.apply(
                decision, sequence: 12, server: try #require(PartyName("ministry")), signer: new, enrolment: nil,
                asksConsent: true)
            #expect(told.contains { if case .sessionEnded(let id, _) = $0 { id != other } else { false } })
            #expect(try written(state).session(try session())?.roundToTrain == nil)
            #expect(state.requests[0].status == (verdict == .approved ? .approved : .rejected))
        }
    }

    @Test("a session that a revoked key ended before its first global needs no consent but the request")
    func consentAfterAFalseEnd() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, 3, by: old)
        try take(&state, .request, 1, .dropped, 900_000, by: old)
        try global(&state, by: old)
        #expect(state.session(try session())?.consent == .asked)
        state.forgetNumbers(of: [old], enrolment: nil)
        state = try written(state)
        let told = try global(&state, by: new)
        #expect(told == [.sessionResumed(try session())])
        #expect(state.session(try session())?.roundToTrain == 1)
    }

    @Test("each of several keys that are revoked one by one stays so, by the word of a key that is believed")
    func revoked() throws {
        var state = try asked()
        let keys = ["SHA256:first", "SHA256:second"]
        for key in keys { state.note(revoked: [key], by: new, reason: "stolen") }
        #expect(try written(state).revocations.map(\.key) == keys)
        state.note(revoked: keys, by: new, reason: "stolen")
        #expect(state.revocations.map(\.key) == keys)
    }

    @Test("what this hospital took back or stopped itself begins again by nobody's word")
    func ownEnd() throws {
        for verdict in [Decision.Verdict.withdrawn, .rejected] {
            var state = try asked()
            try take(&state, .request, 1, .approved, 3, by: old)
            try global(&state, by: old)
            state.withdrawing(request: try digest(1), bundle: try digest(70))
            try take(&state, verdict == .withdrawn ? .withdrawal : .request, 1, verdict, 900_000, by: old)
            state.forgetNumbers(of: [old], enrolment: nil)
            try take(&state, .request, 1, .approved, 12, by: new)
            try global(&state, by: new, round: 2)
            #expect(try written(state).session(try session())?.roundToTrain == nil)
            #expect(status(state) == [verdict == .withdrawn ? .withdrawn : .rejected, .sent])
        }
        var stopped = try asked()
        try take(&stopped, .request, 1, .approved, 3, by: old)
        try global(&stopped, by: old)
        _ = stopped.stop(session: try session())
        stopped.forgetNumbers(of: [old], enrolment: nil)
        try global(&stopped, by: new, round: 2)
        #expect(try written(stopped).session(try session())?.roundToTrain == nil)
    }

    @Test("nobody's refusal of the enrolment holds after the key that signed it is revoked; an approval does")
    func enrolment() throws {
        let enrolment = try digest(50)
        var refused = try asked()
        try take(&refused, .enrolment, 50, .approved, 3, by: old)
        try take(&refused, .enrolment, 50, .rejected, 900_000, by: old)
        var earlier = try withoutKeys(refused)
        for known in [refused, earlier] { #expect(known.enrolled == false) }
        refused.forgetNumbers(of: [old], enrolment: enrolment)
        earlier.forgetNumbers(of: [old], enrolment: enrolment)
        for known in [refused, earlier] { #expect(known.enrolled == nil && known.enrolmentReason.isEmpty) }
        #expect(try !take(&refused, .enrolment, 50, .rejected, 12, by: new).isEmpty)
        refused.forgetNumbers(of: [old], enrolment: enrolment)
        #expect(refused.enrolled == false)

        var approved = try asked()
        try take(&approved, .enrolment, 50, .approved, 3, by: old)
        approved.forgetNumbers(of: [old], enrolment: enrolment)
        #expect(approved.enrolled == true)
        var later = try asked()
        try take(&later, .enrolment, 50, .approved, 900_000, by: old)
        later.forgetNumbers(of: [old], enrolment: enrolment)
        try take(&later, .enrolment, 50, .rejected, 12, by: new)
        #expect(later.enrolled == false)
    }
}

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
            case .array(let requests)? = fields["requests"]
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
                entry["approved_by"] = nil
                return .object(entry)
            })
        let text = String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self)
        #expect(!text.contains("SHA256"))
        return try read(text)
    }

    private func read(_ text: String) throws -> ClientState {
        try ClientState(json: try StrictJSON.parse(Array(text.utf8), maximumBytes: 1 << 20), context: "test")
    }

    private func status(_ state: ClientState) -> [ClientState.RequestStatus] { state.requests.map(\.status) }

    /// With which request the hospital takes part once the session's first global is here.
    private func standing(_ state: ClientState) throws -> Digest? {
        var state = state
        let plan = try PlanDefaults.plan(
            layers: [["rounds": 5]], architecture: "smallcnn", classes: ["a", "b"], imageSize: 64, context: "test")
        let report = RoundReport(
            phase: .running, round: 1, closed: 0, model: try digest(201), base: nil, strategy: .fedAvg,
            participants: [], version: nil)
        _ = state.apply(
            global: report, plan: plan, planDigest: try digest(9), session: try session(), bundle: try digest(221),
            hasBase: false, created: Timestamp(seconds: 1_800_000_000), received: Timestamp(seconds: 1_800_000_000),
            own: try #require(PartyName("hospital-a")), asksConsent: true)
        let known = state.session(try session())
        return known?.roundToTrain == nil ? nil : known?.request
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

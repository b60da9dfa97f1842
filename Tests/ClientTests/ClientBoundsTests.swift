import Client
import Federation
import Testing
import Wire

/// Whoever has the server's key says things without end: what is remembered of them has an end.
@Suite struct ClientBoundsTests {
    private let thief = "SHA256:thief"
    private let server = "SHA256:server"

    private func digest(_ number: Int) throws -> Digest {
        let bytes = (0..<32).map { UInt8(truncatingIfNeeded: $0 < 8 ? number >> (8 * $0) : 7) }
        return try #require(Digest(bytes: bytes))
    }

    private func session(_ number: Int) throws -> RandomID {
        let digits = String(number)
        return try #require(RandomID(hex: String(repeating: "0", count: 32 - digits.count) + digits))
    }

    private func asked(_ count: Int = 1) throws -> ClientState {
        var state = ClientState()
        for number in 1...count {
            let request = TrainingRequest(wishes: try PlanWishes(["rounds": 5]), pictures: ["a": 10, "b": 10])
            state.sent(request: request, id: try digest(number), created: Timestamp(seconds: 1_800_000_000))
        }
        return state
    }

    @discardableResult
    private func take(
        _ state: inout ClientState, _ subject: Decision.Subject, _ about: Int, _ verdict: Decision.Verdict,
        in place: Int?,
        _ number: Int64, by key: String
    ) throws -> [ClientNotice] {
        let decision = Decision(
            subject: subject, about: try digest(about), verdict: verdict, session: try place.map(session))
        return state.apply(
            decision, sequence: number, server: try #require(PartyName("ministry")), signer: key,
            enrolment: try digest(50), asksConsent: true)
    }

    private func abort(_ state: inout ClientState, _ number: Int, by key: String) throws {
        _ = state.apply(
            abort: Reason(String(repeating: "\"", count: 2000)), session: try session(number), signer: key)
    }

    private func entries(_ name: String, of state: ClientState) throws -> Set<String> {
        guard case .object(let fields) = state.json, case .object(let entries)? = fields[name] else {
            throw JSONError("no state")
        }
        return Set(entries.keys)
    }

    /// What the file keeps of it.
    private func written(_ state: ClientState) throws -> ClientState {
        let text = StrictJSON.serialize(state.json)
        let read = try ClientState(json: try StrictJSON.parse(text, maximumBytes: 64 << 20), context: "test")
        #expect(read == state)
        return read
    }

    @Test("sessions that ended before they began: the newest are remembered, and those of own requests")
    func endings() throws {
        var state = try asked()
        try take(&state, .request, 1, .approved, in: 1, 3, by: server)
        try abort(&state, 1, by: server)
        for number in 2...1000 { try abort(&state, number, by: thief) }
        let kept = try entries("over", of: state)
        #expect(kept.count == ClientState.endingsKept + 1)
        #expect(try [1, 1000].allSatisfy { kept.contains(try session($0).hex) })
        #expect(try !kept.contains(session(500).hex))
        // Said once more, nothing is newer for it.
        let before = state
        try abort(&state, 1000, by: thief)
        #expect(state == before)
        state = try written(state)
        #expect(state.requests.map(\.status) == [.rejected])
        // The server's own word is not pushed out by what a revoked key has said.
        state.forgetNumbers(of: [thief], enrolment: nil)
        for number in 2001...2150 { try abort(&state, number, by: server) }
        for number in 3001...3150 { try abort(&state, number, by: "SHA256:second") }
        let later = try entries("over", of: state)
        #expect(later.count == ClientState.endingsKept + 1)
        #expect(try (2101...2150).allSatisfy { later.contains(try session($0).hex) })
        #expect(StrictJSON.serialize(try written(state).json).count < 2 << 20)
    }

    @Test("numbers of decisions: those about what this hospital has sent stay")
    func decisions() throws {
        var state = try asked()
        try take(&state, .enrolment, 50, .approved, in: nil, 2, by: server)
        try take(&state, .request, 1, .approved, in: 1, 3, by: server)
        for number in 1...2500 {
            try take(&state, .request, 1000 + number, .rejected, in: number, Int64(100 + number), by: thief)
        }
        #expect(try entries("decisions", of: state).count <= ClientState.decisionsKept)
        state = try written(state)
        #expect(try take(&state, .enrolment, 50, .rejected, in: nil, 1, by: server).isEmpty)
        #expect(try take(&state, .request, 1, .dropped, in: 1, 2, by: server).isEmpty)
        #expect(try take(&state, .request, 1, .dropped, in: 1, 4, by: server) != [])
        // Nor do those about a request of its own grow without end.
        for number in 1...2500 {
            try take(&state, .request, 1, .approved, in: number, Int64(10_000 + number), by: thief)
        }
        #expect(try entries("decisions", of: state).count <= ClientState.decisionsKept)
    }

    @Test("words about own keys: of each key those of so many of the server's, short ones; a revoked key's go first")
    func revocations() throws {
        var state = ClientState()
        let own = ["SHA256:first", "SHA256:second"]
        let text = String(repeating: "x", count: 100_000)
        state.note(revoked: own, by: thief, reason: text)
        state.note(revoked: own, by: server, reason: "stolen")
        for number in 1...500 {
            state.note(revoked: own, by: "SHA256:\(number)", reason: text, gone: [thief])
            state.note(revoked: [own[0]], by: server, reason: "stolen", gone: [thief])
        }
        state = try written(state)
        #expect(state.revocations.count == own.count * ClientState.revocationsKept)
        #expect(state.revocations.contains { $0.key == own[0] && $0.reason == "stolen" })
        #expect(StrictJSON.serialize(state.json).count < 100_000)
        var few = ClientState()
        few.note(revoked: own, by: server, reason: "stolen")
        for number in 1...20 {
            let signer = "SHA256:\(number)"
            few.note(revoked: own, by: signer, reason: "", gone: [signer, "SHA256:\(number - 1)"])
        }
        #expect(
            try own.allSatisfy { key in
                try written(few).revocations.contains { $0.key == key && $0.reason == "stolen" }
            })
    }
}

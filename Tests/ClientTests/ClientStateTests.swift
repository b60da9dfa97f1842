import Client
import Federation
import Testing
import Wire

/// The rules of ``ClientState``, one test or more for each.
@Suite struct ClientStateTests {
    let own = PartyName("hospital-a")
    let server = PartyName("ministry")
    let now = Timestamp(seconds: 1_800_000_000)

    private func digest(_ number: UInt8) throws -> Digest {
        try #require(Digest(bytes: [UInt8](repeating: number, count: 32)))
    }

    private func session(_ digit: Character = "a") throws -> RandomID {
        try #require(RandomID(hex: String(repeating: digit, count: 32)))
    }

    private func plan(_ changes: [String: JSONValue] = [:]) throws -> Plan {
        try PlanDefaults.plan(
            layers: [.object(changes)], architecture: "smallcnn", classes: ["a", "b"], imageSize: 64, context: "test")
    }

    /// A state with one request, for five rounds.
    private func requested() throws -> ClientState {
        var state = ClientState()
        let wishes = try PlanWishes(["rounds": 5])
        state.sent(
            request: TrainingRequest(wishes: wishes, pictures: ["a": 10, "b": 10]), id: try digest(1), created: now)
        return state
    }

    private func approve(_ state: inout ClientState, sequence: Int64 = 1) throws -> [ClientNotice] {
        let decision = Decision(
            subject: .request, about: try digest(1), verdict: .approved, session: try session())
        return state.apply(
            decision, sequence: sequence, server: try #require(server), signer: "SHA256:key", enrolment: nil,
            asksConsent: true)
    }

    private func global(
        _ state: inout ClientState, round: Int, plan: Plan, bundle: UInt8, isFinal: Bool = false, version: Int? = nil,
        model: UInt8? = nil, isWayBack: Bool = false
    ) throws -> [ClientNotice] {
        let report = RoundReport(
            phase: isFinal ? .final : .running, round: round, closed: round - 1,
            model: try digest(model ?? UInt8(100 + round)), base: nil, strategy: .fedAvg, participants: [],
            version: version)
        return state.apply(
            global: report, plan: plan, planDigest: try digest(9), session: try session(), bundle: try digest(bundle),
            signer: "SHA256:key", hasBase: false, frozen: nil, created: now, received: now, own: try #require(own),
            asksConsent: true, isWayBack: isWayBack
        )
    }

    /// It stops early, in a round that this hospital has seen another end of.
    @Test("a server that went back finishes the session in an earlier round")
    func finishedOnTheWayBack() throws {
        var state = try requested()
        _ = try approve(&state)
        let plan = try plan(["rounds": 5])
        for round in 1...3 { _ = try global(&state, round: round, plan: plan, bundle: UInt8(20 + round)) }
        let told = try global(
            &state, round: 2, plan: plan, bundle: 30, isFinal: true, version: 4, model: 90, isWayBack: true)
        #expect(state.session(try session())?.ended == "finished with version 4")
        #expect(state.offers.map(\.version) == [4])
        #expect(!told.contains { if case .wentBack = $0 { true } else { false } })
    }

    @Test("a plan that is what was asked for is trained; the same global twice changes nothing")
    func wantedPlan() throws {
        var state = try requested()
        _ = try approve(&state)
        let plan = try plan(["rounds": 5])
        _ = try global(&state, round: 1, plan: plan, bundle: 20)
        #expect(state.session(try session())?.roundToTrain == 1)
        let before = state
        #expect(try global(&state, round: 1, plan: plan, bundle: 20).isEmpty)
        #expect(state == before)
    }

    @Test("a plan that differs from the request waits for the hospital, and says in what")
    func otherPlan() throws {
        var state = try requested()
        _ = try approve(&state)
        let notices = try global(&state, round: 1, plan: try plan(["rounds": 9]), bundle: 20)
        let opened = try #require(state.session(try session()))
        #expect(opened.roundToTrain == nil)
        #expect(opened.consent == .asked)
        #expect(notices.contains(.planWaits(opened)))
        #expect(state.differences(of: opened) == ["rounds: asked for 5, the plan says 9"])
    }

    @Test("without a request nothing trains, whatever the server sends first")
    func noRequest() throws {
        var state = ClientState()
        _ = try global(&state, round: 1, plan: try plan(), bundle: 20)
        #expect(state.session(try session())?.roundToTrain == nil)
        #expect(state.session(try session())?.consent == .asked)

        // A final global first, then a running one: still nobody was asked.
        var bypassed = ClientState()
        _ = try global(&bypassed, round: 1, plan: try plan(), bundle: 20, isFinal: true)
        _ = try global(&bypassed, round: 2, plan: try plan(), bundle: 21)
        #expect(bypassed.session(try session())?.roundToTrain == nil)
        #expect(bypassed.session(try session())?.ended != nil)
    }

    @Test("a request that was taken back is not trained, even if the server approves it afterwards")
    func withdrawn() throws {
        var state = try requested()
        state.withdrawing(request: try digest(1), bundle: try digest(50))
        _ = try approve(&state)
        #expect(state.request(try digest(1))?.status == .withdrawing)
        _ = try global(&state, round: 1, plan: try plan(["rounds": 5]), bundle: 20)
        #expect(state.session(try session())?.roundToTrain == nil)
        #expect(state.session(try session())?.ended == "withdrawn")
    }

    @Test("globals in any order: an older one never replaces a newer one")
    func order() throws {
        var state = try requested()
        _ = try approve(&state)
        let plan = try plan(["rounds": 5])
        _ = try global(&state, round: 3, plan: plan, bundle: 23)
        _ = try global(&state, round: 2, plan: plan, bundle: 22)
        #expect(state.session(try session())?.global.round == 3)
        #expect(state.session(try session())?.roundToTrain == 3)
    }

    @Test("a global that is issued again for the same round takes the place of a bundle that may be lost")
    func reissued() throws {
        var state = try requested()
        _ = try approve(&state)
        let plan = try plan(["rounds": 5])
        _ = try global(&state, round: 1, plan: plan, bundle: 20)
        _ = try global(&state, round: 1, plan: plan, bundle: 30)
        #expect(try state.session(try session())?.global.bundle == digest(30))
    }

    @Test("the final global ends the session and offers its version once")
    func final() throws {
        var state = try requested()
        _ = try approve(&state)
        let plan = try plan(["rounds": 5])
        _ = try global(&state, round: 5, plan: plan, bundle: 25)
        _ = try global(&state, round: 6, plan: plan, bundle: 26, isFinal: true, version: 1)
        #expect(state.offers.map(\.version) == [1])
        #expect(state.session(try session())?.ended == "finished with version 1")
        #expect(state.session(try session())?.roundToTrain == nil)
        _ = try global(&state, round: 6, plan: plan, bundle: 26, isFinal: true, version: 1)
        #expect(state.offers.count == 1)
    }

    @Test("the end of a session may come before its approval and before its global; a new request leads back into it")
    func endBeforeBeginning() throws {
        let party = try #require(server)
        let dropped = Decision(
            subject: .request, about: try digest(1), verdict: .dropped, reason: "broken", session: try session())
        let reason = "the server dropped this hospital: broken"
        var state = try requested()
        #expect(
            state.apply(dropped, sequence: 7, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
                == [
                    .requestRejected(reason)
                ])
        #expect(try approve(&state, sequence: 5).isEmpty)
        #expect(state.requests[0].status == .rejected && state.openRequests.isEmpty)

        state = try requested()
        _ = try approve(&state, sequence: 5)
        let told = state.apply(abort: Reason("wrong labels"), session: try session(), signer: "SHA256:key")
        #expect(told == [.sessionEnded(try session(), reason: "aborted by the server: wrong labels")])
        #expect(state.requests[0].status == .rejected)
        let plan = try plan(["rounds": 5])
        _ = try global(&state, round: 1, plan: plan, bundle: 20)
        #expect(state.session(try session())?.roundToTrain == nil)

        state = try requested()
        _ = try approve(&state)
        _ = try global(&state, round: 2, plan: plan, bundle: 20)
        _ = state.apply(dropped, sequence: 7, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        #expect(state.session(try session())?.roundToTrain == nil)
        state.sent(
            request: TrainingRequest(wishes: try PlanWishes([:]), pictures: ["a": 10]), id: try digest(2), created: now)
        let again = Decision(subject: .request, about: try digest(2), verdict: .approved, session: try session())
        let taken = state.apply(
            again, sequence: 9, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        #expect(taken == [.requestApproved(try session()), .sessionResumed(try session())])
        #expect(state.session(try session())?.roundToTrain == 2)
        #expect(state.session(try session())?.request == (try digest(2)))
        let withdrawn = Decision(
            subject: .withdrawal, about: try digest(8), verdict: .withdrawn, session: try session())
        _ = state.apply(withdrawn, sequence: 6, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        #expect(state.session(try session())?.roundToTrain == 2)
        // What the server had said of the first request, overtaken on the way, ends nothing any more.
        #expect(
            state.apply(dropped, sequence: 8, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
                .isEmpty)
        #expect(state.session(try session())?.roundToTrain == 2)
    }

    @Test("of decisions about one subject the highest number wins, in whatever order they come")
    func decisions() throws {
        let dropped = Decision(
            subject: .request, about: try digest(1), verdict: .dropped, reason: "broken", session: try session())
        let party = try #require(server)
        var state = try requested()
        _ = try approve(&state)
        _ = try global(&state, round: 1, plan: try plan(["rounds": 5]), bundle: 20)
        #expect(
            !state.apply(dropped, sequence: 7, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
                .isEmpty)
        let after = state
        #expect(try approve(&state, sequence: 3).isEmpty)
        #expect(state == after)
        #expect(state.session(try session())?.ended == "the server dropped this hospital: broken")
    }

    @Test("a decision about another enrolment in this hospital's name says nothing about this hospital")
    func foreignEnrolment() throws {
        var state = ClientState()
        let rejected = Decision(subject: .enrolment, about: try digest(5), verdict: .rejected)
        let party = try #require(server)
        #expect(
            state.apply(
                rejected, sequence: 1, server: party, signer: "SHA256:key", enrolment: try digest(6), asksConsent: true
            ).isEmpty)
        #expect(state.enrolled == nil)
        #expect(
            !state.apply(
                rejected, sequence: 1, server: party, signer: "SHA256:key", enrolment: try digest(5), asksConsent: true
            ).isEmpty)
        #expect(state.enrolled == false)
    }

    @Test("whom the server lets train is enrolled, though its answer is lost", arguments: [true, false])
    func impliedEnrolment(byDecision: Bool) throws {
        var state = try requested()
        if byDecision {
            _ = try approve(&state)
        } else {
            _ = try global(&state, round: 1, plan: try plan(["rounds": 5]), bundle: 20)
        }
        #expect(state.enrolled == true)
        // What the server says of the enrolment itself counts for more.
        let party = try #require(server)
        let rejected = Decision(subject: .enrolment, about: try digest(5), verdict: .rejected)
        _ = state.apply(
            rejected, sequence: 9, server: party, signer: "SHA256:key", enrolment: try digest(5), asksConsent: true)
        _ = try global(&state, round: 2, plan: try plan(["rounds": 5]), bundle: 21)
        #expect(state.enrolled == false)
    }

    @Test("a rejected request says nothing of the enrolment")
    func rejectedRequest() throws {
        var state = try requested()
        let rejected = Decision(subject: .request, about: try digest(1), verdict: .rejected)
        _ = state.apply(
            rejected, sequence: 1, server: try #require(server), signer: "SHA256:key", enrolment: nil, asksConsent: true
        )
        #expect(state.enrolled == nil)
    }

    @Test("an abort ends a session once")
    func abort() throws {
        var state = try requested()
        _ = try approve(&state)
        _ = try global(&state, round: 1, plan: try plan(["rounds": 5]), bundle: 20)
        #expect(state.apply(abort: Reason("wrong labels"), session: try session(), signer: "SHA256:key").count == 1)
        #expect(state.apply(abort: Reason("wrong labels"), session: try session(), signer: "SHA256:key").isEmpty)
        #expect(state.session(try session())?.ended == "aborted by the server: wrong labels")
    }

    @Test("the state survives its own file form, and a damaged form is refused")
    func encoding() throws {
        var state = try requested()
        _ = try approve(&state)
        _ = try global(&state, round: 5, plan: try plan(["rounds": 5]), bundle: 25)
        _ = try global(&state, round: 6, plan: try plan(["rounds": 5]), bundle: 26, isFinal: true, version: 1)
        let json = state.json
        let read = try ClientState(json: json, context: "state.json") == state
        #expect(read)
        guard case .object(var fields) = json else { return }
        fields["sessions"] = nil
        #expect(throws: JSONError.self) { try ClientState(json: .object(fields), context: "state.json") }
        fields["sessions"] = []
        fields["surprise"] = true
        #expect(throws: JSONError.self) { try ClientState(json: .object(fields), context: "state.json") }
    }

    @Test("a state of the version before, where a session alone knew that it was left and entered again, is understood")
    func earlierVersion() throws {
        let party = try #require(server)
        var state = try requested()
        _ = try approve(&state)
        _ = try global(&state, round: 1, plan: try plan(["rounds": 5]), bundle: 20)
        let dropped = Decision(subject: .request, about: try digest(1), verdict: .dropped, session: try session())
        _ = state.apply(dropped, sequence: 2, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        state.sent(
            request: TrainingRequest(wishes: try PlanWishes(["rounds": 5]), pictures: ["a": 10]), id: try digest(2),
            created: now)
        let again = Decision(subject: .request, about: try digest(2), verdict: .approved, session: try session())
        _ = state.apply(again, sequence: 3, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        // As it was written: both approved, without numbers, and the drop of another session's request in `over`.
        guard case .object(var fields) = state.json, case .array(let requests) = fields["requests"] else { return }
        fields["requests"] = .array(
            requests.map { request in
                guard case .object(var entry) = request else { return request }
                (entry["approval"], entry["withdrawal"]) = (nil, nil)
                (entry["status"], entry["reason"]) = ("approved", "")
                return .object(entry)
            })
        let other = try session("b")
        fields["over"] = .object([other.hex: "the server dropped this hospital"])
        var read = try ClientState(json: .object(fields), context: "state.json")
        #expect(read.replacement(of: read.requests[0])?.id == read.requests[1].id)
        #expect(read.replacement(of: read.requests[1]) == nil)
        #expect(try read.openRequests.map(\.id) == [digest(2)])
        #expect(read.session(try session())?.roundToTrain == 1)
        read.withdrawing(request: try digest(2), bundle: try digest(50))
        #expect(read.session(try session())?.ended == "withdrawn")
        read.sent(
            request: TrainingRequest(wishes: try PlanWishes(["rounds": 5]), pictures: ["a": 10]), id: try digest(3),
            created: now)
        let third = Decision(subject: .request, about: try digest(3), verdict: .approved, session: other)
        let taken = read.apply(
            third, sequence: 4, server: party, signer: "SHA256:key", enrolment: nil, asksConsent: true)
        #expect(taken == [.requestApproved(other)])
    }
}

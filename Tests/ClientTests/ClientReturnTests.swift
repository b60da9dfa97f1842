import Client
import Federation
import Testing
import Wire

/// A hospital that leaves a session, or is dropped from it, and comes back with a new request: what it does at the end does not
/// depend on the order in which the server's bundles arrive.
@Suite struct ClientReturnTests {
    private let session = RandomID(hex: String(repeating: "a", count: 32))
    private let own = PartyName("hospital-a")
    private let server = PartyName("ministry")
    private let now = Timestamp(seconds: 1_800_000_000)

    /// What arrives, or what the hospital does itself.
    enum Event: Hashable {
        case approval(UInt8, Int64)
        case drop(UInt8, Int64)
        /// The answer to a withdrawal, by the number of the request that was taken back.
        case withdrawal(UInt8, Int64)
        case exclusion(UInt8, Int64)
        case readmission(UInt8, Int64)
        case global(Int)
        case abort
    }

    private func digest(_ number: UInt8) throws -> Digest {
        try #require(Digest(bytes: [UInt8](repeating: number, count: 32)))
    }

    /// What the hospital does in the end.
    struct Outcome: Equatable {
        let requests: [String]
        let request: Digest?
        let ended: String?
        let consent: ClientSession.Consent?
        let toTrain: Int?
        let open: Int
    }

    /// Two requests are sent; the first one is taken back before anything arrives where its withdrawal is answered.
    private func outcome(_ events: [Event], wishes: [Int] = [5, 5], planned: Int = 5) throws -> Outcome {
        let session = try #require(session)
        let plan = try PlanDefaults.plan(
            layers: [.object(["rounds": .integer(Int64(planned))])], architecture: "smallcnn", classes: ["a", "b"],
            imageSize: 64, context: "test")
        var state = ClientState()
        for (index, rounds) in wishes.enumerated() {
            let request = TrainingRequest(
                wishes: try PlanWishes(["rounds": .integer(Int64(rounds))]), pictures: ["a": 10, "b": 10])
            state.sent(request: request, id: try digest(UInt8(index + 1)), created: now)
        }
        for case .withdrawal(let request, _) in events {
            state.withdrawing(request: try digest(request), bundle: try digest(100 + request))
        }
        var held: [Int] = []
        for event in events {
            switch event {
            case .approval(let request, let number):
                try apply(&state, .request, request, .approved, number)
            case .drop(let request, let number):
                try apply(&state, .request, request, .dropped, number)
            case .withdrawal(let request, let number):
                try apply(&state, .withdrawal, 100 + request, .withdrawn, number)
            case .exclusion(let request, let number):
                try apply(&state, .session, request, .excluded, number)
            case .readmission(let request, let number):
                try apply(&state, .session, request, .readmitted, number)
            case .abort: _ = state.apply(abort: Reason("wrong labels"), session: session, signer: "SHA256:key")
            case .global(let round): held.append(round)
            }
            // As the run does: nothing is taken of a session that no decision has named.
            guard state.session(session) != nil || state.requests.contains(where: { $0.session == session }) else {
                continue
            }
            for round in held {
                let report = RoundReport(
                    phase: .running, round: round, closed: round - 1, model: try digest(UInt8(200 + round)), base: nil,
                    strategy: .fedAvg, participants: [], version: nil)
                _ = state.apply(
                    global: report, plan: plan, planDigest: try digest(9), session: session,
                    bundle: try digest(UInt8(220 + round)), signer: "SHA256:key", hasBase: false, frozen: nil,
                    created: now,
                    received: now,
                    own: try #require(own), asksConsent: true)
            }
            held = []
        }
        let known = state.session(session)
        return Outcome(
            requests: state.requests.map { "\($0.status.rawValue) \($0.reason)" }, request: known?.request,
            ended: known?.ended, consent: known?.consent, toTrain: known?.roundToTrain,
            open: state.openRequests.count)
    }

    private func apply(
        _ state: inout ClientState, _ subject: Decision.Subject, _ about: UInt8, _ verdict: Decision.Verdict,
        _ number: Int64
    ) throws {
        let decision = Decision(subject: subject, about: try digest(about), verdict: verdict, session: session)
        _ = state.apply(
            decision, sequence: number, server: try #require(server), signer: "SHA256:key", enrolment: nil,
            asksConsent: true)
    }

    private static func orders(_ events: [Event]) -> [[Event]] {
        guard events.count > 1 else { return [events] }
        return events.indices.flatMap { index in
            var rest = events
            let first = rest.remove(at: index)
            return orders(rest).map { [first] + $0 }
        }
    }

    private static let dropped = "the server dropped this hospital"

    @Test(
        "in every order of arrival it trains the newest round for its new request",
        arguments: [
            [.approval(1, 1), .global(1), .drop(1, 2), .approval(2, 3), .global(2)],
            [.approval(1, 1), .drop(1, 2), .approval(2, 3), .global(1)],
            [.approval(1, 1), .global(1), .withdrawal(1, 2), .approval(2, 3), .global(2)],
            [.approval(1, 1), .withdrawal(1, 2), .approval(2, 3), .global(3)],
        ] as [[Event]])
    func comesBack(_ events: [Event]) throws {
        let first = try outcome(events)
        #expect(first.ended == nil && first.consent == .granted && first.open == 1)
        #expect(try first.request == digest(2))
        #expect(first.toTrain != nil)
        for order in Self.orders(events) { #expect(try outcome(order) == first, "\(order)") }
    }

    @Test("the request that was approved last counts, whichever was made first")
    func laterMadeFirstApproved() throws {
        let events: [Event] = [.approval(2, 1), .drop(2, 2), .approval(1, 3), .global(1)]
        for order in Self.orders(events) {
            let outcome = try outcome(order)
            #expect(try outcome.request == digest(1) && outcome.toTrain == 1, "\(order)")
            #expect(outcome.requests == ["approved ", "rejected \(Self.dropped)"], "\(order)")
        }
        for order in Self.orders(events + [.drop(1, 4)]) {
            let outcome = try outcome(order)
            #expect(outcome.toTrain == nil && outcome.ended == Self.dropped && outcome.open == 0, "\(order)")
        }
    }

    @Test("a plan that is not what the new request asks for waits for the hospital, though the old one's was granted")
    func otherWishes() throws {
        let events: [Event] = [.approval(1, 1), .global(1), .drop(1, 2), .approval(2, 3)]
        for order in Self.orders(events) {
            let outcome = try outcome(order, wishes: [5, 7])
            #expect(outcome.consent == .asked && outcome.toTrain == nil && outcome.ended == nil, "\(order)")
        }
        for order in Self.orders(events) {
            #expect(try outcome(order, wishes: [7, 5]).toTrain == 1, "\(order)")
        }
    }

    @Test("whoever takes back the newest request trains no more for one before it, though its end is not heard of")
    func noWayBackToAnOlderRequest() throws {
        // Its own withdrawal of the second request comes before all; the drop of the first one is lost.
        for order in Self.orders([.approval(1, 1), .global(1), .approval(2, 3), .withdrawal(2, 4)]) {
            // Before its approval is here, nobody knows that the second one has taken the first one's place.
            guard order.last != .approval(2, 3) || order.first == .approval(2, 3) else { continue }
            let outcome = try outcome(order)
            #expect(outcome.toTrain == nil && outcome.ended == "withdrawn" && outcome.open == 0, "\(order)")
        }
        for order in Self.orders([.approval(1, 1), .global(1), .approval(2, 3), .drop(2, 4)]) {
            let outcome = try outcome(order)
            #expect(outcome.toTrain == nil && outcome.ended == Self.dropped && outcome.open == 0, "\(order)")
        }
    }

    @Test("decisions that a server sends again after it has forgotten them bring no old request back")
    func decisionsSentAgain() throws {
        let events: [Event] = [.approval(1, 1), .global(1), .drop(1, 2), .approval(2, 3)]
        let again: [Event] = [.approval(1, 10), .drop(1, 11), .approval(2, 12)]
        for order in Self.orders(again) {
            for count in 1...3 {
                let outcome = try outcome(events + order.prefix(count))
                #expect(try outcome.request == digest(2) && outcome.toTrain == 1, "\(order.prefix(count))")
            }
        }
    }

    @Test("nor do they end what goes on, where those about the old request were lost before")
    func decisionsSentAgainThatWereLost() throws {
        for order in Self.orders([.approval(1, 10), .drop(1, 11), .approval(2, 12)]) {
            let outcome = try outcome([.approval(2, 3), .global(1)] + order)
            #expect(try outcome.request == digest(2) && outcome.ended == nil && outcome.toTrain == 1, "\(order)")
            #expect(outcome.requests == ["rejected \(Self.dropped)", "approved "], "\(order)")
        }
    }

    @Test("a drop that comes alone, of a request that was approved after the one that is known here, ends the session")
    func lastDropAlone() throws {
        // The drop of the second request and the approval of the first are overtaken, and not said again.
        let outcome = try outcome([.approval(2, 1), .global(1), .drop(1, 12)])
        #expect(outcome.toTrain == nil && outcome.ended == Self.dropped && outcome.open == 0)
    }

    @Test("to be excluded and readmitted hides no approval, whichever comes first")
    func readmitted() throws {
        for order in Self.orders([.approval(1, 1), .global(1), .exclusion(1, 2), .readmission(1, 3)]) {
            #expect(try outcome(order).toTrain == 1, "\(order)")
        }
    }

    @Test("an abort is the end for all: no request leads back")
    func abort() throws {
        for order in Self.orders([.approval(1, 1), .drop(1, 2), .approval(2, 3), .global(1), .abort]) {
            let outcome = try outcome(order)
            #expect(outcome.toTrain == nil && outcome.open == 0, "\(order)")
            #expect(outcome.ended == "aborted by the server: wrong labels", "\(order)")
        }
    }
}

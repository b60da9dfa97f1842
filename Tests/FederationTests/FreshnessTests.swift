import Federation
import Testing
import Wire

@Suite struct FreshnessTests {
    private func envelope(
        round: Int = 1, session: RandomID? = nil, base: Digest? = nil, from: String = "a"
    ) throws -> Envelope {
        Envelope(session: session ?? identifier(1), round: round, sender: try party(from), base: base)
    }

    @Test func anUpdateMatchesARoundAndItsBase() throws {
        var session = try running(["a", "b"], ["rounds": 3])
        let first = try digest("model 0")
        let second = try digest("model 1")
        func judge(_ round: Int, _ base: Digest?, from: String = "a") throws -> Verdict {
            Freshness.judge(update: try envelope(round: round, base: base, from: from), session: session)
        }
        #expect(try judge(1, first) == .accept)
        #expect(try judge(1, second) == .reject(.wrongBase))
        #expect(try judge(1, nil) == .reject(.wrongBase))
        #expect(try judge(2, second) == .hold(.roundNotOpenYet))
        #expect(try judge(0, first) == .reject(.replay))
        #expect(try judge(1, first, from: "stranger") == .reject(.unknownSession))
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(1))
        session.take(.aggregated(round: 1, model: second), day(1))
        // Late: the session's late policy decides. Of another model line: never.
        #expect(try judge(1, first) == .accept)
        #expect(try judge(1, second) == .reject(.closedRound))
        #expect(try judge(2, second) == .accept)
        session.take(.abort(reason: ""), day(1))
        #expect(try judge(2, second) == .reject(.sessionOver))
        #expect(Freshness.judge(update: try envelope(base: first), session: nil) == .reject(.unknownSession))
        let outside = try envelope(session: RandomID.none, base: first)
        #expect(Freshness.judge(update: outside, session: session) == .reject(.replay))
    }

    @Test func aGlobalIsNewerThanTheLastOneTaken() throws {
        let mine = try digest("model 2")
        let other = try digest("model other")
        func judge(
            _ round: Int, _ model: Digest, taken: Int? = 3, expected: Bool = true, over: Bool = false
        ) throws -> Verdict {
            Freshness.judge(
                global: try envelope(round: round), model: model, taken: taken.map { ($0, mine) },
                isExpected: expected, isOver: over)
        }
        #expect(try judge(1, other, taken: nil) == .accept)
        #expect(try judge(9, other) == .accept)
        #expect(try judge(2, other) == .reject(.rollback))
        #expect(try judge(3, mine) == .accept)
        #expect(try judge(3, other) == .reject(.conflictingGlobal))
        #expect(try judge(0, other) == .reject(.replay))
        #expect(try judge(9, other, expected: false) == .hold(.unknownSessionYet))
        #expect(try judge(9, other, over: true) == .reject(.sessionOver))
    }

    @Test func silenceIsNoticedPastTheDeadline() throws {
        let plan = try plan(["deadline": "14d"])
        #expect(!Freshness.isSilent(lastGlobal: day(0), plan: plan, now: day(15)))
        #expect(Freshness.isSilent(lastGlobal: day(0), plan: plan, now: day(16)))
    }
}

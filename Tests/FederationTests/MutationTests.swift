import Federation
import Testing
import Wire

/// Every field of every message, at every depth, with values that no field may have.
@Suite struct MutationTests {
    static let wrong: [JSONValue] = [[1], ["x": "y"], "\u{7}", -1, 1e300]

    /// The value with one thing changed, for each thing in it.
    private func mutations(of value: JSONValue) -> [JSONValue] {
        switch value {
        case .object(let fields):
            let changed = fields.flatMap { key, inner in
                // Its keys are class names: any will do.
                if key == "pictures", case .object = inner {
                    return Self.wrong.map { JSONValue.object(fields.merging([key: $0]) { $1 }) }
                }
                // A score may be negative; every other number of a message counts or measures.
                let wrong = Self.wrong.filter { $0 != inner && (key != "value" || $0 != -1) }
                return (wrong + mutations(of: inner)).map { JSONValue.object(fields.merging([key: $0]) { $1 }) }
            }
            return changed + [.object(fields.merging(["surprise": 1]) { $1 })]
        case .array(let elements):
            guard let first = elements.first else { return [] }
            return mutations(of: first).map { .array([$0] + elements.dropFirst()) }
        default: return []
        }
    }

    private func check<M: Message>(_ message: M) throws {
        let mutations = mutations(of: message.json)
        #expect(mutations.count > 4)
        for mutation in mutations {
            let isTaken = (try? M(decoding: StrictJSON.serialize(mutation))) != nil
            if isTaken { Issue.record("\(M.fileName) takes \(mutation)") }
        }
    }

    @Test func noMessageTakesAWrongValue() throws {
        try check(
            Invitation(
                federation: identifier(1), server: party("s"), key: "k", ageRecipient: "r", architecture: "smallcnn",
                classes: ["a", "b"], imageSize: 64))
        try check(Enrolment(name: party("a"), key: "k", ageRecipient: "r", contact: "c"))
        try check(
            TrainingRequest(
                wishes: PlanWishes(["rounds": 5, "strategy": "fedprox", "train_from": "head"]), pictures: ["a": 3]))
        try check(
            Decision(
                subject: .request, about: digest("a"), verdict: .approved, session: identifier(1), plan: digest("p")))
        try check(Reason("r"))
        try check(plan(["early_stop": ["patience": 2]]))
        try check(metrics(round: 1, global: scores(correct: 20), trained: scores(correct: 30)))
    }

    @Test func noReportOrRecordOrStateTakesAWrongValue() throws {
        var session = try running(["a", "b", "c"], ["rounds": 1, "quorum": 1], base: digest("frozen"))
        session.take(.update(try update("c", round: 1)), day(1))
        session.take(
            .update(try update("a", round: 1, global: scores(correct: 20), trained: scores(correct: 21))), day(1))
        session.take(.refuse(client: try party("b"), round: 1, bundle: try digest("x"), reason: "nan"), day(1))
        session.take(.tick, day(20))
        try check(session)
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(20))
        try check(try #require(VersionRecord(number: 1, of: session, model: digest("w"), head: 0, created: day(20))))
        session.take(.versionSaved(1), day(20))
        try check(try #require(session.report))
    }
}

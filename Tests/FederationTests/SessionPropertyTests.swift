import Federation
import SeededNumbers
import Testing
import Wire

/// Random lives of sessions: permuted, duplicated, late, lost and nonsensical events.
@Suite struct SessionPropertyTests {
    static let clients = ["a", "b", "c", "d"]

    private func randomEvent(_ session: Session, using generator: inout SplitMix64) throws -> SessionEvent {
        let client = try party(try #require(Self.clients.randomElement(using: &generator)))
        let round = max(1, (session.round?.number ?? 1) + Int.random(in: -1...1, using: &generator))
        switch Int.random(in: 0..<21, using: &generator) {
        case 20:
            let received = session.round?.received.randomElement(using: &generator)
            return .disown(client: received?.client ?? client, bundle: try received?.bundle ?? digest("disowned"))
        case 0..<9:
            let share = scores(correct: Int.random(in: 1...40, using: &generator))
            return .update(
                try update(
                    client.text, round: round, sequence: Int64.random(in: 1...4, using: &generator), global: share))
        case 9..<12:
            guard let order = session.aggregation else { return .tick }
            return .aggregated(round: order.round, model: try digest("model \(order.round)"))
        case 12: return .aggregated(round: round, model: try digest("model \(round)"))
        case 13: return .refuse(client: client, round: round, bundle: try digest("bad"), reason: "bad")
        case 14: return .join(client: client, request: try digest("request \(client)"), pictures: 50)
        case 15: return Bool.random(using: &generator) ? .equivocation(client) : .readmit(client)
        case 16:
            let dropped = Int.random(in: 0..<4, using: &generator) == 0
            return dropped ? .drop(client, reason: "") : .baseAcknowledged(client)
        case 17: return .extend(days: 1)
        case 18:
            let ended = Int.random(in: 0..<8, using: &generator) == 0
            return ended ? .withdraw(client, bundle: try digest("withdraw \(client)")) : .tick
        default: return session.state == .finished ? .versionSaved(1) : .tick
        }
    }

    private func checkInvariants(_ session: Session, _ before: Session) throws {
        if session.state == .closing, before.state != .closing {
            let used = try #require(session.round?.used)
            let required = try #require(session.plan).quorum.required(of: session.expected.count)
            #expect(used.count >= max(required, session.minimumClients))
            for update in used {
                #expect(session[update.client]?.standing == .active)
                #expect(update.round == session.round?.number)
            }
            #expect(used.map(\.client) == used.map(\.client).sorted())
        }
        if before.state == .closing, session.state == .closing {
            #expect(session.round?.used == before.round?.used)
        }
        #expect(session.history.starts(with: before.history))
        if before.isOver { #expect(session.isOver && session.history == before.history) }
        let keys = session.globals.map(\.key)
        #expect(Set(keys).isDisjoint(with: session.supersededKeys) && Set(keys).count == keys.count)
    }

    @Test(arguments: 0..<60) func invariantsHoldAfterEveryEvent(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let quorums: [JSONValue] = ["all", 1, 2, 0.5]
        let quorum = try #require(quorums.randomElement(using: &generator))
        var session = try running(
            Array(Self.clients.prefix(3)), ["rounds": 4, "quorum": quorum, "early_stop": ["patience": 2]],
            base: seed.isMultiple(of: 2) ? try digest("frozen") : nil)
        var seen: [SessionEvent] = []
        var hours: Int64 = 0
        for step in 0..<100 {
            let event = try randomEvent(session, using: &generator)
            hours += Int64.random(in: 0...40, using: &generator)
            let now = day(0).adding(seconds: hours * 3_600)
            let before = session
            session.take(event, now)
            try checkInvariants(session, before)
            // Whatever is saved is read back the same.
            if step.isMultiple(of: 10) { #expect(try Session(decoding: session.encoded) == session) }
            // The same bundle or answer again, at once or much later, changes nothing.
            if case .extend = event {
            } else {
                let once = session
                #expect(session.take(event, now).isEmpty || session == once)
                #expect(session == once)
            }
            seen.append(event)
            if let old = seen.randomElement(using: &generator), case .update(let update) = old,
                session.history.contains(where: { $0.participants.contains { $0.counted?.update == update.bundle } })
            {
                session.take(.tick, now)
                let once = session
                #expect(session.take(old, now).isEmpty)
                #expect(session == once)
            }
        }
    }

    /// Sticks overtake each other: the order in which a round's updates arrive changes nothing that is published.
    @Test func arrivalOrderDoesNotMatter() throws {
        var generator = SplitMix64(seed: 5)
        let updates = try Self.clients.flatMap { client in
            try (1...3).map { try update(client, round: 1, sequence: $0, global: scores(correct: 30)) }
        }
        var outcome: Session?
        for _ in 0..<40 {
            var session = try running(Self.clients, ["rounds": 2, "quorum": "all"])
            for update in updates.shuffled(using: &generator) { session.take(.update(update), day(1)) }
            session.take(.tick, day(1))
            #expect(session.aggregation?.inputs.map(\.sequence) == [3, 3, 3, 3])
            session.take(.aggregated(round: 1, model: try digest("model 1")), day(1))
            #expect(outcome == nil || outcome == session)
            outcome = session
        }
    }

    /// A file that somebody garbled is refused, not acted upon.
    @Test func garbledStatesAreRefused() throws {
        let session = try running()
        guard case .object(let fields) = session.json else { return }
        let changes: [String: JSONValue] = [
            "format": "consilium-session/2", "state": "closing", "round": .null, "start": .null, "surprise": 1,
            "history": [["number": 2]], "participants": [["name": "A B"]],
        ]
        for (key, value) in changes {
            let garbled = StrictJSON.serialize(.object(fields.merging([key: value]) { $1 }))
            #expect(throws: FederationError.self, "\(key)") { try Session(decoding: garbled) }
        }
    }
}

import Federation
import Testing
import Wire

extension Session {
    /// For tests of event sequences: a command that does not fit is as if it had not been given.
    @discardableResult mutating func take(_ event: SessionEvent, _ now: Timestamp) -> [SessionEffect] {
        (try? apply(event, now: now)) ?? []
    }

    var globals: [GlobalOrder] {
        wishes.compactMap { if case .global(let order) = $0 { order } else { nil } }
    }
    var aggregation: AggregationOrder? {
        wishes.lazy.compactMap { if case .aggregate(let order) = $0 { order } else { nil } }.first
    }
    func decisions(for client: PartyName) -> [Decision] {
        wishes.compactMap { if case .decision(_, client, let decision) = $0 { decision } else { nil } }
    }
}

@Suite struct SessionTests {
    @Test func waitsForTheMinimumOfClients() throws {
        var session = try Session(id: identifier(1), name: "spring", created: day(0), minimumClients: 2)
        let start = try beginning()
        session.take(.join(client: try party("a"), request: try digest("request a"), pictures: 5), day(0))
        #expect(!session.canStart(start.plan))
        #expect(throws: FederationError.self) { try session.apply(.start(start), now: day(0)) }
        #expect(session.state == .waiting && session.globals.isEmpty)
        session.take(.join(client: try party("b"), request: try digest("request b"), pictures: 5), day(0))
        let effects = try session.apply(.start(start), now: day(0))
        #expect(effects == [.started(participants: [try party("a"), try party("b")], round: 1), .roundOpened(1)])
        #expect(session.globals.map(\.recipients) == [[try party("a"), try party("b")]])
        #expect(session.decisions(for: try party("a")).map(\.verdict) == [.approved])
        #expect(session.decisions(for: try party("a")).first?.plan == start.planDigest)
    }

    @Test func aQuorumOfMoreThanTheMinimumIsWaitedFor() throws {
        var session = try Session(id: identifier(1), name: "spring", created: day(0), minimumClients: 2)
        for client in ["a", "b"] {
            session.take(.join(client: try party(client), request: try digest(client), pictures: 5), day(0))
        }
        #expect(throws: FederationError.self) { try session.apply(.start(beginning(["quorum": 3])), now: day(0)) }
    }

    @Test func oneClientTrainsAloneAndIsTold() throws {
        let session = try running(["a"])
        #expect(session.state == .running)
        var fresh = try Session(id: identifier(2), name: "REQ-1", created: day(0), minimumClients: 1)
        fresh.take(.join(client: try party("a"), request: try digest("r"), pictures: 5), day(0))
        #expect(try fresh.apply(.start(beginning()), now: day(0)).contains(.trainsAlone(party("a"))))
    }

    @Test func aWholeSessionEndsInAVersionAndAFinalGlobal() throws {
        var session = try running()
        for round in 1...2 {
            #expect(session.round?.number == round)
            session.take(.update(try update("b", round: round)), day(1))
            #expect(session.state == .running)
            session.take(.update(try update("a", round: round)), day(1))
            #expect(session.state == .running)
            session.take(.tick, day(1))
            #expect(session.state == .closing)
            #expect(session.globals.isEmpty)
            let order = try #require(session.aggregation)
            #expect(order.inputs.map(\.client) == [try party("a"), try party("b")])
            #expect(order.round == round)
            session.take(.aggregated(round: round, model: try digest("model \(round)")), day(2))
        }
        #expect(session.state == .finished && session.globals.isEmpty)
        let version = session.wishes.contains { if case .saveVersion = $0 { true } else { false } }
        #expect(version)
        session.take(.versionSaved(7), day(2))
        let final = try #require(session.globals.first)
        #expect(final.round == 3 && final.report.phase == .final && final.report.version == 7)
        #expect(final.model == (try digest("model 2")))
        let line = try #require(final.report.line(of: party("a"))?.counted)
        #expect(try line.update == (digest("a 2 1")) && line.weight == 80)
        #expect(session.supersededKeys.count == 2)
        #expect(!session.supersededKeys.contains(final.key))
    }

    @Test func theHigherSequenceWinsUntilTheRoundCloses() throws {
        var session = try running()
        session.take(.update(try update("a", round: 1, sequence: 5)), day(1))
        #expect(
            session.take(.update(try update("a", round: 1, sequence: 6)), day(1)) == [
                .updateReplaced(try party("a"), round: 1)
            ])
        session.take(.update(try update("a", round: 1, sequence: 4)), day(1))
        session.take(.update(try update("b", round: 1)), day(1))
        session.take(.update(try update("b", round: 1, sequence: 2)), day(1))
        session.take(.tick, day(1))
        #expect(session.aggregation?.inputs.map(\.sequence) == [6, 2])
        // Frozen: a still newer one is late, whatever its number.
        session.take(.update(try update("a", round: 1, sequence: 9)), day(1))
        #expect(session.aggregation?.inputs.map(\.sequence) == [6, 2])
    }

    @Test func withoutQuorumItPausesAndTellsOnce() throws {
        var session = try running()
        session.take(.update(try update("a", round: 1)), day(1))
        #expect(session.take(.tick, day(13)).isEmpty)
        let effects = session.take(.tick, day(14))
        guard case .paused(let reason)? = effects.first else { Issue.record("must pause"); return }
        #expect(reason.contains("missing b") && effects.first?.needsAttention == true)
        #expect(session.wishes.contains(.announcePause(reason: reason)))
        session.take(.pauseAnnounced, day(14))
        #expect(!session.wishes.contains(.announcePause(reason: reason)))
        #expect(session.take(.tick, day(15)).isEmpty)
        // The missing update comes after all.
        session.take(.update(try update("b", round: 1)), day(16))
        session.take(.tick, day(16))
        #expect(session.state == .closing && session.pauseReason == nil)
    }

    @Test func aPauseForAnotherReasonIsToldAgain() throws {
        var session = try running(["a", "b", "c"], ["rounds": 2, "quorum": 2])
        session.take(.tick, day(14))
        session.take(.pauseAnnounced, day(14))
        // One of the two that are needed: the same reason, in other words.
        session.take(.update(try update("a", round: 1)), day(15))
        #expect(session.take(.tick, day(15)).isEmpty)
        #expect(session.pauseReason?.contains("1 of 2") == true && session.pauseAnnounced)
        for client in ["b", "c"] { session.take(.drop(try party(client), reason: ""), day(16)) }
        let reason = "round 1: 1 participant is left, 2 are needed"
        #expect(session.take(.tick, day(16)) == [.paused(reason: reason)])
        #expect(session.wishes.contains(.announcePause(reason: reason)))
        session.take(.pauseAnnounced, day(16))
        #expect(session.take(.tick, day(17)).isEmpty && session.pauseAnnounced)
        // Enough again, and past the deadline.
        session.take(.join(client: try party("b"), request: try digest("request 2 b"), pictures: 9), day(18))
        guard case .paused(let last)? = session.take(.tick, day(18)).first else { Issue.record("must tell"); return }
        #expect(last.contains("the deadline has passed") && !session.pauseAnnounced)
    }

    @Test func extendGivesTimeFromNow() throws {
        var session = try running()
        session.take(.tick, day(20))
        #expect(session.state == .paused)
        #expect(session.take(.extend(days: 3), day(20)) == [.extended(until: day(23)), .resumed(round: 1)])
        #expect(session.take(.tick, day(22)).isEmpty)
        session.take(.tick, day(23))
        #expect(session.state == .paused)
    }

    @Test func atTheDeadlineTheQuorumCloses() throws {
        var session = try running(["a", "b", "c"], ["rounds": 2, "quorum": 2])
        session.take(.update(try update("a", round: 1)), day(1))
        session.take(.tick, day(1))
        // Both lie in the inbox of a run after the deadline: the first one does not close the round for the second.
        session.take(.update(try update("c", round: 1)), day(14))
        #expect(session.state == .running)
        let missing = SessionEffect.closing(
            round: 1, used: [try party("a"), try party("c")], missing: [try party("b")])
        #expect(session.take(.tick, day(14)) == [missing])
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(14))
        #expect(session.report?.line(of: try party("b"))?.fate == .missing)
        // Late for round 1, then nothing for round 2: the report of round 2 says so.
        #expect(session.take(.update(try update("b", round: 1)), day(15)) == [.updateLate(try party("b"), round: 1)])
        session.take(.update(try update("a", round: 2)), day(16))
        session.take(.update(try update("c", round: 2)), day(16))
        session.take(.tick, day(29))
        #expect(session.round?.frozen?.map(\.fate).contains(.late) == true)
    }

    @Test func droppingTheMissingClosesTheRound() throws {
        var session = try running(["a", "b", "c"])
        for client in ["a", "c"] { session.take(.update(try update(client, round: 1)), day(1)) }
        let effects = session.take(.drop(try party("b"), reason: "moved away"), day(2))
        #expect(effects == [.dropped(try party("b"), reason: "moved away")])
        session.take(.tick, day(2))
        #expect(session.state == .closing)
        #expect(session.aggregation?.inputs.map(\.client.text) == ["a", "c"])
        #expect(session.decisions(for: try party("b")).map(\.verdict) == [.approved, .dropped])
    }

    /// Its update belonged to the request that is over; but a round that is being averaged stays as its account says.
    @Test func whoComesBackTrainsTheOpenRoundAnew() throws {
        let (a, request) = (try party("a"), try digest("second request of a"))
        var session = try running(["a", "b", "c"])
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.drop(a, reason: ""), day(1))
        session.take(.join(client: a, request: request, pictures: 80), day(1))
        #expect(session.round?.received.map(\.client.text) == ["b"] && session.missing.map(\.text) == ["a", "c"])
        session.take(.update(try update("a", round: 1, sequence: 2)), day(1))
        session.take(.update(try update("c", round: 1)), day(1))
        session.take(.tick, day(1))
        #expect(session.state == .closing)
        let inputs = try #require(session.aggregation?.inputs)
        session.take(.drop(a, reason: ""), day(1))
        session.take(.join(client: a, request: try digest("third request of a"), pictures: 80), day(1))
        #expect(session.aggregation?.inputs == inputs)
    }

    /// Whatever the quorum says: what one hospital alone trained is no average.
    @Test(arguments: ["all", 1, 0.5] as [JSONValue]) func aSharedRoundNeverClosesWithOneUpdate(quorum: JSONValue) throws
    {
        let endings: [SessionEvent] = [
            .drop(try party("b"), reason: ""), .equivocation(try party("b")),
            .withdraw(try party("b"), bundle: try digest("withdraw b")), .tick,
        ]
        for ending in endings {
            var session = try running(["a", "b"], ["rounds": 2, "quorum": quorum])
            session.take(.update(try update("a", round: 1)), day(1))
            session.take(ending, day(2))
            session.take(.tick, day(14))
            #expect(session.state == .paused && session.pauseReason != nil, "\(ending)")
        }
    }

    @Test func theEndIsDatedOnce() throws {
        var session = try running()
        #expect(session.ended == nil)
        session.take(.abort(reason: ""), day(3))
        session.take(.abort(reason: "again"), day(9))
        session.take(.tick, day(9))
        #expect(session.ended == day(3))
        #expect(try Session(decoding: session.encoded) == session)
    }

    @Test func closingWithoutAHospitalIsTold() throws {
        let all = SessionEffect.closing(round: 1, used: [try party("a"), try party("b")], missing: [])
        let some = SessionEffect.closing(round: 1, used: [try party("a"), try party("b")], missing: [try party("c")])
        #expect(!all.needsAttention && some.needsAttention)
    }

    @Test func aFloodOfLateUpdatesStaysWithinTheReportsBounds() throws {
        var session = try running()
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(1))
        for sequence in 2...1_100 {
            session.take(.update(try update("a", round: 1, sequence: Int64(sequence))), day(1))
        }
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(2))
        let report = try #require(session.report)
        #expect(report.late.count == 1_000)
        #expect(try RoundReport(decoding: report.encoded) == report)
        #expect(try Session(decoding: session.encoded) == session)
    }

    @Test func aCountedQuorumIsNeverUndercut() throws {
        var session = try running(["a", "b"], ["rounds": 2, "quorum": 2])
        session.take(.update(try update("a", round: 1)), day(1))
        session.take(.drop(try party("b"), reason: ""), day(2))
        session.take(.tick, day(2))
        #expect(session.state == .paused)
        // A newcomer enters the paused round, since it could never close without one.
        session.take(.join(client: try party("c"), request: try digest("request c"), pictures: 9), day(3))
        session.take(.tick, day(3))
        #expect(try session.state == .running && session.expected == [party("a"), party("c")])
        #expect(session.globals.last?.recipients == [try party("c")])
    }

    @Test func aJoinerStartsWithTheNextRound() throws {
        let base = try digest("frozen")
        var session = try running(["a", "b"], ["rounds": 3], base: base)
        #expect(session.globals.map(\.base) == [base])
        session.take(.join(client: try party("c"), request: try digest("request c"), pictures: 9), day(1))
        #expect(session.expected.count == 2)
        #expect(
            session.take(.update(try update("c", round: 1)), day(1)).first?.description.contains("not open") == true)
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(1))
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(1))
        #expect(session.expected.count == 3)
        // Those who trained have the frozen tensors; the joiner gets them in a bundle of its own.
        #expect(session.globals.map(\.recipients) == [[try party("a"), try party("b")], [try party("c")]])
        #expect(session.globals.map(\.base) == [nil, base])
    }

    @Test func theLastRoundTakesNoJoiner() throws {
        var session = try running(["a", "b"], ["rounds": 1])
        #expect(throws: FederationError.self) {
            try session.apply(.join(client: party("c"), request: digest("r"), pictures: 1), now: day(1))
        }
        session.take(.abort(reason: ""), day(1))
        #expect(throws: FederationError.self) {
            try session.apply(.join(client: party("d"), request: digest("d"), pictures: 1), now: day(1))
        }
    }

    @Test func aLostBaseIsIssuedAgain() throws {
        let base = try digest("frozen")
        var session = try running(["a", "b"], ["rounds": 3], base: base)
        session.take(.baseAcknowledged(try party("a")), day(1))
        session.take(.reissue(try party("a")), day(1))
        #expect(session.globals.map(\.key).count == 2)
        // The decision comes once more too: without it a client takes no global.
        let decisions = session.decisions(for: try party("a"))
        #expect(decisions.count == 2 && decisions.first == decisions.last)
        #expect(try session.globals.last?.base == base && session.globals.last?.recipients == [party("a")])
        #expect(session.globals.first?.model == session.globals.last?.model)
    }

    /// It may be older than the loss that the reissue answers.
    @Test func anUpdateAfterAReissueProvesNoFrozenTensors() throws {
        var session = try running(["a", "b"], ["rounds": 3], base: try digest("frozen"))
        let a = try party("a")
        session.take(.update(try update("b", round: 1)), day(1))
        #expect(session[try party("b")]?.hasBase == true)
        session.take(.baseAcknowledged(a), day(1))
        session.take(.reissue(a), day(1))
        session.take(.update(try update("a", round: 1)), day(2))
        #expect(session[a]?.hasBase == false && session.answered.contains(a))
        session.take(.baseAcknowledged(a), day(2))
        #expect(session[a]?.hasBase == true)
    }

    /// A thief of the server's key may have sent others.
    @Test func doubtedFrozenTensorsGoOnceMoreToWhoeverHasSome() throws {
        var session = try running(["a", "b", "c"], ["rounds": 3], base: try digest("frozen"))
        for name in ["a", "b"] { session.take(.baseAcknowledged(try party(name)), day(1)) }
        let before = session.globals
        for _ in 1...2 {
            session.take(.baseDoubted, day(1))
            let globals = session.globals
            #expect(globals.count == before.count + 1, "and not again for the same doubt")
            #expect(try globals.last?.recipients == [party("a"), party("b")] && globals.last?.base == digest("frozen"))
        }
        session.take(.update(try update("a", round: 1)), day(2))
        #expect(session[try party("a")]?.hasBase == false, "it may have been trained over the false ones")
        var whole = try running(["a", "b"])
        let globals = whole.globals
        whole.take(.baseDoubted, day(1))
        #expect(whole.globals == globals)
    }

    @Test func whoseKeyIsRevokedIsExcludedForThatReasonUntilReadmission() throws {
        var session = try running(["a", "b", "c"])
        let b = try party("b")
        #expect(
            session.take(.exclude(b, reason: "its key was revoked"), day(1)) == [
                .excluded(b, reason: "its key was revoked")
            ])
        #expect(session.take(.exclude(b, reason: "its key was revoked"), day(1)).isEmpty)
        for client in ["a", "c"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(15))
        let line = session.round?.frozen?.first { $0.client == b }
        #expect(line?.fate == .rejected("excluded: its key was revoked"))
        session = try running(["a", "b", "c"])
        session.take(.exclude(b, reason: "its key was revoked"), day(1))
        #expect(session.take(.readmit(b), day(2)) == [.readmitted(b)])
    }

    @Test func equivocationExcludesUntilReadmission() throws {
        var session = try running(["a", "b", "c"])
        session.take(.update(try update("b", round: 1)), day(1))
        #expect(
            session.take(.equivocation(try party("b")), day(1)) == [
                .excluded(try party("b"), reason: "two bundles carry the same sequence number")
            ])
        #expect(session.take(.equivocation(try party("b")), day(1)).isEmpty)
        session.take(.update(try update("a", round: 1)), day(1))
        #expect(session.expected.map(\.text) == ["a", "c"])
        #expect(session.globals.first?.recipients.map(\.text) == ["a", "c"])
        var other = session
        other.take(.update(try update("c", round: 1)), day(1))
        other.take(.tick, day(1))
        #expect(other.aggregation?.inputs.map(\.client.text) == ["a", "c"])
        session.take(.readmit(try party("b")), day(1))
        session.take(.update(try update("c", round: 1)), day(1))
        session.take(.tick, day(1))
        #expect(session.aggregation?.inputs.map(\.client.text) == ["a", "b", "c"])
    }

    @Test func withdrawalIsFinalForItsRequest() throws {
        var session = try running(["a", "b", "c"])
        let bundle = try digest("withdraw b")
        #expect(session.take(.withdraw(try party("b"), bundle: bundle), day(1)) == [.withdrawn(try party("b"))])
        #expect(session.take(.withdraw(try party("b"), bundle: bundle), day(1)).isEmpty)
        #expect(session.take(.update(try update("b", round: 1)), day(1)).first?.description.contains("ignored") == true)
        // Its file still lies in the approved folder.
        #expect(
            session.take(.join(client: try party("b"), request: try digest("request b"), pictures: 50), day(1)).isEmpty)
        #expect(session.active.map(\.text) == ["a", "c"])
        // A new request is a new beginning; the old withdrawal does not end it.
        session.take(.join(client: try party("b"), request: try digest("second request"), pictures: 50), day(1))
        session.take(.withdraw(try party("b"), bundle: bundle), day(1))
        #expect(session.active.map(\.text) == ["a", "b", "c"])
    }

    @Test func abortTellsEveryParticipantAndEndsEverything() throws {
        var session = try running()
        session.take(.abort(reason: "ethics board\u{1b}[2J"), day(1))
        let abort = SessionWish.abort(
            key: "\(session.id)/abort", to: [try party("a"), try party("b")], Reason("ethics board?[2J"))
        #expect(session.wishes.contains(abort))
        #expect(session.globals.isEmpty)
        let before = session
        session.take(.update(try update("a", round: 1)), day(1))
        session.take(.tick, day(99))
        session.take(.extend(days: 1), day(99))
        #expect(session == before)
        #expect(throws: FederationError.self) { try session.apply(.drop(party("a"), reason: ""), now: day(99)) }
    }

    @Test func aRefusedUpdateIsReportedWithItsReason() throws {
        var session = try running(["a", "b", "c"], ["rounds": 2, "quorum": 1])
        session.take(
            .refuse(client: try party("c"), round: 1, bundle: try digest("bad"), reason: "tensor fc.bias is missing"),
            day(1))
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(14))
        #expect(session.round?.frozen?.last?.fate == .rejected("tensor fc.bias is missing"))
    }
}

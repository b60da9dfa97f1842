import Federation
import Testing
import Wire

/// An update whose key was revoked after it had been taken.
@Suite struct DisowningTests {
    @Test func itCountsNoMoreAndTheNextOneDoesWhateverItsNumber() throws {
        var session = try running()
        let (thief, own) = (try update("a", round: 1, sequence: 900), try update("a", round: 1, sequence: 2))
        session.take(.update(thief), day(1))
        session.take(.exclude(try party("a"), reason: "its key was revoked"), day(1))
        let disowned = SessionEvent.disown(client: try party("a"), bundle: thief.bundle)
        let effects = session.take(disowned, day(1))
        #expect(effects == [.updateDisowned(try party("a"), round: 1)] && effects.allSatisfy(\.needsAttention))
        #expect(session.round?.received == [] && session.round?.superseded == [thief.bundle])
        #expect(session.take(disowned, day(1)).isEmpty)
        // Whether it comes again or not.
        #expect(session.take(.update(thief), day(1)).isEmpty)
        let before = session.globals.count
        session.take(.readmit(try party("a")), day(1))
        #expect(session.globals.count == before + 1)
        #expect(session.take(.update(own), day(2)) == [.updateRecorded(try party("a"), round: 1)])
        session.take(.update(try update("b", round: 1)), day(2))
        session.take(.tick, day(2))
        #expect(session.aggregation?.inputs.map(\.sequence) == [2, 1])
    }

    @Test func whoIsReadmittedIsSentTheFrozenTensorsAgain() throws {
        var session = try running(base: try digest("frozen"))
        let thief = try update("a", round: 1)
        session.take(.update(thief), day(1))
        #expect(session[try party("a")]?.hasBase == true)
        session.take(.exclude(try party("a"), reason: "its key was revoked"), day(1))
        session.take(.disown(client: try party("a"), bundle: thief.bundle), day(1))
        session.take(.readmit(try party("a")), day(1))
        #expect(session.globals.last?.base == (try digest("frozen")))
    }

    @Test func aRoundThatIsBeingAveragedStaysAsItIs() throws {
        var session = try running()
        for client in ["a", "b"] { session.take(.update(try update(client, round: 1)), day(1)) }
        session.take(.tick, day(1))
        let frozen = session
        session.take(.disown(client: try party("a"), bundle: try update("a", round: 1).bundle), day(1))
        #expect(session == frozen && session.state == .closing)
        session.take(.aggregated(round: 1, model: try digest("model 1")), day(1))
        let next = session
        session.take(.disown(client: try party("a"), bundle: try update("a", round: 1).bundle), day(1))
        #expect(session == next)
    }

    @Test func theSignerIsNotedAndMayBeMissing() throws {
        var session = try running()
        session.take(.update(try update("a", round: 1, signer: "SHA256:abc")), day(1))
        session.take(.update(try update("b", round: 1)), day(1))
        let read = try Session(decoding: session.encoded)
        #expect(read == session)
        #expect(read.round?.received.map(\.signer) == ["SHA256:abc", nil])
        #expect(!String(decoding: session.encoded, as: UTF8.self).contains("\"signer\":null"))
    }
}

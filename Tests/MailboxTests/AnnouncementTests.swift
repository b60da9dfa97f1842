import Mailbox
import Testing
import Wire

@Suite struct AnnouncementTests {
    @Test func whatIsToldIsToldOnceUntilItIsForgotten() {
        var told = Announcements()
        let keys = [told.announce("key"), told.announce("key")]
        #expect(keys == [true, false])
        let reasons = ["no pictures", "no pictures", "no memory", "no pictures"].map {
            told.announce("untrained", reason: $0)
        }
        #expect(reasons == [true, false, true, true])
        told.forget("untrained")
        let later = [told.announce("untrained", reason: "no pictures"), told.announce("key")]
        #expect(later == [true, false])
    }

    @Test func theNewestAreRememberedAndLongOnesByTheirDigest() throws {
        var told = Announcements()
        let first = (0..<6000).map { told.announce("bundle \($0)") }
        #expect(first.allSatisfy { $0 })
        let again = [1000, 999, 0].map { told.announce("bundle \($0)") }
        #expect(again == [false, true, true])
        let long = String(repeating: "ä", count: 10_000)
        let news = ["1", "2", "1"].map { told.announce(long + $0) }
        #expect(news == [true, true, false])
        guard case .array(let kept) = told.json else { throw TestTrouble("no array") }
        #expect(kept.count == 5000)
        #expect(StrictJSON.serialize(told.json).count < 200_000)
    }

    @Test func theyAreReadAsTheyWereWritten() {
        var told = Announcements()
        for key in ["b", "a", "c"] { _ = told.announce(key) }
        #expect(Announcements(["b", "a", "c"]) == told)
        #expect(told.json == ["b", "a", "c"])
    }
}

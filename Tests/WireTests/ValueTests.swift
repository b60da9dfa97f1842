import Glibc
import Testing
import Wire

@Suite("Value types")
struct ValueTests {
    @Test(
        "what could break a line or steer a terminal is replaced in errors",
        arguments: [
            ("plain 'glioma' \u{e9}", "plain 'glioma' \u{e9}"), ("a\nb", "a?b"), ("\u{1b}[2J", "?[2J"),
            ("a\r\u{0}", "a??"),
            ("\u{2028}\u{85}", "??"), ("\u{202e}gpj.exe", "?gpj.exe"),
        ])
    func singleLines(text: String, shown: String) {
        #expect(text.singleLine == shown)
        #expect(JSONError(text).description == shown)
    }

    @Test(
        "times are written as RFC 3339 and read back",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_772_337_906, "2026-03-01T04:05:06Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] as [(Int64, String)])
    func timestamps(seconds: Int64, text: String) {
        #expect(Timestamp(seconds: seconds).rfc3339 == text)
        #expect(Timestamp(rfc3339: text) == Timestamp(seconds: seconds))
    }

    @Test("the machine's time zone and its summer time change nothing")
    func zones() {
        for zone in ["America/St_Johns", "Asia/Kathmandu", "CET-1CEST", "UTC"] {
            setenv("TZ", zone, 1)
            tzset()
            // An hour before and after Europe's clocks go forward and back.
            for seconds in [1_774_745_999, 1_774_746_000, 1_792_889_999, 1_792_890_000] as [Int64] {
                let time = Timestamp(seconds: seconds)
                #expect(time.rfc3339.hasPrefix("2026-") && Timestamp(rfc3339: time.rfc3339) == time)
            }
            #expect(Timestamp(seconds: 1_774_746_000).rfc3339 == "2026-03-29T01:00:00Z")
        }
        unsetenv("TZ")
        tzset()
    }

    @Test("every day of four centuries survives both ways")
    func allDays() {
        for day in Int64(-50_000)...100_000 {
            let time = Timestamp(seconds: day * 86_400 + 3_661)
            #expect(Timestamp(rfc3339: time.rfc3339) == time)
        }
    }

    @Test(
        "what is no time is refused",
        arguments: [
            "", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00",
            "2026-01-01t00:00:00z",
            "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00+00:00", "+026-01-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-01-01T00:00:0éZ",
        ])
    func badTimestamps(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test("arithmetic saturates and the extremes can be written")
    func extremes() {
        #expect(Timestamp(seconds: .max).adding(days: 1).seconds == .max)
        #expect(Timestamp(seconds: 0).adding(days: .min).seconds == .min)
        #expect(Timestamp(seconds: 10).adding(days: 1).seconds == 86_410)
        #expect(Timestamp(seconds: .max).rfc3339.hasSuffix("Z"))
        #expect(Timestamp(seconds: .min).rfc3339.hasPrefix("-"))
    }

    @Test("identifiers have one spelling")
    func identifiers() {
        let hex = String(repeating: "0f", count: 32)
        #expect(Digest(hex: hex)?.hex == hex)
        #expect(Digest(hex: hex.uppercased()) == nil)
        #expect(Digest(hex: hex + "00") == nil)
        #expect(Digest(hex: String(repeating: "é", count: 32)) == nil)
        #expect(RandomID(hex: String(repeating: "0", count: 32)) == RandomID.none)
        #expect(RandomID(hex: hex) == nil)
        #expect(RandomID.none.isNone)
    }

    @Test(
        "party names are lower case and never an option or a path",
        arguments: [
            ("hospital-a", true), ("0", true), (String(repeating: "a", count: 40), true), ("", false),
            (String(repeating: "a", count: 41), false),
            ("-a", false), ("A", false), ("a.b", false), ("a/b", false), ("é", false), ("a b", false), ("a\n", false),
        ])
    func partyNames(text: String, isAllowed: Bool) {
        #expect((PartyName(text) != nil) == isAllowed)
    }

    @Test(
        "suggestions are near or none",
        arguments: [
            ("optimzer", "optimizer"), ("RoundS", "rounds"), ("ruonds", "rounds"), ("round", "rounds"), ("x", nil),
            ("colour", nil), ("", nil),
        ])
    func suggestions(word: String, expected: String?) {
        #expect(didYouMean(word, among: ["rounds", "optimizer", "learning_rate"]) == expected)
    }
}

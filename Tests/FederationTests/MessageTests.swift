import Federation
import Testing
import Wire

private func survives<M: Message>(_ message: M) throws -> Bool {
    let bytes = message.encoded
    return try M(decoding: bytes) == message && M(decoding: bytes).encoded == bytes
}

@Suite struct MessageTests {
    private let invitation: Invitation
    init() throws {
        invitation = Invitation(
            federation: identifier(1), server: try party("ministry"), key: "ssh-ed25519 AAAA", ageRecipient: "age1x",
            architecture: "smallcnn", classes: ["glioma", "kein Tumor", "脳"], imageSize: 64)
    }

    @Test func everyMessageComesBackEqual() throws {
        #expect(try survives(invitation))
        #expect(try survives(Enrolment(name: party("a"), key: "k", ageRecipient: "age1", contact: "Dr. Ö, +49 30 1")))
        let rotation = Enrolment(
            name: try party("a"), key: "k", ageRecipient: "age1", contact: "", serverKey: "SHA256:x",
            federation: identifier(2), validUntil: day(365))
        #expect(try survives(rotation))
        #expect(try survives(Self.statement))
        let wishes = try PlanWishes(["rounds": 5, "strategy": "fedprox"])
        #expect(try survives(TrainingRequest(wishes: wishes, pictures: ["glioma": 3, "notumor": 0], message: "bitte")))
        for verdict in Decision.Verdict.allCases {
            #expect(try survives(Decision(subject: .request, about: digest("r"), verdict: verdict)))
        }
        let full = Decision(
            subject: .enrolment, about: try digest("e"), verdict: .approved, reason: "welcome", session: identifier(4),
            plan: try digest("p"))
        #expect(try survives(full))
        #expect(try survives(Reason("moved")))
        #expect(try survives(metrics(round: 3, global: scores(correct: 20), trained: scores(correct: 33))))
    }

    @Test func everyReportOfALifeComesBackEqual() throws {
        var session = try running(["a", "b", "c", "d"], ["rounds": 2, "quorum": 1])
        for round in 1...2 {
            let report = try #require(session.report)
            #expect(try survives(report))
            session.take(.refuse(client: try party("b"), round: round, bundle: try digest("x"), reason: "nan"), day(1))
            session.take(.update(try update("a", round: round, global: scores(correct: 20))), day(1))
            session.take(.update(try update("c", round: 1, sequence: 8)), day(1))
            session.take(.update(try update("d", round: round)), day(1))
            session.take(.tick, day(40 * Int64(round)))
            session.take(.aggregated(round: round, model: try digest("model \(round)")), day(40 * Int64(round)))
        }
        let record = try #require(
            VersionRecord(number: 1, of: session, model: digest("whole"), head: 0, created: day(90)))
        #expect(try survives(record))
        #expect(!record.isBranch && record.base == 0 && record.rounds == 2)
        #expect(record.contributions.map(\.client.text) == ["a", "c", "d"])
        #expect(record.contributions.map(\.weight) == [160, 80, 160])
        session.take(.versionSaved(1), day(90))
        #expect(try survives(try #require(session.report)))
        let branch = VersionRecord(number: 3, of: session, model: try digest("whole"), head: 2, created: day(90))
        #expect(branch?.isBranch == true)
    }

    @Test func aFirstModelHasARecordToo() throws {
        let first = VersionRecord(
            number: 0, origin: .initialized, created: day(0), architecture: "smallcnn", classes: ["a", "b"],
            imageSize: 64, model: try digest("m"), note: "seed 1")
        #expect(try survives(first))
        #expect(!first.isBranch)
        #expect(VersionRecord(number: 1, of: try running(), model: try digest("m"), head: 0, created: day(0)) == nil)
    }

    /// A key of `invite.json`, a value that it must not have, a word of the answer.
    static let refused: [(String, JSONValue, String)] = [
        ("server", "Ministry", "server"),
        ("server", "-ministry", "server"),
        ("federation", "00", "federation"),
        ("image_size", 64.0, "image_size"),
        ("image_size", 1_099_511_627_776, "image_size"),
        ("classes", ["one"], "classes"),
        ("classes", ["a", "a"], "twice"),
        ("classes", ["a", "../b"], "classes"),
        ("classes", ["a", ".hidden"], "classes"),
        ("classes", ["a", "b\n"], "classes"),
        ("classes", ["a", 2], "classes"),
        ("key", "ssh-ed25519 \u{1b}[2J", "control"),
        ("key", "a\u{202e}b", "control"),
        ("architecture", .string(String(repeating: "x", count: 65)), "architecture"),
        ("architecture", .null, "architecture"),
        ("clases", ["a", "b"], "did you mean 'classes'"),
    ]

    @Test(arguments: refused) func refusedByName(key: String, value: JSONValue, word: String) throws {
        guard case .object(let fields) = invitation.json else { return }
        let bytes = StrictJSON.serialize(.object(fields.merging([key: value]) { $1 }))
        #expect {
            try Invitation(decoding: bytes)
        } throws: { error in
            "\(error)".hasPrefix("invite.json") && "\(error)".contains(word)
                && (error as? FederationError)?.code == .malformed
        }
    }

    private static let statement = TrustStatement(
        subject: PartyName("ministry") ?? fallback,
        keys: [
            .init(key: "ssh-ed25519 A", validAfter: nil, validBefore: day(60)),
            .init(key: "ssh-ed25519 B", validAfter: day(0), validBefore: nil),
        ], revoked: ["ssh-ed25519 C"], ageRecipient: "age1x", reason: "rotated")
    private static var fallback: PartyName { preconditionFailure("a good name") }

    /// Values of `trust.json` that nobody takes: among them what would widen what a key may sign.
    static let refusedStatements: [(String, JSONValue, String)] = [
        ("keys", [["key": "ssh-ed25519 A", "namespaces": "update@consilium"]], "namespaces"),
        (
            "keys",
            [["key": "ssh-ed25519 A", "valid_after": "2026-03-02T00:00:00Z", "valid_before": "2026-03-01T00:00:00Z"]],
            "must be later"
        ),
        ("keys", [["key": "ssh-ed25519 A", "valid_after": "yesterday"]], "valid_after"),
        ("keys", .array(Array(repeating: ["key": "k"], count: 65)), "at most 64"),
        ("revoked", .array(Array(repeating: "k", count: 65)), "at most 64"),
        ("revoked", ["a\u{1b}b"], "revoked"),
        ("subject", "*", "subject"),
        ("role", "server", "role"),
    ]

    @Test(arguments: refusedStatements) func aStatementIsReadStrictly(key: String, value: JSONValue, word: String)
        throws
    {
        guard case .object(let fields) = Self.statement.json else { return }
        let bytes = StrictJSON.serialize(.object(fields.merging([key: value]) { $1 }))
        #expect { try TrustStatement(decoding: bytes) } throws: { "\($0)".contains(word) }
    }

    @Test func aMissingKeyIsNamed() throws {
        guard case .object(let fields) = invitation.json else { return }
        for key in fields.keys {
            let bytes = StrictJSON.serialize(.object(fields.filter { $0.key != key }))
            #expect { try Invitation(decoding: bytes) } throws: { "\($0)".contains(key) }
        }
    }

    @Test(arguments: ["", "[]", "{", "{}x", "{\"reason\":\"a\",\"reason\":\"b\"}", "{\"reason\":1}", "\u{feff}{}"])
    func garbledFilesAreRefused(text: String) {
        #expect(throws: FederationError.self) { try Reason(decoding: Array(text.utf8)) }
    }

    @Test func aHugeFileIsRefused() {
        let bytes = Array("{\"reason\":\"".utf8) + [UInt8](repeating: 0x61, count: 5 << 20) + Array("\"}".utf8)
        #expect(throws: FederationError.self) { try Reason(decoding: bytes) }
    }

    @Test func reasonsAreMadeFitToBeRead() throws {
        let long = Reason(String(repeating: "ä", count: 5_000) + "\u{7}")
        #expect(long.reason.utf8.count == FederationLimits.textBytes)
        #expect(try survives(long))
        #expect(Reason("a\u{1b}b\u{2028}").reason == "a?b?")
    }

    @Test func reportsKeepTheirOrder() throws {
        let lines = try ["b", "a"].map { ParticipantLine(client: try party($0), fate: .missing) }
        let report = RoundReport(
            phase: .running, round: 2, closed: 1, model: try digest("m"), base: try digest("b"), strategy: .fedAvg,
            participants: lines)
        #expect(throws: FederationError.self) { try RoundReport(decoding: report.encoded) }
    }
}

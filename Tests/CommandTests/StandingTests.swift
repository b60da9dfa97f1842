import Testing
import Wire

/// What the server has said against a hospital is said once, and whoever asks is told as long as it is so.
@Suite struct StandingTests {
    private func doctor(_ home: String, in world: World) throws -> (ok: Bool, found: String)? {
        let outcome = try world.run("doctor", "--home", home, "--json")
        let findings = try StrictJSON.parse(Array(outcome.output.utf8), maximumBytes: 1 << 20)["findings"].items
        return findings.first { $0["check"].text == "standing" }.map {
            ($0["ok"] == .bool(true), $0["found"].text ?? "")
        }
    }

    @Test func aHospitalWhoseKeyIsRevokedLooksSo() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        try world.journey()
        #expect(try doctor("b", in: world)?.ok == true)
        let key = try world.fingerprint("b")
        try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        try world.visit("b")
        let idle = try world.succeed("client", "run", "--home", "b", "--verbose")
        let says = "ministry believes this hospital's key \(key) no more: laptop stolen"
        #expect(
            idle.output.contains("nothing to do: \(says); call there, then 'consilium key rotate --lost'"), "\(idle)")
        let status = try world.succeed("client", "status", "--home", "b").output
        #expect(status.contains(says) && status.contains("the server has excluded this hospital"), "\(status)")
        let finding = try #require(try doctor("b", in: world))
        #expect(!finding.ok && finding.found.contains(says), "\(finding)")
        #expect(try world.succeed("key", "show", "--home", "b").output.contains("\(key), revoked by ministry"))
        let request = try world.run("client", "request", "--home", "b", "--rounds", "1")
        #expect(request.status == 77 && request.errors.contains(says), "\(request)")
        #expect(request.errors.contains("key rotate --lost"), "\(request)")
        #expect(world.names("b/outbox", "request").isEmpty)

        // With a new key nothing is said of the old one.
        try world.succeed("key", "rotate", "--lost", "--home", "b")
        #expect(try doctor("b", in: world)?.found.contains(key) == false)
        try world.answer("b")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("b")
        let excluded = try #require(try doctor("b", in: world))
        #expect(!excluded.ok && excluded.found.contains("excluded"), "\(excluded)")
        try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        try world.visit("b")
        #expect(try doctor("b", in: world)?.ok == true)
    }

    /// One command revokes two keys, with a bundle for each: a stick may bring the second one first.
    @Test(arguments: [false, true]) func eachOfItsRevokedKeysIsHeardOfInAnyOrder(isReversed: Bool) throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", "b")
        try world.answer("b")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("b")
        try world.answer("b")
        try world.serve()
        let before = Set(world.names("S/outbox"))
        try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        let statements = world.names("S/outbox", "trust").filter { !before.contains($0) }
        try #require(statements.count == 2)
        for statement in isReversed ? statements.reversed() : statements {
            try world.carry("S/outbox/\(statement)", as: "b/inbox/\(statement)")
            try world.succeed("client", "run", "--home", "b")
        }
        let shown = try world.succeed("key", "show", "--home", "b").output
        #expect(shown.contains(", revoked by ministry"), "\(shown)")
        let noted = try world.text("b/audit/audit.jsonl").split(separator: "\n").filter {
            $0.contains("is revoked by ministry")
        }
        #expect(noted.count == 2)
        #expect(try doctor("b", in: world)?.found.contains("believes this hospital's key") == true)
    }

    /// It rotates on a suspicion; the admin approves, and revokes the old key. One run gets both.
    @Test func aKeyThatIsRevokedAfterItsRotationWasApprovedIsNoReasonToGiveUpTheNewOne() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.succeed("server", "revoke", old, "--reason", "suspicion", "--home", "S")
        let visit = try world.visit("a")
        #expect(visit.output.contains("it signs from now on"), "\(visit)")
        #expect(!visit.output.contains("believes this hospital's key"), "\(visit)")
        #expect(!visit.output.contains("key rotate --lost"), "\(visit)")
        #expect(try doctor("a", in: world)?.ok == true)
        #expect(try world.text("a/audit/audit.jsonl").contains("the key \(old) is revoked by ministry"))
    }

    /// As long as the answer to the rotation is under way, nobody is sent to replace the key that is to follow.
    @Test func aRevocationThatOvertakesTheAnswerToARotationNamesTheNewKey() throws {
        let world = try World.enrolled()
        let old = try world.fingerprint("a")
        let new = try #require(try world.json("key", "rotate", "--home", "a")["fingerprint"].text)
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        try world.succeed("server", "revoke", old, "--reason", "suspicion", "--home", "S")
        for statement in world.names("S/outbox", "trust") {
            try world.carry("S/outbox/\(statement)", as: "a/inbox/\(statement)")
        }
        let early = try world.succeed("client", "run", "--home", "a").output
        #expect(early.contains("ministry believes this hospital's key \(old) no more: suspicion"), "\(early)")
        #expect(early.contains("call there about the new key \(new), which is not decided yet"), "\(early)")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess, "it is told once")
        #expect(try world.visit("a").output.contains("it signs from now on"))
        #expect(try doctor("a", in: world)?.ok == true)
    }

    /// Where the key that was to follow falls with the one that vouches for it, what is to be done is another thing by then.
    @Test func whatIsToBeDoneIsToldAgainOnceTheNewKeyIsRejected() throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.succeed("server", "revoke", "hospital-a", "--reason", "laptop stolen", "--home", "S")
        for statement in world.names("S/outbox", "trust") {
            try world.carry("S/outbox/\(statement)", as: "a/inbox/\(statement)")
        }
        let early = try world.succeed("client", "run", "--home", "a").output
        #expect(early.contains("which is not decided yet"), "\(early)")
        try world.serve()
        try world.carry("S", to: "a")
        let late = try world.succeed("client", "run", "--home", "a").output
        #expect(late.contains("did not take the new key") && !late.contains("the old one goes on"), "\(late)")
        #expect(late.contains("call there, then 'consilium key rotate --lost'"), "\(late)")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    @Test func aHospitalWhoseEnrolmentIsTakenBackLooksSo() throws {
        let world = try World.enrolled()
        try world.shell("mv S/enrolments/approved/*hospital-b.tar S/enrolments/rejected/")
        try world.serve()
        try world.visit("b")
        let finding = try #require(try doctor("b", in: world))
        #expect(!finding.ok && finding.found.contains("ministry rejected the enrolment"), "\(finding)")
        let request = try world.run("client", "request", "--home", "b", "--rounds", "1")
        #expect(request.status == 77 && request.errors.contains("rejected the enrolment"), "\(request)")
    }
}

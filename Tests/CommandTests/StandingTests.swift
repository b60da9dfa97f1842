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

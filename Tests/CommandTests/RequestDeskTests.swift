import Bundles
import Foundation
import Testing
import Wire

/// The row of the fault matrix about the request desk: whoever moves files may also copy, edit, link and come too late.
@Suite struct RequestDeskTests {
    private func asked() throws -> World {
        let world = try World.enrolled()
        try world.request(["a"])
        return world
    }

    private let name = "REQ-1-hospital-a.tar"

    private func sessions(_ world: World) throws -> Int {
        try world.json("server", "sessions", "--home", "S")["sessions"].items.count
    }

    @Test func inApprovedAndRejectedItIsRejected() throws {
        let world = try asked()
        try world.shell(
            "cp S/requests/pending/\(name) S/requests/approved/ && mv S/requests/pending/\(name) S/requests/rejected/")
        let told = try world.serve()
        #expect(told.output.contains("rejected wins"), "\(told)")
        #expect(try sessions(world) == 0)
        try world.visit("a")
        #expect(try world.status("a")["requests"][0]["status"].text == "rejected")
    }

    @Test func anEditedRequestIsNotApproved() throws {
        let world = try asked()
        var bytes = try world.bytes("S/requests/pending/\(name)")
        let rounds = try #require(String(decoding: bytes, as: UTF8.self).range(of: "\"rounds\":1"))
        let offset = String(decoding: bytes, as: UTF8.self)[..<rounds.upperBound].utf8.count - 1
        bytes[offset] = UInt8(ascii: "9")
        try Data(bytes).write(to: URL(fileURLWithPath: world.path("S/requests/approved/\(name)")))
        try world.shell("rm S/requests/pending/\(name)")
        let told = try world.serve()
        #expect(told.output.contains(name), "\(told)")
        #expect(try sessions(world) == 0)
    }

    /// The hospital cannot send it again: it was received.
    @Test func whatWaitsAndWasTakenAwayIsLaidThereAgain() throws {
        let world = try asked()
        try world.shell("rm S/requests/pending/\(name)")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("REQ-1 waits for a decision and was not on its desk"), "\(told)")
        #expect(world.names("S/requests/pending") == [name])
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.shell("mv S/requests/pending/\(name) S/requests/approved/")
        try world.serve()
        #expect(try sessions(world) == 1)
    }

    @Test func whatIsRefusedIsNotOnRecordAsDone() throws {
        let world = try asked()
        let told = try world.run("server", "approve", "REQ-1", "--session", "sp ring", "--home", "S")
        #expect(told.status != 0 && told.errors.contains("is no name for a session"), "\(told)")
        #expect(try !world.text("S/audit/audit.jsonl").contains("sp ring"))
        #expect(world.names("S/requests/pending") == [name])
    }

    @Test func aLinkOnTheDeskIsNotFollowed() throws {
        let world = try asked()
        try world.shell(
            "mv S/requests/pending/\(name) elsewhere.tar && ln -s ../../../elsewhere.tar S/requests/approved/\(name)")
        let told = try world.serve()
        #expect(told.output.contains(name), "\(told)")
        #expect(try sessions(world) == 0)
    }

    @Test func copiesUnderOtherNamesAreOneRequest() throws {
        let world = try asked()
        try world.shell(
            "cp S/requests/pending/\(name) 'S/requests/approved/\(name) (1)' && cp S/requests/pending/\(name) S/requests/approved/x.tar"
        )
        try world.serve()
        try world.serve()
        #expect(try sessions(world) == 1)
        #expect(world.names("S/requests/pending").isEmpty, "what is decided waits no more")
    }

    @Test func anApprovalAfterTheExpiryStartsNothingAndIsToldOnce() throws {
        let world = try asked()
        world.advance(days: 91)
        try world.shell("mv S/requests/pending/\(name) S/requests/approved/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("REQ-1 was approved after it had expired"), "\(told)")
        #expect(try sessions(world) == 0)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    @Test func whatNobodyDecidedLeavesTheDeskWhenItExpires() throws {
        let world = try asked()
        world.advance(days: 91)
        #expect(try world.serve().output.contains("REQ-1 has expired: nobody decided in time"))
        try world.serve()
        #expect(world.names("S/requests/pending").isEmpty && !world.exists("S/requests/PENDING.txt"))
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    /// Who asks and takes back without end fills up what is remembered of himself, and is heard again when that has expired.
    @Test(arguments: [(count: 500, message: ""), (count: 490, message: String(repeating: "m", count: 2_000))])
    func aHospitalHasSoManyRequestsRemembered(count: Int, message: String) throws {
        let world = try asked()
        try world.succeed("client", "withdraw", "--home", "a")
        try world.answer("a")
        try world.serve()
        try world.serve()
        guard
            case .object(var fields) = try StrictJSON.parse(
                try world.bytes("S/requests/records.json"), maximumBytes: 1 << 20),
            case .array(let own)? = fields["requests"], case .object(var first)? = own.first,
            case .object(var request)? = first["request"]
        else { throw TestTrouble("records.json has no request") }
        request["message"] = .string(message)
        first["request"] = .object(request)
        fields["requests"] = .array(
            own
                + (2...count).map { number in
                    var copy = first
                    copy["number"] = .integer(Int64(number))
                    copy["id"] = .string(SHA256Hash.digest(of: Array("\(number)".utf8)).hex)
                    return .object(copy)
                })
        try world.write(
            String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self), to: "S/requests/records.json")
        func ask() throws -> Outcome {
            try world.succeed("client", "request", "--home", "a", "--rounds", "2")
            try world.answer("a")
            return try world.serve()
        }
        let told = try ask()
        #expect(told.output.contains("\(count) requests of hospital-a are remembered"), "\(told)")
        #expect(world.names("S/requests/pending").isEmpty)
        world.advance(days: 91)
        _ = try ask()
        #expect(world.names("S/requests/pending") == ["REQ-\(count + 1)-hospital-a.tar"])
        #expect(try world.json("server", "requests", "--home", "S")["requests"].items.count <= 251)
    }
}

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
        try world.write("", to: "S/requests/approved/file")
        let file = try world.run("server", "approve", "REQ-1", "--session", "file", "--home", "S")
        #expect(file.status == 64 && file.errors.contains("is a file, no folder"), "\(file)")
        #expect(try !world.text("S/audit/audit.jsonl").contains("\"approve\""))
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
        #expect(try world.json("server", "requests", "--home", "S")["requests"][0]["status"].text == "expired")
        try world.visit("a")
        #expect(try world.status("a")["requests"][0]["status"].text == "rejected", "the hospital is told too")
    }

    // MARK: decided already

    /// Two of the three that spring needs; the session waits.
    private func waiting() throws -> World {
        let world = try World.enrolled()
        try world.configure("S", "minimum_clients: 3")
        try world.request(["a", "b"])
        try world.approveAll("spring")
        return world
    }

    private func tellsOnce(_ words: String..., of world: World, at location: SourceLocation = #_sourceLocation) throws {
        let told = try world.succeed("server", "run", "--home", "S")
        for word in words { #expect(told.output.contains(word), "\(told)", sourceLocation: location) }
        let again = try world.run("server", "run", "--home", "S")
        #expect(again.isSilentSuccess, "\(again)", sourceLocation: location)
    }

    @Test(arguments: ["pending", "approved", "approved/summer"])
    func anApprovedRequestElsewhereChangesNothingAndThatIsSaid(folder: String) throws {
        let world = try waiting()
        try world.shell("mkdir -p S/requests/\(folder) && mv S/requests/approved/spring/\(name) S/requests/\(folder)/")
        if folder == "pending" {
            try tellsOnce(
                "REQ-1 was approved before, so its file was taken out of pending/",
                "run 'consilium server drop spring hospital-a'", of: world)
            #expect(world.names("S/requests/pending").isEmpty)
        } else {
            try tellsOnce(
                "REQ-1 belongs to session spring, though its file lies in \(folder)", "move it to approved/spring",
                of: world)
            try world.shell("mv S/requests/\(folder)/\(name) S/requests/approved/spring/")
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
        #expect(try sessions(world) == 1)
        try world.request(["c"])
        try world.approveAll("spring")
        #expect(try world.session("spring")["state"].text == "running")
    }

    @Test func aRejectedRequestThatIsPutBackStaysRejectedAndThatIsSaid() throws {
        let world = try asked()
        try world.shell("mv S/requests/pending/\(name) S/requests/rejected/")
        try world.serve()
        try world.shell("mv S/requests/rejected/\(name) S/requests/pending/")
        try tellsOnce(
            "REQ-1 was rejected before, so its file was taken out of pending/ again; ask the hospital", of: world)
        #expect(world.names("S/requests/pending").isEmpty)
    }

    @Test(arguments: ["approved/spring", "pending"])
    func whoWasDroppedIsNotTakenInByItsOldRequestAndThatIsSaid(folder: String) throws {
        let world = try waiting()
        try world.shell("mv S/requests/approved/spring/\(name) S/requests/rejected/")
        try world.serve()
        try world.shell("mv S/requests/rejected/\(name) S/requests/\(folder)/")
        try tellsOnce("REQ-1 was dropped before", "ask the hospital for a new request", of: world)
        for (verb, says) in [("approve", "REQ-1 was approved, and then dropped"), ("reject", "was dropped already")] {
            let command = try world.run("server", verb, "REQ-1", "--home", "S")
            #expect(command.status == 77 && command.errors.contains(says), "\(command)")
        }
    }

    @Test func nobodyIsDroppedFromASessionThatIsOver() throws {
        let world = try waiting()
        try world.succeed("server", "abort", "spring", "--home", "S")
        let command = try world.run("server", "reject", "REQ-1", "--home", "S")
        #expect(
            command.status == 77 && command.errors.contains("REQ-1 belongs to session spring, which is aborted"),
            "\(command)")
        try world.shell("mv S/requests/approved/spring/\(name) S/requests/rejected/")
        try tellsOnce("REQ-1: session spring is aborted, so nobody is dropped from it any more", of: world)
    }

    /// Each way in which a request that waits cannot be laid on its desk again.
    @Test func whatCannotBeLaidThereAgainIsTold() throws {
        let world = try asked()
        try world.shell("rm S/requests/pending/\(name) && mkdir S/requests/pending/\(name)")
        try tellsOnce("something else has the name of its file: remove ", of: world)
        let command = try world.run("server", "approve", "REQ-1", "--home", "S")
        #expect(command.errors.contains("the next 'consilium server run' lays it into pending/ again"), "\(command)")
        try world.shell("rmdir S/requests/pending/\(name) && mv S/archive kept && mkdir S/archive")
        try tellsOnce("its file is neither on the desk nor in the archive", of: world)
        try world.shell("rmdir S/archive && mv kept S/archive")
        try tellsOnce("REQ-1 waits for a decision and was not on its desk", of: world)
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
        let world = try remembered(count, message: message, status: "approved")
        let told = try ask(world)
        #expect(told.output.contains("\(count) requests of hospital-a are remembered"), "\(told)")
        #expect(world.names("S/requests/pending").isEmpty)
        // It is not left waiting for an answer.
        #expect(
            try world.visit("a").output.contains("request rejected: \(count) requests of hospital-a are remembered"))
        world.advance(days: 91)
        _ = try ask(world)
        #expect(world.names("S/requests/pending") == ["REQ-\(count + 1)-hospital-a.tar"])
        #expect(try world.json("server", "requests", "--home", "S")["requests"].items.count <= 251)
    }

    /// Whoever has the hospital's key asks and takes back: that bars its name from nothing.
    @Test func whatWasTakenBackAndAnsweredTakesNoRoom() throws {
        let world = try remembered(500, message: "", status: "withdrawn")
        // They are answered in the first run, and make room from then on.
        _ = try ask(world)
        _ = try ask(world)
        #expect(!world.names("S/requests/pending").isEmpty)
    }

    @Test func aRequestHoldsForSoLongAtMost() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "2")
        let request = "a/outbox/" + (try #require(world.names("a/outbox", "request").last))
        try world.forge(request, key: try world.key("a"), to: "S/inbox/long.tar.age") { manifest, _ in
            manifest.expires = manifest.created.adding(days: 1_460)
            manifest.seq += 1
        }
        let told = try world.serve()
        #expect(told.output.contains("more than 180 days after it was made"), "\(told)")
        #expect(world.names("S/requests/pending").isEmpty)
    }

    private func ask(_ world: World) throws -> Outcome {
        try world.succeed("client", "request", "--home", "a", "--rounds", "2")
        try world.answer("a")
        return try world.serve()
    }

    /// A server that remembers so many requests of hospital-a.
    private func remembered(_ count: Int, message: String, status: String) throws -> World {
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
        first["status"] = .string(status)
        fields["requests"] = .array(
            [.object(first)]
                + (2...count).map { number in
                    var copy = first
                    copy["number"] = .integer(Int64(number))
                    copy["id"] = .string(SHA256Hash.digest(of: Array("\(number)".utf8)).hex)
                    return .object(copy)
                })
        try world.write(
            String(decoding: StrictJSON.serialize(.object(fields)), as: UTF8.self), to: "S/requests/records.json")
        return world
    }
}

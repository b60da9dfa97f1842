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
}

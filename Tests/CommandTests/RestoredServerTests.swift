import Testing
import Wire

/// A server that is restored from a backup of the middle of a round has lost updates that it acknowledged.
@Suite struct RestoredServerTests {
    /// Both have answered round 1 and know that it arrived.
    private func answered(_ before: (World) throws -> Void = { _ in }) throws -> World {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b", "c"], rounds: 2)
        try before(world)
        world.advance(seconds: 3600)
        for home in ["a", "b"] {
            try world.visit(home)
            try world.answer(home)
        }
        world.advance(seconds: 3600)
        try world.serve()
        for home in ["a", "b"] { try world.visit(home) }
        #expect(world.names("a/outbox", "update").isEmpty, "it is acknowledged")
        return world
    }

    @Test func aHospitalAnswersAReissuedRoundAgainWhereTheServerHasLostItsUpdate() throws {
        let world = try answered { try $0.shell("cp -a S backup") }
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        #expect(try world.session("spring")["answered"].items.isEmpty)
        for home in ["a", "b"] { try world.succeed("server", "reissue", "spring", "hospital-\(home)", "--home", "S") }
        try world.serve()
        for home in ["a", "b"] {
            let told = try world.visit(home)
            #expect(told.output.contains("does not have this hospital's update"), "\(told)")
            #expect(world.names("\(home)/outbox", "update").count == 1)
            try world.answer(home)
        }
        try world.serve()
        try world.journey(["c"])
        let fates = try #require(try world.history("spring").first)
        #expect(World.everybody.allSatisfy { fates.fate(of: "hospital-\($0)") == "counted" }, "\(fates)")
        // The next round has its update as ever.
        try world.journey()
        #expect(try world.history("spring").count == 2)
    }

    /// As under cron: nothing is mailed either.
    @Test func aReissueOfARoundWhoseUpdateArrivedChangesNothing() throws {
        let world = try answered()
        world.advance(days: 1)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.carry("S", to: "a")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(world.names("a/outbox", "update").isEmpty)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    /// Nor does one that was made before the update, and came by a slower way.
    @Test func aReissueFromBeforeTheUpdateChangesNothing() throws {
        let world = try answered { world in
            try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
            try world.serve()
            try world.shell("mkdir slow && mv S/outbox/global-*-to-hospital-a-* slow/")
        }
        try world.shell("cp slow/* a/inbox/")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(world.names("a/outbox", "update").isEmpty)
    }
}

import Bundles
import Testing
import Wire

/// A home that was restored from a backup, and so says two different things under one number.
@Suite struct EquivocationTests {
    /// Both updates of round 1 carry the same number; the first one is at the server.
    private func restored() throws -> World {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        for home in World.everybody { try world.carry("S", to: home) }
        try world.shell("cp -a b backup")
        try world.succeed("client", "run", "--home", "b")
        try world.answer("b")
        try world.serve()
        try world.shell("rm -rf b && mv backup b")
        // At once: numbers go on with the clock.
        world.advance(seconds: 1)
        try world.succeed("client", "run", "--home", "b")
        try world.answer("b")
        return world
    }

    @Test func twoBundlesWithOneNumberExcludeUntilTheHospitalIsReadmitted() throws {
        let world = try restored()
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("hospital-b sent two different bundles with the number"), "\(told)")
        #expect(told.output.contains("hospital-b is excluded"), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        let standing = try world.session("spring")["participants"].items.first { $0["name"].text == "hospital-b" }
        #expect(standing?["standing"].text == "excluded")
        let visit = try world.visit("b")
        #expect(visit.output.contains("the server has excluded this hospital"), "\(visit)")

        try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        try world.visit("b")
        for home in ["a", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.answer("b")
        try world.serve()
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-b") == "counted")
    }

    /// A server that says two things under one number: the hospital stops that session, says who did what, and takes part in
    /// the next one.
    @Test func aServerThatEquivocatesIsStoppedByTheHospital() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2)
        try world.visit("a")
        let global = try #require(world.names("S/outbox", "global").first)
        try world.forge("S/outbox/\(global)", key: try world.key(of: "S"), to: "b/inbox/other.tar") { manifest, _ in
            manifest.expires = manifest.expires.adding(days: 1)
        }
        try world.visit("b")
        let told = try world.run("client", "status", "--home", "b")
        #expect(told.output.contains("stopped here: the server sent two different bundles with one number"), "\(told)")
        #expect(!told.output.contains("aborted by the server"), "\(told)")
        #expect(try world.text("b/audit/audit.jsonl").contains("\"equivocation\""))
        #expect(world.names("b/outbox", "update").isEmpty)
        try world.succeed("server", "abort", "spring", "--home", "S")
        try world.visit("b")

        // The next session, with the same server.
        try world.startSession("autumn", ["b", "c"])
        try world.journey(["b", "c"])
        #expect(try world.session("autumn")["state"].text == "finished")
        #expect(try world.history("autumn").first?.fate(of: "hospital-b") == "counted")
        try world.visit("b")
        try world.succeed("client", "accept", "1", "--home", "b")
    }

    /// A slip of the pen settles nothing.
    @Test func onlyTheExcludedAreReadmitted() throws {
        let world = try restored()
        try world.serve()
        let told = try world.run("server", "readmit", "spring", "hospital-a", "--home", "S")
        #expect(told.status == 77 && told.errors.contains("hospital-a is not excluded from session spring"), "\(told)")
        try world.succeed("server", "abort", "spring", "--home", "S")
        #expect(try world.run("server", "readmit", "spring", "hospital-b", "--home", "S").status == 77)
        #expect(try world.text("S/mailbox/ledger.json").contains("\"second\""))
    }

    /// Without a readmission the others go on, and the account says why one is missing.
    @Test func theOthersGoOnWithoutTheExcluded() throws {
        let world = try restored()
        try world.succeed("server", "run", "--home", "S")
        for home in ["a", "c"] {
            try world.visit(home)
            try world.answer(home)
        }
        try world.serve()
        let round = try #require(try world.history("spring").first)
        #expect(round.fate(of: "hospital-a") == "counted")
        #expect(round.fate(of: "hospital-b") == "rejected")
        try world.journey(["a", "c"])
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// A restored home whose outbox was carried already notices the foreign bundle and numbers above it.
    @Test func aRestoredHomeNumbersAboveWhatItFindsInItsOutbox() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.carry("S", to: home) }
        try world.shell("cp -a b backup")
        try world.succeed("client", "run", "--home", "b")
        try world.shell("cp b/outbox/update*.tar.age backup/outbox/ && rm -rf b && mv backup b")
        world.advance(seconds: 3600)
        let told = try world.succeed("client", "run", "--home", "b")
        #expect(told.output.contains("this home was restored from a backup"), "\(told)")
        try world.answer("b")
        let served = try world.serve()
        #expect(!served.output.contains("excluded"), "\(served)")
        try world.journey(["a", "c"])
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
    }
}

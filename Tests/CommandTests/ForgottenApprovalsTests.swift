import Testing
import Wire

/// A server that is restored from a backup, and signs before anybody has told it that it was.
@Suite struct ForgottenApprovalsTests {
    /// Of before all approvals: nobody is known whose acknowledgements could tell.
    @Test func aServerThatForgotEverybodyContradictsNothing() throws {
        let world = try World.initialised()
        world.advance(seconds: 600)
        try world.shell("cp -a S backup")
        try world.enrol()
        world.advance(days: 1)
        try world.startSession("spring")
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        for home in World.everybody {
            try world.succeed("key", "rotate", "--home", home)
            try world.answer(home)
        }
        try world.serve()
        try world.approveEnrolments()
        for home in World.everybody { try world.visit(home) }
        #expect(try world.run("doctor", "--home", "S").output.contains("ok   unknown keys"))
        try world.startSession("summer")
        try world.journey()
        #expect(try world.session("summer")["state"].text == "finished")
        for home in World.everybody { #expect(try !world.reasons(home).contains("equivocation")) }
    }

    /// An update that was made under the forgotten key waits for an enrolment that does not come.
    @Test func whatAForgottenKeySignedComesWithAReissue() throws {
        let world = try World.enrolled()
        try world.request(World.everybody, rounds: 1)
        world.advance(seconds: 600)
        try world.shell("cp -a S backup")
        func rotate() throws {
            try world.succeed("key", "rotate", "--home", "a")
            try world.answer("a")
            try world.serve()
            try world.approveEnrolments()
        }
        try rotate()
        try world.visit("a")
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        try world.approveAll("spring")
        for home in World.everybody { try world.visit(home) }
        for home in World.everybody { try world.answer(home) }
        #expect(try world.serve().output.contains("'server reissue'"))
        try rotate()
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "running")
        world.advance(seconds: 60)
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.serve()
        try world.visit("a")
        try world.answer("a")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// Its people make the first move: the round's global goes out once more, under a new key.
    @Test func whatPeopleDoFirstContradictsNothing() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 2)
        try world.shell("cp -a S backup")
        world.advance(seconds: 3600)
        try world.journey()
        world.advance(seconds: 3600)
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        for home in World.everybody {
            try world.succeed("server", "reissue", "spring", "hospital-\(home)", "--home", "S")
        }
        try world.succeed("key", "rotate", "--home", "S")
        try world.serve()
        for _ in 1...2 {
            world.advance(seconds: 3600)
            try world.journey()
        }
        #expect(try world.session("spring")["state"].text == "finished")
        for home in World.everybody { #expect(try !world.reasons(home).contains("equivocation")) }
    }
}

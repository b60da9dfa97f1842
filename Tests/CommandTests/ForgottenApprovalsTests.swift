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

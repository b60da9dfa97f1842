import Testing
import Wire

/// A server that is restored from a backup of before its own rotation: its hospitals believe a key that it has lost, and
/// take no other one on the word of the old one.
@Suite struct RestoredKeyTests {
    /// The server has rotated a second time, by its old key, and nobody has heard of that yet.
    private func rotatedAgain() throws -> World {
        let world = try World.enrolled()
        try world.shell("cp -a S backup")
        try world.succeed("key", "rotate", "--home", "S")
        try world.serve()
        for _ in 1...2 {
            try world.journey()
            world.advance(seconds: 3600)
        }
        try world.shell("rm -rf S && mv backup S")
        world.advance(seconds: 7200)
        // What they acknowledge tells it that it was restored.
        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.succeed("key", "rotate", "--home", "S")
        try world.serve()
        return world
    }

    private func refusals(_ world: World) throws -> Int {
        try world.text("a/audit/audit.jsonl").split(separator: "\n").count { $0.contains("\"refused\"") }
    }

    @Test func aKeyThatEveryHospitalHasRefusedIsNotTakenForKnown() throws {
        let world = try rotatedAgain()
        for home in World.everybody {
            let told = try world.visit(home)
            #expect(told.output.contains("trust of ministry refused: "), "\(told)")
            #expect(told.output.contains("call ministry"), "\(told)")
            try world.answer(home)
        }
        let refused = try refusals(world)
        let served = try world.serve()
        #expect(!served.output.contains("signs from now on"), "\(served)")
        // The courier brings it every night: nobody is mailed, and nothing grows.
        for _ in 1...3 {
            world.advance(days: 1)
            for home in World.everybody {
                try world.carry("S", to: home)
                #expect(try world.run("client", "run", "--home", home).isSilentSuccess)
                try world.answer(home)
            }
            #expect(try !world.serve().output.contains("signs from now on"))
        }
        #expect(try refusals(world) == refused)
        world.advance(days: 27)
        let late = try world.serve()
        #expect(
            late.output.contains("signs from now on; not acknowledged by hospital-a, hospital-b, hospital-c"), "\(late)"
        )
        #expect(late.output.contains("'consilium key trust'"), "\(late)")
    }

    /// As the lines say.
    @Test func anInviteOfTheNewKeyEndsIt() throws {
        let world = try rotatedAgain()
        try world.journey()
        world.advance(days: 31)
        try world.serve()
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        let new = try world.fingerprint("S")
        for home in World.everybody {
            try world.succeed("key", "trust", "new.tar", "--fingerprint", new, "--home", home)
        }
        try world.journey()
        for home in World.everybody { #expect(try world.trusted("ministry", at: home).contains(new)) }
        try world.startSession(rounds: 1)
        try world.journey()
        #expect(try world.session("spring")["state"].text == "finished")
    }
}

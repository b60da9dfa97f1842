import Foundation
import Testing
import Wire

/// An update that came in the clear where the server takes none so is not lost, however it came to be refused, and its
/// hospital hears of it as long as there is something to mend.
@Suite struct ClearUpdateTests {
    private let refusal = "update of hospital-a refused: not-encrypted"
    private let notTaken = "the server did not take this hospital's update: it came in the clear"

    /// Hospital-a sends in the clear.
    private func clear(_ homes: [String] = ["a", "b"], rounds: Int = 1) throws -> World {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.configure("a", "encrypt: false")
        try world.startSession("spring", homes, rounds: rounds)
        return world
    }

    private func encrypt(_ world: World) throws {
        try world.shell("sed -i '/^encrypt: false/d' a/consilium.yaml")
        try world.succeed("client", "run", "--home", "a")
        #expect(try world.update("a").hasSuffix(".tar.age"))
    }

    /// Has hospital-a's update wait until ``restoreState(_:)``.
    private func answerWithoutState(_ world: World) throws {
        try world.shell("mv S/sessions/*/session.json aside && echo '{' > $(echo S/sessions/*)/session.json")
        try world.answer("a")
        _ = try world.run("server", "run", "--home", "S")
        #expect(world.names("S/inbox").isEmpty)
        try world.visit("a")
    }

    private func restoreState(_ world: World) throws { try world.shell("mv aside $(echo S/sessions/*)/session.json") }

    private func answers(_ world: World) -> Set<String> {
        Set(world.names("S/outbox", "decision-ministry-to-hospital-a"))
    }

    /// Lets hospital-a's update be refused, mends it, and ends the session.
    private func mend(_ world: World) throws {
        let told = try world.serve()
        #expect(told.output.contains(refusal), "\(told)")
        let visit = try world.visit("a")
        #expect(visit.output.contains(notTaken), "\(visit)")
        try encrypt(world)
        try world.answer("a")
        try world.journey(["b"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
        try world.visit("a")
        #expect(world.names("a/outbox", "update").isEmpty, "it is acknowledged")
    }

    @Test func whatWaitsForAStateThatCannotBeReadIsKeptByItsHospital() throws {
        let world = try clear()
        try world.visit("a")
        let update = try world.update("a")
        try answerWithoutState(world)
        #expect(try world.update("a") == update, "it is not acknowledged")
        try restoreState(world)
        try mend(world)
    }

    @Test func whatWaitsForARoundThatARestoredServerHasNotOpenedIsKeptByItsHospital() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession("spring", ["a", "b"], rounds: 2)
        for home in ["a", "b"] { try world.visit(home) }
        try world.answer("a")
        try world.serve()
        try world.shell("cp -a S backup && mkdir late && cp b/outbox/update-* late/")
        try world.answer("b")
        try world.serve()
        try world.configure("a", "encrypt: false")
        try world.visit("a")
        let update = try world.update("a")
        #expect(update.contains("-r2-") && update.hasSuffix(".tar"))

        try world.shell("rm -r S && mv backup S")
        try world.answer("a")
        try world.serve()
        #expect(world.names("S/inbox").isEmpty)
        try world.visit("a")
        #expect(try world.update("a") == update, "it is not acknowledged")
        try world.shell("cp late/* S/inbox/")
        try world.serve()
        try mend(world)
    }

    /// The server took updates in the clear when this one began to wait: its hospital has no copy any more.
    @Test func whatWasAcknowledgedWhileItWaitedIsTaken() throws {
        let world = try clear()
        try world.configure("S", "require_encryption: false")
        try world.visit("a")
        try answerWithoutState(world)
        #expect(world.names("a/outbox", "update").isEmpty, "it is acknowledged")
        try restoreState(world)
        try world.shell("sed -i '/^require_encryption/d' S/consilium.yaml")
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// Called by telephone, the hospital mended it before the answer was carried. It may have been made again meanwhile, where
    /// the server's key was revoked.
    @Test(arguments: [false, true]) func theAnswerIsTakenBackOnceTheUpdateIsTaken(isCompromised: Bool) throws {
        let world = try clear()
        try world.visit("a")
        try world.answer("a")
        let before = answers(world)
        try world.serve()
        let answer = answers(world).subtracting(before)
        #expect(answer.count == 1)
        if isCompromised {
            try world.succeed("key", "rotate", "--compromised", "--home", "S")
            try world.serve()
            #expect(answers(world).subtracting(before).count == 1 && answers(world).isDisjoint(with: answer))
        }
        try encrypt(world)
        try world.answer("a")
        try world.serve()
        #expect(answers(world).subtracting(before).isEmpty)
        if isCompromised { return }
        try world.journey(["b"])
        let visit = try world.visit("a")
        #expect(!visit.output.contains("did not take"), "\(visit)")
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
    }

    /// The advice is for the one whom it helps. Once the round is closed the next update would come in the clear too; once the
    /// session is over nothing can be sent any more.
    /// What the server has not taken stays its hospital's, however often the round is issued again meanwhile.
    @Test func aReissueBeforeTheMendLosesNothing() throws {
        let world = try clear(["a", "b"])
        for home in ["a", "b"] { try world.visit(home) }
        for home in ["a", "b"] { try world.answer(home) }
        try world.serve()
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        try world.visit("a")
        try encrypt(world)
        try world.journey(["a", "b"])
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.history("spring").last?.fate(of: "hospital-a") == "counted")
    }

    @Test func theOthersReadTheReasonOnlyAndTheAnswerEndsWithTheSession() throws {
        let world = try clear(["a", "b", "c"], rounds: 2)
        try world.visit("a")
        try world.answer("a")
        let before = answers(world)
        try world.journey(["b", "c"])
        #expect(answers(world).subtracting(before).count == 1)
        world.advance(days: 30)
        try world.serve()
        let closed = try #require(try world.history("spring").first)
        let line = try #require(closed["participants"].items.first { $0["client"].text == "hospital-a" })
        #expect(line["reason"].text == "not-encrypted: it came in the clear", "\(line)")
        #expect(answers(world).subtracting(before).count == 1)
        for home in ["b", "c"] { #expect(try !world.visit(home).output.contains("encrypt: false")) }
        for home in ["b", "c"] { try world.answer(home) }
        try world.serve()
        world.advance(days: 30)
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(answers(world).subtracting(before).isEmpty)
    }

    @Test func whoComesBackInTheSameRoundAndSendsInTheClearIsToldAgain() throws {
        let world = try clear(rounds: 2)
        for _ in 1...2 {
            try world.visit("a")
            try world.answer("a")
            let told = try world.serve()
            #expect(told.output.contains(refusal), "\(told)")
            let visit = try world.visit("a")
            #expect(visit.output.contains(notTaken), "\(visit)")
            try world.succeed("server", "drop", "spring", "hospital-a", "--home", "S")
            #expect(try world.run("server", "run", "--home", "S").status == 69, "it is paused")
            try world.visit("a")
            try world.request(["a"], rounds: 2)
            try world.approveAll("spring")
        }
    }

    /// As what is encrypted does: the person who cut it off knows.
    @Test func whatIsForAServerWithoutAKeyWaitsInSilence() throws {
        let world = try clear()
        try world.visit("a")
        let server = try world.fingerprint("S")
        try world.succeed("client", "run", "--home", "a")
        try world.succeed("key", "distrust", server, "--home", "a", "--reason", "call of the ministry")
        try world.shell("sed -i '/^encrypt: false/d' a/consilium.yaml")
        for _ in 1...2 {
            world.advance(days: 1, seconds: 60)
            let run = try world.run("client", "run", "--home", "a")
            #expect(run.isSilentSuccess, "\(run)")
            #expect(world.names("a/outbox", "update").isEmpty)
        }
    }
}

import Testing
import Wire

/// A hospital that leaves a session or loses its home, and goes on: what is under way of the time before is neither taken
/// for something newer nor left without an answer.
@Suite struct ReturnTests {
    /// An acknowledgement of the frozen tensors that came before a loss says nothing about what is there after it.
    @Test func whatWasAcknowledgedBeforeALossIsSentAgainUntilItIsAcknowledgedAnew() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 2, ["--train-from", "head"])
        try world.journey(["a"])
        try world.succeed("server", "reissue", "spring", "hospital-a", "--home", "S")
        // Nothing of this answers the second issue.
        try world.succeed("client", "request", "--home", "a", "--rounds", "2")
        try world.answer("a")
        try world.serve()
        try world.journey(["b"])
        let second = world.names("S/outbox", "global").filter { $0.contains("-r2-") }
        #expect(second.contains { $0.hasPrefix("global-ministry-to-hospital-a-") }, "\(second)")
        try world.shell("rm -rf a/sessions/*/base.safetensors")
        try world.visit("a")
        #expect(world.names("a/outbox", "update").contains { $0.contains("-r2-") })
    }
}

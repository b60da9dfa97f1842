import Bundles
import FaultRecords
import Foundation
import Testing
import Wire

/// A key of a hospital is revoked in the middle of a round, and the server's bundles about that overtake each other on their
/// way. Whatever the order, the round ends with an update that the hospital's own new key signed.
@Suite struct OvertakenAnswerTests {
    /// What the server sent to hospital b, by what it is about.
    enum Word: CaseIterable { case receipt, approval, revocation, disowning, global }

    private static let words: [(word: Word, kind: String)] = [
        (.receipt, "receipt"), (.approval, "decision"), (.revocation, "trust"), (.disowning, "decision"),
        (.global, "global"),
    ]

    /// All orders of these words, or every `step`th.
    private func orders(of words: [Word], step: Int) -> [[Word]] {
        func permutations(_ rest: [Word]) -> [[Word]] {
            rest.isEmpty
                ? [[]]
                : rest.indices.flatMap { index in
                    var others = rest
                    let word = others.remove(at: index)
                    return permutations(others).map { [word] + $0 }
                }
        }
        return permutations(words).enumerated().filter { $0.offset.isMultiple(of: step) }.map(\.element)
    }

    /// What the server says in `work`, kept back from the outbox.
    private func keep(_ world: World, as word: Word, _ work: () throws -> Void) throws {
        let before = Set(world.names("S/outbox"))
        try work()
        let kind = try #require(Self.words.first { $0.word == word }?.kind)
        let new = world.names("S/outbox", kind).filter { !before.contains($0) && $0.contains("hospital-b") }
        try #require(!new.isEmpty, "\(word): \(world.names("S/outbox"))")
        try world.shell("mkdir -p kept/\(word)")
        for name in new { try world.shell("cp S/outbox/\(name) kept/\(word)/") }
    }

    private func revokeAndReissue(_ world: World, _ key: String) throws {
        world.advance(seconds: 3600)
        try keep(world, as: .revocation) {
            try keep(world, as: .disowning) {
                try keep(world, as: .global) {
                    try world.succeed("server", "revoke", key, "--reason", "stolen", "--home", "S")
                    try world.serve()
                }
            }
        }
    }

    private func finish(_ order: [Word], _ start: World) throws {
        let world = try World.copy(of: start.root, isPassing: true)
        defer { try? FileManager.default.removeItem(atPath: world.root) }
        world.now = start.now
        for word in order {
            world.advance(seconds: 3600)
            try world.shell("cp kept/\(word)/* b/inbox/")
            try world.succeed("client", "run", "--home", "b")
        }
        for _ in 1...2 {
            world.advance(days: 1, seconds: 3600)
            try world.journey()
        }
        #expect(try world.session("spring")["state"].text == "finished", "\(order)")
        let round = try #require(try world.history("spring").first, "\(order)")
        #expect(round.fate(of: "hospital-b") == "counted", "\(order)")
    }

    /// The hospital rotates on suspicion, and its old key is revoked right after the new one is approved.
    @Test func aKeyThatIsRevokedWithinItsRotationLosesNoRound() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        let old = try world.fingerprint("b")
        try world.succeed("key", "rotate", "--home", "b")
        try world.visit("b")
        try world.answer("b")
        try keep(world, as: .receipt) { try world.serve() }
        try keep(world, as: .approval) { try world.approveEnrolments() }
        try revokeAndReissue(world, old)
        let orders = orders(of: Word.allCases, step: 7) + [[.disowning, .global, .revocation, .receipt, .approval]]
        for order in orders { try finish(order, world) }
        FaultRecords.record(points: orders.count)
    }

    /// A thief's update under the old key takes the place of the hospital's own in the overlap of a rotation.
    @Test func anUpdateThatATheftDisplacedIsMissedByNobody() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        let stolen = try world.key("b")
        try world.succeed("key", "rotate", "--home", "b")
        try world.shell("cp b/outbox/enrol-* S/inbox/")
        try world.serve()
        try world.approveEnrolments()
        try world.visit("b")
        try #require(try world.fingerprint("b") != stolen.publicKey.fingerprint)
        let update = "b/outbox/" + (try #require(world.names("b/outbox", "update").first))
        try world.answer("b")
        try keep(world, as: .receipt) { try world.serve() }
        try world.forge(update, key: stolen, to: "S/inbox/stolen.tar.age") { manifest, _ in manifest.seq = 900 }
        try world.serve()
        try revokeAndReissue(world, stolen.publicKey.fingerprint)
        let orders = orders(of: [.receipt, .revocation, .disowning, .global], step: 1)
        for order in orders { try finish(order, world) }
        FaultRecords.record(points: orders.count)
    }
}

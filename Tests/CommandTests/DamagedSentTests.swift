import Foundation
import Glibc
import Testing
import Wire

/// A bundle of a hospital's own that its disk has spoiled before it arrived, and that a new key has to say again.
@Suite struct DamagedSentTests {
    /// The archive that a home keeps of the largest bundle that is under way: the update, where there is one.
    private func kept(_ home: String, in world: World) throws -> String {
        let folder = "\(home)/mailbox/outgoing"
        let sizes = try world.names(folder).filter { $0.hasSuffix(".tar") }.map { name in
            (size: try world.bytes("\(folder)/\(name)").count, path: "\(folder)/\(name)")
        }
        return try #require(sizes.max { $0.size < $1.size }).path
    }

    /// One byte of the payload: the archive's form and the manifest stay good.
    private func spoil(_ home: String, in world: World) throws -> String {
        let file = try kept(home, in: world)
        try world.damage(file, at: try world.bytes(file).count / 2)
        return file
    }

    /// `a` has trained, nobody has carried that, and its new key is taken.
    private func rotated(isOldRevoked: Bool = true) throws -> World {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let old = try world.fingerprint("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.shell("cp a/outbox/enrol-* S/inbox/")
        try world.serve()
        try world.approveEnrolments()
        if isOldRevoked { try world.succeed("server", "revoke", old, "--reason", "old", "--home", "S") }
        return world
    }

    private func finish(_ world: World) throws {
        try world.answer("a")
        try world.journey(["b"])
        #expect(try world.history("spring").first?.fate(of: "hospital-a") == "counted")
        #expect(try world.history("spring").first?.fate(of: "hospital-b") == "counted")
    }

    @Test func anUpdateThatIsDamagedIsTrainedAgainUnderTheNewKey() throws {
        let world = try rotated()
        let file = try spoil("a", in: world)
        let visit = try world.visit("a")
        let told = visit.output.split(separator: "\n").filter { $0.contains(file) }
        #expect(told.count == 1 && told[0].contains("is damaged"), "\(visit)")
        #expect(told.first?.contains("is trained once more") == true, "\(visit)")
        #expect(visit.output.contains("round 1: update published"), "\(visit)")
        #expect(!world.exists(file) && world.names("a/outbox", "update").count == 1)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        try finish(world)
    }

    /// Its beginning does not tell any more whose key signed it.
    @Test func anUpdateWhoseBeginningIsDamagedIsTrainedAgain() throws {
        let world = try rotated()
        let file = try kept("a", in: world)
        try world.damage(file, at: 0)
        let visit = try world.visit("a")
        #expect(visit.output.contains(file) && visit.output.contains("round 1: update published"), "\(visit)")
        try finish(world)
    }

    /// The key is changed by then: a command that fails would be given again, and make another key each time.
    @Test func aLostKeyIsReplacedOnceWhateverIsDamaged() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let file = try spoil("a", in: world)
        let replaced = try world.succeed("key", "rotate", "--lost", "--home", "a")
        #expect(replaced.output.contains(file), "\(replaced)")
        #expect(world.names("a/outbox", "enrol").count == 1 && world.names("a/outbox", "update").isEmpty)
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.visit("a").output.contains("round 1: update published"))
        try finish(world)
    }

    @Test func aWithdrawalThatIsDamagedIsSentAgainWithoutItsReason() throws {
        let world = try World.enrolled()
        try world.startSession("spring", World.everybody)
        try world.succeed("client", "withdraw", "--reason", "the ethics board says no to this", "--home", "a")
        let file =
            "a/mailbox/outgoing/"
            + (try #require(
                world.names("a/mailbox/outgoing").first { name in
                    try world.text("a/mailbox/outgoing/\(name)").contains("ethics board")
                }))
        try world.shell("sed -i 's/ethics board/ethixx board/' \(file)")
        let replaced = try world.succeed("key", "rotate", "--lost", "--home", "a")
        #expect(replaced.output.contains(file), "\(replaced)")
        #expect(world.names("a/outbox", "withdraw").count == 1)
        try world.answer("a")
        try world.serve()
        try world.approveEnrolments()
        #expect(try world.visit("a").output.contains("request withdrawn"))
    }

    /// Nobody was told of it yet: the run was killed after the request was sent, and before it was on record.
    @Test func aRequestThatIsDamagedBeforeItIsOnRecordStopsNoRun() throws {
        let world = try World.enrolled()
        try world.shell("cp -a a/sessions kept")
        try world.succeed("client", "request", "--home", "a", "--rounds", "1", "--message", "after the easter days")
        try world.shell("rm -rf a/sessions && cp -a kept a/sessions")
        try world.shell("sed -i 's/easter days/easter dayz/' a/mailbox/outgoing/*.tar")
        let run = try world.succeed("client", "run", "--home", "a")
        #expect(run.output.contains("a/mailbox/outgoing/") && run.output.contains("'client request'"), "\(run)")
        #expect(world.names("a/outbox", "request").isEmpty)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        try world.request(["a"])
    }

    /// What cannot be read just now is not damaged: nothing is withdrawn for it, and the same run succeeds later.
    @Test(.enabled(if: Interposer.isUsable, "no C compiler (cc) to build the library that makes calls fail"))
    func aDiskThatFailsSpoilsNothing() throws {
        let world = try rotated()
        try world.carry("S", to: "a")
        // Such runs are the ones that the library is loaded into.
        try world.shell("mkdir -p exchange/hospital-a/inbox exchange/hospital-a/outbox")
        let file = try kept("a", in: world)
        let name = try #require(file.split(separator: "/").last.map(String.init))
        func tick(_ world: World) -> [String] { ["client", "run", "--home", world.path("a"), "--verbose"] }
        func copied() throws -> World {
            let copy = try World.copy(of: world.root)
            try copy.configure("a", "exchange: \(copy.path("exchange"))")
            return copy
        }
        func folders(_ world: World) -> [String] { [world.path("a/mailbox/outgoing")] }
        let undisturbed = try copied()
        let calls = try Interposer.count(tick(undisturbed), under: folders(undisturbed), in: undisturbed)
        let opens = calls.indices.filter { calls[$0].call == "open" && calls[$0].path.hasSuffix(name) }
        try #require(opens.count >= 3, "\(calls)")
        for index in opens {
            let copy = try copied()
            let point = Interposer.Point(number: index + 1, call: "open", name: name, error: EIO)
            let (outcome, isHit) = try Interposer.run(tick(copy), injecting: point, under: folders(copy), in: copy)
            #expect(isHit && outcome.status == 75, "\(point): \(outcome)")
            let next = try copy.succeed("client", "run", "--home", "a", "--verbose")
            #expect((outcome.output + next.output).contains("is signed anew"), "\(point): \(next)")
            #expect(!(outcome.output + next.output).contains("is damaged"), "\(point): \(outcome) \(next)")
            #expect(copy.names("a/outbox", "update").count == 1, "\(point)")
        }
    }

    /// Whoever is told that it failed gives the command again, and has another key for it.
    @Test(.enabled(if: Strace.isUsable, "strace is missing or may not trace"))
    func aLostKeyIsReplacedOnceWhereTheDiskFailsMeanwhile() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let replaced = try Strace.run(
            ["key", "rotate", "--lost", "--home", "a"], failing: ["openat"], with: "EIO",
            at: [world.path(try kept("a", in: world))], in: world)
        #expect(replaced.status == 0 && replaced.output.contains("the next run"), "\(replaced)")
        let visit = try world.visit("a")
        #expect(visit.output.contains("the update of round 1 is signed anew"), "\(visit)")
        #expect(world.names("a/outbox", "enrol").count == 1 && world.names("a/outbox", "update").count == 1)
    }
}

import Glibc
import Testing
import Wire

/// What lies in an inbox but is no bundle yet, and a home that is busy.
@Suite struct InboxTests {
    /// A desktop copy shows a file under its final name while it grows.
    @Test func aHalfCopiedBundleIsLeftAloneAndTakenWhenComplete() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        let bundle = "a/outbox/" + (try #require(world.names("a/outbox", "request").first))
        for bytes in [0, 300, 2000] {
            try world.shell("head -c \(bytes) '\(bundle)' > S/inbox/growing.tar")
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess, "\(bytes) bytes")
            #expect(world.names("S/inbox") == ["growing.tar"])
            world.advance(seconds: 59)
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess, "\(bytes) bytes")
        }
        try world.shell("cat '\(bundle)' > S/inbox/growing.tar")
        try world.serve()
        #expect(world.names("S/inbox").isEmpty)
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
        #expect(world.names("S/quarantine").isEmpty)
    }

    @Test func aFileThatStaysIncompleteIsPutAwayWithTheReason() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        let bundle = "a/outbox/" + (try #require(world.names("a/outbox", "request").first))
        try world.shell("head -c 2000 '\(bundle)' > S/inbox/torn.tar; printf 'not a bundle' > S/inbox/readme.txt")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        world.advance(seconds: 59)
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        #expect(world.names("S/inbox") == ["readme.txt", "torn.tar"])
        world.advance(seconds: 1)
        let told = try world.succeed("server", "run", "--home", "S")
        let lines = told.output.split(separator: "\n")
        #expect(lines.count == 2, "\(told)")
        #expect(lines.allSatisfy { $0.hasPrefix("a bundle was put into quarantine: ") }, "\(told)")
        #expect(world.names("S/inbox").isEmpty)
        let notes = world.names("S/quarantine").filter { $0.hasSuffix(".reason.txt") }
        #expect(notes.count == 2)
        let texts = try notes.map { try world.text("S/quarantine/\($0)") }
        #expect(texts.contains { $0.contains("torn.tar") } && texts.contains { $0.contains("readme.txt") })
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78)
        #expect(doctor.output.contains("MEND quarantine"))
    }

    /// A whole bundle under any name is taken; one whose payload was changed on the way is not.
    @Test func aChangedPayloadIsPutAway() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        try world.carry(try world.update("a"), as: "S/inbox/anything at all")
        try world.damage("S/inbox/anything at all", at: 100_000)
        try world.serve()
        world.advance(seconds: 61)
        let told = try world.serve()
        #expect(told.output.contains("quarantine"), "\(told)")
        #expect(try world.session("spring")["answered"].texts == [])
        try world.answer("a")
        try world.serve()
        #expect(try world.session("spring")["answered"].texts == ["hospital-a"])
    }

    /// A cron run that finds another one at work ends with 0, silently; a command that needs the home to itself with 75.
    @Test func aHeldLockIsNothingToSayForCronAndTemporaryForPeople() throws {
        let world = try World.enrolled()
        for (role, home, other) in [("server", "S", "requests"), ("client", "a", "request")] {
            let lock = open(world.path("\(home)/mailbox/lock"), O_RDWR | O_CLOEXEC)
            try #require(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
            let before = try Snapshot(world.path(home))
            #expect(try world.run(role, "run", "--home", home).isSilentSuccess)
            let verbose = try world.succeed(role, "run", "--home", home, "--verbose")
            #expect(verbose.output == "another run is at work here; nothing was done\n")
            let busy = try world.run(role, other, "--home", home)
            #expect(busy.status == 75)
            #expect(busy.errors == "consilium: another run is at work on this home\nhint: try again in a moment\n")
            #expect(before.changes(to: try Snapshot(world.path(home))) == [])
            close(lock)
            #expect(try world.run(role, other, "--home", home).status == 0)
        }
    }

    /// Of somebody who is not enrolled: told once, taken when the enrolment is approved.
    @Test func aStrangersBundleWaitsForItsEnrolment() throws {
        let world = try World.initialised()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.shell("cp a/outbox/request*.tar.age S/inbox/")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.hasPrefix("a bundle that says it is from hospital-a waits: "), "\(told)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        try world.shell("cp a/outbox/enrol*.tar.age S/inbox/")
        try world.serve()
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try world.serve()
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
    }

    /// A rejected enrolment is answered too, and the hospital stops asking.
    @Test func aRejectedEnrolmentIsAnswered() throws {
        let world = try World.initialised()
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/rejected/")
        try world.write("the fingerprint differs", to: "S/enrolments/rejected/ENR-1-hospital-a.tar.reason.txt")
        try world.serve()
        let told = try world.visit("a")
        #expect(told.output.contains("enrolment rejected: the fingerprint differs"), "\(told)")
        let refused = try world.run("client", "request", "--home", "a", "--rounds", "1")
        #expect(refused.status == 77)
        #expect(refused.errors.contains("ministry rejected the enrolment: the fingerprint differs"))
    }
}

import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// What a home has lost or kept too long, and which of `doctor`'s checks says so.
@Suite struct LostStateTests {
    private func doctor(_ home: String, _ world: World, finds words: String...) throws {
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78, "\(doctor)")
        for text in words { #expect(doctor.output.contains(text), "\(text): \(doctor)") }
        #expect(doctor.output.components(separatedBy: "MEND").count == 2, "\(doctor)")
    }

    // MARK: versions

    /// Hospitals may have that version: what another session makes is another one.
    @Test func aVersionThatLostItsRecordKeepsItsNumber() throws {
        let world = try World.enrolled()
        try world.startSession("spring")
        try world.journey()
        let first = try world.model(1)
        try world.shell("mv S/versions/0001/version.json kept.json")
        try doctor("S", world, finds: "MEND versions: \(world.path("S/versions/0001")) has no version.json")
        for home in World.everybody { try world.visit(home) }
        try world.startSession("summer", rounds: 1)
        try world.journey()
        #expect(try world.session("summer")["version"].integer == 2)
        #expect(try world.model(1) == first && world.exists("S/versions/0002/version.json"))
        try world.shell("mv kept.json S/versions/0001/version.json")
        try world.succeed("doctor", "--home", "S")
    }

    /// The mark of a version that has no record yet outlives a command that is killed after it has written it.
    @Test func aVersionWhoseMarkWasLeftKeepsItsNumberToo() throws {
        let world = try World.enrolled()
        try world.startSession("spring")
        try world.journey()
        try world.shell("echo > S/versions/0001/unfinished")
        try world.serve()
        #expect(!world.exists("S/versions/0001/unfinished"))
        try world.shell("rm S/versions/0001/version.json")
        try world.startSession("summer", rounds: 1)
        try world.journey()
        #expect(try world.session("summer")["version"].integer == 2)
    }

    @Test(arguments: ["sessions/*/rounds/0000/model.safetensors", "versions/0000/model.safetensors"])
    func aModelThatIsNeededAndDamagedIsNamed(file: String) throws {
        let world = try World.enrolled()
        try world.startSession()
        try world.succeed("doctor", "--home", "S")
        try world.shell("truncate -s 100 S/\(file)")
        try doctor("S", world, finds: "MEND versions: ", "model.safetensors is not what")
        try world.shell("rm S/\(file)")
        try doctor("S", world, finds: "MEND versions: ", "model.safetensors")
    }

    // MARK: keys

    @Test(arguments: ["mkdir", "mkfifo", "ln -s age.txt"])
    func whatLiesInTheOwnPublicKeysPlaceIsNamed(what: String) throws {
        let world = try World.enrolled()
        try world.shell("cd a/identity && rm id_ed25519.pub && \(what) id_ed25519.pub")
        try doctor("a", world, finds: "MEND keys: \(world.path("a/identity/id_ed25519.pub")) is no plain file")
        try world.shell("rm -r a/identity/id_ed25519.pub")
        try world.succeed("client", "run", "--home", "a")
        try world.succeed("doctor", "--home", "a")
    }

    // MARK: the clock

    /// Nothing is there to remove: the home itself was made in a time to come.
    @Test func aHomeThatWasMadeUnderAWrongClockSaysWhatHelps() throws {
        let world = try World.empty()
        world.advance(days: 3650)
        try world.succeed("server", "init", "--home", "S", "--name", "ministry")
        world.advance(days: -3650)
        for command in [["server", "run"], ["doctor"]] {
            let stopped = try world.run(command + ["--home", "S"])
            #expect(stopped.status == 78, "\(stopped)")
            let told = stopped.errors + stopped.output
            #expect(told.contains("write {\"floor\":0} to \(world.path("S/mailbox/clock.json"))"), "\(stopped)")
            #expect(!told.contains("remove"), "\(stopped)")
        }
        try world.shell("echo '{\"floor\":0}' > S/mailbox/clock.json")
        try world.succeed("server", "run", "--home", "S")
        try world.succeed("doctor", "--home", "S")
    }

    // MARK: one fault, one line

    @Test(arguments: [
        ("S", "trust/allowed_signers", "trust", ["key dates", "encryption", "disk space"]),
        ("a", "trust/recipients", "trust", ["key dates", "encryption", "disk space"]),
        ("a", "consilium.yaml", "configuration", ["pictures", "encryption", "exchange"]),
        ("S", "consilium.yaml", "configuration", ["encryption", "exchange"]),
        ("S", "requests/records.json", "records", []),
    ])
    func aFaultIsToldOnce(home: String, file: String, check: String, left: [String]) throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.write("{ no such thing\n", to: "\(home)/\(file)")
        try doctor(home, world, finds: "MEND \(check): ")
        let output = try world.run("doctor", "--home", home).output
        for name in left {
            #expect(output.contains("--   \(name): not checked before '\(check)' is mended"), "\(output)")
        }
    }

    // MARK: a run that does not end

    /// Under cron each later run leaves the home alone without a word.
    @Test func aRunThatHoldsTheHomeForADayIsNamed() throws {
        let world = try World.enrolled()
        world.now = Timestamp(seconds: Int64(Date().timeIntervalSince1970))
        try world.visit("a")
        guard let lock = try LocalFileSystem().lock(FilePath(world.path("a/mailbox/lock"))) else {
            throw TestTrouble("somebody else holds the home")
        }
        let pid = ProcessInfo.processInfo.processIdentifier
        let soon = try world.succeed("doctor", "--home", "a")
        #expect(soon.output.contains("ok   run: process \(pid) is at work"), "\(soon)")
        world.advance(days: 2)
        try doctor("a", world, finds: "MEND run: process \(pid) holds the home since ")
        _ = consume lock
        #expect(try world.succeed("doctor", "--home", "a").output.contains("ok   run: "))
    }
}

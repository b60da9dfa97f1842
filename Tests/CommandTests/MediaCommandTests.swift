import Glibc
import SupportForTests
import Testing
import Wire

/// Sticks and mounts, through the program.
@Suite struct MediaCommandTests {
    @Test func aFileIsCutAndJoined() throws {
        let world = try World.empty()
        try world.shell("mkdir stick out && head -c 100000 /dev/urandom > 'Up Date.tar'")
        let cut = try world.succeed("bundle", "split", "Up Date.tar", "--size", "40KiB", "--out", "stick")
        #expect(cut.output.split(separator: "\n").count == 3)
        #expect(world.names("stick") == (1...3).map { "up-date.tar.00\($0)-of-003" })
        try world.succeed("bundle", "join", "stick", "--out", "out")
        #expect(try world.bytes("out/up-date.tar") == world.bytes("Up Date.tar"))
        // As the help says, without the program.
        try world.shell("for p in stick/*; do tail -c +513 \"$p\"; done > by-hand && cmp by-hand 'Up Date.tar'")
        #expect(try world.json("bundle", "join", "stick", "--out", "out")["new"] == .bool(false))

        try world.shell("rm stick/*.002-of-003 out/*")
        let missing = try world.run("bundle", "join", "stick", "--out", "out")
        #expect(missing.status == 65 && missing.errors.contains("part 2 of 3 is missing"), "\(missing)")
        #expect(world.names("out").isEmpty)
        try world.shell("cp stick/*.001-of-003 out/up-date.tar")
        try world.succeed("bundle", "split", "Up Date.tar", "--size", "40KiB", "--out", "stick")
        #expect(try world.run("bundle", "join", "stick", "--out", "out").status == 73)
    }

    @Test(arguments: ["4GiB", "x", "1", "-5"])
    func aSizeThatNoPartCanHaveIsRefused(size: String) throws {
        let world = try World.empty()
        try world.write("x", to: "f")
        let outcome = try world.run("bundle", "split", "f", "--size=\(size)")
        #expect(outcome.status == 64 && outcome.errors.hasPrefix("consilium: --size \(size): must be"), "\(outcome)")
        #expect(world.names(".") == ["f"])
    }

    /// As on FAT32 from 4 GiB on, with a smaller limit.
    @Test func aMediumThatTakesNoLargeFileIsOneLine() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir stick")
        let outcome = try Program.shell(
            "ulimit -f 500; CONSILIUM_NOW=\(world.now.rfc3339) '\(Program.path)' exchange sync --home S --share stick",
            in: world.root)
        #expect(outcome.status == 74, "\(outcome)")
        #expect(
            outcome.errors.contains("file too large (FAT32 stops below 4 GiB: 'consilium bundle split'"), "\(outcome)")
        #expect(world.names("stick/hospital-a/outbox", "global").isEmpty)
        let whole = try world.succeed("exchange", "sync", "--home", "S", "--share", "stick")
        #expect(whole.output.contains("delivered global-"))
    }

    @Test func aStickIsReadBack() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir stick")
        let verify = ["exchange", "verify-media", "--home", "S", "--share", "stick", "--for", "hospital-a"]
        try world.succeed("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        let good = try world.run(verify)
        #expect(good.status == 0 && good.output.hasSuffix(" intact\n"), "\(good)")
        let global = try world.shell("ls stick/*/outbox/global*").output.split(separator: "\n")
        try world.damage(String(try #require(global.first)), at: 3000)
        let bad = try world.run(verify + ["--json"])
        #expect(bad.status == 65)
        let report = try StrictJSON.parse(Array(bad.output.utf8), maximumBytes: 1 << 20)
        #expect(report["ok"] == .bool(false))
        let damaged = report["files"].items.filter { $0["verdict"].text == "damaged" }
        #expect(damaged.count == 1 && damaged[0]["path"].text?.hasPrefix("hospital-a/outbox/global") == true)
        let away = try world.run("exchange", "verify-media", "--home", "S", "--share", "away")
        #expect(away.status == 75 && away.errors.contains("is the share mounted?"), "\(away)")
    }

    /// Nothing on the other side answers, and no signal ends a call into the mount: the program ends all the same.
    @Test(.enabled(if: LoopbackShare.isUsable, "sshfs cannot be used here"))
    func aMountThatHangsHoldsNoRun() throws {
        let share = try LoopbackShare()
        let world = try World.enrolled()
        try world.configure("S", "exchange: \(share.mount)\nexchange_timeout: 1s")
        try world.succeed("server", "run", "--home", "S")
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.carry("a", to: "S")
        share.freeze()
        defer { share.thaw() }
        world.advance(seconds: 600)
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("cannot reach \(share.mount)"), "\(told)")
        // The tick went on without the exchange.
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
        let next = try world.succeed("server", "run", "--home", "S")
        #expect(next.output.contains("an earlier run still hangs in it"), "\(next)")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        let byHand = try world.run("exchange", "sync", "--home", "S", "--share", share.mount)
        #expect(byHand.status == 75 && byHand.errors.contains("cannot reach"), "\(byHand)")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78 && doctor.output.contains("MEND exchange: cannot reach"), "\(doctor)")
        share.thaw()
        for _ in 0..<200 {
            if try world.run("exchange", "sync", "--home", "S", "--share", share.mount).status == 0 { break }
            usleep(10_000)
        }
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        #expect(try world.run("doctor", "--home", "S").output.contains("is fuse.sshfs"))
    }

    /// Whoever kills the program has killed all of it.
    @Test func aKilledRunLeavesNobodyBehind() throws {
        let world = try World.enrolled()
        try world.shell("mkdir exchange")
        try world.configure("a", "exchange: \(world.path("exchange"))")
        try world.startSession("spring", ["a", "b"], rounds: 1)
        try world.carry("S", to: "a")
        let program = try world.start("client", "run", "--home", "a")
        for _ in 0..<1000 where !world.exists("a/mailbox/exchange.share-lock") { usleep(1000) }
        program.send(SIGKILL)
        #expect(try program.wait().status == 128 + SIGKILL)
        // The lock is free as soon as the child has followed its parent.
        var outcome = try world.run("client", "status", "--home", "a")
        for _ in 0..<500 where outcome.status == 75 {
            usleep(2000)
            outcome = try world.run("client", "status", "--home", "a")
        }
        let rest = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(!rest.output.contains("another run"), "\(rest)")
    }

    @Test func doctorLooksAtSharesAndDisks() throws {
        let world = try World.enrolled()
        func finding(_ check: String) throws -> JSONValue {
            let outcome = try world.run("doctor", "--home", "S", "--json")
            let findings = try StrictJSON.parse(Array(outcome.output.utf8), maximumBytes: 1 << 20)["findings"].items
            return try #require(findings.first { $0["check"].text == check })
        }
        #expect(try finding("exchange")["found"].text?.contains("by hand") == true)
        #expect(try finding("disk space")["ok"] == .bool(true))
        #expect(try finding("disk space")["found"].text?.contains("the home has") == true)
        try world.configure("S", "exchange: \(world.path("exchange"))")
        #expect(try finding("exchange")["ok"] == .bool(false))
        try world.shell("mkdir exchange")
        try world.succeed("server", "run", "--home", "S")
        #expect(try finding("exchange")["ok"] == .bool(true))
        #expect(try finding("exchange")["found"].text?.contains("on the home's own file system") == true)

        try world.shell("touch S/sessions/.x.0123456789abcdef.part S/inbox/new.part exchange/hospital-a/inbox/new.part")
        let fresh = try finding("leftovers")
        #expect(fresh["ok"] == .bool(true) && fresh["found"].text?.hasPrefix("1 unfinished files") == true)
        try world.shell("touch -d '2026-02-01' S/inbox/old.part exchange/hospital-a/inbox/old.part")
        let stale = try finding("leftovers")
        #expect(stale["ok"] == .bool(false))
        let text = try #require(stale["found"].text)
        #expect(text.contains("S/inbox/old.part") && text.contains("exchange/hospital-a/inbox/old.part"))
        #expect(!text.contains("new.part"))
    }
}

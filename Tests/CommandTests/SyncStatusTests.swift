import Testing
import Wire

/// What `exchange sync` and `verify-media` say of things on a stick that are no whole bundles.
@Suite struct SyncStatusTests {
    private func sync(_ world: World, _ home: String = "S") throws -> Outcome {
        try world.run(
            ["exchange", "sync", "--home", home, "--share", "stick"] + (home == "S" ? ["--for", "hospital-a"] : []))
    }

    /// Two looks a minute apart, after which what does not verify has settled.
    private func settled(_ world: World) throws -> Outcome {
        _ = try sync(world)
        world.advance(seconds: 120)
        return try sync(world)
    }

    @Test func junkAndPartsAreNoTroubleAndABadBundleIsBadData() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.shell("mkdir -p stick/hospital-a/inbox && printf 'no bundle' > stick/hospital-a/inbox/Thumbs.db")
        let request = try #require(world.names("a/outbox", "request").first)
        try world.succeed(
            "bundle", "split", "a/outbox/\(request)", "--size", "2KiB", "--out", "stick/hospital-a/inbox")
        let junk = try settled(world)
        #expect(junk.status == 0 && junk.errors.contains("Thumbs.db"), "\(junk)")
        let bad = "stick/hospital-a/inbox/bad.tar.age"
        try world.carry("a/outbox/\(request)", as: bad)
        try world.damage(bad, at: 400)
        let damaged = try settled(world)
        #expect(damaged.status == 65 && damaged.errors.contains("bad.tar.age"), "\(damaged)")
        #expect(try sync(world).status == 0)
    }

    @Test(arguments: ["stick/hospital-a/inbox", "stick"]) func partsThatJoinCountAsTheBundle(folder: String) throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.shell("mkdir -p stick/hospital-a/inbox stick/hospital-a/outbox")
        #expect(try sync(world, "a").status == 0)
        let request = try #require(world.names("a/outbox", "request").first)
        try world.shell("rm stick/hospital-a/inbox/\(request)")
        try world.succeed("bundle", "split", "a/outbox/\(request)", "--size", "2KiB", "--out", folder)
        let verify = ["exchange", "verify-media", "--home", "a", "--share", "stick", "--verbose"]
        let whole = try world.run(verify)
        #expect(whole.status == 0 && whole.output.contains("in ") && !whole.output.contains("foreign"), "\(whole)")
        let part = try #require(world.names(folder).first { $0.contains("001-of") })
        try world.damage("\(folder)/\(part)", at: 600)
        let damaged = try world.run(verify)
        #expect(damaged.status == 65 && damaged.output.contains("damaged"), "\(damaged)")
        try world.shell("rm \(folder)/\(part)")
        let missing = try world.run(verify)
        #expect(missing.status == 65 && missing.output.contains("part 1 of"), "\(missing)")
    }

    @Test func smallThingsAreSaidPlainly() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"], rounds: 1)
        let none = try world.run("server", "extend", "spring", "0", "--home", "S")
        #expect(none.status == 64 && none.errors.contains("1 to 730 days"), "\(none)")
        let overlap = try world.run("key", "rotate", "--overlap-days", "30", "--home", "a")
        #expect(overlap.status == 64 && overlap.errors.contains("--overlap-days is for a server's key"), "\(overlap)")
        let contact = try world.run("key", "rotate", "--contact", "Dr. A", "--home", "S")
        #expect(contact.status == 64 && contact.errors.contains("--contact is for a hospital's key"), "\(contact)")
        try world.shell("mkdir a/inbox/stick")
        let folder = try world.succeed("client", "run", "--home", "a")
        #expect(folder.output.contains("inbox/stick is a folder and was not opened: move its files up"), "\(folder)")

        try world.request(["a"], rounds: 1)
        try world.succeed("server", "reject", "REQ-3", "--reason", "one is enough", "--home", "S")
        try world.serve()
        let id = try #require(try world.status("a")["requests"].items.last?["id"].text)
        let rejected = try world.visit("a")
        #expect(
            rejected.output.contains("request rejected: one is enough (request \(id.prefix(12)) of "), "\(rejected)")
    }
}

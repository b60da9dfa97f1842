import Testing
import Wire

/// Shares, mounts and sticks between the homes.
@Suite struct ExchangeTests {
    private static let hospitals = World.everybody.map { "hospital-\($0)" }

    /// With `exchange:` in the configuration the ticks carry by themselves, in either layout.
    @Test(arguments: ["per client", "flat"])
    func ticksCarryByThemselves(layout: String) throws {
        let world = try World.enrolled()
        try world.shell("mkdir exchange")
        if layout == "flat" { try world.shell("mkdir exchange/inbox exchange/outbox") }
        for home in ["S"] + World.everybody { try world.configure(home, "exchange: \(world.path("exchange"))") }
        try world.succeed("server", "run", "--home", "S")
        for home in World.everybody {
            try world.succeed("client", "request", "--home", home, "--rounds", "2")
        }
        try world.succeed("server", "run", "--home", "S")
        #expect(world.names("S/requests/pending", "REQ").count == 3)
        try world.approveAll("spring")
        for _ in 1...2 {
            for home in World.everybody {
                let told = try world.succeed("client", "run", "--home", home, "--verbose")
                #expect(told.output.hasSuffix(" laid in the exchange\n"), "\(told)")
            }
            try world.succeed("server", "run", "--home", "S")
        }
        for home in World.everybody { try world.succeed("client", "run", "--home", home) }
        #expect(try world.session("spring")["state"].text == "finished")
        #expect(try world.status("c")["offers"][0]["version"].integer == 1)
        for home in World.everybody {
            #expect(world.names("\(home)/quarantine").allSatisfy { !$0.hasPrefix("global") }, "\(home)")
        }

        let before = try Snapshot(world.path("exchange"))
        for _ in 1...2 {
            for home in World.everybody { try world.succeed("client", "run", "--home", home) }
            try world.succeed("server", "run", "--home", "S")
        }
        for (role, home) in [("server", "S"), ("client", "a"), ("client", "b")] {
            #expect(try world.run(role, "run", "--home", home).isSilentSuccess)
        }
        #expect(before.changes(to: try Snapshot(world.path("exchange"))).filter { !$0.contains("receipt") } == [])
        if layout == "per client" {
            #expect(world.names("exchange") == Self.hospitals)
            // No hospital sees another's bundles.
            for name in Self.hospitals {
                let others = Self.hospitals.filter { $0 != name }
                let seen = world.names("exchange/\(name)/outbox") + world.names("exchange/\(name)/inbox")
                #expect(!seen.isEmpty)
                #expect(seen.allSatisfy { file in others.allSatisfy { !file.contains("-to-\($0)-") } }, "\(seen)")
            }
        }
    }

    /// A stick for one hospital takes only what names it, and brings back its answer.
    @Test func aStickForOneHospitalCarriesOnlyWhatNamesIt() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir stick")
        let out = try world.json("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        #expect(!out["delivered"].items.isEmpty)
        #expect(world.names("stick") == ["hospital-a"])
        #expect(world.names("stick/hospital-a/outbox").allSatisfy { !$0.contains("hospital-b") })
        try world.succeed("exchange", "sync", "--home", "a", "--share", "stick")
        try world.succeed("client", "run", "--home", "a")
        let back = try world.json("exchange", "sync", "--home", "a", "--share", "stick")
        #expect(back["delivered"].texts.contains { $0.hasPrefix("update-") })
        let collected = try world.json("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        #expect(collected["collected"].texts.contains { $0.hasPrefix("update-") })
        try world.serve()
        #expect(try world.session("spring")["answered"].texts == ["hospital-a"])
        // The update is acknowledged, though another receipt was made in this very second.
        let last = try world.succeed("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        #expect(last.output.hasPrefix("delivered receipt-ministry-to-hospital-a-"), "\(last)")
        let nothing = try world.succeed("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        #expect(nothing.output == "nothing to carry\n")
    }

    /// A slip of the pen is no stick with nothing on it.
    @Test(arguments: ["sync", "verify-media"]) func aNameThatIsNobodysIsSaid(command: String) throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        try world.shell("mkdir stick flat flat/inbox flat/outbox")
        for share in ["stick", "flat"] {
            let outcome = try world.run("exchange", command, "--home", "S", "--share", share, "--for", "hospitl-a")
            #expect(outcome.status == 66 && outcome.output.isEmpty, "\(outcome)")
            #expect(
                outcome.errors.hasPrefix(
                    "consilium: nobody is called hospitl-a here, and nothing of that name lies in"),
                "\(outcome)")
            #expect(outcome.errors.hasSuffix("\nhint: did you mean hospital-a?\n"), "\(outcome)")
        }
        #expect(world.names("stick").isEmpty)
        let atHome = try world.run("exchange", command, "--home", "a", "--share", "stick", "--for", "hospital-b")
        #expect(atHome.status == 64 && atHome.errors.contains("--for is for a server's home"), "\(atHome)")
    }

    /// A new hospital is known by what it sends.
    @Test(arguments: ["stick/hospital-a/inbox", "stick/inbox"])
    func anEnrolmentIsCollectedForAHospitalThatIsNotKnownYet(folder: String) throws {
        let world = try World.initialised()
        try world.shell("mkdir -p stick/outbox \(folder) && cp a/outbox/* \(folder)/")
        let outcome = try world.succeed("exchange", "sync", "--home", "S", "--share", "stick", "--for", "hospital-a")
        #expect(outcome.output.contains("collected enrol-hospital-a-"), "\(outcome)")
    }

    /// A folder that somebody makes in the root of a share changes nothing for those who use it, and is found.
    @Test(arguments: ["per client", "flat"]) func theLayoutOfAShareIsNotForEverybodyToChange(layout: String) throws {
        let world = try World.enrolled()
        try world.shell("mkdir exchange exchange/hospital-a")
        if layout == "flat" { try world.shell("rmdir exchange/hospital-a && mkdir exchange/inbox exchange/outbox") }
        for home in ["S", "a"] { try world.configure(home, "exchange: \(world.path("exchange"))") }
        try world.succeed("server", "run", "--home", "S")
        try world.succeed("client", "run", "--home", "a")
        #expect(try !world.run("doctor", "--home", "a").output.contains("MEND exchange"))
        try world.shell("mkdir -p exchange/inbox exchange/outbox exchange/hospital-a")
        let told = try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        #expect(told.output.contains("remove what does not belong there"), "\(told)")
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        try world.succeed("server", "run", "--home", "S")
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
        let byHand = try world.run("exchange", "sync", "--home", "a", "--share", "exchange")
        #expect(byHand.status == 0 && byHand.errors.contains("remove what does not belong there"), "\(byHand)")
        for home in ["S", "a"] {
            let doctor = try world.run("doctor", "--home", home)
            #expect(doctor.output.contains("MEND exchange: "), "\(doctor)")
            #expect(doctor.output.contains("remove what does not belong there"), "\(doctor)")
        }
    }

    /// A share that is away stops nothing but the carrying.
    @Test func aShareThatIsAwayIsOneLine() throws {
        let world = try World.enrolled()
        try world.configure("S", "exchange: \(world.path("away"))")
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.carry("a", to: "S")
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("is the share mounted?"), "\(told)")
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
        let byHand = try world.run("exchange", "sync", "--home", "S", "--share", "away")
        #expect(byHand.status == 75 || byHand.status == 66, "\(byHand)")
        #expect(byHand.errors.hasPrefix("consilium: "))
    }
}

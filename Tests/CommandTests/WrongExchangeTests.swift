import Testing

/// Folders that are no exchange are refused with a line that says what they are.
@Suite struct WrongExchangeTests {
    private func places(_ world: World) throws -> [(share: String, says: String)] {
        try world.shell("mkdir -p pictures/deeper")
        // 'data' is given already.
        try world.shell("sed -i 's|^data:.*|data: '\"$PWD\"'/pictures|' a/consilium.yaml")
        try world.shell("mkdir above && cp -a a above/hospital-a")
        return [
            ("a", "this home itself"), ("b", "a home"), ("b/inbox", "inside the home"),
            ("a/archive", "inside this home"),
            ("pictures", "the pictures' folder"), ("pictures/deeper", "inside the pictures' folder"),
            ("above", "the folder of the home"), ("b/../a", "this home itself"),
        ].map { (world.path($0), $1) } + [("/", "the root of the file system")]
    }

    @Test func aShareThatIsNoneIsRefused() throws {
        let world = try World.enrolled()
        for (share, says) in try places(world) {
            let outcome = try world.run("exchange", "sync", "--home", "a", "--share", share)
            #expect(outcome.status == 64 && outcome.output.isEmpty, "\(share): \(outcome)")
            #expect(outcome.errors.contains(" is \(says)") && outcome.errors.contains("no exchange"), "\(outcome)")
        }
        #expect(world.names("pictures") == ["deeper"])
        let server = try world.run("exchange", "sync", "--home", "S", "--share", "a", "--for", "hospital-a")
        #expect(server.status == 64 && server.errors.contains("is a home"), "\(server)")
    }

    /// A folder of a home that is not the home's own may be one, as a mount point in it.
    @Test func aShareInAHomeIsOneWhereTheHomeKeepsNothing() throws {
        let world = try World.enrolled()
        for home in ["a", "S"] {
            let own = try world.shell("cd \(home) && ls -d */").output.split(separator: "\n").map { $0.dropLast() }
            #expect(own.count > 8)
            for folder in own {
                let outcome = try world.run("exchange", "sync", "--home", home, "--share", "\(home)/\(folder)")
                #expect(outcome.status == 64 && outcome.errors.contains(" is inside this home"), "\(outcome)")
            }
        }
        try world.shell("mkdir -p a/share/inbox a/share/outbox")
        try world.configure("a", "exchange: share")
        try world.request(["a"])
        try world.succeed("client", "run", "--home", "a")
        #expect(!world.names("a/share/inbox").isEmpty)
    }

    /// Whoever may write to a share could end everybody's runs otherwise.
    @Test func aShareThatIsMadeToLookLikeAHomeStopsNoRun() throws {
        let world = try World.enrolled()
        try world.shell("mkdir -p share/inbox share/outbox")
        try world.configure("S", "minimum_clients: 1")
        for home in ["a", "S"] { try world.configure(home, "exchange: \(world.path("share"))") }
        for home in ["a", "S"] { try world.succeed(home == "S" ? "server" : "client", "run", "--home", home) }
        try world.startSession("spring", ["a"])
        try world.shell("mkdir share/mailbox && touch share/mailbox/home.json")
        for home in ["S", "a"] {
            let command = home == "S" ? "server" : "client"
            let told = try world.succeed(command, "run", "--home", home)
            #expect(told.output.contains("share is a home, and no exchange"), "\(told)")
            let silent = try world.succeed(command, "run", "--home", home)
            #expect(!silent.output.contains("no exchange"), "\(silent)")
            #expect(try world.run("doctor", "--home", home).output.contains("MEND exchange: "))
        }
        // What is carried by hand goes on.
        try world.journey(["a"])
        #expect(try world.session("spring")["state"].text == "finished")
        try world.shell("rm -r share/mailbox")
        let mended = try world.succeed("client", "run", "--home", "a")
        #expect(!mended.output.contains("no exchange"), "\(mended)")
    }

    @Test func aConfiguredExchangeThatIsNoneStopsTheRun() throws {
        let world = try World.enrolled()
        let configuration = try world.text("a/consilium.yaml")
        for (share, says) in try places(world) {
            let data = "data: \(world.path("pictures"))\n"
            let lines = configuration.split(separator: "\n").filter { !$0.hasPrefix("data:") }.joined(separator: "\n")
            try world.write("\(lines)\n\(data)exchange: \(share)\n", to: "a/consilium.yaml")
            let outcome = try world.run("client", "run", "--home", "a")
            // What only the look at the share shows, others can bring about.
            let isPlain = !says.hasSuffix("a home") && !says.hasSuffix("the home")
            #expect(outcome.status == (isPlain ? 78 : 0), "\(share): \(outcome)")
            #expect((isPlain ? outcome.errors : outcome.output).contains(" is \(says)"), "\(outcome)")
            let doctor = try world.run("doctor", "--home", "a")
            #expect(doctor.status == 78 && doctor.output.contains("MEND exchange: "), "\(doctor)")
        }
        #expect(world.names("pictures") == ["deeper"])
    }
}

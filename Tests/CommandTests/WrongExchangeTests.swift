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

    @Test func aConfiguredExchangeThatIsNoneStopsTheRun() throws {
        let world = try World.enrolled()
        let configuration = try world.text("a/consilium.yaml")
        for (share, says) in try places(world) {
            let data = "data: \(world.path("pictures"))\n"
            let lines = configuration.split(separator: "\n").filter { !$0.hasPrefix("data:") }.joined(separator: "\n")
            try world.write("\(lines)\n\(data)exchange: \(share)\n", to: "a/consilium.yaml")
            let outcome = try world.run("client", "run", "--home", "a")
            #expect(outcome.status == 78 && outcome.output.isEmpty, "\(share): \(outcome)")
            #expect(outcome.errors.contains(" is \(says)"), "\(outcome)")
            let doctor = try world.run("doctor", "--home", "a")
            #expect(doctor.status == 78 && doctor.output.contains("MEND exchange: "), "\(doctor)")
        }
        #expect(world.names("pictures") == ["deeper"])
    }
}

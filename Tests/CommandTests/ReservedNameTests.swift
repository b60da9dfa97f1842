import Bundles
import Federation
import Testing
import Wire

/// `inbox` and `outbox` are folders of an exchange: a party of that name would take them for its own.
@Suite struct ReservedNameTests {
    @Test(arguments: ["inbox", "outbox"]) func nobodyMakesAHomeOfThatName(name: String) throws {
        let world = try World.initialised()
        let server = try world.run("server", "init", "--home", "new", "--name", name)
        let client = try world.run("client", "init", "--home", "new", "--name", name, "--invite", "invite.tar")
        for outcome in [server, client] {
            #expect(outcome.status == 64 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errors.hasPrefix("consilium: --name: '\(name)' is a folder of an exchange"), "\(outcome)")
        }
        #expect(!world.exists("new"))
    }

    /// By whoever made his home with another program.
    @Test(arguments: ["inbox", "outbox"]) func anEnrolmentOfThatNameIsRefused(name: String) throws {
        let world = try World.initialised()
        let file = try #require(world.names("a/outbox", "enrol").first)
        let party = try #require(PartyName(name))
        try world.forge("a/outbox/\(file)", key: try world.key("a"), to: "S/inbox/enrol-forged.tar") {
            manifest, payload in
            manifest.sender = party
            let known = try Enrolment(decoding: payload[0].bytes)
            payload[0].bytes =
                Enrolment(
                    name: party, key: known.key, ageRecipient: known.ageRecipient, contact: known.contact,
                    serverKey: known.serverKey
                ).encoded
        }
        let told = try world.serve()
        #expect(told.output.contains("enrol of \(name) refused: '\(name)' is a folder of an exchange"), "\(told)")
        #expect(world.names("S/enrolments/pending").isEmpty)
    }
}

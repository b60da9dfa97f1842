import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// What holds after keys were lost or enrolments refused: of all that was said, the last word of whoever is believed.
@Suite struct LastWordTests {
    /// The drill of docs/KEYS.md, after the server has its new key.
    private func believeNewKey(at homes: [String], in world: World, afterDistrusting old: String? = nil) throws {
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/invite-*.tar new.tar")
        let new = try world.fingerprint("S")
        for home in homes {
            if let old { try world.succeed("key", "distrust", old, "--home", home, "--reason", "call") }
            try world.succeed("key", "trust", "new.tar", "--fingerprint", new, "--only", "--home", home)
        }
    }

    private func makeNewHome(_ home: String, _ number: Int, in world: World) throws {
        try world.shell("rm -r \(home)")
        try world.succeed(
            "client", "init", "--home", home, "--name", "hospital-\(home)", "--invite", "invite.tar", "--data",
            try Material.pictures.get() + "/client-\(number)")
        try world.answer(home)
    }

    private func decisions(to home: String, in world: World) -> [String] {
        world.names("S/outbox", "decision").filter { $0.contains("-to-hospital-\(home)-") }
    }

    // MARK: the server's key

    /// With the stolen key a thief refuses an enrolment under a high number: what the next key says counts all the same.
    @Test(arguments: [false, true])
    func aThiefsDecisionEndsWithItsKey(wasNotedByAnEarlierVersion: Bool) throws {
        let world = try World.enrolled()
        let thief = try world.key("S")
        let old = thief.publicKey.fingerprint
        let enrolment = try #require(
            try StrictJSON.parse(try world.bytes("S/requests/records.json"), maximumBytes: 1 << 20)["enrolments"].items
                .first { $0["name"].text == "hospital-a" }?["id"].text)
        let record = try StrictJSON.parse(try world.bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let about = try #require(Digest(hex: enrolment))
        let manifest = Manifest(
            kind: .decision, federation: try #require(RandomID(hex: record["federation"].text ?? "")), session: .none,
            round: 0, seq: 900_000, sender: try #require(PartyName("ministry")),
            recipients: [try #require(PartyName("hospital-a"))], created: world.now,
            expires: world.now.adding(days: 90),
            request: about, acks: [])
        let decision: JSONValue = [
            "subject": "enrolment", "about": .string(about.hex), "verdict": "rejected", "reason": "said the thief",
        ]
        _ = try BundleWriter.write(
            manifest, payload: [.bytes(name: "decision.json", StrictJSON.serialize(decision))], key: thief,
            to: FilePath(world.path("a/inbox/forged.tar")), files: LocalFileSystem())
        #expect(
            try world.succeed("client", "run", "--home", "a").output.contains("enrolment rejected: said the thief"))
        #expect(try world.run("client", "request", "--home", "a", "--rounds", "1").status == 77)
        if wasNotedByAnEarlierVersion {
            let state = try world.text("a/sessions/state.json")
            try world.write(state.replacing("\(about) - \(old)", with: "\(about) -"), to: "a/sessions/state.json")
        }
        try world.succeed("key", "rotate", "--compromised", "--home", "S")
        try believeNewKey(at: ["a"], in: world, afterDistrusting: old)
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        try world.visit("a")
        // And the server's own word about it is heard.
        try world.shell("mv S/enrolments/approved/ENR-1-* S/enrolments/rejected/")
        try world.serve()
        let visit = try world.visit("a")
        #expect(visit.output.contains("enrolment rejected"), "\(visit)")
        #expect(try world.run("client", "request", "--home", "a", "--rounds", "1").status == 77)
    }
}

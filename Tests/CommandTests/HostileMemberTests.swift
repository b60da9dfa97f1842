import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// A member with a good key who means harm, or whose data is broken: what he sends is in order as a bundle, and is judged by
/// what it means. The others' session goes on.
@Suite struct HostileMemberTests {
    private typealias Payload = World.Payload

    /// Makes another bundle of one, as its sender could: signed with the key of `home`, and laid down as `target`.
    private func rewrite(
        _ world: World, _ file: String, keyOf home: String, to target: String,
        _ change: (inout Manifest, inout Payload) throws -> Void
    ) throws {
        try world.forge(file, key: try world.key(of: home), to: target, change)
    }

    private func edit(_ payload: inout Payload, _ name: String, _ change: (inout [UInt8]) -> Void) throws {
        let index = try #require(payload.firstIndex { $0.name == name })
        change(&payload[index].bytes)
    }

    /// Replaces the number of a JSON field.
    private func set(_ payload: inout Payload, _ field: String, _ value: Int64) throws {
        try edit(&payload, "metrics.json") { bytes in
            guard case .object(var fields)? = try? StrictJSON.parse(bytes, maximumBytes: 1 << 20) else { return }
            fields[field] = .integer(value)
            bytes = StrictJSON.serialize(.object(fields))
        }
    }

    private func setLastValue(_ payload: inout Payload, _ bits: UInt32) throws {
        try edit(&payload, "update.safetensors") { bytes in
            bytes.replaceSubrange(
                (bytes.count - 4)..., with: (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) })
        }
    }

    @Test func poisonedUpdatesAreRefusedByNameAndTheOthersFinish() throws {
        let world = try World.enrolled()
        try world.configure("S", "quorum: 2")
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.visit(home) }
        let honest = try world.update("b")
        let attacks: [(word: String, change: (inout Manifest, inout Payload) throws -> Void)] = [
            ("not finite", { _, payload in try setLastValue(&payload, 0x7fc0_0000) }),
            ("not finite", { _, payload in try setLastValue(&payload, 0xff80_0000) }),
            ("times its base's norm", { _, payload in try setLastValue(&payload, 0x7f7f_ffff) }),
            ("tensors take", { _, payload in try edit(&payload, "update.safetensors") { $0.removeLast(4) } }),
            ("first 8 bytes", { _, payload in try edit(&payload, "update.safetensors") { $0 = Array("text".utf8) } }),
            ("holds more.json", { _, payload in payload.append(("more.json", Array("{}\n".utf8))) }),
            ("metrics.json is missing", { _, payload in payload.removeLast() }),
            ("examples are more than", { _, payload in try set(&payload, "examples", 1 << 40) }),
            ("steps", { _, payload in try set(&payload, "steps", 1) }),
            ("is about round 2", { _, payload in try set(&payload, "round", 2) }),
            ("surprise", { _, payload in try set(&payload, "surprise", 1) }),
            ("approved request", { manifest, _ in manifest.request = manifest.base }),
            ("base", { manifest, _ in manifest.base = manifest.request }),
        ]
        for (number, attack) in attacks.enumerated() {
            try rewrite(world, honest, keyOf: "b", to: "S/inbox/u.tar") { manifest, payload in
                manifest.seq += Int64(number + 1)
                try attack.change(&manifest, &payload)
            }
            let told = try world.succeed("server", "run", "--home", "S")
            let lines = told.output.split(separator: "\n").filter { $0.contains("update of hospital-b refused") }
            #expect(lines.count == 1 && lines.first?.contains(attack.word) == true, "\(attack.word): \(told)")
            #expect(world.names("S/inbox").isEmpty)
        }
        #expect(world.names("S/quarantine").filter { $0.hasSuffix(".tar") }.count == attacks.count)
        for home in ["a", "c"] { try world.answer(home) }
        world.advance(days: 15)
        try world.serve()
        let round = try #require(try world.history("spring").first)
        #expect(["a", "b", "c"].map { round.fate(of: "hospital-\($0)") } == ["counted", "rejected", "counted"])
        #expect(try world.session("spring")["state"].text == "finished")
        try world.succeed("server", "verify", "spring", "--home", "S")
    }

    /// Neither a hospital nor the server takes more than a message has to say.
    @Test func aFileThatNobodyAskedForIsRefused() throws {
        let world = try World.enrolled()
        try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        let request = try #require(world.names("a/outbox", "request").first)
        try rewrite(world, "a/outbox/\(request)", keyOf: "a", to: "S/inbox/r.tar") { manifest, payload in
            manifest.seq += 1
            payload.append(("patients.csv", Array("name\n".utf8)))
        }
        var told = try world.serve()
        #expect(told.output.contains("request of hospital-a refused: it holds patients.csv"), "\(told)")
        #expect(world.names("S/requests/pending").filter { $0.hasSuffix(".tar") }.isEmpty)
        try world.startSession("spring", ["b", "c"])
        let global = try #require(world.names("S/outbox", "global").first)
        try rewrite(world, "S/outbox/\(global)", keyOf: "S", to: "b/inbox/g.tar") { manifest, payload in
            manifest.seq += 5
            payload.append(("more.json", Array("{}\n".utf8)))
        }
        told = try world.run("client", "run", "--home", "b")
        #expect(told.output.contains("global of ministry refused: it holds more.json"), "\(told)")
        try world.visit("b")
        try rewrite(world, try world.update("b"), keyOf: "b", to: "S/inbox/u.tar") { manifest, payload in
            manifest.seq += 1
            payload.append(("meier.csv", Array("name\n".utf8)))
        }
        told = try world.serve()
        #expect(told.output.contains("it holds meier.csv"), "\(told)")
        // A name may say whose pictures are in the file. People are told it here; what is kept for ever and shown to others says
        // the same without it.
        for home in ["S", "b"] {
            let log = try world.text("\(home)/audit/audit.jsonl")
            #expect(log.contains("it holds a file which a bundle of kind"), "\(home)")
            for name in ["patients", "more.json", "meier"] { #expect(!log.contains(name), "\(home): \(name)") }
        }
        let sessions = try world.shell("cat S/sessions/*/*.json").output
        #expect(sessions.contains("it holds a file which") && !sessions.contains("meier"), "\(sessions)")
    }

    @Test func overstatedPicturesWeighNoMoreThanWasPromised() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 1)
        for home in World.everybody { try world.visit(home) }
        for home in ["a", "c"] { try world.answer(home) }
        try rewrite(world, try world.update("b"), keyOf: "b", to: "S/inbox/u.tar") { _, payload in
            try set(&payload, "pictures", 1_000_000)
            try set(&payload, "examples", 1_000_000)
            try set(&payload, "steps", 125_000)
        }
        try world.serve()
        let participants = try #require(try world.history("spring").first)["participants"].items
        let weights = participants.map { $0["weight"].integer ?? 0 }
        #expect(weights.count == 3 && (weights.max() ?? 0) < 100, "\(weights)")
    }

    /// Replays, and bundles that speak for another: none of them moves anything.
    @Test func whatSpeaksForAnotherOrForYesterdayMovesNothing() throws {
        let world = try World.enrolled()
        try world.startSession(rounds: 2)
        for home in World.everybody { try world.visit(home) }
        let global = try #require(world.names("S/outbox", "global").first)
        let update = try world.update("a")
        let old = try world.bytes(update)
        // A hospital that plays the server, to another hospital and to the server itself.
        for (sender, target) in [
            ("ministry", "b/inbox/g1.tar"), ("hospital-a", "b/inbox/g2.tar"), ("hospital-a", "S/inbox/g.tar"),
        ] {
            try rewrite(world, "S/outbox/\(global)", keyOf: "a", to: target) { manifest, _ in
                manifest.sender = try #require(PartyName(sender))
                manifest.seq += 5
                manifest.round = 2
                if target.hasPrefix("S") { manifest.recipients = try [#require(PartyName("ministry"))] }
            }
        }
        // An update in another's name, and one of another federation.
        try rewrite(world, update, keyOf: "b", to: "S/inbox/n.tar") { manifest, _ in manifest.seq += 5 }
        try rewrite(world, update, keyOf: "a", to: "S/inbox/f.tar") { manifest, _ in
            manifest.seq += 6
            manifest.federation = manifest.session
        }
        let told = try world.serve()
        let notes = try world.names("S/quarantine").filter { $0.hasSuffix(".reason.txt") }.map {
            try world.text("S/quarantine/\($0)")
        }
        for reason in ["wrong-kind", "wrong-sender", "wrong-federation"] {
            #expect(notes.count { $0.contains(reason) } == 1, "\(reason): \(told)")
        }
        let before = world.names("b/outbox")
        #expect(try world.succeed("client", "run", "--home", "b").output.contains("update") == false)
        #expect(world.names("b/outbox") == before)

        for home in World.everybody { try world.answer(home) }
        try world.serve()
        try world.journey()
        let model = try world.model(1)
        // Everything of the first round once more, after the end.
        try Data(old).write(to: URL(fileURLWithPath: world.path("S/inbox/again (1).tar")))
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        #expect(try world.model(1) == model)
        #expect(try world.history("spring").map { $0.fate(of: "hospital-a") } == ["counted", "counted"])
    }

    /// The picture and folder rows through the program that a hospital runs.
    @Test func oddPicturesAreSkippedCountedAndToldOnce() throws {
        let world = try World.enrolled()
        try world.shell(
            "cp -r '\(try Material.pictures.get())/client-1' pictures && sed -i 's|^data:.*|data: ../pictures|' a/consilium.yaml"
        )
        let real = try world.bytes("pictures/glioma/" + (try #require(world.names("pictures/glioma").first)))
        try world.write("a text", to: "pictures/glioma/text.jpg")
        try world.write("", to: "pictures/glioma/empty.png")
        try Data(real.prefix(real.count / 2)).write(to: URL(fileURLWithPath: world.path("pictures/glioma/torn.jpg")))
        try Data(real).write(to: URL(fileURLWithPath: world.path("pictures/glioma/Снимок (1).wrong")))
        for name in world.names("pictures/pituitary") { try world.write("", to: "pictures/pituitary/\(name)") }
        let unreadable = world.names("pictures/pituitary").count + 3
        let check = try world.succeed("data", "check", "pictures")
        for line in ["glioma/text.jpg", "glioma/empty.png", "glioma/torn.jpg"] { #expect(check.output.contains(line)) }
        #expect(!check.output.contains("Снимок (1).wrong: "))

        try world.startSession("spring", ["a", "b"], rounds: 2)
        let visit = try world.visit("a")
        #expect(visit.output.contains("\(unreadable) pictures cannot be read and are skipped"), "\(visit)")
        #expect(
            visit.output.contains("class pituitary: none of its \(unreadable - 3) pictures can be read"), "\(visit)")
        #expect(!visit.output.contains("torn.jpg"), "no file's name in a mail: \(visit)")
        try world.answer("a")
        try world.journey(["b"])
        try world.carry("S", to: "a")
        #expect(try !world.succeed("client", "run", "--home", "a").output.contains("cannot be read"), "said once")
        try world.journey(["a", "b"])
        #expect(try world.session("spring")["state"].text == "finished")
    }
}

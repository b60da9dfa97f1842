import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// What others wrote stands in errors, in the audit and in mails. Rules: 1. no text of any length stops a run, or comes again;
/// 2. strangers without number are a few lines; 3. trouble with one bundle keeps no other back.
@Suite struct ForeignTextTests {
    /// One character, as Swift counts them, in 120 KB.
    private static let long = "a" + String(repeating: "\u{301}", count: 60_000)

    /// Lays a bundle with whatever manifest and files, signed all the same.
    private func lay(
        _ world: World, _ manifest: JSONValue, _ file: (name: String, bytes: [UInt8]), key: SigningKey,
        kind: BundleKind,
        to target: String
    ) throws {
        guard case .object(var fields) = manifest else { throw TestTrouble("no object") }
        fields["files"] = [
            [
                "name": .string(file.name), "size": .integer(Int64(file.bytes.count)),
                "sha256": .string(SHA256Hash.digest(of: file.bytes).hex),
            ]
        ]
        let bytes = StrictJSON.serialize(.object(fields))
        try world.shell("rm -rf made && mkdir made")
        let signature = try key.sign(bytes, namespace: kind.namespace)
        for (name, bytes) in [("manifest.json", bytes), ("manifest.json.sig", signature), file] {
            try Data(bytes).write(to: URL(fileURLWithPath: world.path("made/\(name)")))
        }
        try world.pack("made", ["manifest.json", "manifest.json.sig", file.name], to: target)
    }

    private func manifest(
        _ world: World, _ kind: BundleKind, from sender: String, to receiver: String, seq: Int64 = 500_000
    ) throws -> JSONValue {
        let record = try StrictJSON.parse(try world.bytes("S/mailbox/home.json"), maximumBytes: 1 << 16)
        let manifest = Manifest(
            kind: kind, federation: try #require(RandomID(hex: record["federation"].text ?? "")), session: .none,
            round: 0, seq: seq, sender: try #require(PartyName(sender)),
            recipients: [try #require(PartyName(receiver))],
            created: world.now, expires: world.now.adding(days: 90), acks: [])
        return try StrictJSON.parse(manifest.encoded, maximumBytes: 1 << 20)
    }

    @Test func aForeignKeyInAManifestIsPutAwayAndToldInOneShortLine() throws {
        let world = try World.enrolled()
        guard case .object(var fields) = try manifest(world, .enrol, from: "hospital-x", to: "ministry") else { return }
        fields[Self.long] = 1
        try lay(
            world, .object(fields), ("enrol.json", Array("{}".utf8)), key: .generate(), kind: .enrol,
            to: "S/inbox/evil.tar")
        try world.succeed("server", "run", "--home", "S")
        world.advance(seconds: 61)
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(
            told.output.contains("is not a known key") && told.output.utf8.count < 1000, "\(told.output.utf8.count)")
        #expect(world.names("S/inbox").isEmpty)
        let audit = try world.json("server", "audit", "--home", "S")
        #expect(audit["newest"].items.last?["detail"].text?.contains("not-a-bundle: malformed-manifest") == true)
    }

    @Test(arguments: ["S", "a"]) func aForeignKeyInAMessageIsRefusedAndGone(home: String) throws {
        let world = try World.enrolled()
        let isServer = home == "S"
        let (kind, name): (BundleKind, String) = isServer ? (.request, "request.json") : (.decision, "decision.json")
        let from = try world.key(of: isServer ? "a" : "S")
        try lay(
            world,
            try manifest(
                world, kind, from: isServer ? "hospital-a" : "ministry", to: isServer ? "ministry" : "hospital-a"),
            (name, StrictJSON.serialize(.object([Self.long: 1]))), key: from, kind: kind, to: "\(home)/inbox/evil.tar")
        let told = try world.succeed(isServer ? "server" : "client", "run", "--home", home)
        #expect(told.output.contains("refused: \(name)") && told.output.utf8.count < 1000, "\(told.output.utf8.count)")
        #expect(world.names("\(home)/inbox").isEmpty)
        #expect(try world.run(isServer ? "server" : "client", "run", "--home", home).status == 0)
    }

    /// Anybody can make keys without end.
    @Test func strangersWithoutNumberAreAFewLines() throws {
        let world = try World.enrolled()
        for number in 0..<40 {
            try lay(
                world, try manifest(world, .enrol, from: "hospital-x", to: "ministry", seq: Int64(number + 1)),
                ("enrol.json", StrictJSON.serialize(.object([Self.long: 1]))), key: .generate(), kind: .enrol,
                to: "S/inbox/e\(number).tar")
        }
        let before = try world.bytes("S/audit/audit.jsonl").count
        let told = try world.succeed("server", "run", "--home", "S")
        #expect(told.output.contains("20 more files of unknown keys refused"), "\(told)")
        #expect(told.output.split(separator: "\n").count == 21, "\(told)")
        #expect(try world.bytes("S/audit/audit.jsonl").count - before < 20_000)
        #expect(world.names("S/inbox").isEmpty)
        try world.succeed("server", "audit", "--home", "S")
    }

    @Test func troubleWithOneBundleOfTheServersKeepsNoOtherBack() throws {
        let world = try World.enrolled()
        let key = try world.key("S")
        try world.layTrust(
            world.statement([(SigningKey.generate().publicKey, 0, nil)]), seq: 100, to: "a", key: key)
        let first = try BundleReader.open(FilePath(world.path("a/inbox/forged-100.tar")), files: LocalFileSystem())
        // Nothing can be archived over a folder.
        try world.shell("mkdir -p a/archive/\(first.id.hex).tar/x")
        let receipt = try Manifest(
            parsing: StrictJSON.serialize(
                try manifest(world, .receipt, from: "ministry", to: "hospital-a", seq: 101)))
        _ = try BundleWriter.write(
            receipt, payload: [], key: key, to: FilePath(world.path("a/inbox/receipt.tar")), files: LocalFileSystem())
        let told = try world.succeed("client", "run", "--home", "a")
        #expect(told.output.contains("trust of ministry waits for the next run"), "\(told)")
        #expect(world.names("a/inbox") == ["forged-100.tar"])
        try world.shell("rm -r a/archive/\(first.id.hex).tar")
        // What it brought is told by the run that is done with it, too.
        let again = try world.succeed("client", "run", "--home", "a")
        #expect(again.output.contains("ministry: new key ") && again.output.contains("introduced by"), "\(again)")
        #expect(world.names("a/inbox").isEmpty)
    }
}

import Bundles
import Files
import SystemPackage
import Testing
import Wire

private let hasTools = ["ssh-keygen", "tar", "sha256sum"].allSatisfy { Program.has($0) }

/// What every hospital's own tools make of what we send.
@Suite(.enabled(if: hasTools, "ssh-keygen, tar and sha256sum are needed")) struct OutsideToolTests {
    /// A session with a late refusal, a receipt, a withdrawal and an abort, so that nearly every kind is made.
    private static let everyKind = Result { () throws -> String in
        let world = try World.initialised()
        try world.shell("mkdir all")
        // The archives as they were signed; of the encryption around them see EncryptionTests.
        let keep = {
            for home in ["S"] + World.everybody {
                for name in world.names("\(home)/outbox") {
                    try world.shell("cp -f '\(try world.opened("\(home)/outbox/\(name)"))' all/")
                }
            }
        }
        try keep()
        try world.enrol()
        try world.request(rounds: 1)
        try keep()
        try world.approveAll("spring")
        try keep()
        try world.journey()
        try keep()
        for home in World.everybody { try world.visit(home) }
        try keep()
        try world.request(["a", "b"], rounds: 1)
        try world.approveAll("summer")
        for home in ["a", "b"] { try world.visit(home) }
        try world.succeed("client", "withdraw", "--home", "a")
        try keep()
        try world.succeed("server", "abort", "summer", "--home", "S")
        try keep()
        return world.root
    }

    /// `ssh-keygen -Y verify`, `tar tf` and `sha256sum -c` on every bundle that any home has sent.
    @Test func everyBundleIsCheckedByTheToolsOfOthers() throws {
        let world = World(root: try Self.everyKind.get())
        var kinds: Set<String> = []
        for name in world.names("all") {
            let bundle = world.path("all/\(name)")
            let manifest = try BundleReader.open(FilePath(bundle), files: LocalFileSystem()).verified().manifest
            kinds.insert(manifest.kind.rawValue)
            let files = ["manifest.json", "manifest.json.sig"] + manifest.files.map(\.name)
            #expect(try world.shell("tar tf '\(bundle)'").output == files.map { "\($0)\n" }.joined(), "\(name)")
            try world.shell("rm -rf open && mkdir open && tar xf '\(bundle)' -C open")
            // An invite verifies against the key in it; whoever was invited has that key in its trust folder.
            let trust =
                manifest.sender.text == "ministry" && manifest.kind == .invite
                ? "own" : manifest.sender.text == "ministry" ? "a" : "S"
            let signers = trust == "own" ? "open/signers" : "\(trust)/trust/allowed_signers"
            if trust == "own" {
                let invitation = try StrictJSON.parse(try world.bytes("open/invite.json"), maximumBytes: 1 << 20)
                try world.write("ministry \(try #require(invitation["key"].text))\n", to: "open/signers")
            }
            let kind = "\(manifest.kind.rawValue)@consilium"
            let verify = "ssh-keygen -Y verify -f \(signers) -I \(manifest.sender) -n \(kind) -s open/manifest.json.sig"
            let verified = try Program.shell("\(verify) < open/manifest.json", in: world.root)
            #expect(verified.status == 0, "\(name): \(verified)")
            #expect(verified.output.hasPrefix("Good \"\(kind)\" signature for \(manifest.sender)"))
            let sums = manifest.files.map { "\($0.sha256.hex)  open/\($0.name)\n" }.joined()
            try world.write(sums, to: "sums")
            if !manifest.files.isEmpty { try world.shell("sha256sum -c --quiet sums") }
            // Changed by one byte, it is good no more.
            let forged = try Program.shell(
                "sed 's/consilium/konsilium/' open/manifest.json | \(verify)", in: world.root)
            #expect(forged.status != 0)
        }
        let wanted = ["invite", "enrol", "request", "decision", "global", "update", "withdraw", "abort", "receipt"]
        #expect(kinds == Set(wanted))
    }

    /// What a hospital sends names no file, folder, picture or machine.
    @Test func noBundleOfAHospitalNamesItsFiles() throws {
        let world = World(root: try Self.everyKind.get())
        let pictures = try Material.pictures.get()
        let folder = World(root: pictures + "/client-1")
        let stems = Material.classes.split(separator: ",").flatMap { folder.names(String($0)) }
            .map { String($0.prefix { $0 != "." }) }
        #expect(stems.count > 15)
        let long = Set(["phantom", "client-1", "/split", world.root, pictures] + stems)
        try world.write(long.joined(separator: "\n"), to: "long")
        // Four bytes can stand among the weights by chance, so these are looked for in what is text.
        try world.write(".png\n.jpg\n/tmp", to: "short")
        for name in world.names("all") {
            let anywhere = try Program.shell("grep -aoF -f long 'all/\(name)'", in: world.root)
            #expect(anywhere.status == 1, "\(name) names \(anywhere.output)")
            let text = try Program.shell(
                "tar xOf 'all/\(name)' --wildcards '*.json' '*.sig' | grep -aoF -f short", in: world.root)
            #expect(text.status == 1, "\(name) names \(text.output)")
        }
    }

    /// Keys that an admin made with ssh-keygen before `init` are used, on both sides.
    @Test func keysMadeBySSHKeygenAreUsed() throws {
        let world = try World.empty()
        for home in ["S", "a"] {
            try world.shell(
                "mkdir -p -m 700 \(home)/identity && ssh-keygen -q -t ed25519 -N '' -C me@here -f \(home)/identity/id_ed25519"
            )
        }
        let made = try world.json("server", "init", "--home", "S", "--name", "ministry")
        let line = try world.shell("ssh-keygen -lf S/identity/id_ed25519.pub").output
        #expect(line.contains(try #require(made["fingerprint"].text)))
        try world.succeed(
            "model", "init", "--home", "S", "--arch", "smallcnn", "--classes", Material.classes, "--size", "32")
        try world.succeed("server", "invite", "--home", "S")
        try world.shell("cp S/outbox/*.tar invite.tar")
        let hospital = try world.json(
            "client", "init", "--home", "a", "--name", "hospital-a", "--invite", "invite.tar", "--data",
            "\(try Material.pictures.get())/client-1")
        #expect(
            try world.shell("ssh-keygen -lf a/identity/id_ed25519.pub").output.contains(
                try #require(hospital["fingerprint"].text)))
        #expect(hospital["server_fingerprint"] == made["fingerprint"])
        try world.answer("a")
        try world.serve()
        try world.shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try world.serve()
        #expect(try world.visit("a").output.contains("enrolment approved by ministry"))
        try world.request(["a"])
        #expect(world.names("S/requests/pending", "REQ") == ["REQ-1-hospital-a.tar"])
    }

    /// `bundle verify` without a home, and with one.
    @Test func bundleVerifyAndInspectAgree() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        let bundle = try world.opened("a/outbox/" + (try #require(world.names("a/outbox", "request").first)))
        let inspected = try world.succeed("bundle", "inspect", bundle)
        #expect(inspected.output.contains("hospital-a"))
        #expect(try world.run("bundle", "verify", bundle, "--home", "S").status == 0)
        try world.shell("cp '\(bundle)' bad.tar; printf X | dd of=bad.tar bs=1 seek=600 conv=notrunc status=none")
        let bad = try world.run("bundle", "verify", "bad.tar", "--home", "S")
        #expect(bad.status == 65, "\(bad)")
        #expect(try world.run("bundle", "inspect", "nosuch.tar").status == 66)
    }
}

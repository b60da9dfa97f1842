import Foundation
import Testing
import Wire

/// A home's own key that somebody has put another one in the place of.
@Suite struct OwnKeyTests {
    /// Puts another valid pair in a key's place.
    private func replaceKey(of home: String, in world: World) throws {
        try world.succeed("key", "generate", "other")
        try world.shell(
            "mkdir kept && cp -p \(home)/identity/id_ed25519* kept/ && cat other > \(home)/identity/id_ed25519 "
                + "&& cat other.pub > \(home)/identity/id_ed25519.pub")
    }

    @Test(arguments: ["S", "a", "a after a rotation"])
    func aKeyThatIsNotThisHomesSignsNothing(what: String) throws {
        let world = try World.enrolled()
        let home = String(what.prefix(1))
        let role = home == "S" ? "server" : "client"
        if what.hasSuffix("rotation") {
            try world.succeed("key", "rotate", "--home", "a")
            try world.answer("a")
            try world.serve()
            try world.approveEnrolments()
            try world.visit("a")
        }
        try world.request(["b"])
        try world.carry("b", to: "S")
        try replaceKey(of: home, in: world)
        let before = try Snapshot(world.path(home))
        let commands =
            home == "S"
            ? [["server", "run"], ["server", "invite"], ["key", "rotate"]]
            : [["client", "run"], ["client", "request", "--rounds", "1"], ["key", "rotate"]]
        for command in commands {
            let refused = try world.run(command + ["--home", home])
            #expect(refused.status == 78 && refused.output.isEmpty, "\(command): \(refused)")
            let lines = refused.errors.split(separator: "\n")
            #expect(lines.count == 2 && lines[0].contains("is not the one that this home uses"), "\(refused)")
            #expect(lines.last?.contains("key rotate --lost") == true, "\(refused)")
        }
        #expect(before.contentChanges(to: try Snapshot(world.path(home))) == [])
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78 && doctor.output.contains("MEND keys: "), "\(doctor)")
        #expect(doctor.output.components(separatedBy: "MEND").count == 2, "\(doctor)")
        // The one that belongs there goes on; and where it is gone, the way that the line names does.
        let copy = try World.copy(of: world.root)
        try copy.shell("cp -p kept/id_ed25519* \(home)/identity/")
        try copy.succeed(role, "run", "--home", home)
        try copy.succeed("doctor", "--home", home)
        let foreign = try world.fingerprint(home)
        try world.succeed("key", "rotate", "--lost", "--home", home)
        // Whoever laid the other one there has it still.
        #expect(try world.fingerprint(home) != foreign)
        #expect(try !world.text("\(home)/trust/allowed_signers").contains(world.bytes("other.pub").publicKeyText))
        try world.succeed(role, "run", "--home", home)
        let mended = try world.run("doctor", "--home", home)
        #expect(!mended.output.contains("MEND keys"), "\(mended)")
    }

    /// The next run remembers the key of a home that was made before, and never takes an end from one that has it.
    @Test func theEndOfANewKeyStaysRemembered() throws {
        let world = try World.enrolled()
        try world.succeed("key", "rotate", "--compromised", "--valid-days", "40", "--home", "a")
        try world.succeed("client", "run", "--home", "a")
        let key = try world.bytes("a/identity/id_ed25519.pub").publicKeyText
        let line = try world.text("a/trust/allowed_signers").split(separator: "\n").first { $0.contains(key) }
        #expect(line?.contains("valid-before") == true, "\(line ?? "no line")")
        // As it was made by the version before.
        try world.shell("sed -i '/^hospital-b /d' b/trust/allowed_signers b/trust/recipients")
        try world.succeed("client", "run", "--home", "b")
        let own = try world.bytes("b/identity/id_ed25519.pub").publicKeyText
        #expect(try world.text("b/trust/allowed_signers").contains(own))
        #expect(try world.text("b/trust/recipients").contains("hospital-b age1"))
        #expect(try world.run("client", "run", "--home", "b").isSilentSuccess)
    }

    /// To look, and to believe a stolen key of the server's no more, needs no signature.
    @Test func whatNeedsNoSignatureGoesOnUnderAForeignKey() throws {
        let world = try World.enrolled()
        let server = try world.fingerprint("S")
        try replaceKey(of: "a", in: world)
        let heads = world.names("a/audit")
        try world.succeed("client", "status", "--home", "a")
        try world.succeed("key", "distrust", server, "--home", "a")
        #expect(world.names("a/audit") == heads)
    }

    /// An age identity that nobody was told of opens nothing of what comes.
    @Test(arguments: ["S", "a"]) func anAgeIdentityThatIsNotThisHomesIsSaid(home: String) throws {
        let world = try World.enrolled()
        let role = home == "S" ? "server" : "client"
        try world.shell("cp -p \(home)/identity/age.txt kept.txt && cat b/identity/age.txt > \(home)/identity/age.txt")
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78 && doctor.output.contains("MEND keys: "), "\(doctor)")
        #expect(doctor.output.contains("identity/age.txt"), "\(doctor)")
        let told = try world.run(role, "run", "--home", home)
        #expect(told.status == 0 && told.output.contains("identity/age.txt"), "\(told)")
        #expect(try world.run(role, "run", "--home", home).isSilentSuccess)
        try world.shell("cat kept.txt > \(home)/identity/age.txt")
        try world.succeed("doctor", "--home", home)
        // Told again when it happens again.
        try world.succeed(role, "run", "--home", home)
        try world.shell("cat b/identity/age.txt > \(home)/identity/age.txt")
        try world.succeed("key", "rotate", "--age", "--home", home)
        try world.succeed("doctor", "--home", home)
    }
}

extension [UInt8] {
    /// The key itself in a line of `ssh-keygen`'s.
    fileprivate var publicKeyText: String {
        String(decoding: self, as: UTF8.self).split(separator: " ").dropFirst().first.map(String.init) ?? "no key"
    }
}

import Foundation
import Testing
import Wire

/// What a person is told of a home: which file is damaged, which pictures count, why nothing is done, what has to be mended.
@Suite struct TellingTests {
    /// Which file it is, and what to do.
    @Test(arguments: [
        ("mailbox/ledger.json", "{\"format\": 1}", Int32(70), "restore it from a backup"),
        ("mailbox/ledger.json", "not JSON", 70, "restore it from a backup"),
        ("mailbox/clock.json", "{}", 70, "remove it, if the clock is right now"),
        ("audit/audit.jsonl", "not JSON\n", 70, "restore it from a backup"),
        ("identity/age.txt", "no key\n", 77, "without one, move it away, and 'consilium key rotate --lost'"),
        ("identity/id_ed25519", "no key\n", 77, "without one, move it away, and 'consilium key rotate --lost'"),
        ("identity/age-20260101.txt", "no key\n", 77, "without one, move it away"),
    ])
    func aDamagedFileIsNamed(file: String, content: String, status: Int32, hint: String) throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.shell("touch S/\(file) && chmod 600 S/\(file) && printf '%s' '\(content)' > S/\(file)")
        let outcome = try world.run("server", "revoke", "hospital-b", "--home", "S")
        #expect(outcome.status == status, "\(outcome)")
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("consilium: \(world.path("S/\(file)"))"), "\(outcome)")
        #expect(lines.last?.hasPrefix("hint: ") == true && lines.last?.contains(hint) == true, "\(outcome)")
    }

    /// What is promised to the server is what will be trained on.
    @Test func aRequestCountsThePicturesThatCanBeUsed() throws {
        let world = try World.enrolled()
        try world.shell("cp -a '\(try Material.pictures.get())/client-1' pictures && rm -rf a/inbox/*")
        try world.write(
            try world.text("a/consilium.yaml").split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.hasPrefix("data: ") ? "data: ../pictures" : String($0) }.joined(separator: "\n"),
            to: "a/consilium.yaml")
        let check = try world.json("data", "check", "pictures")
        let usable = try #require(check["pictures"].integer)
        try world.shell("printf 'no picture' > pictures/glioma/broken.png && mkfifo pictures/glioma/pipe.png")
        let told = try world.succeed("client", "request", "--home", "a", "--rounds", "1")
        #expect(
            told.output.hasPrefix(
                "1 picture cannot be read and is skipped; 'consilium data check' names them\nrequest "), "\(told)")
        #expect(told.output.hasSuffix(" with \(usable) pictures lies in the outbox\n"), "\(told)")
        let checked = try world.succeed("data", "check", "pictures")
        #expect(checked.output.contains("warning: 1 pipe, socket or device"), "\(checked)")
    }

    /// Who asks is told why nothing is done.
    @Test func anIdleRunSaysWhyWhenItIsAsked() throws {
        let world = try World.initialised()
        func idle(_ role: String, _ home: String) throws -> String {
            try world.succeed(role, "run", "--home", home)
            #expect(try world.run(role, "run", "--home", home).isSilentSuccess)
            return try world.succeed(role, "run", "--home", home, "--verbose").output
        }
        #expect(try idle("client", "a") == "nothing to do: waiting for the answer to the enrolment; no new bundles\n")
        #expect(try idle("server", "S") == "nothing to do: no session is open and nothing asked for, no new bundles\n")
        try world.enrol()
        #expect(
            try idle("client", "a") == "nothing to do: no session is open and no request under way, no new bundles\n")
        try world.succeed("client", "request", "--home", "a", "--rounds", "2")
        #expect(try idle("client", "a") == "nothing to do: waiting for the answer to a request; no new bundles\n")
        try world.answer("a")
        #expect(try idle("server", "S") == "nothing to do: waiting for your decision about REQ-1; no new bundles\n")
        try world.request(["b"], rounds: 2)
        try world.approveAll("spring")
        try world.visit("a")
        let session = try #require(try world.session("spring")["id"].text).prefix(8)
        #expect(
            try idle("client", "a").hasPrefix("nothing to do: waiting for round 2 of session \(session)"))
        try world.answer("a")
        #expect(
            try idle("server", "S")
                == "nothing to do: waiting for round 1 of session spring from hospital-b; no new bundles\n")
    }

    /// A missing key is the key's fault alone.
    @Test(arguments: ["rm", "chmod 644"]) func doctorBlamesTheKeyAlone(damage: String) throws {
        let world = try World.enrolled()
        try world.shell("\(damage) S/identity/id_ed25519")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78 && doctor.output.contains("MEND keys"), "\(doctor)")
        #expect(doctor.output.contains("ok   audit: the chain of "), "\(doctor)")
        #expect(doctor.output.components(separatedBy: "MEND").count == 2, "\(doctor)")
    }

    @Test(arguments: [("S", "requests/records.json"), ("a", "sessions/state.json")])
    func doctorReadsWhatARunReads(home: String, file: String) throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.write("{", to: "\(home)/\(file)")
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78 && doctor.output.contains("MEND records"), "\(doctor)")
        #expect(doctor.output.contains(file), "\(doctor)")
    }

    /// The pictures as a request and a training will look for them; said at the beginning too, when the home is made.
    @Test func missingClassFoldersAreToldBeforeTheyAreAskedFor() throws {
        let world = try World.enrolled()
        #expect(try world.succeed("doctor", "--home", "a").output.contains("ok   pictures: "))
        try world.shell("cp -a '\(try Material.pictures.get())/client-1' pictures && mv pictures/glioma pictures/gliom")
        let configuration = try world.text("a/consilium.yaml")
        for (line, says) in [
            ("data: ../pictures", "did you mean glioma?"), ("data: inbox", "no class folders in"),
            ("data: ../nowhere", "nowhere"), ("# no data", "names no folder of pictures"),
        ] {
            try world.write(configuration.replacing(/(?m)^data: .*$/, with: line), to: "a/consilium.yaml")
            let doctor = try world.run("doctor", "--home", "a")
            let found = doctor.output.split(separator: "\n").first { $0.hasPrefix("MEND pictures: ") }
            #expect(doctor.status == 78 && found?.contains(says) == true, "\(doctor)")
        }
        try world.shell("mkdir empty")
        let made = try world.succeed(
            "client", "init", "--home", "d", "--name", "hospital-d", "--invite", "invite.tar", "--data", "empty")
        #expect(made.errors.hasPrefix("consilium: --data: no class folders in "), "\(made)")
    }

    @Test func doctorFindsAHomeThatCannotBeWrittenTo() throws {
        let world = try World.enrolled()
        #expect(try world.succeed("doctor", "--home", "a").output.contains("ok   home: "))
        let home = world.path("a")
        let mount = "mount --bind \(home) \(home) && mount -o remount,ro,bind \(home)"
        guard try Program.shell("unshare -m sh -c '\(mount)'", in: world.root).status == 0 else {
            print("skipped: nothing can be mounted here")
            return
        }
        let command = "CONSILIUM_NOW=\(world.now.rfc3339) \(Program.path) doctor --home a"
        let outcome = try Program.shell("unshare -m sh -c '\(mount) && \(command)'", in: world.root)
        #expect(outcome.status == 78, "\(outcome)")
        #expect(
            outcome.output.contains("MEND home: \(home) is on a file system that is mounted read-only"),
            "\(outcome)")
        let look = "CONSILIUM_NOW=\(world.now.rfc3339) \(Program.path) client status --home a"
        #expect(try world.shell("unshare -m sh -c '\(mount) && \(look)'").output.contains("enrolment approved"))
    }
}

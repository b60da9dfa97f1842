import Foundation
import Glibc
import Testing
import Wire

/// What `doctor` finds at a home that others may take over, or that has lost something without a word.
@Suite struct DoctorTests {
    /// Whoever may write to any of these decides, or puts something else in its place.
    @Test(arguments: [
        (
            "S",
            [
                ".", "requests", "requests/approved/spring", "enrolments", "enrolments/approved", "trust",
                "trust/allowed_signers", "consilium.yaml", "mailbox", "mailbox/home.json", "requests/records.json",
                "sessions", "versions", "versions/0000/model.safetensors", "archive", "outbox", "audit",
                "audit/audit.jsonl", "quarantine", "identity/id_ed25519.pub",
            ]
        ),
        ("a", [".", "plans", "updates", "updates/accepted", "trust/recipients", "models", "cache", "history"]),
    ])
    func whereOthersMayWriteIsNamed(home: String, places: [String]) throws {
        let world = try World.enrolled()
        try world.shell("mkdir -p S/requests/approved/spring && chmod 777 \(home)/inbox")
        try world.succeed("doctor", "--home", home)
        for place in places {
            let path = world.path(place == "." ? home : "\(home)/\(place)")
            try world.shell("chmod o+w '\(path)'")
            let doctor = try world.run("doctor", "--home", home)
            #expect(doctor.status == 78, "\(place): \(doctor)")
            #expect(doctor.output.contains("MEND permissions: others may write to \(path)"), "\(place): \(doctor)")
            #expect(doctor.output.contains("     chmod go-w \(path)\n"), "\(place): \(doctor)")
            #expect(doctor.output.components(separatedBy: "MEND").count == 2, "\(place): \(doctor)")
            try world.shell("chmod o-w '\(path)'")
        }
        #expect(try world.run("doctor", "--home", home).output.contains("ok   permissions: "))
    }

    /// A group is others, unless nobody else is in it.
    @Test(.enabled(if: getuid() == 0, "only root can give files away"))
    func aGroupThatMayWriteIsNamed() throws {
        let world = try World.enrolled()
        try world.shell("chmod g+w S/trust")
        #expect(try world.run("doctor", "--home", "S").output.contains("chmod go-w \(world.path("S/trust"))"))
        try world.shell("chmod g-w S/trust; for n in 1 2 3 4 5 6 7; do touch S/audit/$n; chmod 666 S/audit/$n; done")
        let many = try world.run("doctor", "--home", "S")
        #expect(many.output.contains(", and 3 more"), "\(many)")
        #expect(many.output.contains("     find \(world.path("S")) "), "\(many)")
    }

    /// A run would end at it.
    @Test(.enabled(if: getuid() == 0, "only root can give files away"))
    func aFolderThatItsOwnerMayNotReadIsNamed() throws {
        let world = try World.enrolled()
        try world.shell("chown -R 65534 S && chmod 000 S/requests/pending")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78, "\(doctor)")
        #expect(doctor.output.contains("MEND home: \(world.path("S/requests/pending")) cannot be"), "\(doctor)")
    }

    /// The head is signed by the old key until a run has ended under the new one.
    @Test(.enabled(if: Strace.isUsable, "strace is missing or may not trace"), arguments: ["S", "a"])
    func anAuditIsWholeWhereTheChangeOfTheKeyWasStopped(home: String) throws {
        let world = try World.enrolled()
        let (old, heads) = (try world.fingerprint(home), world.names("\(home)/audit"))
        var left = 0
        var last: World?
        for number in 1... {
            let copy = try World.copy(of: world.root)
            let (_, isHit) = try Strace.run(
                ["key", "rotate", "--compromised", "--home", home],
                injecting: Strace.Point(call: "rename", number: number, fault: .kill), in: copy)
            guard isHit else { break }
            guard copy.names("\(home)/audit") == heads, try copy.fingerprint(home) != old else { continue }
            left += 1
            let doctor = try copy.run("doctor", "--home", home)
            #expect(doctor.output.contains("ok   audit: "), "rename \(number): \(doctor)")
            last = copy
        }
        #expect(left > 2)
        let copy = try #require(last)
        #expect(try copy.run("doctor", "--home", home).output.contains(" are signed"))
        if home == "S" { try copy.succeed("server", "audit", "--home", "S") }
        // Another one's signature stays a foreign one.
        let head = "\(home)/audit/head-\(try #require(heads.compactMap { Int($0.filter(\.isNumber)) }.max())).json"
        try copy.succeed("key", "generate", "other")
        try copy.shell("rm \(head).sig && ssh-keygen -q -Y sign -f other -n audit@consilium \(head)")
        #expect(try copy.run("doctor", "--home", home).output.contains("MEND audit: "))
    }

    // MARK: what is lost

    /// Only a damaged session waited; of one that was lost every update was refused, and its hospital never sent it again.
    @Test(arguments: ["rm S/sessions/*/session.json", "rm -r S/sessions/*"])
    func aSessionWithoutItsStateWaitsForIt(loss: String) throws {
        let world = try World.enrolled()
        try world.startSession()
        for home in World.everybody {
            try world.visit(home)
            try world.answer(home)
        }
        let id = try #require(try world.session("spring")["id"].text)
        try world.shell("cp -a S/sessions kept && \(loss)")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78 && doctor.output.contains("MEND records: "), "\(doctor)")
        #expect(doctor.output.contains("sessions/\(id)/session.json is missing"), "\(doctor)")
        let told = try world.serve()
        #expect(told.output.contains("session \(id) cannot be read and waits"), "\(told)")
        #expect(!told.output.contains("refused"), "\(told)")
        for home in World.everybody { try world.visit(home) }
        try world.shell("rm -rf S/sessions && cp -a kept S/sessions")
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
    }

    /// A kill between the folder and the state leaves nothing that waits for anybody.
    @Test func anEmptySessionFolderIsNoLoss() throws {
        let world = try World.enrolled()
        try world.shell("mkdir S/sessions/00112233445566778899aabbccddeeff")
        try world.succeed("doctor", "--home", "S")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }

    @Test func whoIsMissingInTheTrustIsNamedByDoctorAndOnceByTheRun() throws {
        let world = try World.enrolled()
        let whole = try world.text("S/trust/allowed_signers")
        for missing in [["hospital-b"], ["hospital-a", "hospital-b", "hospital-c", "ministry"]] {
            let left = whole.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                !missing.contains { line.hasPrefix($0 + " ") }
            }
            try world.write(left.joined(separator: "\n"), to: "S/trust/allowed_signers")
            let doctor = try world.run("doctor", "--home", "S")
            #expect(doctor.status == 78, "\(doctor)")
            let line = doctor.output.split(separator: "\n").first { $0.hasPrefix("MEND trust: ") }
            for name in missing { #expect(line?.contains(name) == true, "\(doctor)") }
            let told = try world.run("server", "run", "--home", "S")
            #expect(told.output.contains("trust/allowed_signers"), "\(told)")
            for name in missing { #expect(told.output.contains(name), "\(told)") }
            #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
        }
        try world.write(whole, to: "S/trust/allowed_signers")
        try world.succeed("doctor", "--home", "S")
        // Whose enrolment was taken back is missing rightly.
        try world.shell("mv S/enrolments/approved/*hospital-b* S/enrolments/rejected/")
        try world.serve()
        try world.succeed("doctor", "--home", "S")
        try world.write("", to: "a/trust/allowed_signers")
        let client = try world.run("doctor", "--home", "a")
        #expect(client.status == 78 && client.output.contains("MEND trust: ") && client.output.contains("ministry"))
        #expect(try world.run("client", "run", "--home", "a").output.contains("ministry"))
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    @Test(arguments: ["S", "a"]) func aLostLedgerIsSaid(home: String) throws {
        let world = try World.enrolled()
        try world.shell("rm \(home)/mailbox/ledger.json")
        let doctor = try world.run("doctor", "--home", home)
        #expect(doctor.status == 78, "\(doctor)")
        #expect(
            doctor.output.contains("MEND records: ") && doctor.output.contains("ledger.json is missing"), "\(doctor)")
    }

    @Test func aNewHomeHasLostNothing() throws {
        let world = try World.empty()
        try world.succeed("server", "init", "--home", "S", "--name", "ministry")
        try world.succeed("doctor", "--home", "S")
        try world.succeed("model", "init", "--home", "S", "--arch", "smallcnn", "--classes", "a,b")
        try world.succeed("doctor", "--home", "S")
    }

    // MARK: shares

    /// As it is when the share was mounted at the last run and is not now.
    @Test func aShareThatIsNotMountedIsToBeMendedAndNotSyncedTo() throws {
        let world = try World.enrolled()
        try world.shell("mkdir exchange")
        try world.configure("S", "exchange: \(world.path("exchange"))")
        try world.serve()
        try world.succeed("doctor", "--home", "S")
        try world.startSession()
        let cache = try world.text("S/mailbox/exchange.json")
        try world.write(
            cache.replacing(
                #/"mount_point":"[^"]*"/#, with: "\"mount_point\":\"\(world.path("exchange"))\""),
            to: "S/mailbox/exchange.json")
        try world.shell("rm -r exchange && mkdir exchange")
        let doctor = try world.run("doctor", "--home", "S")
        #expect(doctor.status == 78, "\(doctor)")
        #expect(
            doctor.output.contains("MEND exchange: ") && doctor.output.contains("is the share mounted?"), "\(doctor)")
        let sync = try world.run("exchange", "sync", "--home", "S", "--share", "exchange")
        #expect(sync.status == 75 && sync.errors.contains("is the share mounted?"), "\(sync)")
        #expect(world.names("exchange").isEmpty)
        // Another place is another medium.
        try world.shell("mkdir stick")
        try world.succeed("exchange", "sync", "--home", "S", "--share", "stick")
        #expect(!world.names("stick").isEmpty)
        #expect(try world.run("exchange", "sync", "--home", "S", "--share", "exchange").status == 75)
    }
}

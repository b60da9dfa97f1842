import Bundles
import Foundation
import Testing
import Wire

/// The audit as an administrator and a third party check it. Rules: 1. what was done is in it and signed; 2. a log that was
/// cut off is found with a head that somebody kept, without the home; 3. trouble is one clear line.
@Suite struct AuditCommandTests {
    private static let offline = ["server", "audit", "--log", "seen.jsonl", "--head", "kept.json", "--key", "s.pub"]

    @Test func aThirdPartyCanTellARewrittenLog() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.succeed("server", "run", "--home", "S")
        let audit = try world.json("server", "audit", "--home", "S")
        let number = audit["newest"].items.count
        #expect(number > 3 && audit["entries"] == .integer(Int64(number)))
        #expect(audit["signed_entries"] == audit["entries"])
        #expect(audit["newest"].items.last?["event"].text != nil)
        try world.shell(
            "cp S/audit/head-\(number).json kept.json && cp S/audit/head-\(number).json.sig kept.json.sig"
                + " && cp S/audit/audit.jsonl seen.jsonl && cp S/identity/id_ed25519.pub s.pub")
        let good = try world.run(Self.offline)
        #expect(good.status == 0 && good.output.contains("the chain of \(number) entries is whole"), "\(good)")
        #expect(good.output.contains("ministry signed its first \(number)"))

        // The admin goes on; the kept head still fits the longer log.
        try world.succeed("server", "reject", "REQ-1", "--reason", "not now", "--home", "S")
        let later = try world.run("server", "audit", "--head", "kept.json", "--home", "S")
        #expect(later.status == 0, "\(later)")

        try world.shell("head -n 2 S/audit/audit.jsonl > seen.jsonl")
        let cut = try world.run(Self.offline)
        #expect(cut.status != 0 && cut.errors.contains("ends at line 2, but ministry signed line \(number)"), "\(cut)")
        try world.shell("rm S/audit/head-* && cp seen.jsonl S/audit/audit.jsonl")
        // Without its head too: the home remembers that it signed one.
        let found = try world.run("server", "audit", "--home", "S")
        #expect(found.status != 0 && found.errors.contains("audit/ has no head"), "\(found)")
    }

    /// Who, what and when: of each decision on both sides, in a session with all that may go wrong in one.
    @Test func everyDecisionNamesItsBundleAndItsSender() throws {
        let world = try World.enrolled()
        try world.startSession("spring", rounds: 1)
        for home in World.everybody { try world.visit(home) }
        for home in ["S", "a"] { try world.write("no bundle", to: "\(home)/inbox/Meier-Hans-1956.tar") }
        try world.forge(try world.update("b"), key: try world.key(of: "b"), to: "S/inbox/two.tar") { manifest, _ in
            manifest.expires = manifest.expires.adding(days: 1)
        }
        let update = try world.update("c")
        try world.forge(update, key: try world.key(of: "c"), to: "S/inbox/bad.tar") { manifest, payload in
            manifest.seq += 1
            payload.append(("more.json", [UInt8]("{}\n".utf8)))
        }
        for home in ["a", "b"] { try world.answer(home) }
        _ = try world.serveTwice()
        try world.visit("b")
        try world.succeed("server", "readmit", "spring", "hospital-b", "--home", "S")
        try world.journey(["b"])
        try world.succeed("server", "revoke", "hospital-c", "--reason", "stolen", "--home", "S")
        try world.forge(update, key: try world.key(of: "c"), to: "S/inbox/late.tar") { manifest, _ in manifest.seq += 2
        }
        try world.serve()
        #expect(try world.session("spring")["state"].text == "finished")
        for home in World.everybody { try world.visit(home) }
        world.advance(seconds: 61)
        try world.visit("a")
        try world.succeed("client", "accept", "1", "--home", "a")
        try world.succeed("client", "reject", "1", "--home", "b")

        let said = try check(world, "S") + check(world, "a") + check(world, "b") + check(world, "c")
        let wanted = [
            "for round 1 received; bundle", "round 1 uses hospital-a", "takes part from round 1; request",
            "is excluded: two bundles carry the same sequence number; bundles", "is readmitted; request",
            "readmit hospital-b; request", "revoked: the key", "not-a-bundle: ", "enrolment approved by ministry; from",
            "request approved", "global of round 1 received; from", "was counted with weight", "; update ",
            "is revoked by ministry: stolen", "version 1 from ministry", "it holds",
        ]
        for words in wanted { #expect(said.contains { $0.contains(words) }, "\(words)") }
        #expect(!said.contains { $0.contains("Meier") }, "a file's name says whose pictures are in it")
    }

    /// What follows from a number of bundles together, or from none, and names of itself all that can be named.
    private static func isConsequence(_ detail: String) -> Bool {
        let pattern =
            /^(round \d+ (starts|closes|is open|goes on|aggregated)|finished after|version \d+ saved|paused|ministry revoked)/
        return detail.firstMatch(of: pattern) != nil
    }

    private func check(_ world: World, _ home: String) throws -> [String] {
        let lines = try world.text("\(home)/audit/audit.jsonl").split(separator: "\n")
        return try lines.map { line in
            let entry = try StrictJSON.parse(Array("\(line)\n".utf8), maximumBytes: 1 << 20)
            let (subject, detail) = (entry["subject"].text ?? "", entry["detail"].text ?? "")
            let event = entry["event"].text ?? ""
            #expect(!subject.isEmpty && entry["at"].text != nil, "\(home): \(line)")
            // A person's own act needs no sender.
            if !Self.isConsequence(detail), !["init", "invite", "version"].contains(event) {
                let isOfAKey = subject.hasPrefix("SHA256:") && event.hasPrefix("key-")
                let hasID = "\(subject) \(detail)".firstMatch(of: /[0-9a-f]{64}/) != nil
                #expect(hasID || isOfAKey, "no bundle in \(home): \(line)")
                let isOwn = event == "request" && home != "S" || detail.contains("; a file of ")
                let hasSender = detail.contains("ministry") || detail.contains("hospital-")
                #expect(hasSender || isOwn, "nobody in \(home): \(line)")
            }
            return detail
        }
    }

    @Test func aRunDoesNotSignOverALogThatWasCutOff() throws {
        let world = try World.enrolled()
        try world.request(["a"])
        try world.succeed("server", "run", "--home", "S")
        let whole = try world.text("S/audit/audit.jsonl")
        try world.shell("head -n 2 S/audit/audit.jsonl > cut && cp cut S/audit/audit.jsonl")
        for command in [["server", "run"], ["server", "audit"]] {
            let told = try world.run(command + ["--home", "S"])
            #expect(told.status != 0 && told.errors.contains("ends at line 2"), "\(told)")
        }
        #expect(try world.run("doctor", "--home", "S").status != 0)
        try world.write(whole, to: "S/audit/audit.jsonl")
        try world.succeed("server", "run", "--home", "S")
        try world.succeed("server", "audit", "--home", "S")
    }

    @Test(arguments: [
        (["--log", "S/audit/audit.jsonl"], "needs --head"), (["--head", "nothing.json"], "nothing.json"),
        (["--head", "S/audit/audit.jsonl"], "audit.jsonl.sig"),
    ])
    func oneClearLine(arguments: [String], words: String) throws {
        let outcome = try World.enrolled().run(["server", "audit", "--home", "S"] + arguments)
        #expect(outcome.status != 0 && outcome.errors.contains(words), "\(outcome)")
    }
}

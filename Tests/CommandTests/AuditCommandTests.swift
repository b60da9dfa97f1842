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

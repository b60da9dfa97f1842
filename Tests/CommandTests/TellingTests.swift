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
}

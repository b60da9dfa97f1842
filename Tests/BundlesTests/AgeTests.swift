import Bundles
import Files
import SystemPackage
import Testing
import Wire

@Suite("Age identities")
struct AgeTests {
    @Test("an identity is stored and read back")
    func roundTrip() throws {
        let identity = AgeIdentity.generate()
        let text = identity.identityFile(created: Timestamp(seconds: 0))
        #expect(
            text.hasPrefix("# created: 1970-01-01T00:00:00Z\n# public key: \(identity.recipient)\nAGE-SECRET-KEY-1"))
        #expect(try AgeIdentity(identityFile: text).recipient == identity.recipient)
        #expect(try AgeRecipient(identity.recipient.description) == identity.recipient)
        #expect(identity.recipient.description.hasPrefix("age1") && identity.recipient.description.count == 62)
    }

    @Test(
        "age-keygen sees the same recipient, and age can encrypt to it",
        .enabled(if: Tool.isThere("age-keygen") && Tool.isThere("age")))
    func withAge() throws {
        try withTemporaryFolder { folder in
            let identity = AgeIdentity.generate()
            let text = identity.identityFile(created: Timestamp(seconds: 1_772_337_906))
            try files.writeFile(folder.appending("ours"), Array(text.utf8), permissions: 0o600)
            #expect(try Tool.run("age-keygen", ["-y", "ours"], in: folder).output == "\(identity.recipient)\n")
            try files.writeFile(folder.appending("plain"), Array("text".utf8))
            #expect(
                try Tool.run("age", ["-r", "\(identity.recipient)", "-o", "secret", "plain"], in: folder).status == 0)
            #expect(try Tool.run("age", ["-d", "-i", "ours", "secret"], in: folder).output == "text")

            try Tool.run("age-keygen", ["-o", "theirs"], in: folder)
            let theirs = String(decoding: try files.readFile(folder.appending("theirs"), limit: 4096), as: UTF8.self)
            let recipient = try AgeIdentity(identityFile: theirs).recipient
            #expect(theirs.contains("# public key: \(recipient)\n"))
        }
    }

    @Test("damaged recipients and identities are refused")
    func damage() throws {
        let identity = AgeIdentity.generate()
        let recipient = identity.recipient.description
        for index in recipient.indices {
            var changed = recipient
            changed.replaceSubrange(index...index, with: recipient[index] == "q" ? "p" : "q")
            #expect(throws: BundleError.self) { try AgeRecipient(changed) }
        }
        for text in ["", "age1", recipient.uppercased(), recipient + "q", " " + recipient, "age" + recipient] {
            #expect(throws: BundleError.self) { try AgeRecipient(text) }
        }
        let file = identity.identityFile(created: Timestamp(seconds: 0))
        for text in [
            "", "# only\n", file + file, file.lowercased(),
            file.replacing("AGE-SECRET-KEY-1", with: "AGE-SECRET-KEY-2"), file + "x",
        ] {
            #expect(throws: BundleError.self) { try AgeIdentity(identityFile: text) }
        }
    }
}

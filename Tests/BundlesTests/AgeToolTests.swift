import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// Files go both ways between this program and the age tool.
@Suite("Interoperation with age")
struct AgeToolTests {
    static let hasAge = Tool.isThere("age")
    static let hasKeygen = hasAge && Tool.isThere("age-keygen")

    @Test("age opens our files, and we open age's", .enabled(if: hasAge), arguments: [1, 2, 100])
    func bothWays(recipients: Int) throws {
        try withTemporaryFolder { folder in
            let identities = (0..<recipients).map { _ in AgeIdentity.generate() }
            let mine = identities[recipients / 2]
            try mine.write(to: folder.appending("identity"), created: Timestamp(seconds: 0), files: files)
            let lines = identities.map { "\($0.recipient)\n" }.joined()
            try files.writeFile(folder.appending("recipients"), Array(lines.utf8))
            for size in [0, 1, 65_535, 65_536, 65_537, 131_072, 1 << 20] {
                try files.writeFile(folder.appending("plain"), AgeProbe.pattern(size))
                try AgeWriter.encrypt(
                    folder.appending("plain"), to: identities.map(\.recipient), at: folder.appending("ours"),
                    files: files)
                let opened = try Tool.run("age", ["-d", "-i", "identity", "-o", "opened", "ours"], in: folder)
                #expect(opened.status == 0, "\(opened.output)")
                // Of an empty plaintext age makes no file.
                if size == 0 { try files.writeFile(folder.appending("opened"), []) }
                #expect(try files.haveEqualContent(folder.appending("plain"), folder.appending("opened")))

                let made = try Tool.run("age", ["-R", "recipients", "-o", "theirs", "plain"], in: folder)
                #expect(made.status == 0, "\(made.output)")
                try files.remove(folder.appending("opened"))
                try AgeReader.decrypt(
                    folder.appending("theirs"), with: [mine], to: folder.appending("opened"), limit: 1 << 20,
                    files: files)
                #expect(try files.haveEqualContent(folder.appending("plain"), folder.appending("opened")))
                try files.remove(folder.appending("theirs"))
            }
        }
    }

    @Test("age's armoured files and those for others are refused by their names", .enabled(if: hasAge))
    func refused() throws {
        try withTemporaryFolder { folder in
            try files.writeFile(folder.appending("plain"), Array("text".utf8))
            func refusal(_ arguments: [String]) throws -> BundleError.Reason? {
                try #require(try Tool.run("age", arguments + ["-o", "theirs", "plain"], in: folder).status == 0)
                return AgeProbe.refusal(try files.readFile(folder.appending("theirs"), limit: 4096))?.reason
            }
            let recipient = "\(AgeProbe.identity.recipient)"
            #expect(try refusal(["-r", recipient]) == nil)
            #expect(try refusal(["-a", "-r", recipient]) == .unsupportedEncryption)
            #expect(try refusal(["-r", "\(AgeIdentity.generate().recipient)"]) == .notForThisIdentity)
            let line = SigningKey.generate().publicKey.openSSHLine
            #expect(try refusal(["-r", line]) == .unsupportedEncryption)
            #expect(try refusal(["-r", line, "-r", recipient]) == nil)
        }
    }

    @Test("age-keygen sees our identities' recipients, and we see those of its own", .enabled(if: hasKeygen))
    func keygen() throws {
        try withTemporaryFolder { folder in
            let identity = AgeIdentity.generate()
            try identity.write(
                to: folder.appending("ours"), created: Timestamp(seconds: 1_772_337_906), files: files)
            #expect(try Tool.run("age-keygen", ["-y", "ours"], in: folder).output == "\(identity.recipient)\n")
            try Tool.run("age-keygen", ["-o", "theirs"], in: folder)
            let theirs = try files.readPrivateFile(folder.appending("theirs"), limit: KeyFileLimits.keyBytes)
            let recipient = try AgeIdentity(identityFile: theirs).recipient
            #expect(String(decoding: theirs, as: UTF8.self).contains("# public key: \(recipient)\n"))
        }
    }
}

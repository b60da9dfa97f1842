import Bundles
import Files
import SystemPackage
import Testing
import Wire

@Suite("Trust files")
struct TrustTests {
    private static let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlizSIN3DQV78VPNjVvvwjgf+P5HqbPYCYu3BOMdjAE"

    private func reason(_ text: String) -> BundleError.Reason? {
        do { _ = try AllowedSigners(parsing: text) } catch { return error.reason }
        return nil
    }

    @Test("what is written reads back the same")
    func roundTrip() throws {
        let key = SigningKey.generate().publicKey
        let signers = AllowedSigners(entries: [
            .init(principal: Sample.name("ministry"), kinds: BundleKind.ofServer, key: key),
            .init(
                principal: Sample.name("hospital-a"), kinds: BundleKind.ofClients, validAfter: Timestamp(seconds: 0),
                validBefore: Timestamp(seconds: 1_772_337_906), key: try PublicKey(openSSHLine: TrustTests.line)),
        ])
        #expect(try AllowedSigners(parsing: signers.text) == signers)
        #expect(signers.text.contains("valid-after=\"19700101000000Z\",valid-before=\"20260301040506Z\""))
        #expect(try AllowedSigners(parsing: "# people\n\n" + signers.text + "# end") == signers)
        #expect(try AllowedSigners(parsing: "").entries.isEmpty)
        #expect(signers.entries(for: key).map(\.principal.text) == ["ministry"])
        #expect(signers.entries(of: Sample.name("hospital-a")).count == 1)
        #expect(signers.entries[1].allows(.update) && !signers.entries[1].allows(.global))
    }

    @Test("validity includes both ends")
    func validity() {
        let key = SigningKey.generate().publicKey
        let entry = AllowedSigners.Entry(
            principal: Sample.name("a"), kinds: [.update], validAfter: Timestamp(seconds: 10),
            validBefore: Timestamp(seconds: 20), key: key)
        #expect([9, 10, 20, 21].map { entry.isValid(at: Timestamp(seconds: $0)) } == [false, true, true, false])
    }

    /// Many of these OpenSSH skips or takes (FAULTS, trap 3).
    @Test(
        "any malformed line is an error",
        arguments: [
            "a", "a ssh-ed25519", "a \(line)", "a namespaces=\"\" \(line)", "* namespaces=\"update@consilium\" \(line)",
            "a,b namespaces=\"update@consilium\" \(line)", "!a namespaces=\"update@consilium\" \(line)",
            "a* namespaces=\"update@consilium\" \(line)",
            "\"a\" namespaces=\"update@consilium\" \(line)", "A namespaces=\"update@consilium\" \(line)",
            "a@b namespaces=\"update@consilium\" \(line)",
            "a namespaces=\"*\" \(line)", "a namespaces=\"*@consilium\" \(line)", "a namespaces=\"file\" \(line)",
            "a namespaces=\"update@consilium,update@consilium\" \(line)", "a namespaces=\"update@consilium,\" \(line)",
            "a namespaces=\"update@consilium global@consilium\" \(line)", "a namespaces=update@consilium \(line)",
            "a namespaces=\"update@consilium \(line)", "a namespaces=\"update@consilium\", \(line)",
            "a ,namespaces=\"update@consilium\" \(line)",
            "a namespaces=\"update@consilium\"valid-after=\"20260101000000Z\" \(line)",
            "a NAMESPACES=\"update@consilium\" \(line)",
            "a namespaces=\"update@consilium\",namespaces=\"global@consilium\" \(line)",
            "a cert-authority,namespaces=\"update@consilium\" \(line)",
            "a namespaces=\"update@consilium\",cert-authority \(line)",
            "a namespaces=\"update@consilium\",valid-after=\"20260101\" \(line)",
            "a namespaces=\"update@consilium\",valid-after=\"20260101000000\" \(line)",
            "a namespaces=\"update@consilium\",valid-before=\"20260230000000Z\" \(line)",
            "a namespaces=\"update@consilium\",valid-before=\"\" \(line)",
            "a namespaces=\"update@consilium\",no-touch-required=\"x\" \(line)",
            "a  namespaces=\"update@consilium\" \(line)",
            " a namespaces=\"update@consilium\" \(line)", "a\tnamespaces=\"update@consilium\" \(line)",
            "a namespaces=\"update@consilium\" \(line)\r",
            "a namespaces=\"update@consilium\" ssh-ed25519 AAAA", "a namespaces=\"update@consilium\" ssh-rsa AAAA",
            " # comment",
            "a namespaces=\"update@consilium\" \(line) \u{e9}", "\u{feff}# comment",
        ])
    func malformed(line: String) {
        #expect(reason(line) == .malformedTrust)
        #expect(reason("a namespaces=\"update@consilium\" \(TrustTests.line)\n\(line)\n") == .malformedTrust)
    }

    @Test("an error names its line")
    func lineNumber() {
        let error = #expect(throws: BundleError.self) { try AllowedSigners(parsing: "# one\n\nx\n") }
        #expect(error?.detail.hasPrefix("allowed_signers, line 3: ") == true)
    }

    @Test("ssh-keygen keeps to names, namespaces and times of our file", .enabled(if: Tool.isThere("ssh-keygen")))
    func withSSHKeygen() throws {
        try withTemporaryFolder { folder in
            let key = SigningKey.generate()
            let message = Array("message".utf8)
            try files.writeFile(folder.appending("sig"), try key.sign(message, namespace: "update@consilium"))
            let signers = AllowedSigners(entries: [
                .init(principal: Sample.name("other"), kinds: [.update], key: SigningKey.generate().publicKey),
                .init(
                    principal: Sample.name("hospital-a"), kinds: BundleKind.ofClients,
                    validAfter: Timestamp(rfc3339: "2026-01-01T00:00:00Z"),
                    validBefore: Timestamp(rfc3339: "2026-12-31T00:00:00Z"), key: key.publicKey),
            ])
            try files.writeFile(folder.appending("signers"), Array(signers.text.utf8))
            func verify(_ name: String, at time: String, _ more: [String] = []) throws -> Bool {
                let arguments = [
                    "-Y", "verify", "-f", "signers", "-I", name, "-n", "update@consilium", "-s", "sig",
                    "-Overify-time=\(time)",
                ]
                return try Tool.run("ssh-keygen", arguments + more, in: folder, input: message).status == 0
            }
            #expect(try verify("hospital-a", at: "20260601000000Z"))
            #expect(try verify("hospital-a", at: "20260101000000Z") && verify("hospital-a", at: "20261231000000Z"))
            #expect(try !verify("hospital-a", at: "20251231235959Z") && !verify("hospital-a", at: "20261231000001Z"))
            #expect(try !verify("other", at: "20260601000000Z"))

            let other = SigningKey.generate().publicKey
            for source in [nil, other.fingerprint] {
                var revoked = RevokedKeys(keys: [other])
                try files.writeFile(folder.appending("revoked"), Array(revoked.text.utf8))
                #expect(try verify("hospital-a", at: "20260601000000Z", ["-r", "revoked"]))
                revoked.entries.append(.init(key.publicKey, source: source))
                #expect(try RevokedKeys(parsing: revoked.text) == revoked && revoked.contains(key.publicKey))
                try files.writeFile(folder.appending("revoked"), Array(revoked.text.utf8))
                #expect(try !verify("hospital-a", at: "20260601000000Z", ["-r", "revoked"]))
            }
            // A comment of anybody's own says nothing.
            let commented = try RevokedKeys(parsing: "\(key.publicKey.openSSHLine) dr. b\n")
            #expect(commented == RevokedKeys(keys: [key.publicKey]))
            #expect(throws: BundleError.self) { try RevokedKeys(parsing: "garbage\n") }
        }
    }
}

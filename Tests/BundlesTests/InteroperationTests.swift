import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// Every bundle can be checked with what a hospital has: tar, sha256sum, ssh-keygen.
@Suite("Interoperation with tar, sha256sum and ssh-keygen")
struct InteroperationTests {
    static let hasTools = ["tar", "sha256sum", "ssh-keygen"].allSatisfy(Tool.isThere)

    @Test("a bundle of ours passes all three tools", .enabled(if: hasTools))
    func ourBundle() throws {
        try withTemporaryFolder { folder in
            var sample = Sample()
            sample.payload.append(.bytes(name: "blob.bin", (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }))
            let manifest = try sample.write(to: folder.appending("bundle.tar"))
            let listed = try Tool.run("tar", ["tf", "bundle.tar"], in: folder)
            #expect(listed.output == "manifest.json\nmanifest.json.sig\nmetrics.json\nempty.bin\nblob.bin\n")
            #expect(try Tool.run("tar", ["xf", "bundle.tar"], in: folder).output == "")
            let sums = manifest.files.map { "\($0.sha256)  \($0.name)\n" }.joined()
            let checked = try Tool.run("sha256sum", ["-c", "--strict"], in: folder, input: Array(sums.utf8))
            #expect(checked.status == 0, "\(checked.output)")
            #expect(
                try Tool.run("sha256sum", ["manifest.json"], in: folder).output == "\(manifest.id)  manifest.json\n")
            let signers = AllowedSigners(entries: [
                .init(principal: manifest.sender, kinds: BundleKind.ofClients, key: sample.key.publicKey)
            ])
            try files.writeFile(folder.appending("signers"), Array(signers.text.utf8))
            let arguments = [
                "-Y", "verify", "-f", "signers", "-I", "hospital-a", "-n", "update@consilium", "-s",
                "manifest.json.sig",
            ]
            let verified = try Tool.run("ssh-keygen", arguments, in: folder, input: manifest.encoded)
            #expect(
                verified.status == 0 && verified.output.contains(sample.key.publicKey.fingerprint), "\(verified.output)"
            )
        }
    }

    @Test(
        "GNU tar and ssh-keygen together make a bundle that is taken, the very bytes that we make",
        .enabled(if: hasTools))
    func theirBundle() throws {
        try withTemporaryFolder { folder in
            let content = Array("{}\n".utf8)
            var manifest = Sample.manifest()
            manifest.files = [PayloadFile(name: "metrics.json", size: 3, sha256: SHA256Hash.digest(of: content))]
            try files.writeFile(folder.appending("manifest.json"), manifest.encoded)
            try files.writeFile(folder.appending("metrics.json"), content)
            try Tool.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "key"], in: folder)
            try Tool.run(
                "ssh-keygen", ["-q", "-Y", "sign", "-f", "key", "-n", "update@consilium", "manifest.json"], in: folder)
            let form = [
                "--format=ustar", "--mode=0644", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-b1",
            ]
            let made = try Tool.run(
                "tar", form + ["-cf", "theirs.tar", "manifest.json", "manifest.json.sig", "metrics.json"], in: folder)
            #expect(made.status == 0, "\(made.output)")
            let bundle = try BundleReader.open(folder.appending("theirs.tar"), files: files).verified()
            #expect(bundle.manifest == manifest)

            let key = try SigningKey(openSSHPrivateKey: files.readPrivateFile(folder.appending("key"), limit: 4096))
            _ = try BundleWriter.write(
                manifest, payload: [.bytes(name: "metrics.json", content)], key: key, to: folder.appending("ours.tar"),
                files: files)
            #expect(try files.haveEqualContent(folder.appending("theirs.tar"), folder.appending("ours.tar")))
        }
    }

    @Test(
        "other ways of packing the same files are refused", .enabled(if: hasTools),
        arguments: [
            ["--format=gnu"], ["--format=pax"], ["--format=v7"], ["--format=oldgnu"], ["--format=ustar", "--mtime=@1"],
            ["--format=ustar", "--owner=1"], ["--format=ustar", "--mode=0600"], ["--format=ustar", "-b20"],
            ["--format=ustar", "--transform=s,^,./,"],
        ])
    func otherForms(options: [String]) throws {
        try withTemporaryFolder { folder in
            try Sample().write(to: folder.appending("bundle.tar"))
            try Tool.run("tar", ["xf", "bundle.tar"], in: folder)
            let names = ["manifest.json", "manifest.json.sig", "metrics.json", "empty.bin"]
            let form = ["--mode=0644", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-b1"] + options
            let made = try Tool.run("tar", form + ["-cf", "other.tar"] + names, in: folder)
            #expect(made.status == 0, "\(made.output)")
            let bytes = try files.readFile(folder.appending("other.tar"), limit: 1 << 20)
            #expect(try BundleError.Reason.ofRefusing(bytes, in: folder) == .notCanonical)
        }
    }
}

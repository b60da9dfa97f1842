import Bundles
import Files
import Glibc
import Mailbox
import SystemPackage
import Testing
import Wire

/// Runs a line in a shell, silently.
private func shell(_ line: String) -> Bool { system("( \(line) ) >/dev/null 2>&1") == 0 }

private let hasTools = shell("command -v ssh-keygen && command -v tar")

/// What a hospital's own tools make of a home.
@Suite(.enabled(if: hasTools, "ssh-keygen and tar are not installed")) struct ToolTests {
    let world: TestFederation

    init() throws { world = try TestFederation() }

    /// Has ssh-keygen verify a bundle with the server's own trust files.
    private func verifies(_ bundle: FilePath, as sender: String, _ kind: BundleKind) -> Bool {
        let (file, folder) = (ShellQuoting.quote(bundle.string), ShellQuoting.quote(world.root.string))
        let trust = ShellQuoting.quote(world.server.trust.string)
        return shell(
            """
            cd \(folder) && tar xf \(file) && ssh-keygen -Y verify -f \(trust)/allowed_signers -r \(trust)/revoked \
            -I \(sender) -n \(kind.namespace) -s manifest.json.sig < manifest.json
            """)
    }

    @Test func sshKeygenVerifiesWhatIsSentWithOurTrustFiles() throws {
        let mailbox = try opened(world.hospitalA)
        let record = try mailbox.send(key: "r", kind: .request, to: [name("ministry")], payload: [])
        let bundle = world.hospitalA.outbox.appending(record.name)
        #expect(verifies(bundle, as: "hospital-a", .request))
        #expect(!verifies(bundle, as: "hospital-b", .request))
        var trust = try TrustStore.load(from: world.server)
        trust.revoke(mailbox.identity.signing.publicKey)
        try trust.save(to: world.server)
        #expect(!verifies(bundle, as: "hospital-a", .request))
    }

    @Test func aKeyMadeBySSHKeygenIsUsed() throws {
        let key = world.hospitalA.identity.appending("id_ed25519")
        try QuickFileSystem().remove(key)
        try QuickFileSystem().remove(world.hospitalA.identity.appending("id_ed25519.pub"))
        #expect(shell("ssh-keygen -q -t ed25519 -N '' -C somebody@hospital -f \(ShellQuoting.quote(key.string))"))
        let identity = try Identity.create(in: world.hospitalA)
        let line = String(decoding: try content(world.hospitalA.identity.appending("id_ed25519.pub")), as: UTF8.self)
        #expect(line.hasPrefix(identity.signing.publicKey.openSSHLine + " somebody@hospital"))
        #expect(try opened(world.hospitalA).identity.signing.publicKey == identity.signing.publicKey)
    }

    @Test func theAuditsChainCanBeCheckedWithSHA256Sum() throws {
        let audit = AuditLog(world.server)
        for subject in ["a", "b"] {
            try audit.append(event: "x", subject: subject, detail: "", actor: "uid 0", now: start)
        }
        let digest = try #require(try audit.entries().last?.previous)
        let path = ShellQuoting.quote(world.server.audit.appending("audit.jsonl").string)
        #expect(shell("sed -n 1p \(path) | sha256sum | grep -q ^\(digest.hex)"))
    }

    @Test func theAuditsHeadCanBeCheckedWithSSHKeygen() throws {
        try AuditLog(world.server).append(event: "x", subject: "a", detail: "", actor: "uid 0", now: start)
        let mailbox = try opened(world.server)
        try mailbox.finish()
        let signers = world.root.appending("signers")
        let key = mailbox.identity.signing.publicKey.openSSHLine
        try write("ministry namespaces=\"\(AuditHead.namespace)\" \(key)\n", signers)
        let head = world.server.audit.appending("head-1.json").string
        func verifies(_ content: String) -> Bool {
            shell(
                "ssh-keygen -Y verify -f \(ShellQuoting.quote(signers.string)) -I ministry -n \(AuditHead.namespace) "
                    + "-s \(ShellQuoting.quote(head + ".sig")) < \(ShellQuoting.quote(content))")
        }
        #expect(verifies(head))
        #expect(!verifies(signers.string))
    }

    @Test func theLinesOfPendingWorkInAShellWhateverTheHomeIsCalled() throws {
        let odd = world.root.appending("it's a $HOME; really")
        let record = HomeRecord(
            role: .server, name: name("ministry"), federation: world.federation, server: name("ministry"),
            created: start)
        let home = try Home.create(at: odd, record: record, configuration: "", files: QuickFileSystem())
        let request = try world.lay(
            world.manifest(), as: "REQ-1-hospital-a.tar", in: home.requests.appending("pending"))
        let desk = Desk.requests(home)
        let item = try #require(try desk.scan { $0 == request.id }.items.first)
        let text = desk.text(
            for: PendingItem(item, lines: [], moves: [.init("approve it", to: .approved, group: "spring")]))
        let line = try #require(text.split(separator: "\n").first { $0.contains("mv ") })
        #expect(shell(String(line)))
        #expect(try desk.scan { $0 == request.id }.items.map(\.group) == ["spring"])
    }
}

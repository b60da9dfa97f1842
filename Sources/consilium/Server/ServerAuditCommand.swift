import ArgumentParser
import Bundles
import Files
import Mailbox
import Reports
import Wire

struct ServerAuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check the audit log's chain and signed head, and show its newest entries.",
        discussion: """
            Each line holds the digest of the line before it, and every run signs the last one: audit/head-N.json. A copy of \
            such a head and its .sig, kept by somebody else, shows later whether the log was rewritten or cut off before \
            it: --head FILE. With --log and --key that check needs no home.

            EXAMPLES:
              consilium server audit --last 20 --home /srv/ministry
              consilium server audit --head kept/head-812.json --home /srv/ministry
              consilium server audit --log audit.jsonl --head head-812.json \\
                  --key ministry.pub
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "How many entries to show.") var last = 50
    @Option(help: "An audit.jsonl to check in place of a home's own; needs --head and --key.") var log: String?
    @Option(help: "A signed head that was kept elsewhere; its signature lies beside it, with .sig behind its name.")
    var head: String?
    @Option(help: "The signer's public key, a file as id_ed25519.pub (default: the home's own).", completion: .file())
    var key: String?

    func validate() throws {
        if log != nil, head == nil || key == nil { throw ValidationError("--log needs --head and --key") }
        if key != nil, head == nil { throw ValidationError("--key needs --head") }
    }

    func run() throws {
        let checked = try log.map { try offline($0) } ?? atHome()
        let entries = checked.entries
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "entries": .integer(checked.chain.count),
                "signed_entries": .integer(checked.head?.number ?? 0),
                "head": checked.head.map { .string($0.line.hex) } ?? .null,
                "newest": .array(
                    entries.map {
                        [
                            "number": .integer($0.number), "at": .string($0.at.rfc3339), "actor": .string($0.actor),
                            "event": .string($0.event), "subject": .string($0.subject), "detail": .string($0.detail),
                        ]
                    }),
            ])
        }
        var table = TextTable([
            ("", .right), ("when", .left), ("who", .left), ("what", .left), ("subject", .left), ("detail", .left),
        ])
        for entry in entries {
            table.add([
                "\(entry.number)", entry.at.rfc3339, entry.actor, entry.event, String(entry.subject.prefix(12)),
                entry.detail,
            ])
        }
        Console.print(table.text)
        guard !output.quiet else { return }
        Console.print("the chain of \(counted(Int(checked.chain.count), "entry", "entries")) is whole")
        if checked.chain.isTorn { Console.print(AuditLog.torn) }
        if let head = checked.head {
            Console.print("\(head.party) signed its first \(head.number) on \(head.at.rfc3339)")
        } else {
            Console.print("no entry is signed yet; the next run does it")
        }
    }

    private struct Checked {
        let chain: AuditChain
        let head: AuditHead?
        let entries: [AuditEntry]
    }

    private func atHome() throws -> Checked {
        let home = try home.open(.server)
        let log = AuditLog(home)
        let own = try Identity.load(from: home).signing.publicKey
        // A head that somebody kept may be signed by a key that was replaced since, and so may the last one.
        let before = try TrustStore.load(from: home).signers.entries(of: home.name).map(\.key)
        let kept = try keptHead(keys: key == nil ? Set(before + [own]) : [try publicKey()])
        let checked = try log.verify(key: own, formerKeys: Set(before), kept: kept, newest: max(0, last))
        return Checked(chain: checked.chain, head: kept ?? checked.head, entries: checked.newest)
    }

    private func offline(_ log: String) throws -> Checked {
        let path = try InputFile.file(log)
        let head = try keptHead(keys: [try publicKey()])
        let (chain, entries) = try AuditChain.check(
            path, files: LocalFileSystem(), noting: head.map { [$0.number] } ?? [], newest: max(0, last))
        try head?.check(against: chain)
        return Checked(chain: chain, head: head, entries: entries)
    }

    private func keptHead(keys: Set<PublicKey>) throws -> AuditHead? {
        guard let head else { return nil }
        let files = LocalFileSystem()
        let found = try AuditHead.read(
            try files.readFile(try InputFile.file(head), limit: AuditHead.maximumBytes),
            signature: try files.readFile(try InputFile.file(head + ".sig"), limit: AuditHead.maximumBytes),
            key: keys.count == 1 ? keys.first : nil)
        guard keys.contains(found.signer) else {
            throw MailboxError(
                .state, "the audit's head is signed by \(found.signer.fingerprint), which was never this home's key",
                hint: "name the key with --key if you know whose it is")
        }
        return found.head
    }

    private func publicKey() throws -> PublicKey {
        let path = try InputFile.file(key ?? "")
        let bytes = try LocalFileSystem().readFile(path, limit: KeyFileLimits.keyBytes)
        return try PublicKey(openSSHLine: String(decoding: bytes, as: UTF8.self))
    }
}

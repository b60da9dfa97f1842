import ArgumentParser
import Bundles
import Client
import Files
import Mailbox
import Server
import Wire

struct KeyRotateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replaces a home's signing key, introduced by the old one; or a lost one.",
        discussion: """
            A server's new key is told to every hospital in a bundle that the old key signs, and signs itself once all have \
            acknowledged that, or after half of the overlap. A hospital's new key lies on the server's enrolment desk, signed \
            by the old one, and signs once the admin has approved it. Bundles of the old key are taken until the overlap ends.

            With --compromised (or --lost) the old key introduces nothing: it is revoked at once, the age identity is replaced \
            too, and people have to telephone; docs/KEYS.md says who calls whom.

            EXAMPLES:
              consilium key rotate --home /srv/ministry --age
              consilium key rotate --home /srv/hospital-a --valid-days 730 \\
                  --contact "Dr. A, ext. 12"
              consilium key rotate --home /srv/hospital-a --agent new-key.pub
              consilium key rotate --home /srv/ministry --compromised
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    @Option(
        help:
            "On a server: for how many days the old key holds beside the new one (default: \(KeyRotation.overlapDays))."
    )
    var overlapDays: Int64?

    @Option(help: "For how many days the new key holds (default: for ever).")
    var validDays: Int64?

    @Option(help: "The public key of a new key that your ssh-agent holds.", completion: .file())
    var agent: String?

    @Flag(help: "Replace the age identity too; the old one still opens what is under way.")
    var age = false

    @Flag(
        name: [.customLong("compromised"), .customLong("lost")],
        help: "The old key is lost, or somebody else may have it.")
    var isLost = false

    @Option(help: "On a hospital: whom the server's admin can call.")
    var contact = ""

    func validate() throws {
        guard overlapDays.map(KeyRotation.overlap.contains) ?? true else {
            throw ValidationError("--overlap-days must be 1 to 365")
        }
        guard validDays.map(KeyRotation.validity.contains) ?? true else {
            throw ValidationError("--valid-days must be 30 to 3650")
        }
        guard contact == contact.printable, contact.utf8.count <= 256 else {
            throw ValidationError("--contact must be one line of at most 256 printable bytes")
        }
    }

    func run() throws {
        let opened = try home.openOwn()
        if opened.role == .server, !contact.isEmpty {
            throw CommandFailure(
                .usage, "--contact is for a hospital's key, and \(opened.root) is a server's home", hint: "leave it out"
            )
        }
        if overlapDays != nil, opened.role == .client || isLost {
            throw CommandFailure(
                .usage,
                isLost
                    ? "--overlap-days has no place beside --lost: the old key is revoked at once"
                    : "--overlap-days is for a server's key: a hospital's old one holds for \(KeyRotation.overlapDays) days",
                hint: "leave it out")
        }
        let agentKey = try agent.map { text in
            let bytes = try LocalFileSystem().readFile(try InputFile.file(text), limit: KeyFileLimits.keyBytes)
            return try PublicKey(openSSHLine: String(decoding: bytes, as: UTF8.self))
        }
        switch opened.role {
        case .server: try rotateServer(opened, agentKey)
        case .client: try rotateClient(opened, agentKey)
        }
    }

    private func rotateServer(_ opened: Home, _ agentKey: PublicKey?) throws {
        _ = try makeIfMissing(opened)
        let run = try ServerSession.open(home)
        // A key that is lost or given up need not be able to sign.
        if !isLost { try run.mailbox.requireSigning() }
        let key =
            isLost
            ? try run.replaceKey(validity: validDays, agentKey: agentKey, actor: HomeOption.actor)
            : try run.rotateKey(
                overlap: overlapDays ?? KeyRotation.overlapDays, validity: validDays, agentKey: agentKey,
                replacesAge: age,
                actor: HomeOption.actor)
        try run.settle()
        let hospitals = run.mailbox.trust.parties.filter { $0.role == .client && !$0.keys.isEmpty }.map(\.name)
        show(key, opened, attention: run.report.attention, hospitals: hospitals)
    }

    private func rotateClient(_ opened: Home, _ agentKey: PublicKey?) throws {
        if isLost { try ClientRun.requireWay(in: opened) }
        let isNew = try makeIfMissing(opened)
        let run = try ClientHold.open(home)
        if !isLost { try run.mailbox.requireSigning() }
        let key =
            isLost
            ? try run.replaceKey(
                validity: validDays, agentKey: agentKey, isNew: isNew, contact: contact, actor: HomeOption.actor)
            : try run.rotateKey(
                validity: validDays, agentKey: agentKey, replacesAge: age, contact: contact, actor: HomeOption.actor)
        try run.settle()
        show(key, opened, attention: run.report.attention, hospitals: [])
    }

    /// - Returns: whether there was no signing key of this home's.
    private func makeIfMissing(_ home: Home) throws -> Bool {
        guard isLost else { return false }
        // Between two steps of a run that changes its keys, the new one is not known yet.
        guard let lock = try RunLock(home) else { throw CommandFailure.busy }
        var isMissing = try !Identity.isThere(in: home)
        _ = try Identity.create(in: home, mustSign: false)
        if !isMissing, try Identity.setAsideForeignKey(in: home) {
            isMissing = true
            _ = try Identity.create(in: home, mustSign: false)
        }
        _ = consume lock
        return isMissing
    }

    // MARK: saying

    private func show(_ key: RotatedKey, _ home: Home, attention: [String], hospitals: [PartyName]) {
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "name": .string(home.name.text), "fingerprint": .string(key.new.fingerprint),
                "old_fingerprints": .array(key.old.map { .string($0.fingerprint) }),
                "old_until": key.oldUntil.map { .string($0.rfc3339) } ?? .null, "signs_now": .bool(key.signsNow),
                "signs_by": key.signsBy.map { .string($0.rfc3339) } ?? .null,
                "age_recipient": .string(key.ageRecipient.description),
                "attention": .array(attention.map { .string($0) }),
            ])
        }
        for line in attention { Console.print(line) }
        guard !output.quiet else { return }
        Console.print("new key: \(key.new.fingerprint)")
        for line in advice(key, home, hospitals) { Console.print(line) }
    }

    private func advice(_ key: RotatedKey, _ home: Home, _ hospitals: [PartyName]) -> [String] {
        switch (home.role, isLost) {
        case (.server, false):
            let until = key.oldUntil.map { "the old key holds until \($0.rfc3339)" } ?? ""
            let when =
                key.signsNow
                ? "nobody is enrolled that has to be told: it signs from now on"
                : "it signs once all hospitals have acknowledged it, or from \(key.signsBy?.rfc3339 ?? "")"
            return [until, when] + (key.signsNow ? [] : ["next: carry outbox/* to the hospitals"])
        case (.client, false):
            return [
                "next: carry outbox/* to the server; the new key signs once its admin has approved it, the old one until then"
            ]
        case (.server, true):
            let revoked = key.old.map { "  revoked: \($0.fingerprint)" }
            let calls =
                hospitals.isEmpty ? [] : ["call each of them now: \(hospitals.map(\.text).joined(separator: ", "))"]
            return revoked + calls + [
                "there: 'consilium key distrust OLD', before anything that the new key signed goes out",
                "then: 'consilium server invite', and there 'consilium key trust invite.tar --fingerprint NEW --only', with the "
                    + "fingerprint above; docs/KEYS.md has every step",
            ]
        case (.client, true):
            return [
                "next: call the server's admin, who revokes the old key and compares the new one; carry outbox/* there",
                "what the new key signs waits at the server until it is approved",
            ]
        }
    }
}

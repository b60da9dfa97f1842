import Bundles
import Client
import Configuration
import Federation
import Files
import Mailbox
import Reports
import Server
import SystemPackage
import Wire

/// The checks of `doctor`, each of its own: one that fails keeps none of the others from running.
struct HomeCheck {
    struct Finding {
        let check: String
        let isGood: Bool
        let text: String
        let advice: String
    }

    let home: Home
    let now: Timestamp
    /// With patience that ends for the exchange, and the exchange's path; nil where none is configured.
    let watched: (Home, FilePath)?

    init(home: Home, now: Timestamp) {
        self.home = home
        self.now = now
        // A configuration that cannot be read is the first check's to tell.
        watched = (try? Self.watched(home)) ?? nil
    }

    func findings() -> [Finding] {
        let ofClients =
            home.role == .client
            ? [check("pictures", "set 'data' in consilium.yaml, or mend the folder", pictures), standing()]
            : [check("sessions", "mend what it says; 'consilium server sessions' lists them all", sessions)]
        return ofClients + [
            check("configuration", "mend consilium.yaml", configuration),
            check(
                "home", "mount it for writing, or give its folders to the user who runs the tick", isWritable),
            check("owner", "as root: chown -R \(HomeOwner(of: home.root)?.name ?? "USER") \(home.root)", owners),
            check(
                "keys", "chmod 700 identity; chmod 600 identity/id_* identity/age*; or restore them from a backup", keys
            ),
            check("key dates", "'consilium key rotate' at whose key it is", keyDates),
            check("trust", "restore trust/ from a backup; or take a new key with 'consilium key trust'", trust),
            check(
                "encryption", "ask them for the line of 'consilium key show' and add it to trust/recipients", encryption
            ),
            check("records", "restore the file from a backup", records),
            check("desks", "chmod go-w the folder: whoever may write there decides", desks),
            check("leftovers", "remove the .part files if nobody is copying there just now", leftovers),
            check("clock", "set the clock", clock),
            check("audit", "keep the file and ask who changed it", audit),
            check("inbox", "run the tick; what never verifies goes into quarantine", inbox),
            check("exchange", "mount the share for writing, or correct 'exchange' in consilium.yaml", exchange),
            diskSpace(),
            check("outbox", "ask whoever carries bundles, and the other side, whether anything arrives", backlog),
            check("quarantine", "read the .reason.txt files there, then remove what you need no more", quarantine),
        ]
    }

    private func check(_ name: String, _ advice: String, _ body: () throws -> (good: Bool, text: String)) -> Finding {
        do {
            let result = try body()
            return Finding(check: name, isGood: result.good, text: result.text, advice: advice)
        } catch {
            return Finding(check: name, isGood: false, text: "\(error)", advice: advice)
        }
    }

    private func configuration() throws -> (good: Bool, text: String) {
        let name =
            switch home.role {
            case .server: try ServerConfiguration.load(from: home).name
            case .client: try ClientConfiguration.load(from: home).name
            }
        return (name == home.name, name == home.name ? "in order" : "name is \(name), this home is \(home.name)'s")
    }

    private func keys() throws -> (good: Bool, text: String) {
        let identity = try Identity.load(from: home)
        try identity.signing.requireUsable()
        let replaced = identity.replacedAge.count
        return (
            true,
            "key \(identity.signing.publicKey.fingerprint)" + (identity.signing.isInAgent ? " in an ssh-agent" : "")
                + (identity.next.map { ", to be followed by \($0.publicKey.fingerprint)" } ?? "")
                + (replaced > 0 ? ", and \(replaced) replaced age identities" : "")
        )
    }

    private func keyDates() throws -> (good: Bool, text: String) {
        let endings = try TrustStore.load(from: home).endings(now: now)
        let lines = endings.map { ending in
            "the key \(ending.key.fingerprint) of \(ending.name) \(now > ending.end ? "ended" : "ends") on "
                + ending.end.rfc3339
        }
        return (lines.isEmpty, lines.isEmpty ? "no key ends within 30 days" : lines.joined(separator: "; "))
    }

    /// Whether everybody can be sent something: who has no age recipient gets nothing, and waits without knowing why.
    private func encryption() throws -> (good: Bool, text: String) {
        let isOn =
            switch home.role {
            case .server: try ServerConfiguration.load(from: home).encrypt
            case .client: try ClientConfiguration.load(from: home).encrypt
            }
        guard isOn else { return (true, "off: whoever carries a bundle can read it") }
        let parties = try TrustStore.load(from: home).parties.filter { $0.name != home.name }
        let missing = parties.filter { $0.ageRecipient == nil }.map(\.name.text)
        return (
            missing.isEmpty,
            missing.isEmpty
                ? "bundles are encrypted to their recipients"
                : "no age recipient is known of \(missing.joined(separator: ", "))"
        )
    }

    private func trust() throws -> (good: Bool, text: String) {
        let parties = try TrustStore.load(from: home).parties.filter { $0.name != home.name }
        if home.role == .client, let server = parties.first(where: { $0.keys.isEmpty }) {
            return (false, "every key of \(server.name) is revoked: nothing is taken from it or sent to it")
        }
        return (
            true,
            parties.isEmpty
                ? "nobody is enrolled yet"
                : "\(counted(parties.count, "party", "parties")): \(parties.map(\.name.text).joined(separator: ", "))"
        )
    }

    private func desks() throws -> (good: Bool, text: String) {
        let roots = home.role == .server ? [home.enrolments, home.requests] : [home.plans, home.updates]
        let open = try roots.flatMap { root in
            try home.files.list(root).filter { $0.kind == .directory }.map { root.appending($0.component) }
        }.filter { try home.files.status($0).map { $0.permissions & 0o022 != 0 } ?? false }
        return (
            open.isEmpty,
            open.isEmpty
                ? "only their owner may decide" : "others may write to \(open.map(\.string).joined(separator: ", "))"
        )
    }

    private func clock() throws -> (good: Bool, text: String) {
        try ClockFloor.load(from: home).check(now: now)
        return (true, now.rfc3339)
    }

    private func audit() throws -> (good: Bool, text: String) {
        guard let key = (try? Identity.load(from: home))?.signing.publicKey else {
            // The key is a fault of its own, and none of the log's.
            let (chain, _) = try AuditChain.check(home.audit.appending("audit.jsonl"), files: home.files)
            return (true, "\(text(of: chain)); who signed it is not checked without the key")
        }
        let (chain, head, _) = try AuditLog(home).verify(key: key)
        return (true, "\(text(of: chain)), \(head?.number ?? 0) are signed")
    }

    /// A torn line is a run's that was stopped, and nobody's fault.
    private func text(of chain: AuditChain) -> String {
        "the chain of \(counted(Int(chain.count), "entry", "entries")) is whole"
            + (chain.isTorn ? "; \(AuditLog.torn)" : "")
    }

    private func inbox() throws -> (good: Bool, text: String) {
        let count = try home.files.list(home.inbox).count { $0.kind == .regular && !$0.name.hasPrefix(".") }
        return (count < 1_000, "\(counted(count, "file waits", "files wait"))")
    }

    private func backlog() throws -> (good: Bool, text: String) {
        let backlog = try Backlog.load(from: home, now: now)
        guard let oldest = backlog.oldest else { return (true, "nothing waits for an answer") }
        return (
            !backlog.isStale(at: now),
            "\(counted(backlog.count, "bundle is", "bundles are")) not acknowledged, the oldest of \(oldest.rfc3339)"
        )
    }

    /// Copies of what was meant for others are no fault of anybody: whoever copies a whole outbox brings them.
    private func quarantine() throws -> (good: Bool, text: String) {
        let notes = try home.files.list(home.quarantine).filter {
            $0.kind == .regular && $0.name.hasSuffix(Desk.reasonSuffix)
        }
        let serious = try notes.filter { entry in
            let note = try home.files.readFile(home.quarantine.appending(entry.component), limit: 1 << 20)
            return !String(decoding: note, as: UTF8.self).contains(RefusalReason.wrongRecipient.rawValue)
        }
        let others = notes.count - serious.count
        let forOthers = others > 0 ? ", and \(others) that were for others" : ""
        return (serious.isEmpty, "\(counted(serious.count, "bundle"))\(forOthers)")
    }
}

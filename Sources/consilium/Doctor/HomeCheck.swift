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

/// The checks of `doctor`, each of its own: one that fails keeps none of the others from running. One that needs what another
/// one found damaged is not made: the fault is told once, with what mends it.
struct HomeCheck {
    struct Finding {
        let check: String
        let isGood: Bool
        let text: String
        let advice: String
        var isMade = true
    }

    /// What several checks need.
    private enum Basis: String {
        case configuration, trust, records
    }

    let home: Home
    let now: Timestamp
    let walk: HomeWalk
    /// With patience that ends for the exchange, and the exchange's path; nil where none is configured.
    let watched: (Home, FilePath)?
    private let faults: Set<Basis>

    init(home: Home, now: Timestamp) {
        self.home = home
        self.now = now
        walk = HomeWalk(home)
        // What cannot be read is its own check's to tell.
        watched = (try? Self.watched(home)) ?? nil
        var faults: Set<Basis> = []
        do { _ = try home.exchange() } catch { faults.insert(.configuration) }
        if (try? TrustStore.load(from: home)) == nil { faults.insert(.trust) }
        switch home.role {
        case .client: if (try? ClientState.load(from: home)) == nil { faults.insert(.records) }
        case .server: if (try? DeskStore(home: home).load()) == nil { faults.insert(.records) }
        }
        self.faults = faults
    }

    func findings() -> [Finding] {
        let ofClients =
            home.role == .client
            ? [
                check(
                    "pictures", "set 'data' in consilium.yaml, or mend the folder", needs: [.configuration], pictures),
                check("standing", needs: [.configuration, .trust, .records], standing),
                check("unknown keys", ClientRun.cureOfUnknownKey, needs: [.records], unknownKeys),
            ]
            : [
                check(
                    "sessions", "mend what it says; 'consilium server sessions' lists them all",
                    needs: [.configuration, .records], sessions)
            ]
        let ofServers =
            home.role == .server
            ? [
                check("versions", "restore it from a backup", versions),
                check(
                    "unknown keys", "wait for the enrolment; \(DeskRecords.cureOfUnknownKey)", needs: [.records],
                    unknownKeys),
            ] : []
        return ofClients + [
            check("configuration", "mend consilium.yaml", configuration),
            check("home", isUsable),
            check("owner", "as root: chown -R \(HomeOwner(of: home.root)?.name ?? "USER") \(home.root)", owners),
            check("permissions", permissions),
            check(
                "keys", "chmod 700 identity; chmod 600 identity/id_* identity/age*; or restore them from a backup", keys
            ),
            check("key dates", "'consilium key rotate' at whose key it is", needs: [.trust], keyDates),
            check("trust", "restore trust/ from a backup; or take a new key with 'consilium key trust'", trust),
            check(
                "encryption", "ask them for the line of 'consilium key show' and add it to trust/recipients",
                needs: [.configuration, .trust], encryption),
            check("records", "restore the file from a backup", records),
        ] + ofServers + [
            check("run", run),
            check("leftovers", "remove the .part files if nobody is copying there just now", leftovers),
            check("clock", "set the clock", clock),
            check("audit", "keep the file and ask who changed it", audit),
            check("inbox", "run the tick; what never verifies goes into quarantine", inbox),
            check(
                "exchange", "mount the share for writing, or correct 'exchange' in consilium.yaml",
                needs: [.configuration], exchange),
            check("disk space", needs: [.trust], diskSpace),
            check("outbox", "ask whoever carries bundles, and the other side, whether anything arrives", backlog),
            check("quarantine", quarantine),
        ]
    }

    private func check(
        _ name: String, _ advice: String, needs basis: [Basis] = [], _ body: () throws -> (good: Bool, text: String)
    ) -> Finding {
        check(name, needs: basis) {
            do {
                let result = try body()
                return (result.good, result.text, advice)
            } catch {
                return (false, "\(error)", advice)
            }
        }
    }

    private func check(
        _ name: String, needs basis: [Basis] = [], _ body: () throws -> (good: Bool, text: String, advice: String)
    ) -> Finding {
        if let fault = basis.first(where: faults.contains) {
            return Finding(
                check: name, isGood: true, text: "not checked before '\(fault.rawValue)' is mended", advice: "",
                isMade: false)
        }
        do {
            let result = try body()
            return Finding(check: name, isGood: result.good, text: result.text, advice: result.advice)
        } catch {
            return Finding(check: name, isGood: false, text: "\(error)", advice: "")
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
        try identity.requireRegularFiles(home)
        // Without the trust or the ledger nobody knows what is this home's; that is told there.
        if let own = try? OwnIdentity.of(home) {
            try own.requireKey()
            if let objection = own.ageObjection { return (false, objection) }
        }
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
        let trust = try TrustStore.load(from: home)
        let parties = trust.parties.filter { $0.name != home.name }
        if home.role == .client, let server = parties.first(where: { $0.keys.isEmpty }) {
            return (false, "every key of \(server.name) is revoked: nothing is taken from it or sent to it")
        }
        let missing = missing(in: trust)
        guard missing.isEmpty else {
            return (
                false,
                "allowed_signers lacks \(missing.map(\.text).joined(separator: ", ")): what they send is a stranger's"
            )
        }
        return (
            true,
            parties.isEmpty
                ? "nobody is enrolled yet"
                : "\(counted(parties.count, "party", "parties")): \(parties.map(\.name.text).joined(separator: ", "))"
        )
    }

    /// Who was believed once and is nobody now.
    private func missing(in trust: TrustStore) -> [PartyName] {
        switch home.role {
        // Records that cannot be read are told of elsewhere.
        case .server: (try? DeskStore(home: home).load())?.missing(in: trust, of: home) ?? []
        case .client: trust.signers.entries(of: home.record.server).isEmpty ? [home.record.server] : []
        }
    }

    private func clock() throws -> (good: Bool, text: String) {
        try ClockFloor.load(from: home).check(now: now)
        return (true, now.rfc3339)
    }

    private func audit() throws -> (good: Bool, text: String) {
        guard let key = (try? Identity.load(from: home))?.signing.publicKey, isOwn else {
            // The key is a fault of its own, and none of the log's.
            let (chain, _) = try AuditChain.check(home.audit.appending("audit.jsonl"), files: home.files)
            return (true, "\(text(of: chain)); who signed it is not checked without the key")
        }
        let former = (try? TrustStore.load(from: home))?.signers.entries(of: home.name).map(\.key) ?? []
        let (chain, head, _) = try AuditLog(home).verify(key: key, formerKeys: Set(former))
        return (true, "\(text(of: chain)), \(head?.number ?? 0) are signed")
    }

    /// Of another one's key every head would be a foreign one.
    private var isOwn: Bool {
        do { try OwnIdentity.of(home).requireKey() } catch { return error.kind != .foreignKey }
        return true
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
    private func quarantine() throws -> (good: Bool, text: String, advice: String) {
        let notes = try home.files.list(home.quarantine).filter {
            $0.kind == .regular && $0.name.hasSuffix(Desk.reasonSuffix)
        }
        let texts = try notes.map { entry in
            let note = try home.files.readFile(home.quarantine.appending(entry.component), limit: 1 << 20)
            return String(decoding: note, as: UTF8.self)
        }
        let serious = texts.filter { !$0.contains(RefusalReason.wrongRecipient.rawValue) }
        let others = notes.count - serious.count
        let forOthers = others > 0 ? ", and \(others) that were for others" : ""
        // A bundle that only a wrong clock kept out may lie nowhere else.
        let ofTime =
            serious.contains(where: RefusalReason.isOfTime)
            ? " what a wrong clock kept out goes back into inbox/ once the clock is right;" : ""
        return (
            serious.isEmpty, "\(counted(serious.count, "bundle"))\(forOthers)",
            "read the .reason.txt files there;\(ofTime) then remove what you need no more"
        )
    }
}

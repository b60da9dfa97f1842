import Bundles
import Files
import SystemPackage
package import Wire

/// One run's hold on a home's mailbox: what came in, what goes out, and what is remembered of both.
///
/// 1. One run at a time: the lock is held from ``open(_:now:)`` until the value is released.
/// 2. "Now" is taken once, by the caller.
/// 3. Every step leaves the state before it or after it; a run that was killed anywhere is repeated by the next one.
/// 4. Meaning is not judged here. ``receive(retryEarly:)`` gives out bundles that are whole, signed by whom they say, for this
///    home and new; the caller answers each with ``commit(_:_:)``.
/// 5. A run that finds nothing to do writes nothing.
package final class Mailbox {
    /// How many refusals of unknown keys one run tells one by one.
    private static let strangersTold = 20

    package let home: Home
    package let now: Timestamp
    package private(set) var identity: Identity
    /// Whether bundles made from now on are encrypted to their recipients. What was made before stays as it is.
    package let encrypts: Bool
    package private(set) var trust: TrustStore
    /// One line each, for people: what could not be done but did not stop the run.
    package internal(set) var problems: [String] = []
    /// How long a run goes on looking into one folder.
    package var lookSeconds = Mailbox.lookSecondsPerRun
    /// What an earlier run has said and is so still: for whoever asks.
    var knownProblems: [String] = []
    /// How many bundles this run laid in an exchange.
    var delivered = 0

    var files: any FileSystem { home.files }
    /// Of the home, in seconds.
    var age: Int64 { now.seconds - home.record.created.seconds }
    private(set) var ledger: Ledger
    private var savedLedger: Ledger
    var clock: ClockFloor
    private let savedClock: ClockFloor
    /// Bundles that this run gave out and that were not committed yet.
    var open: [Digest: PendingDelivery] = [:]
    /// Bundles that were ignored, and of which that is not written down yet.
    var ignored: [PendingDelivery] = []
    /// When the newest bundle that this run took in was made, of those that somebody signed who is believed.
    var heard: Timestamp?
    var spooled = 0
    /// Of unknown keys: how many refusals this run has told one by one, and how many it only counts, of which so many are new.
    var strangers = (told: 0, counted: 0, new: 0)
    /// Whether this run has looked into the outbox for bundles that it does not remember.
    var hasLookedForForeignHand = false
    private let lock: RunLock

    /// - Parameter encrypts: false only where the home's configuration says so.
    /// - Returns: nil while another run holds the home.
    /// - Throws: if the clock runs before what this home has already seen, or if keys, trust or state cannot be used.
    package static func open(
        _ home: Home, now: Timestamp, encrypts: Bool = true
    ) throws(MailboxError) -> Mailbox? {
        guard let lock = try RunLock(home) else { return nil }
        return try Mailbox(home, now: now, encrypts: encrypts, lock: lock)
    }

    private init(
        _ home: Home, now: Timestamp, encrypts: Bool, lock: consuming RunLock
    ) throws(MailboxError) {
        self.home = home
        self.now = now
        self.encrypts = encrypts
        self.lock = lock
        let floor = try ClockFloor.load(from: home)
        try floor.check(now: now)
        clock = floor
        savedClock = floor
        identity = try Identity.load(from: home)
        trust = try TrustStore.load(from: home)
        ledger = try Ledger.load(from: home)
        savedLedger = ledger
        try AuditLog(home).requireLastHead()
        try home.restoreFolders()
        try clearLeftovers()
    }

    /// Ends a run: signs what it added to the audit, and remembers the time, if it is worth a write.
    ///
    /// - Throws: `foreignKey` where the key is not this home's, with which nothing is signed.
    package func finish() throws(MailboxError) {
        try settleIgnored()
        try requireOwnKey()
        try AuditLog(home).signHead(
            identity.signing, ownKeys: ownKeys, federation: home.federation, party: home.name, now: now)
        clock.raise(to: now, now: now)
        if clock.floor.seconds - savedClock.floor.seconds >= ClockFloor.step { try clock.save(to: home) }
    }

    /// Changes whom this home believes, on disk and for the rest of the run. Held bundles of new keys come with the next
    /// ``receive(retryEarly:)``.
    ///
    /// - Parameter note: writes down what is about to change, once the change is known to be allowed.
    package func updateTrust(
        _ change: (inout TrustStore) throws(MailboxError) -> Void,
        noting note: () throws(MailboxError) -> Void = {}
    ) throws(MailboxError) {
        var changed = trust
        try change(&changed)
        if changed != trust {
            try changed.requireRoom()
            try note()
            try changed.save(to: home)
        }
        trust = changed
    }

    func reloadIdentity() throws(MailboxError) { identity = try Identity.load(from: home) }

    /// Changes the ledger on disk and then here: nothing is believed to be remembered that is not.
    /// - Parameter isSavedLater: the next change is written together with this one.
    func updateLedger(isSavedLater: Bool = false, _ change: (inout Ledger) -> Void) throws(MailboxError) {
        var changed = ledger
        change(&changed)
        if isSavedLater {
            ledger = changed
            return
        }
        if changed != savedLedger { try changed.save(to: home) }
        ledger = changed
        savedLedger = changed
    }

    // MARK: questions

    /// What only matters to whoever asks what a run did with its exchange.
    package var details: [String] {
        (delivered > 0 ? ["\(counted(delivered, "bundle")) laid in the exchange"] : [])
            + knownProblems.map { "still so: \($0)" }
    }

    /// What a run that asks nothing of anybody says of the bundles.
    package func news(received: Int) -> String {
        let held = ledger.held.count
        let new = max(0, received - held)
        return
            (new == 0
            ? "no new bundles" : "\(counted(new, "new bundle, which asks", "new bundles, which ask")) for nothing")
            + (held == 0 ? "" : ", \(held) held until what they belong to has come")
    }

    /// Anybody can make keys without end: of those that nobody knows a run tells the first few refusals one by one, and the
    /// number of the others.
    /// - Parameter isNew: whether a person has to know.
    package func tellsOfStranger(isNew: Bool) -> Bool {
        if strangers.told < Self.strangersTold {
            strangers.told += 1
            return true
        }
        strangers.counted += 1
        if isNew { strangers.new += 1 }
        return false
    }

    package func isAccepted(_ id: Digest) -> Bool { ledger.incoming[id]?.outcome == .accepted }
    package func isRejected(_ id: Digest) -> Bool { ledger.incoming[id]?.outcome == .rejected }
    /// Whether it was rejected before for what it says, and not only for how it came.
    package func isRejectedAndAcknowledged(_ id: Digest) -> Bool {
        guard let record = ledger.incoming[id], record.outcome == .rejected else { return false }
        return record.kind == .receipt || record.owesAck || record.acknowledged != nil
    }
    /// The number under which it came, and whose key signed it; nil for what is not remembered.
    package func number(of id: Digest) -> (seq: Int64, signer: String)? {
        ledger.incoming[id].map { ($0.seq, $0.signer) }
    }
    /// Whether its sender was told that it arrived, and so need not keep it.
    package func hasAcknowledged(_ id: Digest) -> Bool { ledger.incoming[id]?.acknowledged != nil }
    /// Whether something came that a key signed, beside its own enrolment: a receipt, or what waits here since the key is
    /// believed no more, shows as well that it is in use.
    package func hasHeard(from fingerprint: String) -> Bool {
        ledger.incoming.values.contains { $0.signer == fingerprint && $0.kind != .enrol }
            || ledger.held.values.contains { $0.fingerprint == fingerprint && $0.kind != .enrol }
    }
    /// The updates of a party in a round that were accepted, within the time that is remembered, by their numbers.
    ///
    /// - Returns: each bundle with the fingerprint of the key that signed it.
    package func acceptedUpdates(
        of sender: PartyName, session: RandomID, round: Int
    ) -> [(bundle: Digest, signer: String)] {
        ledger.incoming.values.filter {
            $0.kind == .update && $0.sender == sender && $0.session == session && $0.round == round
                && $0.outcome == .accepted
        }
        .sorted { ($0.seq, $0.id) < ($1.seq, $1.id) }.map { ($0.id, $0.signer) }
    }
    /// Alarms that nobody has settled yet; to be told to the sessions in each run.
    package var equivocations: [Equivocation] { ledger.equivocations }
    /// What waits for an enrolment or a session.
    package var held: [HeldBundle] { ledger.held.values.sorted { ($0.since, $0.id) < ($1.since, $1.id) } }

    /// The admin readmits a party: its alarms in this session are settled. The later one of two rivals is known from now on
    /// and ignored, since it lies in its sender's outbox still and would raise the alarm anew whenever it is carried.
    package func forgetEquivocations(of sender: PartyName, session: RandomID) throws(MailboxError) {
        let now = now
        try updateLedger { ledger in
            let settled = ledger.equivocations.filter { $0.sender == sender && $0.session == session }
            ledger.settled[Ledger.Correspondence(sender: sender, session: session)] = now
            for alarm in settled {
                guard let first = ledger.incoming[alarm.first] else { continue }
                ledger.incoming[alarm.second] = IncomingRecord(
                    id: alarm.second, kind: first.kind, sender: first.sender, signer: first.signer,
                    session: first.session, round: first.round, seq: first.seq, received: now, expires: first.expires,
                    outcome: .ignored, owesAck: true, acknowledged: nil)
            }
            ledger.equivocations.removeAll(where: settled.contains)
        }
    }

    var rules: AdmissionRules {
        AdmissionRules(
            home: home.record, ownKeys: ownKeys, trust: trust, ledger: ledger, now: now)
    }

    // MARK: leftovers of killed runs

    private func clearLeftovers() throws(MailboxError) {
        let known = Set(
            ledger.outgoing.values.filter { !$0.isRetired }.flatMap(storedPaths).compactMap { $0.lastComponent?.string }
        )
        try onDisk { () throws(FileError) in
            for entry in try files.list(home.spool) { try files.removeTree(home.spool.appending(entry.component)) }
            // A bundle that was built and not recorded was never published.
            for entry in try files.list(home.outgoing) where !known.contains(entry.name) {
                try files.removeTree(home.outgoing.appending(entry.component))
            }
            let heldNames = Set(ledger.held.keys.map { $0.hex + ".tar" })
            for entry in try files.list(home.held) where !heldNames.contains(entry.name) {
                try files.removeTree(home.held.appending(entry.component))
            }
            for folder in [home.root, home.state, home.trust] {
                try files.removeLeftovers(in: folder)
            }
        }
        // The deepest is `sessions/ID/rounds/NNNN`.
        for folder in home.foldersOfOwnFiles { clearLeftovers(in: folder, depth: 4) }
    }

    /// Never through links. What cannot be cleared is no harm and waits for the next run.
    private func clearLeftovers(in folder: FilePath, depth: Int) {
        _ = try? files.removeLeftovers(in: folder)
        guard depth > 1, let entries = try? files.list(folder) else { return }
        for entry in entries where entry.kind == .directory {
            clearLeftovers(in: folder.appending(entry.component), depth: depth - 1)
        }
    }

    /// A fresh path in the spool.
    func spoolPath() -> FilePath {
        spooled += 1
        return home.spool.appending("\(spooled).tar")
    }
}

/// The lock of a home: local, released by the kernel when the process ends however it ends.
package struct RunLock: ~Copyable {
    private let lock: FileLock

    /// - Returns: nil while another process holds it.
    package init?(_ home: Home) throws(MailboxError) {
        do {
            guard let lock = try home.files.lock(home.lockPath) else { return nil }
            self.lock = lock
        } catch {
            throw MailboxError(error)
        }
    }
}

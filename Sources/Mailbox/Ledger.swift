import Bundles
import Wire

/// Everything that a mailbox remembers: one value, written in one crash-safe step to `mailbox/ledger.json`.
///
/// 1. What was accepted or ignored is never delivered again, under whatever name and however often it comes.
/// 2. A key in ``outgoing`` names one bundle for ever; its number is never used for another one.
/// 3. Records go ``marginAfterExpiry`` after their bundle's expiry: it would be refused as expired then anyway.
struct Ledger: Equatable {
    /// In seconds.
    static let marginAfterExpiry: Int64 = 60 * 86_400
    /// How much later than the last acknowledgement a repeated bundle asks for another one, in seconds. Just under the 24
    /// hours after which a sender offers again.
    static let repeatedAckAfter: Int64 = 23 * 3600
    /// How far ahead of the highest number seen the next one may be.
    static let highestSeqStep: Int64 = 1_000_000
    /// How far numbering jumps when it turns out that this home was restored from a backup.
    static let stepAfterRestore: Int64 = 1000
    /// Where it jumps no more: below what others take for a fast-forward, the first time they hear from here.
    static let highestFloor = highestSeqStep / 4 * 3
    /// How many rejected bundles of one key are remembered, and how many enrolments of all keys together: anybody can make as
    /// many keys as he likes.
    static let rejectedPerSender = 500
    /// How many bundles of one key are remembered before it has to wait until the first of them are forgotten: some forty a
    /// day, where a hospital sends a handful.
    static let recordsPerKey = 5000
    /// How many contradictions of one party in one session are kept. The first one stops it already; the others are evidence.
    static let equivocationsPerSession = 8
    /// How many of one party are kept besides the first of each session.
    static let furtherEquivocationsPerSender = 64
    /// Of how many contradictions of one party quarantine keeps the bundle before all else.
    static let evidencePerSender = 16
    /// How many made-up acknowledgements of one party are remembered, so that each is told once.
    static let unknownAcksPerSender = 1000

    var incoming: [Digest: IncomingRecord] = [:]
    var outgoing: [String: OutgoingRecord] = [:]
    var sequences: [RandomID: SequencePosition] = [:]
    /// No number at or below it is used again in any session.
    var sequenceFloor: Int64 = 0
    var held: [Digest: HeldBundle] = [:]
    var equivocations: [Equivocation] = []
    /// When a person settled what a party had contradicted itself about in a session.
    var settled: [Correspondence: Timestamp] = [:]
    /// Digests that others say they received from here and that are unknown here, by who says so.
    var unknownAcks: [PartyName: Set<Digest>] = [:]

    // MARK: what came in

    /// Whether the bundle needs no second look.
    func isSettled(_ id: Digest) -> Bool {
        switch incoming[id]?.outcome {
        case .accepted, .ignored: true
        case .rejected, .held, nil: false
        }
    }

    /// The highest number seen from this key in this session; 0 for none.
    func highestSeq(signer: String, session: RandomID) -> Int64 {
        incoming.values.reduce(0) { $1.signer == signer && $1.session == session ? max($0, $1.seq) : $0 }
    }

    /// Another bundle with the same number, if one was seen.
    func rival(of id: Digest, signer: String, session: RandomID, seq: Int64) -> Digest? {
        incoming.values.first { $0.signer == signer && $0.session == session && $0.seq == seq && $0.id != id }?.id
    }

    /// When there is room again for a bundle of this key, which has sent so much within the time that is remembered; nil where
    /// there is now.
    func roomAgain(for signer: String) -> Timestamp? {
        let ends = incoming.values.filter { $0.signer == signer }.map(\.expires)
        guard ends.count >= Self.recordsPerKey else { return nil }
        return ends.min()?.adding(seconds: Self.marginAfterExpiry)
    }

    /// Whether a contradiction is news and there is room for it. The first one in a session always has room, since it stops the
    /// party there: as many as that are bounded by what is remembered of a key.
    ///
    /// - Parameter further: what this run has found already.
    func accepts(_ equivocation: Equivocation, after further: [Equivocation]) -> Bool {
        let place = Correspondence(sender: equivocation.sender, session: equivocation.session)
        // What it contradicts has to be newer than that, whichever number it has: else it is an old quarrel.
        if let end = settled[place], let first = incoming[equivocation.first], first.received <= end { return false }
        var (all, here, sessions) = (0, 0, Set<RandomID>())
        for list in [equivocations, further] {
            for known in list where known.sender == equivocation.sender {
                if known == equivocation { return false }
                all += 1
                sessions.insert(known.session)
                if known.session == equivocation.session { here += 1 }
            }
        }
        return here == 0
            || here < Self.equivocationsPerSession && all - sessions.count < Self.furtherEquivocationsPerSender
    }

    /// The bundles that show contradictions and are kept before all else: of each party the first few, party by party.
    var evidence: [[Digest]] {
        Dictionary(grouping: equivocations, by: \.sender).sorted { $0.key < $1.key }.map {
            $0.value.prefix(Self.evidencePerSender).map(\.second)
        }
    }

    /// A known bundle came once more: its sender may not know that it arrived.
    mutating func sawAgain(_ id: Digest, now: Timestamp) {
        guard let record = incoming[id], record.kind != .receipt, record.isToBeToldAgain(now: now) else { return }
        incoming[id]?.owesAck = true
    }

    /// What is still to be acknowledged to these parties, in byte order, at most `limit`. What was signed with a key that is
    /// not theirs, such as somebody else's enrolment in their name, is left out.
    func owedAcks(to parties: [TrustStore.Party], limit: Int) -> [Digest] {
        let owed = incoming.values.filter { record in
            record.owesAck
                && parties.contains { party in
                    party.name == record.sender && party.keys.contains { $0.fingerprint == record.signer }
                }
        }
        return Array(owed.map(\.id).sorted().prefix(limit))
    }

    /// Notes the acknowledgements that a bundle from `sender` carries.
    /// - Parameter isForUsOnly: whether they are all meant for this home.
    /// - Returns: those for bundles that were never sent from here, and were not noted before.
    mutating func note(acks: [Digest], from sender: PartyName, isForUsOnly: Bool) -> [Digest] {
        let keys = Dictionary(outgoing.values.map { ($0.id, $0.key) }, uniquingKeysWith: { first, _ in first })
        var unknown: [Digest] = []
        for ack in acks {
            if let key = keys[ack], let recipients = outgoing[key]?.recipients {
                if recipients.contains(sender) { outgoing[key]?.acknowledgedBy.insert(sender) }
            } else if isForUsOnly, noteUnknown(ack, from: sender) {
                unknown.append(ack)
            }
        }
        return unknown
    }

    // MARK: what goes out

    /// The number and predecessor of the next bundle in a session.
    /// - Parameter age: of the home, in seconds.
    func next(in session: RandomID, age: Int64) -> (seq: Int64, prev: Digest?) {
        let last = sequences[session]
        return (max(last?.seq ?? 0, sequenceFloor, Self.reached(age)) + 1, last?.id)
    }

    /// Where numbers stand by the clock alone, so that a home which was restored from a backup goes on above what it used and
    /// forgot, also where nobody whom it knows is left to tell it so: one a minute at first, a fourth of that after a year, and
    /// never more than half of what others take for a fast-forward, however wrong the clock.
    static func reached(_ age: Int64) -> Int64 {
        let year: Int64 = 365 * 86_400
        let age = min(max(0, age), 1000 * year)
        return highestSeqStep / 2 * age / (age + year)
    }

    func outgoing(id: Digest) -> OutgoingRecord? { outgoing.values.first { $0.id == id } }

    /// In the order in which they were made.
    var outgoingInOrder: [OutgoingRecord] {
        outgoing.values.sorted { ($0.created, $0.seq, $0.key) < ($1.created, $1.seq, $1.key) }
    }

    /// Others have seen numbers that this home does not know it used.
    ///
    /// Numbering jumps once for a restored backup, however many bundles show it, and not without end: an enrolled party can
    /// make up what it says that it has, and must not drive the numbers to where nobody takes them any more.
    /// - Parameter age: of the home, in seconds.
    /// - Returns: whether it jumped.
    @discardableResult
    mutating func resumeAbove(_ seq: Int64, age: Int64) -> Bool {
        let used = sequences.values.reduce(max(seq, Self.reached(age))) { max($0, $1.seq) }
        guard sequenceFloor == 0 || used > sequenceFloor, used <= Self.highestFloor else { return false }
        sequenceFloor = used + Self.stepAfterRestore
        return true
    }

    /// Notes that `sender` has a bundle from here that is unknown here.
    /// - Returns: whether nobody said so before. Each party has room of its own for what it says, so that one that makes things
    ///   up does not keep the others from being heard.
    mutating func noteUnknown(_ id: Digest, from sender: PartyName) -> Bool {
        guard !unknownAcks.values.contains(where: { $0.contains(id) }),
            unknownAcks[sender, default: []].count < Self.unknownAcksPerSender
        else { return false }
        unknownAcks[sender, default: []].insert(id)
        return true
    }

    // MARK: forgetting

    /// - Parameters:
    ///   - past: a moment that is past by others' word too. Without one nothing goes for its age.
    ///   - waiting: what was given out and is not settled yet.
    mutating func forget(past: Timestamp?, waiting: Set<Digest>) {
        if let limit = past?.adding(seconds: -Self.marginAfterExpiry) {
            incoming = incoming.filter { $0.value.expires > limit }
            outgoing = outgoing.filter { $0.value.expires > limit }
        }
        equivocations.removeAll { incoming[$0.first] == nil && !waiting.contains($0.first) }
        // Nor does a party push out what it has contradicted.
        let contradicted = Set(equivocations.map(\.first))
        let rejected = Dictionary(grouping: incoming.values.filter { $0.outcome == .rejected }) {
            $0.kind == .enrol ? "" : $0.signer
        }
        for records in rejected.values where records.count > Self.rejectedPerSender {
            let oldest = records.sorted { ($0.received, $0.id) < ($1.received, $1.id) }
            for record in oldest.dropLast(Self.rejectedPerSender) where !contradicted.contains(record.id) {
                incoming[record.id] = nil
            }
        }
    }

    /// What one party says in one session.
    struct Correspondence: Hashable {
        let sender: PartyName
        let session: RandomID
    }
}

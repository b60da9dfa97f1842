package import Federation
package import Mailbox
package import Wire

/// What a hospital knows of its requests and sessions: a value without I/O, changed only by the methods below.
///
/// 1. Every method may be called again with the same argument; the second call changes nothing.
/// 2. Order does not matter: the caller keeps a global back until a decision names its session; a global that was made earlier
///    never replaces one that was made later.
/// 3. A session trains only with consent: given by the request itself where the plan is what it asked for, else by the
///    hospital's own desk.
/// 4. A session that is finished or aborted stays over. One that this hospital left, or was dropped from, goes on for it
///    with a new request.
package struct ClientState: Equatable, Sendable {
    package enum RequestStatus: String, Sendable, CaseIterable { case sent, approved, rejected, withdrawing, withdrawn }

    /// A request that this hospital made.
    package struct OwnRequest: Equatable, Sendable {
        package let id: Digest
        package let created: Timestamp
        package let request: TrainingRequest
        package internal(set) var status: RequestStatus
        package internal(set) var reason: String
        /// Who rejected it, or took it back.
        var endedBy: Speaker = .here
        package internal(set) var session: RandomID?
        /// The number of the decision that approved it; later ones have higher numbers. Below zero where the key that signed it
        /// is revoked by now; zero where none has come.
        var approval: Int64 = 0
        /// Fingerprint of the key that signed that decision; nil where none has come, or it was not noted.
        var approver: String?
        /// The bundle that takes it back.
        var withdrawal: Digest?
        /// Among those of one session: the one with the highest was approved last.
        var order: Int64 { approval == 0 ? .min : approval }
        /// Whether only a key that is revoked by now says that it is over.
        package var isDisowned: Bool {
            (status == .rejected || status == .withdrawn) && withdrawal == nil && endedBy.isRevoked
        }
    }

    package internal(set) var requests: [OwnRequest] = []
    package internal(set) var sessions: [ClientSession] = []
    /// Final globals that were offered for acceptance.
    package internal(set) var offers: [Offer] = []
    /// Whether the server has approved the enrolment, in so many words or by letting this hospital train; nil before.
    package internal(set) var enrolled: Bool?
    package internal(set) var enrolmentReason = ""
    /// Own keys that the server believes no more.
    package internal(set) var revocations: [Revocation] = []
    /// Fingerprint of the key that has taken a lost one's place, as long as there may be bundles of the lost one's to sign anew.
    package internal(set) var replacingKey: String?
    /// What has been said to a person and is not said again.
    package internal(set) var announced = Announcements()
    /// Sessions that ended before a global of them came, and why; by identifier.
    var over: [String: Ending] = [:]
    /// Highest sequence number of a decision, by what it is about, in which session, and whose key signed it.
    var newestDecision: [String: Int64] = [:]

    struct Ending: Equatable, Sendable {
        let reason: String
        var speaker: Speaker
        /// The later one has the higher number.
        var turn: Int64 = 0
    }

    package init() {}

    package func session(_ id: RandomID) -> ClientSession? { sessions.first { $0.id == id } }
    package func request(_ id: Digest) -> OwnRequest? { requests.first { $0.id == id } }
    /// Why the session that a request led to is over; nil while it goes on, or has not begun.
    package func ending(of request: OwnRequest) -> String? { request.session.flatMap { session($0) }?.ended }
    /// Those that can be withdrawn: nothing answers a withdrawal from a session that is over.
    package var openRequests: [OwnRequest] {
        requests.filter {
            ($0.status == .sent || $0.status == .approved) && ending(of: $0) == nil && replacement(of: $0) == nil
        }
    }
    package func offer(version: Int) -> Offer? { offers.last { $0.version == version } }

    package mutating func sent(request: TrainingRequest, id: Digest, created: Timestamp) {
        guard self.request(id) == nil else { return }
        requests.append(
            OwnRequest(id: id, created: created, request: request, status: .sent, reason: "", session: nil))
    }

    package mutating func change(session id: RandomID, _ body: (inout ClientSession) -> Void) {
        guard let index = sessions.firstIndex(where: { $0.id == id }) else { return }
        body(&sessions[index])
    }

    mutating func change(offer bundle: Digest, _ body: (inout Offer) -> Void) {
        guard let index = offers.firstIndex(where: { $0.bundle == bundle }) else { return }
        body(&offers[index])
    }

    mutating func change(request id: Digest, _ body: (inout OwnRequest) -> Void) {
        guard let index = requests.firstIndex(where: { $0.id == id }) else { return }
        body(&requests[index])
    }
}

/// A final global on the hospital's `updates/` desk.
package struct Offer: Equatable, Sendable {
    package enum Status: String, Sendable, CaseIterable { case pending, accepted, rejected }

    /// The server's number of the version.
    package let version: Int
    package let session: RandomID
    /// The bundle of the final global.
    package internal(set) var bundle: Digest
    package internal(set) var status: Status
}

/// What an event brought about; texts for people.
package enum ClientNotice: Equatable, Sendable, CustomStringConvertible {
    case enrolled(PartyName)
    case enrolmentRejected(String)
    case requestApproved(RandomID)
    case requestRejected(String)
    case requestWithdrawn
    case planWaits(ClientSession)
    case roundOpened(RandomID, round: Int)
    case counted(RandomID, round: Int, weight: Int, of: Int)
    case notCounted(RandomID, round: Int, reason: String)
    /// What the hospital has to mend, before the round closes.
    case updateRefused(RandomID, reason: String)
    /// Taken, and counts no more: the key that signed it is revoked since.
    case updateDisowned(RandomID, reason: String)
    case excluded(RandomID, reason: String)
    case readmitted(RandomID)
    case sessionEnded(RandomID, reason: String)
    case sessionResumed(RandomID)
    case wentBack(RandomID, round: Int, from: Int)
    case versionOffered(Offer)

    package var description: String {
        switch self {
        case .enrolled(let server): "enrolment approved by \(server)"
        case .enrolmentRejected(let reason): "enrolment rejected" + suffix(reason)
        case .requestApproved(let session): "request approved, session \(session.short)"
        case .requestRejected(let reason): "request rejected" + suffix(reason)
        case .requestWithdrawn: "request withdrawn"
        case .planWaits(let session):
            "the plan of session \(session.id.short) is not what was asked for and waits for you"
        case .roundOpened(let session, let round): "session \(session.short): global of round \(round) received"
        case .counted(let session, let round, let weight, let total):
            "session \(session.short): the update of round \(round) was counted with weight \(weight) of \(total)"
        case .notCounted(let session, let round, let reason):
            "session \(session.short): the update of round \(round) was not counted" + suffix(reason)
        case .updateRefused(let session, let reason):
            "session \(session.short): the server did not take this hospital's update" + suffix(reason)
        case .updateDisowned(let session, let reason):
            "session \(session.short): an update in this hospital's name counts no more" + suffix(reason)
        case .excluded(let session, let reason):
            "session \(session.short): the server has excluded this hospital" + suffix(reason)
        case .readmitted(let session): "session \(session.short): the server has readmitted this hospital"
        case .sessionEnded(let session, let reason): "session \(session.short) is over" + suffix(reason)
        case .sessionResumed(let session): "session \(session.short): the server has taken this hospital in again"
        case .wentBack(let session, let round, let former):
            "session \(session.short): the server "
                + (round < former
                    ? "went back from round \(former) to round \(round)" : "has another round \(round) than before")
                + ", as one does that was restored from a backup; if it was not, call there; round \(round) is trained once more here"
        case .versionOffered(let offer): "version \(offer.version) of session \(offer.session.short) waits for you"
        }
    }

    /// Printed under cron too: a person has to decide or to know.
    package var needsAttention: Bool {
        switch self {
        case .enrolmentRejected, .requestRejected, .planWaits, .sessionEnded, .versionOffered, .notCounted, .excluded,
            .sessionResumed, .wentBack, .updateRefused, .updateDisowned:
            true
        // Whoever was told of the exclusion would call for nothing.
        case .readmitted: true
        case .enrolled, .requestApproved, .requestWithdrawn, .roundOpened, .counted: false
        }
    }

    /// Whether it tells what became of an update of this hospital's.
    var isAboutUpdate: Bool {
        switch self {
        case .counted, .notCounted: true
        default: false
        }
    }

    private func suffix(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }
}

import Bundles
import Federation
import Files
import Mailbox
import SystemPackage
import Wire

/// Makes the outbox what the state asks for. Every publication has a key under which it happens once.
extension ServerRun {
    func publish() throws {
        try publishKeys()
        try mailbox.withdrawFromCutOff()
        // Before what is decided now: of two decisions the later one counts.
        try replaceWhatRevokedKeysSigned()
        try replaceWhatIsStillToCome()
        for record in records.enrolments where isRecent(decided: record.decided, received: record.received) {
            try isolated(record.deskName.short) { try publish(record) }
        }
        for record in records.requests where isRecent(decided: record.decided, received: record.received) {
            try isolated(record.label) { try publish(record) }
        }
        for session in sessions where session.ended.map({ now <= $0.adding(days: Self.answeredFor) }) ?? true {
            try isolated("session \(session.name)") { try publish(session) }
        }
    }

    /// For how many days an answer holds, in its bundle too. Its key is forgotten some time after that, so whoever asked the
    /// mailbox for an older one would send it once more.
    private static let answeredFor: Int64 = 180

    private func isRecent(decided: Timestamp?, received: Timestamp) -> Bool {
        now <= (decided?.adding(days: Self.answeredFor) ?? received.adding(days: Self.answeredFor + 90))
    }

    private func publish(_ record: DeskRecords.EnrolmentRecord) throws {
        guard record.status == .approved || record.status == .rejected else { return }
        let decision = Decision(
            subject: .enrolment, about: record.id, verdict: record.status == .approved ? .approved : .rejected,
            reason: record.reason)
        let (prefix, key) = (Self.decisionPrefix(record), Self.decisionKey(record))
        try send(decision, key: key, to: record.name)
        // What was decided before and has not arrived is not to arrive any more.
        guard record.decisions > 1 else { return }
        try mailbox.withdraw {
            let original = Self.originalKey($0.key)
            return original.hasPrefix(prefix) && original != key
        }
    }

    /// What the keys of all decisions about an enrolment begin with.
    static func decisionPrefix(_ record: DeskRecords.EnrolmentRecord) -> String { "enrolment/\(record.id)/" }

    /// The key of the newest one.
    static func decisionKey(_ record: DeskRecords.EnrolmentRecord) -> String {
        decisionPrefix(record) + record.status.rawValue + (record.decisions > 1 ? "/\(record.decisions)" : "")
    }

    private func publish(_ record: DeskRecords.RequestRecord) throws {
        switch record.status {
        case .rejected:
            let decision = Decision(subject: .request, about: record.id, verdict: .rejected, reason: record.reason)
            try send(decision, key: "request/\(record.id)/rejected", to: record.client)
        case .expired:
            let decision = Decision(
                subject: .request, about: record.id, verdict: .rejected, reason: "nobody decided before it expired")
            try send(decision, key: "request/\(record.id)/expired", to: record.client)
        case .withdrawn where record.session == nil:
            let decision = Decision(subject: .withdrawal, about: record.id, verdict: .withdrawn)
            try send(decision, key: "request/\(record.id)/withdrawn", to: record.client)
        case .pending, .approved, .withdrawn: break
        }
    }

    private func publish(_ session: Session) throws {
        if session.isOver { try withdrawAnswersInTheClear(in: session.id) }
        let superseded = Set(session.supersededKeys)
        if !superseded.isEmpty { try mailbox.withdraw { superseded.contains(Self.originalKey($0.key)) } }
        for wish in session.wishes {
            switch wish {
            case .decision(let key, let client, let decision): try send(decision, key: key, to: client)
            case .global(let order): try send(order, session: session)
            case .abort(let key, let clients, let reason):
                try mailbox.send(
                    key: key, kind: .abort, to: clients, session: session.id,
                    strangers: strangers(among: clients, for: key),
                    payload: [.bytes(name: Reason.fileName, reason.encoded)])
            case .aggregate, .saveVersion, .announcePause: break
            }
        }
    }

    /// Whether a request that led to no session has its answer, which the mailbox brings to its hospital by itself.
    func isAnswered(_ record: DeskRecords.RequestRecord) -> Bool {
        record.session == nil && mailbox.sent(key: "request/\(record.id)/\(record.status.rawValue)") != nil
    }

    func send(_ decision: Decision, key: String, to client: PartyName) throws {
        try mailbox.send(
            key: key, kind: .decision, to: [client], session: decision.session ?? .none, request: decision.about,
            strangers: strangers(among: [client], for: key),
            payload: [.bytes(name: Decision.fileName, decision.encoded)])
    }

    /// Whose enrolment was refused or ended is nobody in the trust, and is still to be told so: its own enrolment says what to
    /// encrypt to. Models do not go to such a party.
    func strangers(among clients: [PartyName], for key: String) -> [PartyName: AgeRecipient] {
        guard mailbox.sent(key: key) == nil else { return [:] }
        var found: [PartyName: AgeRecipient] = [:]
        for client in clients where mailbox.trust.party(client) == nil {
            guard let record = records.enrolments.last(where: { $0.name == client }),
                let bundle = try? BundleReader.open(home.archived(record.id), files: files).verified(),
                let bytes = try? bundle.payload(Enrolment.fileName, limit: FederationLimits.messageBytes),
                let enrolment = try? Enrolment(decoding: bytes)
            else { continue }
            found[client] = try? AgeRecipient(enrolment.ageRecipient)
        }
        return found
    }

    private func send(_ order: GlobalOrder, session: Session) throws {
        guard mailbox.sent(key: order.key) == nil else { return }
        var payload: [PayloadSource] = [
            .bytes(name: Plan.fileName, order.plan.encoded),
            .bytes(name: RoundReport.fileName, order.report.encoded),
            .file(name: "model.safetensors", try store.path(of: order.model, in: session)),
        ]
        // A hospital whose answer is here and that is sent the round again sees that none of it was lost.
        for client in order.recipients { try mailbox.acknowledgeAgain(session.bundlesOfOpenRound(from: client)) }
        if order.base != nil { payload.append(.file(name: "base.safetensors", store.basePath(session.id))) }
        try mailbox.send(
            key: order.key, kind: .global, to: order.recipients, session: session.id, round: order.round,
            base: order.report.base, retention: .untilWithdrawn, payload: payload)
        detail("session \(session.name): global of round \(order.round) published")
    }
}

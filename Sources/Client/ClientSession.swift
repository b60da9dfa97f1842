package import Federation
package import Wire

/// One session as a hospital sees it.
package struct ClientSession: Equatable, Sendable {
    package enum Consent: String, Sendable, CaseIterable {
        case granted
        /// On the desk `plans/pending/`.
        case asked
        case refused
    }

    /// The newest global that has arrived.
    package struct ReceivedGlobal: Equatable, Sendable {
        /// Bundle id; the bundle lies in `archive/`.
        package let bundle: Digest
        package let round: Int
        /// SHA-256 of its `model.safetensors`: the base of an update.
        package let model: Digest
        package let isFinal: Bool
        package let received: Timestamp
        package let created: Timestamp
    }

    package let id: RandomID
    package internal(set) var plan: Plan
    package internal(set) var planDigest: Digest
    /// The own request that led here; nil if the server never named one.
    package internal(set) var request: Digest?
    package internal(set) var consent: Consent
    package internal(set) var global: ReceivedGlobal
    /// The bundle that carried `base.safetensors`; nil where everything trains.
    package internal(set) var baseBundle: Digest?
    /// The last round whose update was published.
    package internal(set) var answeredRound: Int
    /// Why it is over; nil while it goes on.
    package internal(set) var ended: String?

    /// The round that this hospital has to train now; nil while there is nothing to do.
    package var roundToTrain: Int? {
        guard ended == nil, consent == .granted, !global.isFinal, answeredRound < global.round else { return nil }
        return global.round
    }

    /// When the open round is over, as the plan says.
    package var deadline: Timestamp { global.created.adding(seconds: plan.deadline) }
    package var fileName: String { "plan-\(id.short).tar" }
}

extension ClientState {
    /// A signed decision of the server.
    mutating func apply(_ decision: Decision, server: PartyName) -> [ClientNotice] {
        switch decision.subject {
        case .enrolment:
            let approved = decision.verdict == .approved
            guard enrolled != approved else { return [] }
            enrolled = approved
            enrolmentReason = decision.reason
            return [approved ? .enrolled(server) : .enrolmentRejected(decision.reason)]
        case .request:
            guard let index = requests.firstIndex(where: { $0.id == decision.about }) else { return [] }
            let approved = decision.verdict == .approved
            let status: RequestStatus = approved ? .approved : .rejected
            guard requests[index].status != status, requests[index].status != .withdrawn else { return [] }
            requests[index].status = status
            requests[index].reason = decision.reason
            requests[index].session = decision.session
            guard approved, let session = decision.session else { return [.requestRejected(decision.reason)] }
            return [.requestApproved(session)]
        case .withdrawal, .session:
            return applyToSession(decision)
        }
    }

    private mutating func applyToSession(_ decision: Decision) -> [ClientNotice] {
        var notices: [ClientNotice] = []
        if decision.verdict == .withdrawn {
            for index in requests.indices where requests[index].id == decision.about || (decision.session != nil && requests[index].session == decision.session) {
                if requests[index].status != .withdrawn {
                    requests[index].status = .withdrawn
                    notices.append(.requestWithdrawn)
                }
            }
        }
        guard let id = decision.session, let index = sessions.firstIndex(where: { $0.id == id }) else { return notices }
        switch decision.verdict {
        case .dropped, .withdrawn, .rejected:
            if sessions[index].ended == nil {
                let reason = decision.verdict == .withdrawn ? "withdrawn" : "the server dropped this hospital"
                sessions[index].ended = decision.reason.isEmpty ? reason : "\(reason): \(decision.reason)"
                notices.append(.sessionEnded(id, reason: sessions[index].ended ?? ""))
            }
        case .excluded:
            if announce("excluded-\(decision.about.hex)") {
                notices.append(.notCounted(id, round: sessions[index].global.round, reason: "excluded by the server: \(decision.reason)"))
            }
        case .approved, .readmitted: break
        }
        return notices
    }

    /// A verified global. The caller has checked the bundle, its digests and that the server sent it.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's id.
    ///   - hasBase: it carries `base.safetensors`.
    ///   - asksConsent: the configuration says `consent: ask`.
    mutating func apply(
        global report: RoundReport, plan: Plan, planDigest: Digest, session id: RandomID, bundle: Digest,
        request: Digest?, hasBase: Bool, created: Timestamp, received: Timestamp, own: PartyName, asksConsent: Bool
    ) -> [ClientNotice] {
        let global = ClientSession.ReceivedGlobal(
            bundle: bundle, round: report.round, model: report.model, isFinal: report.phase == .final,
            received: received, created: created)
        var notices: [ClientNotice] = []
        if let index = sessions.firstIndex(where: { $0.id == id }) {
            if hasBase { sessions[index].baseBundle = bundle }
            guard report.round > sessions[index].global.round || (global.isFinal && !sessions[index].global.isFinal)
            else { return [] }
            sessions[index].global = global
        } else {
            let own = requests.last { $0.session == id } ?? requests.last { $0.id == request }
            let differs = own.map { !plan.differences(from: $0.request.wishes).isEmpty } ?? true
            let session = ClientSession(
                id: id, plan: plan, planDigest: planDigest, request: own?.id,
                consent: differs && asksConsent ? .asked : .granted, global: global,
                baseBundle: hasBase ? bundle : nil, answeredRound: 0, ended: nil)
            sessions.append(session)
            if session.consent == .asked { notices.append(.planWaits(session)) }
        }
        notices.append(.roundOpened(id, round: report.round))
        notices += proof(in: report, session: id, own: own)
        if global.isFinal, let version = report.version, offers.allSatisfy({ $0.bundle != bundle }) {
            let offer = Offer(version: version, session: id, bundle: bundle, status: .pending)
            offers.append(offer)
            change(session: id) { $0.ended = $0.ended ?? "finished with version \(version)" }
            notices.append(.versionOffered(offer))
        }
        return notices
    }

    /// The hospital finds its own line in the account of the closed round.
    private func proof(in report: RoundReport, session id: RandomID, own: PartyName) -> [ClientNotice] {
        guard report.closed > 0, let line = report.line(of: own) else { return [] }
        let total = report.participants.reduce(0) { $0 + ($1.counted?.weight ?? 0) }
        switch line.fate {
        case .counted(let update):
            return [.counted(id, round: report.closed, weight: update.weight, of: total)]
        case .late: return [.notCounted(id, round: report.closed, reason: "it came after the deadline")]
        case .rejected(let reason): return [.notCounted(id, round: report.closed, reason: reason)]
        case .missing: return [.notCounted(id, round: report.closed, reason: "the server had none at the deadline")]
        }
    }

    mutating func apply(abort reason: Reason, session id: RandomID) -> [ClientNotice] {
        guard let session = session(id), session.ended == nil else { return [] }
        let text = reason.reason.isEmpty ? "aborted by the server" : "aborted by the server: \(reason.reason)"
        change(session: id) { $0.ended = text }
        return [.sessionEnded(id, reason: text)]
    }
}

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
        /// Bundle id; the bundle lies in `archive/`. A re-issue takes its place.
        package internal(set) var bundle: Digest
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
}

extension ClientState {
    /// A signed decision of the server.
    ///
    /// Decisions overtake each other; of those about one subject in one session the highest sequence number wins.
    ///
    /// - Parameter enrolment: the bundle of this hospital's own enrolment. A decision about another one, which somebody
    ///   sent in this hospital's name, says nothing about this hospital.
    package mutating func apply(
        _ decision: Decision, sequence: Int64, server: PartyName, enrolment: Digest?
    ) -> [ClientNotice] {
        if decision.subject == .enrolment, decision.about != enrolment { return [] }
        let subject = "\(decision.about) \(decision.session?.hex ?? "-")"
        guard sequence > newestDecision[subject] ?? 0 else { return [] }
        newestDecision[subject] = sequence
        if decision.subject == .enrolment {
            let approved = decision.verdict == .approved
            enrolled = approved
            enrolmentReason = decision.reason
            return [approved ? .enrolled(server) : .enrolmentRejected(decision.reason)]
        }
        switch decision.verdict {
        case .approved:
            impliesEnrolment()
            guard let session = decision.session else { return [] }
            return approve(decision, session)
        case .rejected:
            return setRequests(of: decision, to: .rejected) { .requestRejected($0.reason) }
        case .withdrawn:
            if let newest = requests.last(where: { $0.session == decision.session && $0.status == .approved }),
                requests.contains(where: { $0.session == decision.session && $0.id != newest.id })
            {
                // The request that was taken back is an older one: this hospital has come back since.
                return settleWithdrawals(from: newest.session)
            }
            return setRequests(of: decision, to: .withdrawn) { _ in .requestWithdrawn }
                + end(decision.session, Self.withdrawn)
        case .dropped:
            // It has taken another request of this hospital into the session since.
            let newer = requests.last { $0.session == decision.session && $0.status == .approved }
            if let newer, newer.id != decision.about { return [] }
            let reason = suffixed(Self.dropped, decision.reason)
            // Before the decision that approved it, which says nothing any more then.
            if let request = request(decision.about), request.status == .sent {
                if let session = decision.session { over[session.hex] = reason }
                change(request: request.id) {
                    ($0.status, $0.reason, $0.session) = (.rejected, reason, decision.session)
                }
                return [.requestRejected(reason)]
            }
            return end(decision.session, reason)
        case .excluded:
            return decision.session.map { [.excluded($0, reason: decision.reason)] } ?? []
        case .readmitted:
            return decision.session.map { [.readmitted($0)] } ?? []
        }
    }

    /// Whom the server lets train is enrolled, whether or not its answer to the enrolment is here: it may be lost. A
    /// rejection of the enrolment stands.
    private mutating func impliesEnrolment() { enrolled = enrolled ?? true }

    private static let dropped = "the server dropped this hospital"
    static let withdrawn = "withdrawn"

    /// A request that was taken back meanwhile stays so: the session is only noted, and opens as ended. A new request lets a
    /// hospital that had left come back, and the open round is trained once more: its update names that request.
    private mutating func approve(_ decision: Decision, _ session: RandomID) -> [ClientNotice] {
        guard let index = requests.firstIndex(where: { $0.id == decision.about }) else { return [] }
        requests[index].session = session
        guard requests[index].status == .sent else { return [] }
        if let reason = over[session.hex], !Self.mayComeBack(after: reason) {
            requests[index].status = .rejected
            requests[index].reason = reason
            return [.requestRejected(reason)]
        }
        over[session.hex] = nil
        requests[index].status = .approved
        let wishes = requests[index].request.wishes
        change(session: session) { known in
            guard let reason = known.ended, Self.mayComeBack(after: reason) else { return }
            known.ended = nil
            known.request = decision.about
            known.answeredRound = min(known.answeredRound, known.global.round - 1)
            if known.consent == .refused {
                known.consent = known.plan.differences(from: wishes).isEmpty ? .granted : .asked
            }
        }
        let asked = self.session(session).flatMap { $0.ended == nil && $0.consent == .asked ? $0 : nil }
        return [.requestApproved(session)] + (asked.map { [.planWaits($0)] } ?? [])
    }

    /// Whether a session that this hospital left may take it in again: a request of its own is under way.
    func mayComeBack(to id: RandomID) -> Bool {
        guard let reason = session(id)?.ended, Self.mayComeBack(after: reason) else { return false }
        return requests.contains { $0.status == .sent }
    }

    /// Not into a session that is finished or aborted.
    private static func mayComeBack(after reason: String) -> Bool {
        reason == withdrawn || reason.hasPrefix(dropped)
    }

    private mutating func settleWithdrawals(from session: RandomID?) -> [ClientNotice] {
        var notices: [ClientNotice] = []
        for index in requests.indices where requests[index].session == session && requests[index].status == .withdrawing
        {
            requests[index].status = .withdrawn
            notices.append(.requestWithdrawn)
        }
        return notices
    }

    private mutating func setRequests(
        of decision: Decision, to status: RequestStatus, _ notice: (OwnRequest) -> ClientNotice
    ) -> [ClientNotice] {
        var notices: [ClientNotice] = []
        for index in requests.indices {
            let isMeant =
                requests[index].id == decision.about
                || (status == .withdrawn && decision.session != nil && requests[index].session == decision.session)
            guard isMeant, requests[index].status != status else { continue }
            requests[index].status = status
            requests[index].reason = decision.reason
            if let session = decision.session { requests[index].session = session }
            notices.append(notice(requests[index]))
        }
        return notices
    }

    /// The end of a session may come before its first global, and before the decision that led into it.
    private mutating func end(_ id: RandomID?, _ reason: String) -> [ClientNotice] {
        guard let id else { return [] }
        guard let session = session(id) else {
            guard over.updateValue(reason, forKey: id.hex) == nil else { return [] }
            let waiting = requests.indices.filter { requests[$0].session == id && requests[$0].status == .approved }
            for index in waiting {
                requests[index].status = .rejected
                requests[index].reason = reason
            }
            return waiting.isEmpty ? [] : [.sessionEnded(id, reason: reason)]
        }
        guard session.ended == nil else { return [] }
        change(session: id) { $0.ended = reason }
        return [.sessionEnded(id, reason: reason)]
    }

    private func suffixed(_ text: String, _ reason: String) -> String { reason.isEmpty ? text : "\(text): \(reason)" }

    /// A verified global. The caller has checked the bundle, its digests and that the server sent it.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's id.
    ///   - hasBase: it carries `base.safetensors`.
    ///   - asksConsent: the configuration says `consent: ask`.
    package mutating func apply(
        global report: RoundReport, plan: Plan, planDigest: Digest, session id: RandomID, bundle: Digest,
        hasBase: Bool, created: Timestamp, received: Timestamp, own: PartyName, asksConsent: Bool
    ) -> [ClientNotice] {
        impliesEnrolment()
        let global = ClientSession.ReceivedGlobal(
            bundle: bundle, round: report.round, model: report.model, isFinal: report.phase == .final,
            received: received, created: created)
        var notices: [ClientNotice] = []
        if let index = sessions.firstIndex(where: { $0.id == id }) {
            if hasBase { sessions[index].baseBundle = bundle }
            let current = sessions[index].global
            if report.round == current.round, report.model == current.model, global.isFinal == current.isFinal {
                // Issued again: the old bundle may be lost.
                sessions[index].global.bundle = bundle
                return []
            }
            guard report.round > current.round || (global.isFinal && !current.isFinal) else { return [] }
            sessions[index].global = global
        } else {
            let session = opened(
                id, plan: plan, planDigest: planDigest, global: global, baseBundle: hasBase ? bundle : nil,
                asksConsent: asksConsent)
            sessions.append(session)
            if session.ended == nil, session.consent == .asked { notices.append(.planWaits(session)) }
        }
        notices.append(.roundOpened(id, round: report.round))
        notices += proof(in: report, session: id, own: own)
        if global.isFinal {
            let reason = report.version.map { "finished with version \($0)" } ?? "finished"
            change(session: id) { $0.ended = $0.ended ?? reason }
        }
        if let version = report.version, global.isFinal, offers.allSatisfy({ $0.bundle != bundle }) {
            let offer = Offer(version: version, session: id, bundle: bundle, status: .pending)
            offers.append(offer)
            notices.append(.versionOffered(offer))
        }
        return notices
    }

    /// A session that this hospital sees for the first time. Only a request of its own that still stands, and a plan that
    /// is what it asked for, are consent; or the configuration, where it says so for every plan.
    private mutating func opened(
        _ id: RandomID, plan: Plan, planDigest: Digest, global: ClientSession.ReceivedGlobal, baseBundle: Digest?,
        asksConsent: Bool
    ) -> ClientSession {
        let own = requests.last { $0.session == id }
        let isWanted = own.map { $0.status == .approved && plan.differences(from: $0.request.wishes).isEmpty } ?? false
        let isTakenBack = own.map { $0.status == .withdrawing || $0.status == .withdrawn } ?? false
        let end = over.removeValue(forKey: id.hex) ?? (isTakenBack ? Self.withdrawn : nil)
        return ClientSession(
            id: id, plan: plan, planDigest: planDigest, request: own?.id,
            consent: isWanted || !asksConsent ? .granted : .asked, global: global, baseBundle: baseBundle,
            answeredRound: 0, ended: end)
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

    package mutating func apply(abort reason: Reason, session id: RandomID) -> [ClientNotice] {
        end(id, suffixed("aborted by the server", reason.reason))
    }
}

package import Federation
package import Wire

/// What the server decides about this hospital's requests.
///
/// Each request has its own fate, which the decision with the highest number about it tells. A session follows from the
/// fates of the requests that led to it, so that decisions and globals may come in any order. The server takes a second
/// request of a hospital into a session only after the first one is over: so the hospital takes part with the request that was
/// approved last, as long as that stands, and never again with one before it.
extension ClientState {
    /// A signed decision of the server.
    ///
    /// - Parameters:
    ///   - signer: fingerprint of the server's key that signed it.
    ///   - enrolment: the bundle of this hospital's own enrolment. A decision about another one, which somebody sent in this
    ///     hospital's name, says nothing about this hospital.
    ///   - asksConsent: the configuration says `consent: ask`.
    package mutating func apply(
        _ decision: Decision, sequence: Int64, server: PartyName, signer: String, enrolment: Digest?, asksConsent: Bool
    ) -> [ClientNotice] {
        if decision.subject == .enrolment, decision.about != enrolment { return [] }
        let subject = Self.subject(of: decision)
        guard sequence > newestNumber(about: subject) else { return [] }
        newestDecision[Self.entry(subject, by: signer)] = sequence
        boundDecisions(enrolment: enrolment)
        if decision.subject == .enrolment {
            let approved = decision.verdict == .approved
            enrolled = approved
            enrolmentReason = decision.reason
            return [approved ? .enrolled(server) : .enrolmentRejected(decision.reason)]
        }
        var notices: [ClientNotice]
        switch decision.verdict {
        case .approved:
            impliesEnrolment()
            notices = approve(decision, sequence, signer, asksConsent: asksConsent)
        case .rejected:
            if decision.subject == .session, let session = decision.session {
                return [.updateRefused(session, reason: decision.reason)]
            }
            let isNew = conclude(decision.about, as: .rejected, decision, signer)
            notices = isNew ? [.requestRejected(decision.reason)] : []
        case .withdrawn where decision.subject == .session:
            // A new home under an old name is not told of what the one before has sent.
            guard let session = decision.session, !requests.isEmpty else { return [] }
            return [.updateDisowned(session, reason: decision.reason)]
        case .withdrawn:
            notices =
                withdrawnRequest(by: decision).map { conclude($0.id, as: .withdrawn, decision, signer) } ?? false
                ? [.requestWithdrawn] : []
        case .dropped: return drop(decision, sequence, signer, asksConsent: asksConsent)
        case .excluded:
            guard let id = decision.session else { return [] }
            change(session: id) { $0.excluded = decision.reason }
            return [.excluded(id, reason: decision.reason)]
        case .readmitted:
            guard let id = decision.session else { return [] }
            change(session: id) { $0.excluded = nil }
            return [.readmitted(id)]
        }
        // A server that refuses a request knows nothing of a session that a thief of its key took it into.
        if let session = decision.session ?? request(decision.about)?.session {
            notices += settle(session, asksConsent: asksConsent)
        }
        return notices
    }

    /// - Parameter signer: fingerprint of the server's key that signed it.
    package mutating func apply(abort reason: Reason, session id: RandomID, signer: String) -> [ClientNotice] {
        end(id, because: suffixed("aborted by the server", reason.reason), .server(signer))
    }

    /// The server said two different things under one number: this hospital stops the session, and nobody else has to.
    package mutating func stop(session id: RandomID) -> [ClientNotice] {
        end(id, because: "stopped here: the server sent two different bundles with one number", .here)
    }

    private mutating func end(_ id: RandomID, because reason: String, _ speaker: Speaker) -> [ClientNotice] {
        if let session = session(id) {
            change(session: id) { $0.reopened = nil }
            // Though only a revoked key had said so before, it is so now.
            if !session.isClosed || session.isDisowned {
                change(session: id) { ($0.ended, $0.endedBy) = (reason, speaker) }
            }
            return session.ended == nil ? [.sessionEnded(id, reason: reason)] : []
        }
        // Before its first global, and perhaps before the decision that led into it.
        guard note(Ending(reason: reason, speaker: speaker), of: id) else { return [] }
        let waiting = requests.filter { $0.session == id && $0.status == .approved }
        for request in waiting {
            change(request: request.id) { ($0.status, $0.reason, $0.endedBy) = (.rejected, reason, speaker) }
        }
        return waiting.isEmpty ? [] : [.sessionEnded(id, reason: reason)]
    }

    /// This hospital takes a request back; the server's answer comes later.
    ///
    /// - Parameter bundle: the withdrawal's.
    package mutating func withdrawing(request id: Digest, bundle: Digest) {
        change(request: id) { request in
            if request.status == .sent || request.status == .approved { request.status = .withdrawing }
            (request.withdrawal, request.endedBy) = (bundle, .here)
        }
        // Nothing is opened by this, and so nothing asked.
        if let session = request(id)?.session { _ = settle(session, asksConsent: true) }
    }

    /// Whom the server lets train is enrolled, whether or not its answer to the enrolment is here: it may be lost. A
    /// rejection of the enrolment stands.
    mutating func impliesEnrolment() { enrolled = enrolled ?? true }

    // MARK: requests

    /// A request that was taken back meanwhile stays so: the session is only noted, and opens as left.
    private mutating func approve(
        _ decision: Decision, _ sequence: Int64, _ signer: String, asksConsent: Bool
    ) -> [ClientNotice] {
        guard let session = decision.session else { return [] }
        change(request: decision.about) { own in
            // As if nobody had answered it.
            if own.isDisowned { (own.status, own.reason, own.approval) = (.sent, "", 0) }
        }
        guard let own = request(decision.about) else { return [] }
        if over[session.hex]?.speaker.isRevoked ?? false { over[session.hex] = nil }
        let left = own.session.flatMap { $0 == session ? nil : leave($0, for: session, signer) } ?? []
        change(request: own.id) { own in
            own.session = session
            // A server that has forgotten sending its decisions sends all of them again, with higher numbers: those of a
            // request that stands must not stay behind those of one before it. One that is over does not become the newest.
            if own.approval == 0 || own.status == .approved { (own.approval, own.approver) = (sequence, signer) }
        }
        guard own.status == .sent else {
            return own.status == .approved ? left + reopen(session, asksConsent: asksConsent) : left
        }
        if let ending = over[session.hex] {
            change(request: own.id) {
                ($0.status, $0.reason, $0.endedBy) = (.rejected, ending.reason, ending.speaker)
            }
            return [.requestRejected(ending.reason)]
        }
        change(request: own.id) { $0.status = .approved }
        return left + [.requestApproved(session)] + reopen(session, asksConsent: asksConsent)
    }

    /// The request that led into a session leads into another one: only a key that is revoked by now had said the former.
    private mutating func leave(_ id: RandomID, for other: RandomID, _ signer: String) -> [ClientNotice] {
        guard let session = session(id), session.ended == nil, session.global.speaker.isRevoked else { return [] }
        let reason = suffixed(Self.dropped, "the request is for session \(other.short)")
        change(session: id) { ($0.ended, $0.endedBy) = (reason, .server(signer)) }
        return [.sessionEnded(id, reason: reason)]
    }

    /// The server goes on with a session of which only a revoked key has said that it is over. Where its first global came
    /// after that, no request stood for it then.
    private mutating func reopen(_ id: RandomID, asksConsent: Bool) -> [ClientNotice] {
        guard let session = session(id), session.isDisowned else { return [] }
        let consent =
            session.consent == .asked
            ? consent(to: session.plan, of: standing(in: id), asksConsent: asksConsent) : session.consent
        change(session: id) { ($0.ended, $0.endedBy, $0.consent) = (nil, .here, consent) }
        let changed = self.session(id).flatMap { $0.consent == .asked ? $0 : nil }
        return [.sessionResumed(id)] + (changed.map { [.planWaits($0)] } ?? [])
    }

    /// A global that is not the last one says as much, and that this hospital takes part.
    mutating func goesOn(_ id: RandomID, asksConsent: Bool) -> [ClientNotice] {
        if over[id.hex]?.speaker.isRevoked ?? false { over[id.hex] = nil }
        let own = newestRequest(in: id)
        let isTakenBack = own.map { $0.isDisowned && $0.approval != 0 } ?? false
        if let own, isTakenBack { change(request: own.id) { ($0.status, $0.reason) = (.approved, "") } }
        // Whoever left it himself has no request that stands.
        guard newestRequest(in: id).flatMap(Self.departure) == nil else { return [] }
        let notices = reopen(id, asksConsent: asksConsent)
        return notices.isEmpty && isTakenBack ? [.sessionResumed(id)] : notices
    }

    private mutating func drop(
        _ decision: Decision, _ sequence: Int64, _ signer: String, asksConsent: Bool
    ) -> [ClientNotice] {
        guard let id = decision.session else { return [] }
        let reason = suffixed(Self.dropped, decision.reason)
        let before = request(decision.about)
        if before == nil, newestRequest(in: id) == nil {
            // Of a session that this hospital trains without a request that it remembers.
            guard let session = session(id), session.ended == nil else { return [] }
            change(session: id) { ($0.ended, $0.endedBy) = (reason, .server(signer)) }
            return [.sessionEnded(id, reason: reason)]
        }
        let wasStanding = standing(in: id)?.id == decision.about
        change(request: decision.about) { own in
            own.session = id
            // It was approved before that, whether or not this hospital has heard of it, and whoever was approved before it had
            // left by then: the server says no drop anew, under a later number, once another request has its place.
            if own.approval == 0 { (own.approval, own.approver) = (sequence, signer) }
            if own.status != .withdrawn || own.isDisowned {
                (own.status, own.reason, own.endedBy) = (.rejected, reason, .server(signer))
            }
        }
        let notices = settle(id, asksConsent: asksConsent)
        if !notices.isEmpty { return notices }
        // Before the decision that approved it, which says nothing any more then; or before the first global.
        if before?.status == .sent { return [.requestRejected(reason)] }
        return wasStanding && session(id) == nil ? [.sessionEnded(id, reason: reason)] : []
    }

    /// - Returns: whether it is new.
    private mutating func conclude(
        _ id: Digest, as status: RequestStatus, _ decision: Decision, _ signer: String
    ) -> Bool {
        guard let own = request(id) else { return false }
        change(request: id) { own in
            // The server's answer to what this hospital took back itself.
            own.endedBy = own.status == .withdrawing ? .here : .server(signer)
            (own.status, own.reason) = (status, decision.reason)
            if let session = decision.session { own.session = session }
        }
        return own.status != status
    }

    /// The answer names the request, or the bundle that took it back.
    func withdrawnRequest(by decision: Decision) -> OwnRequest? {
        request(decision.about) ?? requests.first { $0.withdrawal == decision.about }
            // Of what was taken back before its bundle was noted here.
            ?? requests.last { $0.status == .withdrawing && $0.withdrawal == nil && $0.session == decision.session }
    }

    // MARK: sessions

    /// With which this hospital takes part in a session.
    func standing(in id: RandomID) -> OwnRequest? {
        newestRequest(in: id).flatMap { $0.status == .approved ? $0 : nil }
    }

    /// The one that was approved last.
    func newestRequest(in id: RandomID) -> OwnRequest? {
        requests.filter { $0.session == id }.max { $0.order < $1.order }
    }

    /// The request that took the place of an approved one.
    package func replacement(of own: OwnRequest) -> OwnRequest? {
        guard own.status == .approved, let newest = own.session.flatMap(newestRequest), newest.id != own.id else {
            return nil
        }
        return newest
    }

    private static let dropped = "the server dropped this hospital"
    private static let withdrawn = "withdrawn"

    /// Why a session is over for a hospital whose request for it does not stand any more.
    static func departure(of own: OwnRequest) -> String? {
        switch own.status {
        case .sent, .approved: nil
        case .withdrawing, .withdrawn: withdrawn
        case .rejected: own.reason
        }
    }

    /// Whether a session that is over for this reason goes on for others, and may take this hospital in again.
    static func isDeparture(_ reason: String) -> Bool { reason == withdrawn || reason.hasPrefix(dropped) }

    /// Brings a session in line with the requests that led to it. Another one than before takes part anew: the plan is
    /// compared with what it asks for.
    private mutating func settle(_ id: RandomID, asksConsent: Bool) -> [ClientNotice] {
        guard let session = session(id), !session.isClosed else { return [] }
        guard let own = standing(in: id) else {
            guard session.ended == nil, let reason = newestRequest(in: id).flatMap(Self.departure) else { return [] }
            let speaker = newestRequest(in: id)?.endedBy ?? .here
            change(session: id) { ($0.ended, $0.endedBy) = (reason, speaker) }
            return [.sessionEnded(id, reason: reason)]
        }
        guard session.request != own.id || session.ended != nil else { return [] }
        var consent = session.consent
        let former = session.request.flatMap(request)
        if consent != .granted || former?.request.wishes != own.request.wishes {
            consent = self.consent(to: session.plan, of: own, asksConsent: asksConsent)
        }
        change(session: id) { $0.takePart(with: own.id, consent: consent) }
        guard let changed = self.session(id) else { return [] }
        return (session.ended == nil ? [] : [.sessionResumed(id)]) + (consent == .asked ? [.planWaits(changed)] : [])
    }

    func consent(to plan: Plan, of own: OwnRequest?, asksConsent: Bool) -> ClientSession.Consent {
        let isWanted = own.map { $0.status == .approved && plan.differences(from: $0.request.wishes).isEmpty } ?? false
        return isWanted || !asksConsent ? .granted : .asked
    }

    private func suffixed(_ text: String, _ reason: String) -> String { reason.isEmpty ? text : "\(text): \(reason)" }
}
